"""Estimates, ranks and comparisons in each column of a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from srbench.boards.board import Column, Entry, Row
from srbench.results.statistics import (
    Difference,
    Estimate,
    Sample,
    compare,
    holm,
    rank_ranges,
)
from srbench.results.statistics import badness as distances

SampleOf = Callable[[str, Column], Sample | None]


def ranked(rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
    """Fill in each entry's rank and whether it is the best of its column."""
    for index, column in enumerate(columns):
        entries = [row.entries[index] for row in rows]
        ranks = rank_ranges([_badness_interval(entry.estimate, column) for entry in entries])
        best = min((badness(entry, column) for entry in entries), default=math.inf)
        rows = [_with_entry(row, index, replace(
            entry, rank=rank, best=len(rows) > 1 and math.isfinite(best) and
            round(badness(entry, column), column.decimals) <= round(best, column.decimals)))
            for row, entry, rank in zip(rows, entries, ranks, strict=True)]
    return list(rows)


def badness(entry: Entry, column: Column) -> float:
    """Smaller the better the value is; infinite where that cannot be told."""
    value = math.nan if entry.mean is None else column.badness(entry.mean)
    return math.inf if math.isnan(value) else value


def _badness_interval(estimate: Estimate | None, column: Column) -> tuple[float, float] | None:
    """The interval of a value as one of its badness."""
    if estimate is None or estimate.interval is None:
        return None
    ends = [column.badness(end) for end in estimate.interval]
    if any(math.isnan(end) for end in ends):
        return None
    low, high = estimate.interval
    inside = column.direction == "target" and low <= column.reference["hr"] <= high
    return (0.0 if inside else min(ends)), max(ends)


def compared(rows: Sequence[Row], columns: Sequence[Column], sample: SampleOf,
             reference: str) -> list[Row]:
    """Fill in the differences to the best and to the reference method of each column.

    The p values of one column and one opponent are a family for Holm's correction. Where the value
    of the HR images is the target, differences are those of the distances to it.
    """
    for index, column in enumerate(columns):
        valued = [row.label for row in rows if row.entries[index].mean is not None]
        first = min(rows, default=None, key=lambda row: badness(row.entries[index], column))
        if first is None or len(valued) < 2 or math.isinf(badness(first.entries[index], column)):
            continue
        best = first.label
        opponents = dict.fromkeys([best, *([reference] if reference in valued else [])])
        for opponent in opponents:
            found = _family([label for label in valued if label != opponent], opponent, column,
                            sample)
            rows = [_with_entry(row, index, replace(row.entries[index], against=(
                *row.entries[index].against, (opponent, found[row.label]))))
                if row.label in found else row for row in rows]
    return list(rows)


def _family(labels: Sequence[str], opponent: str, column: Column,
            sample: SampleOf) -> dict[str, Difference]:
    other = sample(opponent, column)
    found = {label: _difference(own, other, column) for label in labels
             if (own := sample(label, column)) is not None and other is not None}
    adjusted = holm([difference.p for difference in found.values()])
    return {label: replace(difference, adjusted=p)
            for (label, difference), p in zip(found.items(), adjusted, strict=True)}


def _difference(own: Sample, other: Sample, column: Column) -> Difference:
    if column.direction == "target":  # both sides of the target may be equally far from it
        own, other = (distances(side, "target", column.reference["hr"]) for side in (own, other))
    return compare(own, other)


def _with_entry(row: Row, index: int, entry: Entry) -> Row:
    return replace(row, entries=(*row.entries[:index], entry, *row.entries[index + 1:]))
