"""Crops and ranges: the harness has [-1, 1], these methods have [0, 1]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor


def to_unit(images: Tensor) -> Tensor:
    """Map [-1, 1] to [0, 1]."""
    return (images + 1) / 2


def from_unit(images: Tensor) -> Tensor:
    """Map [0, 1] to [-1, 1]."""
    return 2 * images - 1


def random_crops(images: Tensor, size: int, places: Tensor | None = None) -> Tensor:
    """Cut one square out of each image, (N, 3, size, size), where torch's CPU generator says.

    The harness saves that generator; drawing on the CPU keeps a GPU from being waited for.

    Parameters
    ----------
    images : Tensor
        (N, 3, h, w).
    size : int
        Side of the squares.
    places : Tensor, optional
        (N, 2) float64 from U(0, 1) on the CPU, in place of numbers drawn here.
    """
    if places is None:
        places = torch.rand(len(images), 2, dtype=torch.float64)
    room = torch.tensor(images.shape[-2:]) - size + 1
    corners = (places * room).long().tolist()
    cut = [image[:, top : top + size, left : left + size]
           for image, (top, left) in zip(images, corners, strict=True)]
    return torch.stack(cut).contiguous(memory_format=torch.channels_last)


def multiple_of(images: Tensor, factor: int) -> Tensor:
    """Cut rows and columns off the end until both sides are multiples of ``factor``."""
    height, width = (side - side % factor for side in images.shape[-2:])
    return images[..., :height, :width]


def upload(batch: np.ndarray, device: torch.device) -> Tensor:
    """Bring crops (N, h, w, c) to the device as (N, c, h, w) float32, bytes mapped to [0, 1].

    On CUDA the copy runs beside the host, from pinned memory.
    """
    host = torch.from_numpy(np.ascontiguousarray(batch))
    if device.type == "cuda":
        host = host.pin_memory()
    there = host.to(device, non_blocking=True).permute(0, 3, 1, 2)
    return there.float() / 255 if there.dtype == torch.uint8 else there.float()
