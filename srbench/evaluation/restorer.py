"""Restoring photographs whole where they fit into memory, in tiles where they do not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from srbench.evaluation.memory import SHARE, bytes_per_pixel, forced_pixels, free_bytes
from srbench.evaluation.modes import mapped
from srbench.evaluation.reducers import shards
from srbench.evaluation.tiles import MARGIN, restore_in_tiles, tile_side

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.method import Method


class Restorer:
    """T for images of any size: whole, a few at a time, or in tiles, as memory allows.

    Half of the free memory is compared with an estimate of what the map needs for each pixel (see
    `srbench.evaluation.memory`). ``SRBENCH_TILE_PIXELS`` sets the number of LR pixels restored at
    a time instead. Where a CUDA device runs out of memory all the same, half as many pixels are
    tried until the smallest tile.

    Parameters
    ----------
    method : Method
        T, in eval mode while it is called.
    scale : int
        Factor between the image sides.
    device : torch.device
        Where the images are.
    margin : int
        Overlap of tiles, in LR pixels on every side.

    Raises
    ------
    ParameterError
        If ``SRBENCH_TILE_PIXELS`` is no positive whole number.
    """

    def __init__(
        self, method: Method, scale: int, device: torch.device, margin: int = MARGIN
    ) -> None:
        self.method, self.scale, self.device, self.margin = method, scale, device, margin
        self._ceiling: float = forced_pixels() or math.inf
        self._forced = self._ceiling < math.inf
        self._bytes_per_pixel: float | None = None
        self._images = self._tiled = 0
        self._sides: set[int] = set()

    def __call__(self, lr: Tensor, hr: Tensor) -> Tensor:
        """Return T(x) as float32.

        Parameters
        ----------
        lr : Tensor
            x, shape (N, 3, h, w).
        hr : Tensor
            Of the shape the output must have.

        Raises
        ------
        PluginError
            If the output has another shape or is no float tensor.
        """
        self._images += len(lr)
        pixels = self.pixels(lr)
        while True:
            try:
                return self._restored(lr, hr, pixels)
            except torch.cuda.OutOfMemoryError:
                used = min(pixels, lr[:, 0].numel())
                pixels = self._ceiling = used // 2
                if used <= tile_side(0, self.margin) ** 2:
                    raise
            torch.cuda.empty_cache()

    def pixels(self, lr: Tensor) -> float:
        """LR pixels that may be restored at a time, by what is free now; infinite if unknown."""
        if self._forced:
            return self._ceiling
        free = free_bytes(self.device)
        if self._bytes_per_pixel is None and free < math.inf:
            self._bytes_per_pixel = bytes_per_pixel(self.method, lr)
        if not self._bytes_per_pixel:
            return self._ceiling
        return min(self._ceiling, SHARE * free // self._bytes_per_pixel)

    def notes(self) -> list[str]:
        """Say how many images were restored in tiles; empty where none was."""
        if not self._tiled:
            return []
        side = "-".join(str(side) for side in sorted({min(self._sides), max(self._sides)}))
        return [
            f"{self._tiled} of {self._images} test images were restored in tiles of {side} LR "
            f"pixels with {self.margin} pixels of overlap"
        ]

    def _restored(self, lr: Tensor, hr: Tensor, pixels: float) -> Tensor:
        """Map a batch, at most ``pixels`` LR pixels at a time where that is possible."""
        size = lr.shape[-2] * lr.shape[-1]
        if pixels >= len(lr) * size:
            return mapped(self.method, lr, hr)
        if pixels >= size:
            at_a_time = int(pixels // size)
            pairs = zip(shards(lr, at_a_time), shards(hr, at_a_time), strict=True)
            return torch.cat([mapped(self.method, x, y) for x, y in pairs])
        side = tile_side(int(pixels), self.margin)
        if side < max(lr.shape[-2:]):  # else the smallest tile holds the image
            self._tiled += len(lr)
            self._sides.add(side)
        images = (image[None] for image in lr)
        tiled = [restore_in_tiles(self.method, x, self.scale, side, self.margin) for x in images]
        return torch.cat(tiled)
