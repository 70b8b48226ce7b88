"""Metrics of a transport map against the true one.

Legend: T = the map, T* = the true map, x ~ P, y = T*(x) ~ Q.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from srbench.errors import DataError
from srbench.evaluation import transport
from srbench.evaluation import transport_cost as _cost
from srbench.metrics.shapes import alike, colours, floats

if TYPE_CHECKING:
    from torch import Tensor


def l2_uvp(mapped: Tensor, target: Tensor, hr_variance: float) -> Tensor:
    """Unexplained variance of each sample, ``100 |T(x) - T*(x)|^2 / Var(Q)``; L2-UVP is its mean.

    Parameters
    ----------
    mapped, target : Tensor
        T(x) and T*(x), shape (N, ...).
    hr_variance : float
        Total variance of Q, as `total_variance` gives it of many samples.

    Returns
    -------
    Tensor
        Shape (N,), percent, at least 0 (the true map), float64. The mean of Q as a constant map
        scores 100 on average. Lower is better.

    Raises
    ------
    DataError
        If the shapes differ or the variance is not positive.

    References
    ----------
    Korotin et al., "Do Neural Optimal Transport Solvers Work?", 2021, section 5.1.

    Examples
    --------
    >>> import torch
    >>> y = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    >>> float(l2_uvp(y.mean(0).expand_as(y), y, float(total_variance(y))).mean())
    100.0
    """
    floats("mapped", mapped)
    alike(mapped=mapped, target=target)
    if not hr_variance > 0:
        raise DataError(f"hr_variance={hr_variance!r} is no variance of Q: it must be positive")
    return transport.l2_uvp(mapped, target, hr_variance)


def cosine(mapped: Tensor, target: Tensor, x: Tensor) -> float:
    """``<T* - id, T - id> / (|T* - id| |T - id|)`` over all samples.

    Parameters
    ----------
    mapped, target, x : Tensor
        T(x), T*(x) and x, all of one shape (N, ...).

    Returns
    -------
    float
        In [-1, 1]: 1 of the true map, 0 of the identity. Higher is better.

    Raises
    ------
    DataError
        If the shapes differ.

    References
    ----------
    Korotin et al., "Do Neural Optimal Transport Solvers Work?", 2021, section 5.1.

    Examples
    --------
    >>> import torch
    >>> x, aside, right = torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0]]).split(1)
    >>> round(cosine(aside, right, x), 4)  # 45 degrees
    0.7071
    """
    floats("mapped", mapped)
    alike(mapped=mapped, target=target, x=x)
    return transport.cosine(*transport.cosine_terms(mapped, target, x).tolist())


def total_variance(samples: Tensor) -> Tensor:
    """Sum over values of their population variances, ``E|y - E y|^2``.

    Parameters
    ----------
    samples : Tensor
        Shape (N, ...).

    Returns
    -------
    Tensor
        Scalar, at least 0, float64.

    Raises
    ------
    DataError
        If they are no samples.

    Examples
    --------
    >>> import torch
    >>> total_variance(torch.tensor([[0.0, 1.0], [2.0, 3.0]]))
    tensor(2., dtype=torch.float64)
    """
    floats("samples", samples)
    return transport.total_variance(samples)


def transport_cost(restored: Tensor, lr: Tensor, scale: int = 1) -> Tensor:
    """Mean over values of ``(Up(x) - T(x))^2`` of each sample: how far the map moves it.

    Parameters
    ----------
    restored : Tensor
        T(x), shape (N, 3, s*h, s*w), or of any shape (N, ...) at scale 1.
    lr : Tensor
        x, shape (N, 3, h, w); enlarged by torch's bicubic interpolation.
    scale : int
        s, at least 1.

    Returns
    -------
    Tensor
        Shape (N,), at least 0 (the identity, or bicubic interpolation), float64.

    Raises
    ------
    DataError
        If the shapes do not belong together.

    Examples
    --------
    >>> import torch
    >>> x = torch.zeros(2, 3, 4, 4)
    >>> transport_cost(torch.full((2, 3, 16, 16), 0.5), x, scale=4)
    tensor([0.2500, 0.2500], dtype=torch.float64)
    """
    floats("restored", restored)
    if scale < 1:
        raise DataError(f"scale={scale} must be at least 1")
    if scale > 1:
        colours("lr", lr)
    return _cost.cost(_cost.upsampled(lr, scale), restored)
