"""Which cell stands for a method, and what it left: images, values of single images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from srbench.boards.board import Board, Column, Row
from srbench.errors import StoreError
from srbench.foreign.paths import plain_file, read_capped
from srbench.results.frame import shown_labels, shown_titles
from srbench.results.per_image import read_per_image
from srbench.results.record import Record, Status
from srbench.results.samples import LARGEST, open_rgb

MOST_SCENES = 12  # images that a cell keeps


@dataclass(frozen=True)
class Stored:
    """A kept image: (h, w, 3) 8-bit pixels and the bytes of its file."""

    pixels: NDArray[np.uint8]
    content: bytes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]


@dataclass(frozen=True)
class Cell:
    """The finished cell whose images stand for a row of the board, and its dataset's title."""

    row: Row
    record: Record
    cells: Path
    dataset: str

    @property
    def seed(self) -> int:
        """Its seed."""
        return self.record.identity.seed

    @property
    def many(self) -> bool:
        """Whether other seeds of the row exist beside it."""
        return len(self.row.seeds) > 1

    @cached_property
    def kept(self) -> int:
        """How many test images it kept, lost files counted."""
        if not (self.cells / self.record.identity.key / "images").is_dir():
            return 0  # a board of thousands of records without images asks each of them
        return max((index + 1 for index in range(MOST_SCENES)
                    if self.path(f"images/prediction_{index}.png") is not None), default=0)

    def path(self, name: str) -> Path | None:
        """Path of a file of the cell that is there and no link."""
        try:
            return plain_file(self.cells, f"{self.record.identity.key}/{name}")
        except StoreError:
            return None

    def image(self, kind: str, index: int) -> Stored | None:
        """A kept image; None where it is missing or no image."""
        path = self.path(f"images/{kind}_{index}.png")
        if path is None:
            return None
        try:
            return Stored(np.ascontiguousarray(open_rgb(path)), read_capped(path, LARGEST))
        except (OSError, StoreError):
            return None

    def values(self, column: Column) -> NDArray[np.float64] | None:
        """Value of each test image, in test order; None where the cell has none.

        Images of another size than the first are not kept, so that those kept are known by their
        number only if none was left out: otherwise there are no values of them.
        """
        if column.name not in self._values:
            self._values[column.name] = self._read(column)
        return self._values[column.name]

    @cached_property
    def _values(self) -> dict[str, NDArray[np.float64] | None]:
        return {}

    def _read(self, column: Column) -> NDArray[np.float64] | None:
        value = self.record.values.final.get(column.metric)
        if value is None or value.protocol != column.protocol or not value.per_image:
            return None
        name, _, field = value.per_image.partition("#")
        values = self._table(name).get(field)
        if values is None or self.kept != min(MOST_SCENES, len(values)):
            return None
        return values

    def _table(self, name: str) -> dict[str, NDArray[np.float64]]:
        if name not in self._tables:
            path = self.path(name)
            try:
                self._tables[name] = {} if path is None else read_per_image(path)
            except (OSError, StoreError):
                self._tables[name] = {}
        return self._tables[name]

    @cached_property
    def _tables(self) -> dict[str, dict[str, NDArray[np.float64]]]:
        return {}


def cells_with_images(board: Board, cells: Path) -> list[Cell]:
    """The cell with images of the lowest seed of each row, in table order, the reference first.

    Of several datasets the first that has images is shown.

    Parameters
    ----------
    board : Board
        Its rows and records.
    cells : Path
        Folder of the cells' folders.
    """
    titles, labels = shown_titles(board.records), shown_labels(board.records)
    rows = {row.label: row for row in board.final.rows}
    found: dict[str, dict[str, Cell]] = {}
    for record, title, label in zip(board.records, titles, labels, strict=True):
        if record.outcome.status is not Status.OK or label not in rows:
            continue
        group = found.setdefault(title, {})
        best = group.get(label)
        if best is None or record.identity.seed < best.seed:
            cell = Cell(rows[label], record, cells, title)
            if cell.kept:
                group[label] = cell
    order = {title: place for place, title in enumerate(board.datasets)}
    for title in sorted(found, key=lambda title: (order.get(title, len(order)), title)):
        if found[title]:
            return _ordered(board, found[title])
    return []


def _ordered(board: Board, group: dict[str, Cell]) -> list[Cell]:
    shown = [group[row.label] for row in board.final.rows if row.label in group]
    return sorted(shown, key=lambda cell: cell.row.label != board.reference)


def columns_of(board: Board, cell: Cell) -> list[Column]:
    """The board's columns that were measured on the cell's dataset."""
    return [column for column in board.final.columns if column.dataset in ("", cell.dataset)]


def first_readable(cells: Sequence[Cell], kind: str, index: int) -> Stored | None:
    """LR or HR image of a scene, which all methods share, from the first cell that has it."""
    return next((image for cell in cells if (image := cell.image(kind, index)) is not None), None)


def psnr(prediction: NDArray[np.uint8], target: NDArray[np.uint8]) -> float:
    """PSNR in dB of two 8-bit images of one shape; infinite for equal ones."""
    error = prediction.astype(np.int64) - target.astype(np.int64)
    total = int((error * error).sum())
    return 10 * math.log10(255**2 * error.size / total) if total else math.inf
