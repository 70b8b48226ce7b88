"""Many comparisons at once: Holm's adjustment, and the ranks that intervals leave open."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Adjust p values so that the chance of any false claim of the family stays below the level.

    Holm (1979): the k-th smallest of m is multiplied by ``m - k + 1``, never below a smaller one,
    at most 1. None stays None and does not count.
    """
    known = sorted((value, index) for index, value in enumerate(p) if value is not None)
    adjusted: list[float | None] = [None] * len(p)
    running = 0.0
    for rank, (value, index) in enumerate(known):
        running = max(running, min(1.0, value * (len(known) - rank)))
        adjusted[index] = running
    return adjusted


def rank_ranges(intervals: Sequence[tuple[float, float] | None]) -> list[tuple[int, int] | None]:
    """Ranks that intervals leave open, on a scale where smaller is better.

    A method's first rank is one more than the number of intervals entirely below its own, its last
    the number of intervals that are not entirely above it, its own included. Intervals that touch
    overlap. None stays None and counts for nobody.
    """
    from bisect import bisect_left, bisect_right

    known = [interval for interval in intervals if interval is not None]
    lows, highs = sorted(low for low, _ in known), sorted(high for _, high in known)
    return [None if interval is None else
            (1 + bisect_left(highs, interval[0]), bisect_right(lows, interval[1]))
            for interval in intervals]
