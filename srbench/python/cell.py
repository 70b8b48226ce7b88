"""The folder of a finished cell, found by whatever names it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srbench.boards.methods import run_command
from srbench.errors import StoreError, UsageError
from srbench.results.reading import json_object
from srbench.results.reading import load as read_record
from srbench.results.record import Record, Status
from srbench.results.store import RECORD, Store

SHOWN = 5  # cells named where a key means several
HINT = "srbench.open_runs(...).frame has the keys; srbench show lists what is there"


@dataclass(frozen=True, kw_only=True)
class CellFolder:
    """A record, and the folder with what its cell left.

    Attributes
    ----------
    record : Record
        Of a cell that is ok.
    folder : Path
        ``runs/cells/<key>``; it may be gone.
    """

    record: Record
    folder: Path

    @property
    def again(self) -> str:
        """The command that runs the cell again."""
        return run_command([self.record])

    def described(self) -> dict[str, Any]:
        """``cell.json``; empty where it is not there, as beside published records."""
        path = self.folder / "cell.json"
        return json_object(path) if path.is_file() else {}


def find_cell(wanted: Record | Path | str, runs: Path) -> CellFolder:
    """Find the cell that a record, a key, the beginning of one, or a path means.

    Raises
    ------
    UsageError
        If no or several cells are meant.
    StoreError
        If its record cannot be read, or the cell is not ok.
    """
    if isinstance(wanted, Record):
        found = CellFolder(record=wanted, folder=Store(runs).cell_folder(wanted.identity.key))
    else:
        folder = _folder(wanted, runs)
        found = CellFolder(record=read_record(folder / RECORD), folder=folder)
    outcome = found.record.outcome
    if outcome.status is not Status.OK:
        raise StoreError(f"the cell {found.record.identity.key[:10]} "
                         f"({found.record.identity.label}) is {outcome.status}"
                         + (f": {outcome.reason}" if outcome.reason else ""),
                         hint=f"run it again: {found.again}")
    return found


def _folder(wanted: Path | str, runs: Path) -> Path:
    """Folder of a key in ``runs``, or of a path."""
    path = Path(wanted)
    if path.name == RECORD:
        path = path.parent
    if (path / RECORD).is_file():
        return path
    key = str(wanted)
    if isinstance(wanted, Path) or not key.isalnum():
        raise UsageError(f"no {RECORD} in {path}",
                         hint="name a cell's folder, its record, or the beginning of its key")
    folders = sorted(one.parent for one in runs.glob(f"cells/{key}*/{RECORD}"))
    if not folders:
        raise UsageError(f"no cell in {runs} has a key that starts with {key!r}", hint=HINT)
    if len(folders) > 1:
        raise UsageError(f"{len(folders)} cells in {runs} have a key that starts with {key!r}",
                         hint="one of: " + ", ".join(one.name[:len(key) + 6]
                                                     for one in folders[:SHOWN]))
    return folders[0]
