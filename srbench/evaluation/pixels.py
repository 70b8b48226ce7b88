"""Pixels drawn from images at fixed seeded places, the same for every method.

A place is a fraction of an image's height and width, so the one of an HR image and of its LR image
is the same place of the scene, whatever the scale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from srbench.evaluation.mean import unit_range

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

SHOWN = 1024  # pixels of a palette that is kept for pictures
SEED = 20220202


def places(count: int, generator: torch.Generator) -> Tensor:
    """Draw ``count`` places uniformly: fractions in [0, 1), shape (count, 2), float64."""
    return torch.rand(count, 2, generator=generator, dtype=torch.float64)


def colours_at(images: Tensor, where: Tensor) -> Tensor:
    """Colours in [0, 1] (not clamped) of images (N, 3, H, W) at places (N, k, 2): (N, k, 3)."""
    size = torch.tensor(images.shape[-2:])
    row, column = (where * size).long().minimum(size - 1).unbind(-1)
    index = (row * size[1] + column).to(images.device)
    picked = images.flatten(2).gather(2, index[:, None].expand(-1, images.shape[1], -1))
    return unit_range(picked.transpose(1, 2).float())


class Palettes:
    """Keeps 1024 pixels of LR, restored and HR test images, for pictures of the palettes.

    Each pixel comes from any test image with the same probability, without knowing beforehand how
    many there are: image i (from 0) takes over each of the 1024 slots with probability 1/(i + 1).
    The draws have a seed of their own, so the pixels of two methods are of the same places.
    """

    def __init__(self) -> None:
        self._generator = torch.Generator().manual_seed(SEED)
        self._taken = 0
        self._colours: dict[str, Tensor] = {}

    def update(self, images: Mapping[str, Tensor]) -> None:
        """Take a batch of images (N, 3, h, w) of each kind, of the same scenes; others pass by."""
        batches = list(images.values())
        if any(batch.ndim != 4 or batch.shape[1] != 3 for batch in batches):
            return
        for index in range(len(batches[0])):
            self._taken += 1
            chance = torch.rand(SHOWN, generator=self._generator, dtype=torch.float64)
            where = places(SHOWN, self._generator)
            won = (chance * self._taken < 1).nonzero()[:, 0]
            if len(won):
                self._take({kind: batch[index] for kind, batch in images.items()}, won, where[won])

    def _take(self, images: Mapping[str, Tensor], won: Tensor, where: Tensor) -> None:
        """Fill the slots that one image of each kind (3, h, w) has won."""
        for kind, image in images.items():
            drawn = colours_at(image[None], where[None])[0]
            slots = self._colours.setdefault(kind, torch.zeros(SHOWN, 3, device=image.device))
            slots[won.to(image.device)] = drawn

    def colours(self) -> dict[str, Tensor]:
        """Return (1024, 3) float32 of each kind; empty without images or where one is not finite.

        Rows of the kinds belong together: the same place of the same image.
        """
        kept = {kind: slots.cpu() for kind, slots in self._colours.items()}
        return kept if all(slots.isfinite().all() for slots in kept.values()) else {}
