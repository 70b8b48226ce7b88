"""Resampling of test scenes: percentile intervals of means over images.

Legend: B = resamples; N = test images; C = clusters (scenes; crops of one scene are one cluster);
K = methods.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RESAMPLES = 2000
SEED = 5_071_973
_CHUNK = 2**20  # numbers drawn, or means made, at a time
_GRID = 2.0**30  # steps that residuals are rounded to: sums of whole numbers have no order


def cluster_index(clusters: Integers | None, count: int) -> tuple[Integers, Integers]:
    """Number the clusters from 0.

    Parameters
    ----------
    clusters : array of shape (N,), optional
        Any integer of each image's cluster; without it each image is its own.
    count : int
        N.

    Returns
    -------
    index : array of shape (N,)
        Cluster of each image, 0 to C - 1.
    sizes : array of shape (C,)
        Images of each cluster.

    Raises
    ------
    ValueError
        If there is not one number per image.
    """
    if clusters is None:
        return np.arange(count), np.ones(count, np.int64)
    if np.shape(clusters) != (count,):
        raise ValueError(f"clusters of shape {np.shape(clusters)} do not name the scene of each of "
                         f"{count} images")
    _, index, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    return index.astype(np.int64), sizes.astype(np.int64)


def cluster_totals(values: Floats, index: Integers, count: int) -> Floats:
    """Sum (S, N) values over the images of each of ``count`` clusters: (S, C)."""
    if count == len(index):  # one image each
        totals = np.empty_like(values)
        totals[:, index] = values
        return totals
    return np.stack([np.bincount(index, weights=row, minlength=count) for row in values])


class Bootstrap:
    """Percentile intervals of means over scenes, all from the same resamples.

    How often each of C clusters occurs in each of B resamples is drawn once for each C, with a
    fixed seed, from raw 64-bit words: the same on every machine and with every NumPy.

    Parameters
    ----------
    resamples : int
        B.
    seed : int
        Of the generator.
    """

    def __init__(self, resamples: int = RESAMPLES, seed: int = SEED) -> None:
        if resamples < 1:
            raise ValueError(f"a bootstrap of {resamples} resamples says nothing; take 1 or more")
        self.resamples, self.seed = resamples, seed
        self._weights: dict[int, Floats] = {}

    def weights(self, count: int) -> Floats:
        """How often each of ``count`` clusters is drawn in each resample: (B, C), rows sum to C."""
        if count not in self._weights:
            self._weights[count] = self._draw(count)
        return self._weights[count]

    def _draw(self, count: int) -> Floats:
        generator = np.random.PCG64([self.seed, count])
        weights = np.empty((self.resamples, count))
        rows = max(1, _CHUNK // count)
        for first in range(0, self.resamples, rows):
            part = weights[first:first + rows]
            unit = (generator.random_raw(part.size) >> np.uint64(11)) * 2.0**-53
            drawn = np.minimum((unit * count).astype(np.int64), count - 1).reshape(part.shape)
            drawn += np.arange(len(part))[:, None] * count
            part[:] = np.bincount(drawn.ravel(), minlength=part.size).reshape(part.shape)
        return weights

    def interval(self, values: Floats, clusters: Integers | None = None,
                 level: float = 0.95) -> tuple[float, float] | None:
        """Return the percentile interval of the mean over images, clusters resampled whole.

        Parameters
        ----------
        values : array of shape (N,)
            One finite value per image.
        clusters : array of shape (N,), optional
            Scene of each image; each its own without it.
        level : float
            Coverage in the limit of many scenes.

        Returns
        -------
        (float, float) or None
            None for fewer than two clusters, whose variation nothing tells.
        """
        index, sizes = cluster_index(clusters, len(values))
        totals = cluster_totals(np.asarray(values, np.float64)[None], index, len(sizes))
        found = self.intervals(totals, sizes, level)
        return None if found is None else (float(found[0, 0]), float(found[0, 1]))

    def intervals(self, totals: Floats, sizes: Integers, level: float = 0.95) -> Floats | None:
        """Return (K, 2) intervals from sums over clusters (K, C) and their numbers of images (C,).

        None for fewer than two clusters.
        """
        count = len(sizes)
        if count < 2:
            return None
        weights = self.weights(count)
        means = totals.sum(1, keepdims=True) / sizes.sum()
        residuals = totals - means * sizes
        scale = np.abs(residuals).max(1, keepdims=True)
        scale[scale == 0] = 1.0
        whole = np.rint(residuals / scale * _GRID)
        images: Floats = (weights @ sizes.astype(np.float64))[:, None]
        ends = np.empty((len(totals), 2))
        step = max(1, _CHUNK // self.resamples)
        for first in range(0, len(totals), step):
            part = slice(first, first + step)
            shifts = (weights @ whole[part].T) / (images * _GRID)
            ends[part] = _ends(shifts, level).T
        found: Floats = means + scale * ends
        return found


def _ends(values: Floats, level: float) -> Floats:
    """Both ends of the percentile interval of each column, (2, K), linear between values."""
    last = len(values) - 1
    places = np.array([(1 - level) / 2, (1 + level) / 2]) * last
    below = np.floor(places).astype(np.int64)
    above = np.minimum(below + 1, last)
    ordered = np.partition(values, np.unique([below, above]), axis=0)
    low: Floats = ordered[below]
    ends: Floats = low + (places - below)[:, None] * (ordered[above] - low)
    return ends
