"""What charts read from a board: finite numbers, their spread, and how to say both."""

from __future__ import annotations

import math
from dataclasses import dataclass

from srbench.boards.board import Board, Column, Entry, Row, Table
from srbench.boards.charts.labels import short
from srbench.boards.charts.look import PARAMETERS
from srbench.boards.charts.scales import number
from srbench.foreign.text import printable

INTERVAL = "95 % interval"
SEEDS = "± one standard deviation over seeds"
SCENES = "95 % interval over test images, seeds as they are"


@dataclass(frozen=True)
class Spread:
    """Two ends around a mean; ``kind`` says what they are."""

    low: float
    high: float
    kind: str


def mean(entry: Entry) -> float | None:
    """Mean of an entry that can be drawn: None where there is none or it is not finite."""
    value = entry.mean
    return value if value is not None and math.isfinite(value) else None


def spread(entry: Entry) -> Spread | None:
    """Interval that accounts for seeds and images; else what is known of either."""
    estimate = entry.estimate
    if estimate is None or mean(entry) is None:
        return None
    found = None
    if estimate.interval is not None:
        found = Spread(*estimate.interval, INTERVAL)
    elif estimate.seed_sd is not None:
        found = Spread(estimate.mean - estimate.seed_sd, estimate.mean + estimate.seed_sd, SEEDS)
    elif estimate.scene_interval is not None:
        found = Spread(*estimate.scene_interval, SCENES)
    return found if found and math.isfinite(found.low) and math.isfinite(found.high) else None


def column_index(table: Table, name: str) -> int | None:
    """Place of a column by its name."""
    return next((index for index, column in enumerate(table.columns) if column.name == name), None)


def valued(table: Table, index: int) -> list[Row]:
    """Rows that have a number in a column."""
    return [row for row in table.rows if mean(row.entries[index]) is not None]


def with_unit(column: Column) -> str:
    """Heading and unit: ``L2-UVP, %``."""
    heading = short(column.heading, 40)
    return f"{heading}, {short(column.unit, 12)}" if column.unit else heading


def show(column: Column, value: float) -> str:
    """A value with its unit: ``6.1 %``."""
    return f"{column.show(value)} {short(column.unit, 12)}".strip()


def show_entry(column: Column, entry: Entry) -> str:
    """A value with its spread, or a dash."""
    value, ends = mean(entry), spread(entry)
    if value is None:
        return "-"
    if ends is None:
        return show(column, value)
    return f"{show(column, value)} ({column.show(ends.low)} to {column.show(ends.high)})"


def symbol(parameter: str) -> str:
    """Name of a swept parameter, a Greek letter where it has one."""
    return PARAMETERS.get(parameter, short(parameter, 16))


def short_label(row: Row) -> str:
    """``wgan-gp λ=100`` for a row of a sweep, else its label."""
    if row.sweep is None:
        return short(row.label)
    return short(f"{printable(row.sweep.family)} {symbol(row.sweep.parameter)}="
                 f"{number(row.sweep.value)}")


def families(board: Board) -> dict[tuple[str, str], list[Row]]:
    """Rows of each sweep (family, parameter) by ascending value; only sweeps of two or more."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in board.final.rows:
        if row.sweep is not None and math.isfinite(row.sweep.value):
            found.setdefault((row.sweep.family, row.sweep.parameter), []).append(row)
    return {key: sorted(rows, key=lambda row: row.sweep.value if row.sweep else 0.0)
            for key, rows in sorted(found.items()) if len(rows) > 1}
