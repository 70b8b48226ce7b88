"""Losses of a map T trained against a potential f, each a pure function of network outputs.

Legend: x ~ P (low resolution), y ~ Q (high resolution), T = the map, f = the potential of optimal
transport or the critic of a WGAN, N = batch size, D = number of values of one sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

NORM_FLOOR = 1e-12  # added under the square root, whose derivative at 0 is infinite


def mse_cost(x: Tensor, mapped: Tensor) -> Tensor:
    """Transport cost ``c(x, T(x)) = ||x - T(x)||^2 / D``, averaged over the batch.

    The cost of section 6.1 of arXiv 2202.01116: squared differences of values in [-1, 1],
    averaged over batch, channels and pixels.

    Parameters
    ----------
    x, mapped : Tensor
        ``(N, 3, H, W)`` or ``(N, d)``, of equal shape.

    Returns
    -------
    Tensor
        Scalar, at least 0.
    """
    return (x - mapped).square().mean()


def potential_gap(f: Callable[[Tensor], Tensor], mapped: Tensor, y: Tensor) -> Tensor:
    """``L_f = mean f(y) - mean f(T(x))`` of Algorithm 1 (arXiv 2202.01116, appendix C).

    f sees both batches in one pass, which is equal to two because it holds no batch statistics.

    Parameters
    ----------
    f : callable
        Maps ``(M, ...)`` to ``(M,)`` or ``(M, 1)``, each sample by itself.
    mapped, y : Tensor
        T(x) and HR samples, ``(N, ...)`` and ``(N', ...)``.

    Returns
    -------
    Tensor
        Scalar; f ascends it, a WGAN critic ascends it under a gradient penalty.
    """
    values = f(torch.cat((mapped, y)))
    return values[len(mapped) :].mean() - values[: len(mapped)].mean()


def interpolation_weights(y: Tensor) -> Tensor:
    """Draw one eta ~ U(0, 1) for each sample of ``y``, shape ``(N, 1, ...)``, on its device."""
    return torch.rand((len(y), *(1,) * (y.ndim - 1)), device=y.device, dtype=y.dtype)


def interpolate(mapped: Tensor, y: Tensor, eta: Tensor) -> Tensor:
    """``eta y + (1 - eta) T(x)``: the points at which a gradient penalty is taken."""
    return eta * y + (1 - eta) * mapped


def gradient_penalty(f: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """``mean (||grad f(z)||_2 - 1)^2`` over the points z (Gulrajani et al., 2017, equation 3).

    The norm is over all values of a sample. Differentiable with respect to f's parameters, also
    where the gradient of f vanishes.

    Parameters
    ----------
    f : callable
        Maps ``(N, ...)`` to ``(N,)`` or ``(N, 1)``, each sample by itself.
    points : Tensor
        ``(N, ...)``; needs no gradient of its own.

    Returns
    -------
    Tensor
        Scalar, at least 0.
    """
    points = points.detach().requires_grad_()
    with torch.enable_grad():
        values = f(points).sum()
        (slope,) = torch.autograd.grad(values, points, create_graph=True)
    norm = (slope.float().flatten(1).square().sum(1) + NORM_FLOOR).sqrt()
    return (norm - 1).square().mean()
