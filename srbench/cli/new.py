"""``srbench new``: write the package of a method or dataset that works from the first minute."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from srbench.cli.console import output


@click.command(help="""\b
Examples:
  srbench new method my-idea --author 'A. Nonymous'
  srbench new dataset my-pairs --path plugins --licence Apache-2.0

Write the folder srbench-NAME: a package that pip installs, with a small method or dataset that
already trains or serves pairs, a test that passes, a README, a licence and a CI file.

The three commands that follow are printed on stdout.
""")
@click.argument("kind", type=click.Choice(["method", "dataset"]))
@click.argument("name")
@click.option("--path", type=click.Path(path_type=Path), default=Path(), metavar="DIR",
              help="Where the folder is made; the current one by default.")
@click.option("--author", default="", metavar="NAME", help="Who wrote it.")
@click.option("--licence", "--license", default="MIT", show_default=True, metavar="SPDX",
              help="Licence, as an SPDX expression.")
@click.option("--force", is_flag=True,
              help="Write into a folder that is there, and say which files were replaced.")
def command(kind: Literal["method", "dataset"], name: str, path: Path, author: str, licence: str,
            *, force: bool) -> None:
    """Write a package."""
    from srbench.registry.catalog import discover
    from srbench.scaffold.names import Names
    from srbench.scaffold.package import Package, commands, write

    names = Names(kind, name)
    package = Package(names=names, author=author, licence=licence)
    names.refuse_taken(discover(), again=force)
    folder, replaced = write(package, path, force=force)
    for file in sorted(package.files()):
        output().note(f"{'replaced' if file in replaced else 'wrote'} {folder / file}")
    if package.licence != "MIT":
        output().note(f"put the text of {package.licence} into {folder / 'LICENSE'}")
    for line in commands(names, path):
        output().answer(line)
