"""The networks of CinCGAN, and the pool of earlier fakes that its discriminators see."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor, nn


class Block(nn.Module):
    """Two convolutions around which the input is carried."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(features, features, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        out: Tensor = x + self.body(x)
        return out


class Translator(nn.Module):
    """G1, G2 (``shrink=1``) and G3 (``shrink=4``): three convolutions, blocks, three convolutions.

    Parameters
    ----------
    features, blocks
        Width of all layers, and number of residual blocks.
    shrink
        1 or 4; G3 halves the sides in its second and third convolution.
    residual
        Add the input (its average over ``shrink`` squared pixels) to the output.
    """

    def __init__(
        self, features: int = 64, blocks: int = 6, *, shrink: int = 1, residual: bool = False
    ) -> None:
        super().__init__()
        self.shrink, self.residual = shrink, residual
        stride = 2 if shrink == 4 else 1
        middle = (features, features)
        last = nn.Conv2d(features, 3, 7, padding=3)
        self.body = nn.Sequential(
            nn.Conv2d(3, features, 7, padding=3),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(*middle, 3, stride, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(*middle, 3, stride, 1),
            nn.LeakyReLU(0.2, inplace=True),
            *(Block(features) for _ in range(blocks)),
            nn.Conv2d(*middle, 3, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(*middle, 3, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            last,
        )
        if residual:  # it begins as the identity
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) -> (N, 3, h / shrink, w / shrink)."""
        out: Tensor = self.body(x)
        return out + nn.functional.avg_pool2d(x, self.shrink) if self.residual else out


class Judge(nn.Module):
    """D1 (``stride=1``, scores of 16 x 16 pixels) and D2 (``stride=2``, of 70 x 70): PatchGANs."""

    def __init__(self, features: int = 64, *, stride: int) -> None:
        super().__init__()
        widths = [3, features, 2 * features, 4 * features, 8 * features]
        layers: list[nn.Module] = []
        for place, step in enumerate((stride, stride, stride, 1)):
            layers.append(nn.Conv2d(widths[place], widths[place + 1], 4, step, 1))
            if place:
                layers.append(nn.BatchNorm2d(widths[place + 1]))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.body = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> scores (N, 1, h, w)."""
        scores: Tensor = self.body(x)
        return scores


class Pool(nn.Module):
    """Earlier fakes; a discriminator sees half of its fakes from here. A resume restores them."""

    images: Tensor
    count: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.filled = 0  # on the host: asking the buffer would wait for a GPU

    def load_state_dict(self, state_dict: Any, *args: Any, **options: Any) -> Any:
        """Restore images, their number, and the host's copy of it."""
        found = super().load_state_dict(state_dict, *args, **options)
        self.filled = int(self.count)
        return found

    def swap(self, fakes: Tensor, chance: Generator) -> Tensor:
        """Keep fakes (N, 3, H, W), N at most the pool's size, and give as many to be judged."""
        size, n = len(self.images), len(fakes)
        if self.filled < size:
            kept = min(n, size - self.filled)
            self.images[self.filled : self.filled + kept] = fakes[:kept]
            self.filled += kept
            self.count.fill_(self.filled)
            return fakes
        places = torch.randperm(size, generator=chance, device=fakes.device)[:n]
        old = self.images[places]
        new = torch.rand(n, 1, 1, 1, generator=chance, device=fakes.device) < 0.5
        self.images[places] = torch.where(new, fakes, old)
        return torch.where(new, old, fakes)
