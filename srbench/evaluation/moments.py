"""Means, covariances and the optimal affine map between two Gaussians, in float64.

Legend: m1, C1 and m2, C2 = mean and covariance of the source and the target; W x + b = the map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from srbench.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor


def sample_moments(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Estimate mean and covariance.

    Parameters
    ----------
    samples : Tensor
        Shape (N, d), at least two rows.

    Returns
    -------
    mean : Tensor
        Shape (d,), float64.
    covariance : Tensor
        Shape (d, d), float64, divided by N - 1.

    Raises
    ------
    DataError
        If ``samples`` is not a matrix of at least two rows.
    """
    if samples.ndim != 2 or len(samples) < 2:
        raise DataError(
            f"moments need samples of shape (N, d) with N >= 2, got {tuple(samples.shape)}",
            hint="flatten images with samples.flatten(1)",
        )
    double = samples.double()
    mean = double.mean(0)
    centred = double - mean
    return mean, centred.T @ centred / (len(samples) - 1)


def symmetric_power(matrix: Tensor, exponent: float) -> Tensor:
    """Raise a symmetric positive semi-definite matrix of shape (d, d) to a real power.

    Eigenvalues that rounding made negative or that vanish beside the largest one (relative
    ``d * eps``) count as zero, and zero to any power is zero: negative powers are pseudo-inverses.
    """
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    floor = values[-1].clamp(min=0) * len(matrix) * torch.finfo(matrix.dtype).eps
    kept = values > floor
    powers = torch.where(kept, values.clamp(min=floor), 1).pow(exponent) * kept
    power: Tensor = (vectors * powers) @ vectors.T
    return power


def affine_transport(
    mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor
) -> tuple[Tensor, Tensor]:
    """Optimal map x -> W x + b for the quadratic cost between N(m1, C1) and N(m2, C2).

    ``W = C1^{-1/2} (C1^{1/2} C2 C1^{1/2})^{1/2} C1^{-1/2}`` and ``b = m2 - W m1``
    (Dowson and Landau, 1982; the `linear` baseline of the Wasserstein-2 benchmark). W is
    symmetric. Directions in which the source does not vary are mapped to the target's mean.

    Parameters
    ----------
    mean1, mean2 : Tensor
        Shape (d,).
    cov1, cov2 : Tensor
        Shape (d, d), symmetric positive semi-definite.

    Returns
    -------
    W : Tensor
        Shape (d, d), float64.
    b : Tensor
        Shape (d,), float64.

    Raises
    ------
    DataError
        If the shapes do not fit together.
    """
    dim = len(mean1)
    shapes = [tuple(t.shape) for t in (mean1, cov1, mean2, cov2)]
    if shapes != [(dim,), (dim, dim)] * 2:
        raise DataError(f"moments of two measures must be (d,), (d, d) twice, got {shapes}")
    m1, c1, m2, c2 = (t.double() for t in (mean1, cov1, mean2, cov2))
    root, inverse_root = symmetric_power(c1, 0.5), symmetric_power(c1, -0.5)
    weight = inverse_root @ symmetric_power(root @ c2 @ root, 0.5) @ inverse_root
    return weight, m2 - weight @ m1
