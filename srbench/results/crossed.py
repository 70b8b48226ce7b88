"""From the values of methods to the variance of their means and differences.

Legend: S = seeds, N = test images, C = clusters (scenes), G = groups of a jackknife.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from srbench.results.components import Variance, influence, interaction, pooled
from srbench.results.resampling import Floats, Integers, cluster_index
from srbench.results.values import Sample

ONE_SEED = "one seed: how much training varies is unknown"
ONE_SCENE = "one test image: how much images vary is unknown"
NOT_FINITE = "a value is not finite"
SEEDS_ONLY = "test images not accounted for"
OTHER_IMAGES = "measured on different test images"


class Parts:
    """A sample's means over seeds and scenes; the repeated seeds of an untrained method are one."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        rows = len(sample.seeds) if sample.trained else 1
        self.values = sample.values[:rows]
        self.seeds = rows
        self.mean = float(self.values.sum()) / rows
        self.spread = None if sample.spread is None else sample.spread[:rows]
        self.sizes: Integers | None = None
        self.u: Floats | None = None
        self.clusters = 0
        source = sample.jackknife if sample.scenes is None else sample.scenes
        known = [part for part in (self.values, self.spread, source) if part is not None]
        self.finite = all(math.isfinite(float(part.sum())) for part in known)
        if not self.finite or source is None:
            return
        if sample.scenes is None:
            self.u = self.values[:, None] + source[:rows]
        elif sample.clusters is None:
            self.u, self.clusters = source[:rows], source.shape[1]
            self.sizes = np.ones(self.clusters, np.int64)
        else:
            index, self.sizes = cluster_index(sample.clusters, source.shape[1])
            self.u, self.clusters = influence(source[:rows], index, self.sizes), len(self.sizes)
        self.of_scene: Floats = self.u.sum(0) / rows

    def totals(self) -> Floats:
        """Sums over clusters of the mean over seeds, from their influence: (C,)."""
        assert self.sizes is not None
        mean = self.of_scene.sum() / len(self.sizes)
        totals: Floats = (mean * self.sizes
                          + (self.of_scene - mean) * (self.sizes.sum() / len(self.sizes)))
        return totals


def variance_of(methods: Sequence[Parts], *,
                trainings: bool = True) -> tuple[Variance | None, str]:
    """Variance of one method's mean or of two methods' difference, or why there is none.

    Without ``trainings`` they are taken as they are.
    """
    if not all(parts.finite for parts in methods):
        return None, NOT_FINITE
    if trainings and any(parts.sample.trained and parts.seeds == 1 for parts in methods):
        return None, ONE_SEED
    scenes, freedom, inter, why = _scenes(methods)
    if not trainings:
        return (None, why) if why else (Variance(scenes=scenes, scene_freedom=freedom), "")
    several = [parts for parts in methods if parts.seeds > 1]
    if why == OTHER_IMAGES or (why and not several):
        return None, why
    seeds, seed_freedom = pooled(
        [float(parts.values.var(ddof=1)) / parts.seeds for parts in several],
        [parts.seeds - 1 for parts in several])
    return Variance(seeds=seeds, seed_freedom=seed_freedom, scenes=scenes, scene_freedom=freedom,
                    interaction=inter), why


def _scenes(methods: Sequence[Parts]) -> tuple[float, float, float, str]:
    """Variance over scenes, its degrees of freedom, the interaction's part; or why unknown."""
    grids = [parts.u for parts in methods if parts.u is not None]
    if len(grids) == len(methods) and len({grid.shape[1] for grid in grids}) == 1:
        count = grids[0].shape[1]
        if count < 2:
            return 0.0, math.inf, 0.0, ONE_SCENE
        means = [parts.of_scene for parts in methods]
        gap = means[0] if len(means) == 1 else means[0] - means[1]
        inter = sum(interaction(grid, grid.sum(1) / count, mean) / (len(grid) * count)
                    for grid, mean in zip(grids, means, strict=True) if len(grid) > 1)
        return float(gap.var(ddof=1)) / count, count - 1, inter, ""
    if len([parts for parts in methods if parts.clusters]) > 1:
        return 0.0, math.inf, 0.0, OTHER_IMAGES
    spreads = [_spread(parts) for parts in methods]  # not paired, so that no effect is shared
    if any(math.isnan(spread) for spread in spreads):
        note = next((parts.sample.note for parts in methods if parts.sample.note), "")
        return 0.0, math.inf, 0.0, f"{SEEDS_ONLY}: {note}" if note else SEEDS_ONLY
    return sum(spreads), math.inf, 0.0, ""


def _spread(parts: Parts) -> float:
    """Variance over scenes of one method alone; NaN if unknown.

    Test images are shared by the seeds: theirs is the mean of the variances, not that over S.
    """
    if parts.u is not None and parts.u.shape[1] > 1:
        return float(parts.of_scene.var(ddof=1) / parts.u.shape[1])
    if parts.spread is None:
        return math.nan
    return float(np.square(parts.spread).sum()) / len(parts.spread)
