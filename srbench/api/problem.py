"""What a method is told about the dataset before it is built."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Shapes and kind of the data a method must map.

    Parameters
    ----------
    domain : {"image", "vector", "sr"}
        ``"image"``: images of one size, scale 1 (the Wasserstein-2 image pairs). ``"vector"``: flat
        vectors (Mix3ToMix10). ``"sr"``: images with scale > 1. Presets may differ by domain.
    lr_shape, hr_shape : tuple of int
        Shape of one sample, ``(3, h, w)`` or ``(d,)``.
    scale : int
        Factor between the image sides; 1 for same-size maps and vectors.
    lr_extent, hr_extent : int
        Side of the largest square crop that every LR and every HR training image holds, where
        samples are crops of photographs (`CropDataset`); 0 elsewhere.
    """

    domain: Literal["image", "vector", "sr"]
    lr_shape: tuple[int, ...]
    hr_shape: tuple[int, ...]
    scale: int = 1
    lr_extent: int = 0
    hr_extent: int = 0

    @property
    def dim(self) -> int:
        """Number of values of one HR sample, the D of the paper."""
        return math.prod(self.hr_shape)

    @property
    def is_image(self) -> bool:
        """Whether samples are images, so that image-only metrics apply."""
        return self.domain != "vector"
