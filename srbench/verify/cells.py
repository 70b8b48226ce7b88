"""Checking that cells are what was committed.

A record names its files by their hashes, its values are means of values in those files, and the
images show what the values say; its key is a hash of what was to run. Who changes one of them must
change all the others, and cannot where something is computed again. What is in no file beside the
record (the value of an FID, a training time) is not found by this: only running the cell again is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from srbench.errors import StoreError
from srbench.results.reading import load
from srbench.results.store import RECORD
from srbench.verify.files import check_files
from srbench.verify.findings import Checked, Finding
from srbench.verify.identity import check_identity
from srbench.verify.values import check_values


def cell_folders(runs: Path) -> list[Path]:
    """Folders below ``runs/cells`` that hold a record, of whatever kind, in the order of keys."""
    folder = runs / "cells"
    found = folder.iterdir() if folder.is_dir() else []
    return sorted(path for path in found if path.is_dir() and _is_there(path / RECORD))


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def check_cells(folders: Sequence[Path],
                on_done: Callable[[], None] = lambda: None) -> list[Checked]:
    """Check each cell for itself, then compare all with each other.

    Parameters
    ----------
    folders : sequence of Path
        Of cells that have a record.
    on_done : callable
        Called after each.
    """
    checked = []
    for folder in folders:
        checked.append(check_cell(folder))
        on_done()
    return mark_copies(checked)


def check_cell(folder: Path) -> Checked:
    """Check one cell; nothing it holds is trusted, nothing is changed."""
    try:
        record = load(folder / RECORD)
    except StoreError as error:
        return Checked(key=folder.name, record=None,
                       findings=(Finding(RECORD, f"invalid: {error.message}"),))
    values, signature = check_values(folder, record)
    findings = (*check_identity(folder, record), *check_files(folder, record), *values)
    return Checked(key=folder.name, record=record, findings=findings, signature=signature)


def mark_copies(checked: Sequence[Checked]) -> list[Checked]:
    """Add findings to cells that share with another one what two trainings never share.

    These are the key, all per-image values of two seeds of a method that trains, and the exact
    seconds of the training.
    """
    by_mark: dict[tuple[str, object], list[Checked]] = {}
    for cell in checked:
        for mark in _marks(cell):
            by_mark.setdefault(mark, []).append(cell)
    more: dict[str, list[Finding]] = {}
    for (what, _), cells in by_mark.items():
        seeds = {cell.record.identity.seed for cell in cells if cell.record is not None}
        if len(cells) < 2 or (what == VALUES and len(seeds) < 2):
            continue  # one seed of two versions of the code may well give the same values
        for cell in cells:
            others = ", ".join(f"{other.key[:12]} ({other.name})" for other in cells
                               if other is not cell)
            more.setdefault(cell.key, []).append(
                Finding(RECORD, f"it has the same {what} as {others}"))
    return [replace(cell, findings=(*cell.findings, *more.get(cell.key, ()))) for cell in checked]


VALUES = "values of every image"


def _marks(cell: Checked) -> list[tuple[str, object]]:
    if cell.record is None:
        return []
    marks: list[tuple[str, object]] = [("key", cell.record.identity.key)]
    if cell.signature:
        marks.append((VALUES, cell.signature))
    if seconds := cell.record.cost.seconds_fit:
        marks.append(("seconds of training", seconds))
    return marks
