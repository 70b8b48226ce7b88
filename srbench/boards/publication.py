"""Published records on disk: what differs, and how it is written so that nothing gets lost.

A cell is written beside the others, then takes the place of the old one by renaming; the old ones
are deleted last. What an interrupt leaves behind is put in order by `recover`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from srbench.errors import StoreError
from srbench.files import atomic_write
from srbench.foreign.paths import plain_file, read_capped
from srbench.results.store import RECORD, Invalid

LARGEST = 64 * 2**20  # bytes of a published file
ARRIVING, LEAVING = ".arriving", ".leaving"  # cells on their way in and out
Kind = Literal["added", "changed", "removed"]


@dataclass(frozen=True)
class Change:
    """A file that differs from what is published; ``path`` is below ``leaderboards``."""

    kind: Kind
    path: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A record that stands on a board.

    Attributes
    ----------
    key : str
        Of the record.
    folder : Path
        Where its files are: in ``runs/`` or already published.
    files : dict of str to bytes or None
        Names of the files that are published; those with content are not copied but written.
    fresh : bool
        Whether it is from ``runs/``.
    cut : tuple of str
        Fields of the record in which a path of the user's machine was cut.
    """

    key: str
    folder: Path
    files: dict[str, bytes | None]
    fresh: bool
    cut: tuple[str, ...] = ()

    def content(self, name: str) -> bytes:
        """Return what a published file will hold; raises `StoreError` where it cannot be read."""
        given = self.files[name]
        try:
            return given if given is not None else read_capped(plain_file(self.folder, name),
                                                               LARGEST)
        except OSError as error:
            raise StoreError(f"cannot read {self.folder / name}: {error.strerror}") from error


@dataclass(kw_only=True)
class Publication:
    """The records of one board as they would be after publishing.

    Attributes
    ----------
    name : str
        Of the board.
    folder : Path
        ``leaderboards/records/NAME``.
    cells : list of Cell
        All of them, also those published before.
    plans : dict of str to bytes
        Content of the files in ``plans/`` by their names.
    invalid : list of Invalid
        Records of ``runs/`` that cannot be used.
    """

    name: str
    folder: Path
    cells: list[Cell]
    plans: dict[str, bytes] = field(default_factory=dict)
    invalid: list[Invalid] = field(default_factory=list)

    @property
    def fresh(self) -> list[Cell]:
        """Cells that come from ``runs/``."""
        return [cell for cell in self.cells if cell.fresh]

    def changes(self) -> list[Change]:
        """Compare with what is on the disk, file by file, in the order of paths."""
        found: list[Change] = []
        wanted = {cell.key: cell for cell in self.cells}
        for key in {*wanted, *_subfolders(self.folder / "cells")}:
            where = f"records/{self.name}/cells/{key}"
            there = _files(self.folder / "cells" / key)
            cell = wanted.get(key)
            found += _compare(where, there, {} if cell is None else {
                name: cell for name in cell.files})
        plans = _files(self.folder / "plans")
        for name in {*self.plans, *plans}:
            kind = _kind(plans.get(name), self.plans.get(name))
            if kind:
                found.append(Change(kind, f"records/{self.name}/plans/{name}"))
        return sorted(found, key=lambda change: change.path)

    def apply(self) -> None:
        """Write what differs.

        Raises
        ------
        StoreError
            If the disk refuses; cells that are in place stay, the others are as before.
        """
        changed = {change.path.split("/")[3] for change in self.changes()
                   if change.path.split("/")[2] == "cells"}
        wanted = [cell for cell in self.cells if cell.key in changed]
        try:
            for cell in wanted:
                self._stage(cell)
            for cell in wanted:
                _swap(self.folder, cell.key)
            for key in sorted(changed - {cell.key for cell in wanted}):
                _take_away(self.folder, key)
            self._write_plans()
        except OSError as error:
            raise StoreError(f"cannot write {self.folder}: {error.strerror or error}",
                             hint="free space, or name another folder with --to") from error
        _tidy(self.folder)

    def _stage(self, cell: Cell) -> None:
        """Write a cell's files beside the others; ``record.json`` comes last."""
        folder = self.folder / ARRIVING / cell.key
        for name in sorted(cell.files, key=lambda name: (name == RECORD, name)):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(target, cell.content(name), durable=name == RECORD)

    def _write_plans(self) -> None:
        folder = self.folder / "plans"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.plans.items():
            atomic_write(folder / name, content)
        for name in _files(folder).keys() - self.plans.keys():
            (folder / name).unlink()


def recover(folder: Path) -> None:
    """Put a board's folder in order after an interrupt: an old cell without a new one goes back."""
    for path in _subfolders(folder / LEAVING).values():
        if not (folder / "cells" / path.name).exists():
            (folder / "cells").mkdir(exist_ok=True)
            path.replace(folder / "cells" / path.name)
    _tidy(folder)


def _tidy(folder: Path) -> None:
    for name in (ARRIVING, LEAVING):
        shutil.rmtree(folder / name, ignore_errors=True)


def _swap(folder: Path, key: str) -> None:
    """Put the staged cell in its place; at every moment the old or the new one is on the disk."""
    target = folder / "cells" / key
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        _take_away(folder, key)
    (folder / ARRIVING / key).replace(target)


def _take_away(folder: Path, key: str) -> None:
    aside = folder / LEAVING / key
    aside.parent.mkdir(parents=True, exist_ok=True)
    (folder / "cells" / key).replace(aside)


def _compare(where: str, there: dict[str, Path], wanted: dict[str, Cell]) -> Iterator[Change]:
    for name in {*there, *wanted}:
        cell = wanted.get(name)
        published = cell is not None and not cell.fresh
        if cell is not None and published and name in there:
            continue
        kind = _kind(there.get(name), None if cell is None else cell.content(name))
        if kind:
            yield Change(kind, f"{where}/{name}")


def _kind(before: Path | None, after: bytes | None) -> Kind | None:
    if before is None:
        return "added"
    if after is None:
        return "removed"
    return None if before.read_bytes() == after else "changed"


def _files(folder: Path) -> dict[str, Path]:
    """Files below a folder by their relative paths."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))
            if not path.is_dir()}


def _subfolders(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(folder.glob("*")) if path.is_dir()}
