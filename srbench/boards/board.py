"""What a board says, as data: tables, gaps, failures. No file, no HTML.

A board ranks the methods on one dataset and one preset. A board may show several datasets that
share a preset (the dimensions of one benchmark); each column then belongs to one of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from srbench.results.record import Record, Status
from srbench.results.statistics import Difference, Estimate

ARROWS = {"lower": "↓", "higher": "↑", "target": "≈"}
WORDS = {"lower": "lower is better", "higher": "higher is better",
         "target": "closer to the value of the HR images is better"}
Verdict = Literal["reproduced", "not reproduced", "not tried"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One metric under one protocol on one dataset.

    Attributes
    ----------
    name : str
        Unique on the board, e.g. ``"psnr"`` or ``"l2-uvp dim=16"``.
    metric, title, unit, direction, decimals, protocol
        As in the records.
    count : int
        Largest number of images that a value is made of.
    reference : dict
        Values of the data itself, e.g. ``{"hr": 0.16, "lr": 0.12}``.
    dataset : str
        Title of the dataset it was measured on.
    about : str
        What tells that dataset from the board's others (``"dim=16"``); empty where it is alone.
    definition : str
        What the metric measures, in a sentence; empty where the plugin is not installed.
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
    dataset: str = ""
    about: str = ""
    definition: str = ""

    @property
    def heading(self) -> str:
        """Title, with the dataset where the board has several."""
        return f"{self.title}, {self.about}" if self.about else self.title

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
        return f"{value:z.{self.decimals}f}"  # z: no minus in front of a zero

    def badness(self, value: float) -> float:
        """Return a number, smaller for better values; NaN where it cannot be told."""
        if self.direction == "target":
            return abs(value - self.reference.get("hr", math.nan))
        return value if self.direction == "lower" else -value


@dataclass(frozen=True, kw_only=True)
class Published:
    """A value from the literature beside ours.

    ``verdict`` compares our mean with it: within ``tolerance`` (absolute, in the column's unit) or
    not. ``why`` says in words what the verdict rests on, or why it was not tried.
    """

    value: float
    tolerance: float
    source: str
    verdict: Verdict
    why: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A method's value in a column, or the number of the `Gap` that says why there is none.

    Attributes
    ----------
    estimate : Estimate or None
        Mean over seeds, its parts of uncertainty and its interval; None without a value.
    best : bool
        Whether no other mean of the column is better.
    rank : (int, int) or None
        First and last rank that the intervals leave open; None without interval or direction.
    against : tuple of (str, Difference)
        Paired differences to the column's best method and to the reference method, by label.
    """

    estimate: Estimate | None = None
    best: bool = False
    rank: tuple[int, int] | None = None
    against: tuple[tuple[str, Difference], ...] = ()
    published: Published | None = None
    gap: int | None = None

    @property
    def mean(self) -> float | None:
        """Mean over seeds."""
        return None if self.estimate is None else self.estimate.mean


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a training of the method took; means over seeds, sums over stages. None is unknown.

    ``map_calls`` and ``other_calls`` count samples passed through the map and through the networks
    beside it (critics, potentials), ``images`` the LR and HR samples drawn, ``memory`` bytes.
    """

    seconds: float = 0.0
    images: float = 0.0
    map_calls: float = 0.0
    other_calls: float = 0.0
    parameters: float = 0.0
    memory: float = 0.0
    device_memory: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The place of a row in a sweep of one number: ``wgan-gp`` at ``lambda`` = 100.

    ``chosen`` says by which rules this value would be picked: ``"oracle"`` (the ranking metric,
    which needs the true targets), ``"validation"`` (a metric that needs none).
    """

    family: str
    parameter: str
    value: float
    chosen: tuple[Literal["oracle", "validation"], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Row:
    """A method with its settings. ``anchor`` is its id in the page; flags are those of any seed."""

    label: str
    anchor: str
    method: str
    seeds: tuple[int, ...]
    entries: tuple[Entry, ...]
    costs: Costs = field(default_factory=Costs)
    flags: tuple[str, ...] = ()
    sweep: Sweep | None = None
    plugin: str = ""

    @property
    def folded(self) -> bool:
        """Whether the view "best of each sweep" leaves the row out."""
        return self.sweep is not None and not self.sweep.chosen


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
    have no column. ``absent`` holds published rows that nobody ran, by label.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    gaps: tuple[Gap, ...] = ()
    inapplicable: tuple[tuple[str, tuple[str, ...]], ...] = ()
    absent: tuple[tuple[str, dict[str, Published]], ...] = ()

    def missing(self, gap: Gap) -> str:
        """Say which values a gap is about: ``LPIPS of all methods``."""
        title = next(column.heading for column in self.columns if column.name == gap.column)
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
    dataset: str = ""


@dataclass(frozen=True, kw_only=True)
class Board:
    """One ranking. ``superseded`` counts older records of the same cells, left out.

    Attributes
    ----------
    name : str
        Of its files and links.
    title, summary, preset, notice : str
        What a reader must know first.
    datasets : tuple of str
        Titles, in the order of the columns.
    reference : str
        Label of the method that the others are compared with; empty where it has no row.
    shown : tuple of str
        Names of the columns that a reader sees at first; the others can be switched on.
    scenes : int or None
        How many of the kept test images are shown, the worst, median and best first; None: all.
    criterion : str
        What the ``"validation"`` of sweeps was; empty where none could be made.
    notes : tuple of (str, tuple of str)
        What a reader must know about finished cells, with the methods it is true of.
    """

    name: str
    title: str
    preset: str
    final: Table
    oracle: Table
    failures: tuple[Failure, ...]
    records: tuple[Record, ...]
    superseded: int = 0
    summary: str = ""
    notice: str = ""
    datasets: tuple[str, ...] = ()
    reference: str = ""
    shown: tuple[str, ...] = ()
    scenes: int | None = None
    criterion: str = ""
    notes: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the cells that are ok, in order."""
        return tuple(sorted({record.identity.seed for record in self.records
                             if record.outcome.status is Status.OK}))
