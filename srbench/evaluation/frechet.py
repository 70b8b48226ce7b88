"""The Fréchet distance between Gaussians, by symmetric eigenvalues in float64.

Legend: m1, C1 and m2, C2 = means and covariances; X, Y = centred features, one row per image.
The popular way, `sqrtm(C1 C2)`, takes the root of a matrix that is not symmetric: slower by ten and
wrong in the fifth digit where there are fewer images than features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import linalg

from srbench.errors import DataError
from srbench.evaluation.reducers import joint_moments, merge_all, shards

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from srbench.evaluation.reducers import Moments

    Array = NDArray[np.float64]

SHARD = 1024  # rows that a covariance is summed over at a time


@dataclass(frozen=True)
class Frechet:
    """A Fréchet distance and how well conditioned it was.

    Parameters
    ----------
    distance : float
        ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))``; rounding may make it slightly negative.
    rank : int
        Number of eigenvalues of the product under the root that do not vanish.
    smallest : float
        Smallest eigenvalue of C1 C2.
    way : {"cholesky", "eigh", "svd", "roots"}
        How the trace of the root was taken.
    """

    distance: float
    rank: int
    smallest: float
    way: str


def frechet_distance(m1: Array, c1: Array, m2: Array, c2: Array) -> Frechet:
    """Fréchet distance from means (d,) and covariances (d, d) (Dowson and Landau, 1982).

    The eigenvalues of C1 C2 are those of the symmetric ``L^T C2 L`` with ``C1 = L L^T``.

    Raises
    ------
    DataError
        If the shapes differ or a value is not finite.
    """
    shapes = [np.shape(part) for part in (m1, c1, m2, c2)]
    width = shapes[0][0] if shapes[0] else 0
    if shapes != [(width,), (width, width)] * 2:
        raise DataError(f"moments must have the shapes (d,), (d, d), (d,), (d, d), got {shapes}")
    if not all(np.isfinite(part).all() for part in (m1, c1, m2, c2)):
        raise DataError("moments of features hold values that are not finite")
    try:
        root, way = linalg.cholesky(c1, lower=True, check_finite=False), "cholesky"
    except linalg.LinAlgError:
        values, vectors = linalg.eigh(c1, check_finite=False)
        root, way = vectors * np.sqrt(values.clip(min=0)), "eigh"
    product = root.T @ c2 @ root
    eigenvalues = linalg.eigvalsh((product + product.T) / 2, check_finite=False)
    singular = np.sqrt(eigenvalues.clip(min=0))
    trace = float(np.trace(c1) + np.trace(c2))
    return _frechet(m1 - m2, trace, singular, (float(eigenvalues.min()), way))


def frechet_of_few(first: Array, second: Array) -> Frechet:
    """Fréchet distance from features (n, d) and (m, d), exact with fewer images than features.

    ``tr (C1 C2)^(1/2)`` is the sum of the singular values of ``X Y^T / sqrt((n - 1)(m - 1))``.
    """
    m1, m2 = first.mean(0), second.mean(0)
    x, y = (first - m1) / np.sqrt(len(first) - 1), (second - m2) / np.sqrt(len(second) - 1)
    singular = linalg.svdvals(x @ y.T, check_finite=False)
    trace = float(np.square(x).sum() + np.square(y).sum())
    return _frechet(m1 - m2, trace, singular, (0.0, "svd"))


def frechet_of_moments(first: Moments, second: Moments) -> Frechet:
    """Fréchet distance between two sets of features of which only joint moments were kept.

    With fewer samples than features, covariances are singular: their roots R are then taken on
    their ranges, and ``tr (C1 C2)^(1/2)`` is the sum of the singular values of ``R1^T R2``, which
    keeps the digits that eigenvalues of a singular product lose.

    Parameters
    ----------
    first, second : Moments
        With the matrices M2 of shape (d, d).

    Raises
    ------
    DataError
        If a set has fewer than two samples, the widths differ, or a value is not finite.
    """
    if min(first.count, second.count) < 2:
        raise DataError(
            f"a Fréchet distance needs two images a side, got {first.count} and {second.count}"
        )
    m1, c1 = first.mean.cpu().numpy(), first.covariance().cpu().numpy()
    m2, c2 = second.mean.cpu().numpy(), second.covariance().cpu().numpy()
    if min(first.count, second.count) > len(m1):
        return frechet_distance(m1, c1, m2, c2)
    if not all(np.isfinite(part).all() for part in (m1, c1, m2, c2)):
        raise DataError("moments of features hold values that are not finite")
    singular = linalg.svdvals(_root(c1).T @ _root(c2), check_finite=False)
    return _frechet(m1 - m2, float(np.trace(c1) + np.trace(c2)), singular, (0.0, "roots"))


def _root(covariance: Array) -> Array:
    """Return R of shape (d, rank) with ``R R^T`` the covariance."""
    values, vectors = linalg.eigh(covariance, check_finite=False)
    kept = values > max(values[-1], 0.0) * len(values) * np.finfo(np.float64).eps
    root: Array = vectors[:, kept] * np.sqrt(values[kept])
    return root


def _frechet(gap: Array, trace: float, singular: Array, detail: tuple[float, str]) -> Frechet:
    """Put the terms together; ``singular`` are the eigenvalues of the root."""
    floor = singular.max(initial=0.0) * len(singular) * np.finfo(np.float64).eps
    smallest, way = detail
    return Frechet(
        distance=float(gap @ gap) + trace - 2 * float(singular.sum()),
        rank=int((singular > floor).sum()),
        smallest=smallest,
        way=way,
    )


def frechet_of_features(first: Sequence[Tensor], second: Sequence[Tensor]) -> Frechet:
    """Fréchet distance between two sets of features, each given in shards.

    Parameters
    ----------
    first, second : sequence of Tensor
        Shards of shape (n_i, d) on the CPU; the order of shards and rows does not matter.

    Raises
    ------
    DataError
        If a set has fewer than two rows, or a value is not finite.
    """
    x, y = torch.cat(list(first)), torch.cat(list(second))
    if min(len(x), len(y)) < 2:
        raise DataError(f"a Fréchet distance needs two images a side, got {len(x)} and {len(y)}")
    if not (x.isfinite().all() and y.isfinite().all()):
        raise DataError("features hold values that are not finite")
    if min(len(x), len(y)) <= x.shape[1]:
        return frechet_of_few(x.double().numpy(), y.double().numpy())
    return frechet_distance(*_gaussian(x), *_gaussian(y))


def _gaussian(features: Tensor) -> tuple[Array, Array]:
    """Mean and covariance (ddof 1) of features (n, d), summed in shards."""
    total = merge_all(joint_moments(shard) for shard in shards(features, SHARD))
    return total.mean.numpy(), total.covariance().numpy()
