"""The command line: one module per verb, each imported only when it runs."""

from srbench.cli.shell import cli, main

__all__ = ["cli", "main"]
