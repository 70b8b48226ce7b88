"""What a board says, as data: tables, gaps, failures. No file, no HTML.

A board is one dataset (as titled) and one preset: nothing else is ever ranked together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from srbench.results.record import Record, Status

ARROWS = {"lower": "↓", "higher": "↑", "target": "≈"}
WORDS = {"lower": "lower is better", "higher": "higher is better",
         "target": "closer to the value of the HR images is better"}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One metric under one protocol; ``name`` is unique on the board, ``metric`` the plugin's.

    ``count`` is the largest number of images a value is made of; ``reference`` holds values of the
    data itself, e.g. ``{"hr": 0.16, "lr": 0.12}``.
    """

    name: str
    metric: str
    title: str
    unit: str
    direction: Literal["lower", "higher", "target"]
    decimals: int
    protocol: str
    count: int
    reference: dict[str, float]

    @property
    def arrow(self) -> str:
        """Sign of the direction; `words` says the same to those who cannot see it."""
        return ARROWS[self.direction]

    @property
    def words(self) -> str:
        """Which values are better."""
        return WORDS[self.direction]

    def show(self, value: float) -> str:
        """Format a value with the metric's decimals, without unit."""
        return f"{value:.{self.decimals}f}"

    def badness(self, value: float) -> float:
        """Return a number, smaller for better values; NaN where it cannot be told."""
        if self.direction == "target":
            return abs(value - self.reference.get("hr", math.nan))
        return value if self.direction == "lower" else -value


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A method's value in a column: mean and deviation over ``seeds`` seeds, or why there is none.

    ``gap`` is the number of the `Gap` that explains a missing value.
    """

    mean: float | None
    sd: float | None = None
    seeds: int = 0
    best: bool = False
    gap: int | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """A method with its settings; costs are means over seeds, flags those of any seed."""

    label: str
    flags: tuple[str, ...]
    method: str
    seeds: int
    entries: tuple[Entry, ...]
    seconds_fit: float
    images: float
    parameters: float


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Why values of a column are missing, for which methods, and what mends it."""

    column: str
    labels: tuple[str, ...]
    why: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns, rows from best to worst in the first column, and the gaps in numbered order.

    ``inapplicable`` holds the titles of metrics that make no sense on the dataset, by reason; they
    have no column.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    gaps: tuple[Gap, ...]
    inapplicable: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def spread(self) -> tuple[bool, ...]:
        """Whether any value of each column has a deviation."""
        return tuple(any(row.entries[index].sd is not None for row in self.rows)
                     for index in range(len(self.columns)))

    def missing(self, gap: Gap) -> str:
        """Say which values a gap is about: ``LPIPS of all methods``."""
        title = next(column.title for column in self.columns if column.name == gap.column)
        everyone = len(gap.labels) == len(self.rows) > 1
        return f"{title} of {'all methods' if everyone else ', '.join(gap.labels)}"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A cell that is not ok; ``log`` is a path below the runs folder."""

    label: str
    seed: int
    status: str
    reason: str
    log: str
    tail: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Board:
    """One dataset, one preset. ``superseded`` counts older records of the same cells, left out.

    ``notes`` pairs what a reader must know about finished cells with the methods it is true of.
    """

    title: str
    preset: str
    notice: str
    final: Table
    oracle: Table
    failures: tuple[Failure, ...]
    records: tuple[Record, ...]
    superseded: int
    notes: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the cells that are ok, in order."""
        return tuple(sorted({record.identity.seed for record in self.records
                             if record.outcome.status is Status.OK}))
