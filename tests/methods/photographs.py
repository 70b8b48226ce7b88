"""A small dataset of photographs, made of waves: fast, deterministic, nothing to fetch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from srbench import CropDataset, Parameters, Problem


def waves(height: int, width: int, phase: float) -> Tensor:
    """A smooth colour pattern with an edge, (3, height, width) uint8."""
    y, x = torch.meshgrid(torch.arange(height) / 40, torch.arange(width) / 40, indexing="ij")
    parts = [torch.sin((k + 1) * x + phase) * torch.cos((3 - k) * y - phase) for k in range(3)]
    return ((torch.stack(parts) + (x > y) * 0.4).clamp(-1, 1) * 127.5 + 127.5).to(torch.uint8)


class Waves(CropDataset):
    """LR photographs of 288 x 272 with noise, HR photographs of 300 x 276, two test pairs."""

    has_validation = False

    def __init__(self, lr_size: tuple[int, int] = (288, 272)) -> None:
        super().__init__(Parameters(), "waves")
        generator = torch.Generator().manual_seed(3)
        self.hr_images = [waves(300, 276, phase) for phase in (0.0, 0.9, 1.7)]
        self.lr_images = [self.degrade(waves(*lr_size, phase), generator) for phase in (0.4, 2.1)]
        self.problem = Problem(domain="sr", lr_shape=(3, 32, 32), hr_shape=(3, 128, 128), scale=4,
                               lr_extent=min(lr_size), hr_extent=276)

    @staticmethod
    def degrade(image: Tensor, generator: torch.Generator) -> Tensor:
        noisy = image + 8 * torch.randn(image.shape, generator=generator)
        return noisy.clamp(0, 255).to(torch.uint8)

    def fingerprint(self) -> str:
        return "3" * 64

    def _crops(self, images: Sequence[Tensor], n: int, generator: torch.Generator,
               size: int) -> Tensor:
        crops = []
        for _ in range(n):
            image = images[int(torch.randint(len(images), (1,), generator=generator))]
            top, left = (int(torch.randint(side - size + 1, (1,), generator=generator))
                         for side in image.shape[1:])
            crops.append(image[:, top:top + size, left:left + size])
        return torch.stack(crops).float() / 127.5 - 1

    def sample_lr(self, n: int, generator: torch.Generator, size: int | None = None) -> Tensor:
        return self._crops(self.lr_images, n, generator, size or 32)

    def sample_hr(self, n: int, generator: torch.Generator, size: int | None = None) -> Tensor:
        return self._crops(self.hr_images, n, generator, size or 128)

    def train_images(self, role: str) -> Sequence[Tensor]:
        return {"lr": self.lr_images, "hr": self.hr_images}[role]

    def test_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(4)
        for height, width in ((96, 128), (160, 64)):
            hr = waves(height, width, 2.5)[None].float()
            lr = self.degrade(F.interpolate(hr, scale_factor=0.25, mode="area"), generator)
            yield lr.float() / 127.5 - 1, hr / 127.5 - 1

    def validation_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(())
