"""The sentences at the head of a board: what was found, and how sure that is."""

from __future__ import annotations

import math

from srbench.boards.board import Board, Column, Entry, Row
from srbench.boards.ranking import badness
from srbench.results.statistics import SEEDS_ONLY, Difference

DOUBT = 0.05
SUPERLATIVES = {"lower": "has the lowest", "higher": "has the highest",
                "target": "is nearest to the HR images in"}
MEANS = {"lower": "has the lowest mean", "higher": "has the highest mean",
         "target": "has the mean nearest to the HR images in"}


def finding(board: Board) -> str:
    """Say what the first column shows, with intervals, and whether the best is told apart.

    Examples
    --------
    ``ots is the least biased, with L2-UVP 12.8 % (95 % interval 12.1 to 13.5). Next is
    wgan-gp[lambda=100] with 15.4 % (14.1 to 16.7): the data tell them apart (difference 2.6 %,
    95 % interval 1.5 to 3.7, p = 0.004). identity scores 28.5 %.``
    """
    table, cells = board.final, len(board.records)
    rows = [row for row in table.rows
            if row.entries and math.isfinite(badness(row.entries[0], table.columns[0]))]
    if not cells:
        return "Nobody has run this board yet" + _waiting(len(table.absent))
    if not table.rows:
        return f"No cell finished: {cells} of {cells} ended without a result."
    if not rows:
        return "The cells that finished have no value that methods could be compared by."
    column = table.columns[0]
    sentences = [f"{_opening(rows, column)} {value(rows[0].entries[0], column)}"
                 + _interval(rows[0].entries[0], column, "95 % interval ") + "."]
    if len(rows) > 1 and rows[1].method != "identity":
        sentences.append(_next(rows, column))
    sentences += [f"{row.label} scores {value(row.entries[0], column)}."
                  for row in rows[1:] if row.method == "identity"]
    if board.failures:
        sentences.append(f"{len(board.failures)} of {cells} cells did not finish.")
    return " ".join(sentences)


def _waiting(published: int) -> str:
    if not published:
        return "."
    return f": {published} published result{'s wait' if published > 1 else ' waits'}."


def _opening(rows: list[Row], column: Column) -> str:
    if len(rows) == 1:
        return f"{rows[0].label} scores {column.heading}"
    if not _told_apart(rows):
        return f"{rows[0].label} {MEANS[column.direction]} {column.heading},"
    if column.metric.startswith("l2-uvp"):
        return f"{rows[0].label} is the least biased, with {column.heading}"
    return f"{rows[0].label} {SUPERLATIVES[column.direction]} {column.heading},"


def _told_apart(rows: list[Row]) -> bool:
    """Whether the best differs from the second beyond doubt."""
    difference = dict(rows[1].entries[0].against).get(rows[0].label)
    return difference is not None and difference.p is not None and _p(difference) < DOUBT


def _p(difference: Difference) -> float:
    assert difference.p is not None  # the caller asks for tests that were made
    return difference.p if difference.adjusted is None else difference.adjusted


def _next(rows: list[Row], column: Column) -> str:
    """Compare the second with the first."""
    best, second = rows[0], rows[1]
    said = (f"Next is {second.label} with {value(second.entries[0], column)}"
            + _interval(second.entries[0], column, ""))
    difference = dict(second.entries[0].against).get(best.label)
    if difference is None or difference.p is None:
        return said + "; whether they differ cannot be told" + _because(difference) + "."
    p = _p(difference)
    apart = "the data tell them apart" if p < DOUBT else "the data do not tell them apart"
    found = f"difference {with_unit(abs(difference.difference), column)}"
    if difference.interval is not None:
        low, high = sorted(difference.interval)
        if difference.difference < 0:
            low, high = -high, -low
        found += f", 95 % interval {column.show(low)} to {column.show(high)}"
    corrected = " after Holm's correction" if p != difference.p else ""
    return f"{said}: {apart} ({found}, {p_words(p)}{corrected})."


def _because(difference: Difference | None) -> str:
    return f" ({difference.why})" if difference is not None and difference.why else ""


def p_words(p: float) -> str:
    """Write a p value as papers do.

    >>> p_words(0.0000123), p_words(0.0421)
    ('p < 0.001', 'p = 0.042')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def value(entry: Entry, column: Column) -> str:
    """Mean of an entry that has one, with its unit."""
    assert entry.mean is not None  # the caller asks for values that are there
    return with_unit(entry.mean, column)


def with_unit(number: float, column: Column) -> str:
    """A number of the column with its unit."""
    return f"{column.show(number)} {column.unit}".strip()


def _interval(entry: Entry, column: Column, lead: str) -> str:
    if entry.estimate is None or entry.estimate.interval is None:
        return ""
    low, high = entry.estimate.interval
    return f" ({lead}{column.show(low)} to {column.show(high)})"


def basis(board: Board) -> str:
    """Say what the numbers rest on: test images, seeds, and what they cannot show."""
    rows, columns = board.final.rows, board.final.columns
    if not rows:
        return ""
    counts = sorted({column.count for column in columns if column.count})
    pairs = f"{counts[-1]:,} test pairs; " if counts else ""
    seeds = sorted({len(row.seeds) for row in rows if row.costs.images})
    if not seeds:
        return f"{pairs}nothing was trained."
    said = pairs + (f"{seeds[0]} seed{'s' if seeds[0] > 1 else ''}" if len(seeds) == 1
                    else f"{seeds[0]} to {seeds[-1]} seeds") + " of each trained method."
    if seeds[-1] == 1:
        return said + (" One seed says nothing about how much training varies, so trained methods "
                       "have no interval: a difference between methods may be chance.")
    single = " Methods with one seed have no interval." if seeds[0] == 1 else ""
    found = [row.entries[0].estimate for row in rows if row.entries]
    if any(own is not None and own.interval is not None and own.why.startswith(SEEDS_ONLY)
           for own in found):
        return f"{said} Intervals are 95 %, over training seeds; {SEEDS_ONLY}.{single}"
    return f"{said} Intervals are 95 %, over training seeds and test images together.{single}"
