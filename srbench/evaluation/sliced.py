"""Sliced Wasserstein-2 distances: exact transport on the line, averaged over fixed directions.

Legend: x, y = samples (n, d) and (m, d); theta = a unit direction; F, G = distribution functions of
the projections theta . x and theta . y.

On the line ``W2^2 = int_0^1 (F^-1(q) - G^-1(q))^2 dq``. Both quantile functions are steps, so the
integral is a finite sum, exact for any n and m: nothing is interpolated and no sample left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from srbench.errors import DataError
from srbench.evaluation.reducers import shards

if TYPE_CHECKING:
    from torch import Tensor

AT_A_TIME = 64  # directions sorted at a time


def unit_directions(count: int, dim: int, seed: int) -> Tensor:
    """Directions uniform on the sphere, always the same for one seed: (count, dim), float32."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    directions: Tensor = (drawn / drawn.norm(dim=1, keepdim=True)).float()
    return directions


def step_w2(x: Tensor, y: Tensor) -> Tensor:
    """Squared Wasserstein-2 distance between the rows of two matrices of numbers.

    Parameters
    ----------
    x, y : Tensor
        Shape (k, n) and (k, m), n and m positive; each row is a sample on the line.

    Returns
    -------
    Tensor
        Shape (k,), float64.
    """
    n, m = x.shape[1], y.shape[1]
    x, y = x.sort(1).values, y.sort(1).values
    if n == m:
        return (x.double() - y.double()).square_().mean(1)
    cuts = torch.unique(torch.cat([torch.arange(n + 1) * m, torch.arange(m + 1) * n]))  # / (n m)
    start = cuts[:-1]
    place_x, place_y = (start // m).to(x.device), (start // n).to(y.device)
    weight = cuts.diff().double().to(x.device) / (n * m)
    gap = x[:, place_x].double() - y[:, place_y].double()
    squared: Tensor = gap.square_() @ weight
    return squared


def sliced_w2_of_projections(x: Tensor, y: Tensor) -> float:
    """Sliced Wasserstein-2 distance from projections (n, k) and (m, k) on the same k directions.

    Raises
    ------
    DataError
        If a side is empty, the widths differ or a value is not finite.
    """
    if min(len(x), len(y)) < 1 or x.shape[1:] != y.shape[1:]:
        raise DataError(
            "a sliced distance needs samples on both sides and the same directions, got "
            f"{tuple(x.shape)} and {tuple(y.shape)}"
        )
    if not (x.isfinite().all() and y.isfinite().all()):
        raise DataError("a sliced distance needs finite values")
    pairs = zip(shards(x.T, AT_A_TIME), shards(y.T, AT_A_TIME), strict=True)
    squared = torch.cat([step_w2(a.contiguous(), b.contiguous()) for a, b in pairs])
    return float(squared.mean().sqrt())


def sliced_w2(x: Tensor, y: Tensor, directions: Tensor) -> float:
    """Sliced Wasserstein-2 distance ``sqrt(mean over theta of W2^2(theta . x, theta . y))``.

    Bonneel et al., "Sliced and Radon Wasserstein Barycenters of Measures", 2015. Between Gaussians
    each term is ``(theta . (m1 - m2))^2 + (sqrt(theta C1 theta) - sqrt(theta C2 theta))^2``.

    Parameters
    ----------
    x, y : Tensor
        Samples, shape (n, d) and (m, d); n and m may differ.
    directions : Tensor
        Unit vectors, shape (k, d).

    Returns
    -------
    float
        At least 0; the distance itself, not its square.

    Raises
    ------
    DataError
        If a side is empty or a value is not finite.
    """
    wide = directions.to(x)
    return sliced_w2_of_projections(x @ wide.T, y.to(x) @ wide.T)
