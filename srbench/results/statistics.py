"""What values of seeds and test images say of a method: intervals, comparisons, rank groups.

The model, the rules and how well they hold: docs/statistics.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from srbench.results.crossed import (
    NOT_FINITE,
    ONE_SCENE,
    ONE_SEED,
    OTHER_IMAGES,
    SEEDS_ONLY,
    Parts,
    variance_of,
)
from srbench.results.ranking import holm, rank_ranges
from srbench.results.resampling import Bootstrap
from srbench.results.values import Sample, badness

__all__ = ["LEVEL", "NOT_FINITE", "ONE_SCENE", "ONE_SEED", "OTHER_IMAGES", "SEEDS_ONLY",
           "Bootstrap", "Difference", "Estimate", "Sample", "badness", "compare", "estimate",
           "estimate_all", "holm", "rank_ranges"]

LEVEL = 0.95
DIGITS = 10  # of the ends of intervals and p values; later ones depend on the machine
Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Mean over seeds and how sure it is.

    ``seed_sd`` has the divisor S - 1 and is None for one seed or where nothing was trained.
    ``scene_interval`` takes the trainings as they are, ``interval`` accounts for both; ``why`` says
    why there is none, or what it leaves out. ``scenes`` counts clusters, 0 if unknown.
    """

    mean: float
    seeds: int
    scenes: int
    seed_sd: float | None
    scene_interval: Interval | None
    interval: Interval | None
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A minus B in the metric's unit; ``p`` is two-sided, ``adjusted`` after Holm."""

    difference: float
    interval: Interval | None
    p: float | None
    adjusted: float | None = None
    seeds: tuple[int, int] = (0, 0)
    why: str = ""


def estimate(sample: Sample, bootstrap: Bootstrap | None = None) -> Estimate:
    """Mean over seeds with its intervals; of many methods `estimate_all` is faster.

    Parameters
    ----------
    sample : Sample
        Of one method and metric.
    bootstrap : Bootstrap, optional
        Shared by the methods of a board, so that all see the same resamples.
    """
    return estimate_all([sample], bootstrap)[0]


def estimate_all(samples: Sequence[Sample], bootstrap: Bootstrap | None = None) -> list[Estimate]:
    """Estimate each sample, in order; the bootstrap takes those of one test set together."""
    parts = [Parts(sample) for sample in samples]
    ends = _scene_intervals(parts, _SHARED if bootstrap is None else bootstrap)
    return [_estimate(part, end) for part, end in zip(parts, ends, strict=True)]


def compare(a: Sample, b: Sample, *, trainings: bool = True) -> Difference:
    """Compare two methods: paired over test scenes, seeds independent between the methods.

    Parameters
    ----------
    a, b : Sample
        Of one metric under one protocol on the same test images.
    trainings : bool
        Without it the trainings are taken as they are: what other test images would show of these
        very networks, which one seed is enough for.
    """
    first, second = Parts(a), Parts(b)
    difference = first.mean - second.mean
    variance, why = variance_of([first, second], trainings=trainings)
    seeds = len(a.seeds), len(b.seeds)
    if variance is None:
        return Difference(difference=difference, interval=None, p=None, seeds=seeds, why=why)
    return Difference(difference=difference, seeds=seeds, why=why,
                      p=float(f"{variance.p(difference):.{DIGITS}g}"),
                      interval=_around(difference, variance.margin(LEVEL)))


def _estimate(parts: Parts, scene_interval: Interval | None) -> Estimate:
    variance, why = variance_of([parts])
    deviation = float(parts.values.std(ddof=1)) if parts.seeds > 1 and parts.finite else None
    return Estimate(
        mean=parts.mean, seeds=len(parts.sample.seeds), scenes=parts.clusters, seed_sd=deviation,
        scene_interval=scene_interval, why=why,
        interval=None if variance is None else _around(parts.mean, variance.margin(LEVEL)))


def _scene_intervals(parts: Sequence[Parts], bootstrap: Bootstrap) -> list[Interval | None]:
    """Intervals that take the trainings as they are."""
    found: list[Interval | None] = [None] * len(parts)
    groups: dict[bytes, list[int]] = {}
    for index, part in enumerate(parts):
        if part.sizes is not None:
            groups.setdefault(part.sizes.tobytes(), []).append(index)
        elif part.finite and (part.u is not None or part.spread is not None):
            variance, _ = variance_of([part], trainings=False)
            if variance is not None:
                found[index] = _around(part.mean, variance.margin(LEVEL))
    for members in groups.values():
        sizes = parts[members[0]].sizes
        assert sizes is not None
        ends = bootstrap.intervals(np.stack([parts[index].totals() for index in members]), sizes,
                                   LEVEL)
        if ends is not None:
            for index, (low, high) in zip(members, ends.tolist(), strict=True):
                found[index] = _rounded(low, high)
    return found


def _around(centre: float, margin: float) -> Interval:
    return _rounded(centre - margin, centre + margin)


def _rounded(low: float, high: float) -> Interval:
    """Keep the digits that do not depend on the order of sums."""
    largest = max(abs(low), abs(high))
    if not 0 < largest < math.inf:
        return low, high
    decimals = DIGITS - 1 - math.floor(math.log10(largest))
    return round(low, decimals), round(high, decimals)


_SHARED = Bootstrap()
