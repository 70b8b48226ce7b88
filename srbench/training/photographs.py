"""Whole training photographs, for methods that generate data from them between two stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor


class Photographs:
    """The training images of one role, read and brought to the device one at a time.

    Parameters
    ----------
    images : sequence of Tensor
        (3, h, w) uint8 each.
    device : torch.device
        Where they are needed.
    count : callable
        Charges a number of images.
    """

    def __init__(self, images: Sequence[Tensor], device: torch.device,
                 count: Callable[[int], None]) -> None:
        self._images, self._device, self._count = images, device, count

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def __getitem__(self, index: int) -> Tensor:
        """Return one image, (1, 3, h, w) float32 of range [-1, 1]; it is charged as one draw."""
        image = self._images[index].to(self._device)
        self._count(1)
        return image[None].float().div_(127.5).sub_(1)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the images in order."""
        return (self[index] for index in range(len(self)))

    def raw(self, index: int) -> Tensor:
        """Return one image as it lies on the host, (3, h, w) uint8, without charging it."""
        return self._images[index]

    def shape(self, index: int) -> tuple[int, int]:
        """Return height and width of one image, without charging it."""
        height, width = self._images[index].shape[-2:]
        return int(height), int(width)
