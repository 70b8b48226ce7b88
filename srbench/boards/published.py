"""Values of the literature beside ours, and whether ours reproduce them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from srbench.boards.board import Column, Entry, Published, Row, Verdict

if TYPE_CHECKING:
    from srbench.boards.definition import Definition, Expected
    from srbench.results.statistics import Estimate

ROUNDING = 1e-9  # relative; 0.3 - 0.2 is a little less than 0.1


def judge(estimate: Estimate | None, expected: Expected, *, unit: str = "",
          why: str = "") -> Published:
    """Compare our mean over seeds with a published value.

    Parameters
    ----------
    estimate : Estimate or None
        None where there is no value of ours.
    expected : Expected
        Reproduced if the mean is at most its ``tolerance`` away from its ``value``.
    unit : str
        Of the metric, for the words.
    why : str
        Why there is no value of ours.
    """
    mean = math.nan if estimate is None else estimate.mean
    if estimate is None or not math.isfinite(mean):
        return _published(expected, "not tried",
                          why or f"there is no finished cell of {expected.label} on this board")
    gap = abs(mean - expected.value)
    reached = gap <= expected.tolerance + ROUNDING * max(abs(mean), abs(expected.value))
    ours = "one seed has" if estimate.seeds == 1 else f"{estimate.seeds} seeds have the mean"
    apart, most = (f"{number:.4g} {unit}".rstrip() for number in (gap, expected.tolerance))
    words = (f"{ours} {mean:.4g}, {apart} from {expected.value:.4g}; up to {most} counts as "
             "reproduced")
    return _published(expected, "reproduced" if reached else "not reproduced", words)


def judged(rows: Sequence[Row], columns: Sequence[Column], definition: Definition) -> list[Row]:
    """Put the published values of a definition into the entries they are about."""
    def entry(row: Row, column: Column, ours: Entry) -> Entry:
        expected = _find(definition, row.label, column)
        if expected is None:
            return ours
        return replace(ours, published=judge(
            ours.estimate, expected, unit=column.unit,
            why=f"{row.label} has no value of {column.heading} here"))

    return [replace(row, entries=tuple(entry(row, column, ours) for ours, column
                                       in zip(row.entries, columns, strict=True)))
            for row in rows]


def absent_rows(rows: Sequence[Row], columns: Sequence[Column], definition: Definition,
                ) -> tuple[tuple[str, dict[str, Published]], ...]:
    """Published methods that have no row, with their values by the names of the columns.

    In the order of the definition; values in no column of the board are left out.
    """
    absent: dict[str, dict[str, Published]] = {}
    for expected in definition.published:
        if any(is_label(row.label, expected.label) for row in rows):
            continue
        for column in columns:
            if (column.metric, column.dataset) == (expected.metric, expected.dataset):
                absent.setdefault(expected.label, {})[column.name] = judge(None, expected)
    return tuple(absent.items())


def _find(definition: Definition, label: str, column: Column) -> Expected | None:
    return next((expected for expected in definition.published
                 if (expected.metric, expected.dataset) == (column.metric, column.dataset)
                 and is_label(label, expected.label)), None)


def is_label(shown: str, label: str) -> bool:
    """Whether a row is the method's: boards add precision or budget, as in ``ots (bf16)``."""
    return shown == label or shown.startswith(f"{label} (")


def _published(expected: Expected, verdict: Verdict, why: str) -> Published:
    return Published(value=expected.value, tolerance=expected.tolerance, source=expected.source,
                     verdict=verdict, why=why)
