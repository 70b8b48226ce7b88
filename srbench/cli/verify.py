"""``srbench verify``: whether what lies in ``runs/`` is what was committed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.cli.console import output
from srbench.cli.exits import ExitCode
from srbench.errors import UsageError

if TYPE_CHECKING:
    from srbench.verify.findings import Checked

FEW = 5  # cells that are checked without a bar


@click.command(help="""\b
Examples:
  srbench verify
  srbench verify 3f9a2c --runs shared/runs --json

Check that records and the files beside them are what was committed: sizes and SHA-256 of files,
missing and extra ones, the key from what was to run, means from per-image values, PSNR from the
stored images, and values copied from another cell. CELL is the beginning of a key; without it, all
cells are checked. Exit code 3 says that some are not as committed.
""")
@click.argument("cells", metavar="[CELL]...", nargs=-1)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True,
              metavar="DIR", help="Where records are kept.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_context
def command(context: click.Context, cells: tuple[str, ...], runs: Path, *, as_json: bool) -> None:
    """Check, show, exit."""
    from srbench.verify.cells import cell_folders, check_cells

    folders = chosen(cell_folders(runs), cells, runs)
    if not folders:
        output().error(f"no records in {runs}",
                       "srbench run --methods ots,wgan-gp --dataset w2-early")
        context.exit(ExitCode.NOTHING)
    hidden = len(folders) <= FEW or output().verbosity < 0 or not sys.stderr.isatty()
    with click.progressbar(length=len(folders), label="verifying", file=sys.stderr,
                           hidden=hidden) as bar:
        checked = check_cells(folders, lambda: bar.update(1))
    if as_json:
        output().document(as_data(checked))
    else:
        show(checked)
    if any(cell.findings for cell in checked):
        context.exit(ExitCode.CELLS)


def chosen(folders: Sequence[Path], prefixes: Sequence[str], runs: Path) -> list[Path]:
    """Folders whose names begin with one of the prefixes; all without any.

    Raises
    ------
    UsageError
        If a prefix stands for none or for several.
    """
    found: dict[Path, None] = dict.fromkeys([] if prefixes else folders)
    for prefix in prefixes:
        fitting = [folder for folder in folders if prefix and folder.name.startswith(prefix)]
        if len(fitting) != 1:
            raise UsageError(f"{len(fitting)} cells in {runs} that have a record have a key that "
                             f"starts with {prefix!r}", hint="srbench show --json lists the keys")
        found[fitting[0]] = None
    return list(found)


def as_data(checked: Sequence[Checked]) -> dict[str, Any]:
    """The result as JSON data."""
    return {"verified": len(checked), "bad": sum(bool(cell.findings) for cell in checked),
            "cells": [{"key": cell.key, "name": cell.name,
                       "findings": [vars(finding) for finding in cell.findings]}
                      for cell in checked]}


def show(checked: Sequence[Checked]) -> None:
    """Print a line for each finding, and how many cells are as committed."""
    rows = [[cell.key[:12], cell.name, finding.file, finding.problem]
            for cell in checked for finding in cell.findings]
    if rows:
        output().table(["cell", "method", "file", "what is wrong"], rows)
        output().answer()
    bad = sum(bool(cell.findings) for cell in checked)
    output().answer(f"{len(checked) - bad} of {len(checked)} cells are as committed"
                    + (f"; {bad} not" if bad else ""))
