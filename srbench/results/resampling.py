"""Resampling of test scenes: the bootstrap for means over images, the jackknife for the rest.

Legend: B = resamples; N = test images; C = clusters (scenes; crops of one scene are one cluster).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RESAMPLES = 2000
SEED = 5_071_973
_CHUNK = 2**20  # clusters drawn at a time


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
    return index, sizes


def cluster_totals(values: Floats, index: Integers, count: int) -> Floats:
    """Sum (S, N) values over the images of each of ``count`` clusters: (S, C)."""
    if count == len(index):
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
        self._weights: dict[int, NDArray[np.float32]] = {}

    def weights(self, count: int) -> NDArray[np.float32]:
        """How often each of ``count`` clusters is drawn in each resample: (B, C), rows sum to C."""
        if count not in self._weights:
            self._weights[count] = self._draw(count)
        return self._weights[count]

    def _draw(self, count: int) -> NDArray[np.float32]:
        generator = np.random.PCG64([self.seed, count])
        weights = np.empty((self.resamples, count), np.float32)
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
            One value per image, finite.
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
        return self.of_totals(cluster_totals(values[None], index, len(sizes))[0], sizes, level)

    def of_totals(self, totals: Floats, sizes: Integers,
                  level: float = 0.95) -> tuple[float, float] | None:
        """Return the interval from sums over clusters (C,) and their numbers of images (C,)."""
        count = len(sizes)
        if count < 2:
            return None
        mean = float(totals.sum() / sizes.sum())
        weights = self.weights(count)
        # Residuals keep the digits that float32 has: a large common mean would take them.
        scale = float(np.abs(residuals := totals - mean * sizes).max())
        if scale == 0:
            return mean, mean
        shifts = weights @ (residuals / scale).astype(np.float32)
        images = count * sizes[0] if (sizes == sizes[0]).all() else weights @ sizes.astype(
            np.float32)
        means = np.sort(shifts.astype(np.float64) / images)
        low, high = _quantile(means, (1 - level) / 2), _quantile(means, (1 + level) / 2)
        return mean + scale * low, mean + scale * high


def _quantile(ordered: Floats, probability: float) -> float:
    """Quantile of sorted values, linear between them (Hyndman and Fan's definition 7)."""
    place = probability * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (place - below) * (ordered[above] - ordered[below]))


def jackknife_groups(count: int, groups: int = 20,
                     clusters: Integers | None = None) -> Integers:
    """Assign images to groups that a jackknife leaves out in turn.

    Clusters stay whole and go to the groups in turn, in the order of their first image, so that
    neighbours (crops of one scene, frames of one shot) are spread no further than they must be.

    Parameters
    ----------
    count : int
        N.
    groups : int
        Most groups G; fewer where there are fewer clusters.
    clusters : array of shape (N,), optional
        Scene of each image; each its own without it.

    Returns
    -------
    array of shape (N,)
        Group of each image, 0 to G - 1.
    """
    if groups < 2:
        raise ValueError(f"a jackknife needs two groups or more, got {groups}")
    if clusters is None:
        return np.arange(count) % min(groups, max(count, 1))
    _, first, index = np.unique(clusters, return_index=True, return_inverse=True)
    order = np.empty(len(first), np.int64)
    order[np.argsort(first, kind="stable")] = np.arange(len(first))
    return order[index] % min(groups, max(len(first), 1))


def jackknife_se(left_out: Sequence[float] | Floats,
                 sizes: Sequence[int] | Integers | None = None) -> float:
    """Standard error of a statistic from its values without each group in turn.

    With groups of one size ``(G - 1) / G * sum (t_g - mean t)^2``; with others the delete-m_j
    jackknife (Busing, Meijer and van der Leeden, 1999), around their weighted mean.

    Parameters
    ----------
    left_out : array of shape (G,)
        The statistic without group g.
    sizes : array of shape (G,), optional
        Images of each group; equal without it.

    Raises
    ------
    ValueError
        If there are fewer than two groups.
    """
    values = np.asarray(left_out, np.float64)
    count = len(values)
    if count < 2:
        raise ValueError(f"a jackknife needs two groups or more, got {count}")
    if not np.isfinite(values).all():
        return math.nan
    images = np.ones(count) if sizes is None else np.asarray(sizes, np.float64)
    ratio = images.sum() / images  # h_j = n / m_j
    # For a mean, this average of the values left out is the mean itself.
    centre = float(np.average(values, weights=images.sum() - images))
    return float(math.sqrt(np.sum((ratio - 1) * np.square(values - centre)) / count))
