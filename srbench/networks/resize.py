"""Bicubic resizing as MATLAB and as torch do it, and the bytes images are saved as."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from srbench.errors import ParameterError

REACH = 2  # half width of the cubic kernel, in pixels of the coarser grid


def imresize(images: Tensor, factor: float, *, clamp: bool = False) -> Tensor:
    """Resize as MATLAB's ``imresize(image, factor, 'bicubic')`` does, but in floating point.

    Cubic kernel with a = -0.5, widened by 1 / factor when shrinking, symmetric padding, output
    sides ``ceil(side * factor)``. Differentiable.

    Parameters
    ----------
    images : Tensor
        ``(N, C, H, W)``.
    factor : float
        A whole number, or one over a whole number: 4, 0.5, 0.25, ...
    clamp : bool
        Whether the result is clamped to [0, 1], as FSSR and DASR do: the kernel overshoots.

    Returns
    -------
    Tensor
        ``(N, C, ceil(H * factor), ceil(W * factor))``.

    Raises
    ------
    ParameterError
        If ``factor`` is neither whole nor one over a whole number.
    """
    up, down = _ratio(factor)
    reach = REACH * down
    for axis in (-2, -1):
        size = images.shape[axis]
        after = reach + -size % down  # so that the side becomes a multiple of ``down``
        images = _symmetric(images, axis, reach, after)
    resized = F.interpolate(
        images,
        size=[side * up // down for side in images.shape[-2:]],
        mode="bicubic",
        antialias=True,
    )
    edge = REACH * up
    resized = resized[..., edge : resized.shape[-2] - edge, edge : resized.shape[-1] - edge]
    return resized.clamp(0, 1) if clamp else resized.contiguous()


def up_bicubic(images: Tensor, scale: float) -> Tensor:
    """Up of arXiv 2202.01116: torch's bicubic interpolation, unclamped.

    Cubic kernel with a = -0.75, never widened, so it aliases when shrinking; edges are repeated.

    Parameters
    ----------
    images : Tensor
        ``(N, C, H, W)``.
    scale : float
        Magnification.

    Returns
    -------
    Tensor
        ``(N, C, floor(H * scale), floor(W * scale))``; may leave the range of the input.
    """
    return F.interpolate(images, scale_factor=float(scale), mode="bicubic", align_corners=False)


def truncate_to_uint8(images: Tensor) -> Tensor:
    """Bytes of images as FSSR and DASR save them: 255 times the value, cut off, not rounded.

    That darkens by half a level on average. Values outside [0, 1] are clamped first.

    Parameters
    ----------
    images : Tensor
        Any shape, in [0, 1].

    Returns
    -------
    Tensor
        uint8, same shape.
    """
    return (images.clamp(0, 1) * 255).to(torch.uint8)


def _ratio(factor: float) -> tuple[int, int]:
    """Factor as (up, down), one of which is 1."""
    up, down = max(1, round(factor)), max(1, round(1 / factor)) if factor > 0 else 0
    if down == 0 or not math.isclose(factor, up / down, rel_tol=1e-6):
        raise ParameterError(
            f"resizing by {factor}", hint="use a whole number or one over it: 4, 2, 0.5, 0.25"
        )
    return up, down


def _symmetric(images: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Extend an axis by its mirror image, the edge repeated, as often as it takes."""
    size = images.shape[axis]
    at = torch.arange(-before, size + after, device=images.device) % (2 * size)
    return images.index_select(axis, torch.minimum(at, 2 * size - 1 - at))
