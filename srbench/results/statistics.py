"""What values of seeds and test images say of a method: intervals, comparisons, rank groups.

The model, the rules and how well they hold: docs/statistics.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from srbench.results.components import Term, Variance, combined, influence, mean_squares
from srbench.results.ranking import holm, rank_ranges
from srbench.results.resampling import (
    Bootstrap,
    Floats,
    Integers,
    cluster_index,
    jackknife_groups,
    jackknife_se,
)

__all__ = ["LEVEL", "Bootstrap", "Difference", "Estimate", "Sample", "compare", "estimate", "holm",
           "jackknife_groups", "jackknife_se", "rank_ranges"]

LEVEL = 0.95
ONE_SEED = "one seed: how much training varies is unknown"
ONE_SCENE = "one test image: how much images vary is unknown"
NOT_FINITE = "a value is not finite"
SEEDS_ONLY = "test images not accounted for"
NOTHING = "neither seeds nor test images vary"
Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Values of one method in one metric.

    Attributes
    ----------
    seeds : tuple of int
        S seeds.
    values : array of shape (S,)
        Value of each seed.
    scenes : array of shape (S, N), optional
        Value of each test image; None where the metric is no mean over images (FID) or files are
        missing.
    clusters : array of shape (N,), optional
        Scene of each image: crops of one scene are one cluster. None: each its own.
    spread : array of shape (S,), optional
        Jackknife standard error of each value over test scenes, where ``scenes`` is None.
    groups : int
        Groups of that jackknife; 0 if unknown.
    trained : bool
        False where nothing random was trained (bicubic): all seeds repeat one value.
    note : str
        Why ``scenes`` is None though the metric has values of images.
    """

    seeds: tuple[int, ...]
    values: Floats
    scenes: Floats | None = None
    clusters: NDArray[np.int64] | None = None
    spread: Floats | None = None
    groups: int = 0
    trained: bool = True
    note: str = ""

    def __post_init__(self) -> None:
        count = len(self.seeds)
        if count == 0 or np.shape(self.values) != (count,):
            raise ValueError(f"{count} seeds have values of shape {np.shape(self.values)}; give "
                             "one of each seed, and at least one")
        if self.scenes is not None and (np.ndim(self.scenes) != 2 or len(self.scenes) != count
                                        or self.scenes.shape[1] == 0):
            raise ValueError(f"values of images have the shape {np.shape(self.scenes)}, not "
                             f"({count}, N)")
        if self.spread is not None and np.shape(self.spread) != (count,):
            raise ValueError(f"spread has the shape {np.shape(self.spread)}, not ({count},)")


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Mean over seeds and how sure it is.

    ``seed_sd`` has the divisor S - 1 and is None for one seed or where nothing was trained.
    ``scene_interval`` leaves the seeds as they are, ``interval`` accounts for both; ``why`` says
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
    """Mean over seeds with its intervals.

    Parameters
    ----------
    sample : Sample
        Of one method and metric.
    bootstrap : Bootstrap, optional
        Shared by the methods of a board, so that all see the same resamples.
    """
    parts = _Parts(sample)
    seed_sd = None
    if sample.trained and len(sample.seeds) > 1 and parts.finite:
        seed_sd = float(sample.values.std(ddof=1))
    variance, why = _variance([parts])
    return Estimate(
        mean=parts.mean, seeds=len(sample.seeds), scenes=parts.clusters, seed_sd=seed_sd,
        scene_interval=parts.scene_interval(bootstrap or _SHARED), why=why,
        interval=None if variance is None else _around(parts.mean, variance.margin(LEVEL)))


def compare(a: Sample, b: Sample) -> Difference:
    """Compare two methods: paired over test scenes, seeds independent between the methods.

    Raises
    ------
    ValueError
        If both have values of images, but of different ones.
    """
    first, second = _Parts(a), _Parts(b)
    difference = first.mean - second.mean
    variance, why = _variance([first, second])
    seeds = len(a.seeds), len(b.seeds)
    if variance is None:
        return Difference(difference=difference, interval=None, p=None, seeds=seeds, why=why)
    return Difference(difference=difference, seeds=seeds, why=why, p=variance.p(difference),
                      interval=_around(difference, variance.margin(LEVEL)))


class _Parts:
    """One method's share of the variance; several rows of an untrained method count as one."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        rows = slice(None) if sample.trained else slice(0, 1)
        self.values = sample.values[rows]
        self.spread = None if sample.spread is None else sample.spread[rows]
        self.mean = float(self.values.mean())
        arrays = (self.values, sample.scenes, self.spread)
        self.finite = all(array is None or bool(np.isfinite(array).all()) for array in arrays)
        self.u: Floats | None = None
        self.index: Integers | None = None
        self.clusters = 0
        if sample.scenes is not None and self.finite:
            self.index, self.sizes = cluster_index(sample.clusters, sample.scenes.shape[1])
            self.u = influence(sample.scenes[rows], self.index, self.sizes)
            self.clusters = len(self.sizes)

    @property
    def seeds(self) -> int:
        return len(self.values)

    @property
    def unknown_training(self) -> bool:
        return self.sample.trained and self.seeds == 1

    def scene_interval(self, bootstrap: Bootstrap) -> Interval | None:
        if not self.finite:
            return None
        if self.u is not None:
            of_scene = self.u.mean(0)
            totals = of_scene.mean() * self.sizes + (of_scene - of_scene.mean()) * (
                self.sizes.sum() / len(self.sizes))
            return bootstrap.of_totals(totals, self.sizes, LEVEL)
        if self.spread is None:
            return None
        return _around(self.mean, _of_spread(self).margin(LEVEL))


def _of_spread(parts: _Parts) -> Variance:
    """Variance by the jackknife; test images are shared by the seeds, so it is their mean."""
    spread = parts.spread
    assert spread is not None
    groups = parts.sample.groups
    return Variance(value=float(np.square(spread).mean()),
                    freedom=groups - 1 if groups > 1 else math.inf)


def _variance(methods: list[_Parts]) -> tuple[Variance | None, str]:
    """Variance of the mean of one method or of the difference of two, or why there is none."""
    if not all(parts.finite for parts in methods):
        return None, NOT_FINITE
    if any(parts.unknown_training for parts in methods):
        return None, ONE_SEED
    terms, why = _scene_terms(methods)
    for parts in methods:
        if parts.seeds > 1:
            terms.append(Term(value=float(parts.values.var(ddof=1)) / parts.seeds,
                              freedom=parts.seeds - 1))
    if not terms:
        return None, why
    return combined(terms), why


def _scene_terms(methods: list[_Parts]) -> tuple[list[Term], str]:
    """Return what test images add to the variance."""
    u = [parts.u for parts in methods]
    if all(part is not None for part in u):
        count = methods[0].clusters
        if any(len(parts.index) != len(methods[0].index) for parts in methods):
            raise ValueError("methods were measured on different numbers of images")
        if count < 2:
            return [], ONE_SCENE
        gap = u[0].mean(0) if len(u) == 1 else u[0].mean(0) - u[1].mean(0)
        terms = [Term(value=float(gap.var(ddof=1)) / count, freedom=count - 1)]
        for part in u:
            seeds = len(part)
            if seeds > 1:
                inter = mean_squares(part)[2]
                terms.append(Term(value=inter / (seeds * count), minus=True,
                                  freedom=(seeds - 1) * (count - 1)))
        return terms, ""
    terms = []
    for parts in methods:
        if parts.spread is None:
            return [], SEEDS_ONLY
        variance = _of_spread(parts)
        terms.append(Term(value=variance.value, freedom=variance.freedom))
    return terms, ""


def _around(centre: float, margin: float) -> Interval:
    return centre - margin, centre + margin


_SHARED = Bootstrap()
