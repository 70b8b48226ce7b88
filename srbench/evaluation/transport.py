"""Quantities of optimal transport between P and Q that need the true map, in the direction P -> Q.

Legend: T the method's map, T* the true map, x ~ P, y = T*(x) ~ Q.

The released benchmark calls P -> Q the inverse direction. With D the total variance of Q::

    L2-UVP(T) = 100 E|T(x) - y|^2 / D
    cos(T)    = E<y - x, T(x) - x> / sqrt(E|y - x|^2 E|T(x) - x|^2)
    cost      = 1/2 E|y - x|^2

(Korotin et al., 2021, section 5.1). `l2_uvp` gives the terms of the first for each sample,
`cosine_terms` and `cosine` the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from srbench.evaluation.cosine import cosine, cosine_terms
from srbench.evaluation.l2_uvp import l2_uvp

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["cosine", "cosine_terms", "l2_uvp", "total_variance", "transport_cost"]


def total_variance(samples: Tensor) -> Tensor:
    """Sum over values of their population variances, ``E|y - E y|^2``.

    Parameters
    ----------
    samples : Tensor
        Shape (N, ...).

    Returns
    -------
    Tensor
        Scalar, float64.
    """
    return samples.double().flatten(1).var(0, correction=0).sum()


def transport_cost(x: Tensor, y: Tensor) -> Tensor:
    """``1/2 E|y - x|^2``, the half that the benchmark's cost carries.

    Parameters
    ----------
    x, y : Tensor
        Samples and their images under a map, shape (N, ...).

    Returns
    -------
    Tensor
        Scalar, float64.
    """
    return (y.double() - x.double()).flatten(1).square().sum(1).mean() / 2
