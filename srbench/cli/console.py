"""Where words go: stdout is the answer, stderr is everything else."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TextIO

import click

from srbench.foreign.text import escaped_json, printable, printable_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

Color = Literal["auto", "always", "never"]
COLORS: tuple[Color, ...] = ("auto", "always", "never")
UNWRAPPED = 4096  # columns of a console that is not a terminal: nothing is wrapped


def wants_color(choice: Color, environment: Mapping[str, str], *, terminal: bool) -> bool:
    """Decide whether a stream is coloured: ``--color``, then NO_COLOR, FORCE_COLOR, the terminal.

    Parameters
    ----------
    choice : {"auto", "always", "never"}
        The option.
    environment : mapping
        Environment variables.
    terminal : bool
        Whether the stream is a terminal.
    """
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return terminal and environment.get("TERM") not in ("dumb", "unknown")


@dataclass
class Output:
    """The two streams of one invocation; nothing that is said through it can steer a terminal.

    Parameters
    ----------
    verbosity : int
        -1 quiet, 0 normal, 1 details, 2 tracebacks.
    color : {"auto", "always", "never"}
        Whether text is coloured.
    """

    verbosity: int = 0
    color: Color = "auto"

    @cached_property
    def stdout(self) -> Console:
        """Rich console of the answer."""
        return self._console(stderr=False)

    @cached_property
    def stderr(self) -> Console:
        """Rich console of everything else; silent with ``--quiet``."""
        return self._console(stderr=True)

    def answer(self, text: str = "") -> None:
        """Print a line of the answer, unwrapped."""
        click.echo(printable_lines(text))

    def heading(self, text: str) -> None:
        """Print a heading of the answer."""
        click.echo(self._styled(printable_lines(text), sys.stdout, bold=True), color=True)

    def document(self, document: Any) -> None:
        """Print the answer as one JSON document."""
        click.echo(escaped_json(json.dumps(document, indent=2, ensure_ascii=False)))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table of the answer: fitted to a terminal, plain whole lines elsewhere."""
        columns, *rows = [[printable(cell) for cell in row] for row in (columns, *rows)]
        if not self._is_terminal(sys.stdout):
            for line in align([columns, *rows]):
                click.echo(line)
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, box=None, pad_edge=False, header_style="dim")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self.stdout.print(table)

    def note(self, text: str) -> None:
        """Say something beside the answer; not with ``--quiet``."""
        if self.verbosity >= 0:
            click.echo(printable_lines(text), err=True)

    def detail(self, text: str) -> None:
        """Say something only ``-v`` asks for."""
        if self.verbosity >= 1:
            click.echo(printable_lines(text), err=True)

    def warn(self, text: str) -> None:
        """Print a warning, also with ``--quiet``."""
        click.echo(self._styled("warning: ", sys.stderr, fg="yellow", bold=True)
                   + printable_lines(text), err=True, color=True)

    def error(self, message: str, hint: str = "") -> None:
        """Print an error and the command or setting that mends it."""
        click.echo(self._styled("error: ", sys.stderr, fg="red", bold=True)
                   + printable_lines(message), err=True, color=True)
        if hint:
            click.echo(self._styled("hint: ", sys.stderr, fg="cyan") + printable_lines(hint),
                       err=True, color=True)

    def _styled(self, text: str, stream: TextIO, **style: Any) -> str:
        colored = wants_color(self.color, os.environ, terminal=self._is_terminal(stream))
        return click.style(text, **style) if colored else text

    @staticmethod
    def _is_terminal(stream: TextIO) -> bool:
        return stream.isatty()

    def _console(self, *, stderr: bool) -> Console:
        from rich.console import Console

        terminal = self._is_terminal(sys.stderr if stderr else sys.stdout)
        colored = wants_color(self.color, os.environ, terminal=terminal)
        system: Literal["auto", "standard"] = "auto" if terminal else "standard"
        # Markup is off: rich would take the brackets of "wgan-gp[lambda=100]" for a style.
        return Console(stderr=stderr, quiet=stderr and self.verbosity < 0, force_terminal=terminal,
                       force_jupyter=False,  # a stream is a stream, also in a notebook
                       color_system=system if colored else None, no_color=not colored,
                       width=None if terminal else UNWRAPPED, markup=False, emoji=False,
                       highlight=False)


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with their columns aligned by spaces, none at the end."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows]


def output() -> Output:
    """Return the output of the running command; one with default settings outside of any."""
    context = click.get_current_context(silent=True)
    found = context.find_object(Output) if context else None
    return found or Output()


def stdout() -> Console:
    """Return the rich console of the answer."""
    return output().stdout


def stderr() -> Console:
    """Return the rich console of everything else."""
    return output().stderr
