"""Restoring an image window by window, so that it fits into memory.

Windows of equal size overlap; of each only the core is kept, whose pixels are at least a margin
away from every side of the window that lies inside the image. Sides on the border of the image are
borders of the window too, so padding acts there as in the whole image. Where no output pixel
depends on inputs further away than the margin, the result is that of the whole image.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from srbench.errors import ParameterError
from srbench.evaluation.modes import mapped_to

if TYPE_CHECKING:
    from torch import Tensor

MARGIN = 32  # LR pixels
CORE = 16  # the smallest core is worth its margins: LR pixels
MULTIPLE = 8  # sides of tiles are multiples of this, for networks that halve their input


@dataclass(frozen=True)
class Window:
    """An interval of an axis, and the part of it that is kept.

    Parameters
    ----------
    start, stop : int
        What is mapped.
    first, last : int
        What is kept, ``start <= first < last <= stop``.
    """

    start: int
    stop: int
    first: int
    last: int


def windows(length: int, tile: int, margin: int) -> list[Window]:
    """Cover an axis with windows of ``tile`` pixels; one window where the axis is no longer.

    Raises
    ------
    ParameterError
        If a tile is no wider than its two margins, so that nothing would be kept of it.
    """
    if margin < 0 or tile <= 2 * margin:
        raise ParameterError(
            f"a tile of {tile} pixels holds nothing but its margins of {margin} on both sides",
            hint=f"use tiles of more than {2 * max(margin, 0)} pixels",
        )
    if length <= tile:
        return [Window(0, length, 0, length)]
    count = -(-(length - 2 * margin) // (tile - 2 * margin))
    starts = [index * (length - tile) // (count - 1) for index in range(count)]
    # a cut in the middle of an overlap, which is two margins wide or more
    cuts = [0, *((a + tile + b) // 2 for a, b in pairwise(starts)), length]
    return [
        Window(start, start + tile, first, last)
        for start, (first, last) in zip(starts, pairwise(cuts), strict=True)
    ]


def restore_in_tiles(method: Any, lr: Tensor, scale: int, tile: int, margin: int) -> Tensor:
    """Map images window by window.

    Parameters
    ----------
    method : callable
        T: images (N, C, h, w) to (N, C, s * h, s * w).
    lr : Tensor
        x, shape (N, C, h, w).
    scale : int
        s, at least 1.
    tile : int
        Side of a window in LR pixels; a side of the image that is shorter is not cut.
    margin : int
        LR pixels of a window around its core, at least 0 and below half the tile.

    Returns
    -------
    Tensor
        T(x), shape (N, C, s * h, s * w), float32.

    Raises
    ------
    ParameterError
        If ``tile`` is no wider than two margins.
    PluginError
        If the output for a window is no float tensor of ``scale`` times its size.
    """
    count, channels, height, width = lr.shape
    output = lr.new_empty(count, channels, scale * height, scale * width).float()
    for row in windows(height, tile, margin):
        for column in windows(width, tile, margin):
            part = lr[:, :, row.start : row.stop, column.start : column.stop]
            shape = (count, channels, scale * part.shape[2], scale * part.shape[3])
            restored = mapped_to(method, part.contiguous(), shape)
            output[:, :, _kept(row, scale), _kept(column, scale)] = restored[
                :, :, _core(row, scale), _core(column, scale)
            ]
    return output


def tile_side(pixels: int, margin: int) -> int:
    """Side of the largest square tile of at most ``pixels`` LR pixels, at least the smallest one.

    The smallest tile has a core of 16 pixels between its margins; sides are multiples of 8.
    """
    smallest = -(-(2 * margin + CORE) // MULTIPLE) * MULTIPLE
    return max(smallest, int(pixels**0.5) // MULTIPLE * MULTIPLE)


def _kept(window: Window, scale: int) -> slice:
    """Return the place of a core in the output."""
    return slice(scale * window.first, scale * window.last)


def _core(window: Window, scale: int) -> slice:
    """Return the place of a core in the output for its window."""
    return slice(scale * (window.first - window.start), scale * (window.last - window.start))
