"""The networks of FaceSR: two generators of residual blocks and the critic of both."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

SCALE = 4


class Block(nn.Module):
    """Two 3 x 3 convolutions, each after BatchNorm and ReLU, around which the input is carried."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(features),
            nn.ReLU(),
            nn.Conv2d(features, features, 3, padding=1),
            nn.BatchNorm2d(features),
            nn.ReLU(),
            nn.Conv2d(features, features, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        out: Tensor = x + self.body(x)
        return out


def blocks(features: int, count: int) -> list[nn.Module]:
    """Make ``count`` residual blocks."""
    return [Block(features) for _ in range(count)]


def doubling(features: int) -> list[nn.Module]:
    """Layers that double the sides by moving channels to pixels."""
    return [nn.Conv2d(features, 4 * features, 3, padding=1), nn.PixelShuffle(2)]


def head(features: int, *, zero: bool) -> nn.Sequential:
    """Last layers, to RGB; ``zero`` makes them give 0 at first."""
    last = nn.Conv2d(features, 3, 3, padding=1)
    if zero:
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(nn.BatchNorm2d(features), nn.ReLU(), last)


class HighToLow(nn.Module):
    """Degrades an HR image to a quarter of its sides; noise decides how.

    Parameters
    ----------
    side
        Side of the HR images, a multiple of 16.
    noise
        Length of the noise vector, which a linear layer spreads over a fourth channel.
    features, depth
        Width, and residual blocks at each of the six changes of size (four down, two up).
    residual
        Add the average of 4 x 4 pixels to the output.
    """

    def __init__(
        self, side: int, noise: int, features: int = 64, depth: int = 2, *, residual: bool = False
    ) -> None:
        super().__init__()
        self.residual = residual
        self.spread = nn.Linear(noise, side * side)
        layers: list[nn.Module] = [nn.Conv2d(4, features, 3, padding=1)]
        for _ in range(4):  # side -> side / 16
            layers += [*blocks(features, depth), nn.AvgPool2d(2)]
        for _ in range(2):  # -> side / 4
            layers += [*blocks(features, depth), *doubling(features)]
        self.body = nn.Sequential(*layers, head(features, zero=residual))

    def forward(self, hr: Tensor, noise: Tensor) -> Tensor:
        """HR (N, 3, side, side), noise (N, length) -> LR (N, 3, side / 4, side / 4)."""
        plane = self.spread(noise).view(len(hr), 1, *hr.shape[2:])
        out: Tensor = self.body(torch.cat([hr, plane], 1))
        return out + nn.functional.avg_pool2d(hr, SCALE) if self.residual else out


class LowToHigh(nn.Module):
    """Enlarges by 4: three groups of residual blocks, the sides double after two of them."""

    def __init__(
        self, depths: tuple[int, int, int] = (12, 3, 2), features: int = 64, *, residual: bool
    ) -> None:
        super().__init__()
        self.residual = residual
        first, second, third = depths
        self.body = nn.Sequential(
            nn.Conv2d(3, features, 3, padding=1),
            *blocks(features, first),
            *doubling(features),
            *blocks(features, second),
            *doubling(features),
            *blocks(features, third),
            head(features, zero=residual),
        )

    def forward(self, lr: Tensor) -> Tensor:
        """LR (N, 3, h, w) -> HR (N, 3, 4 h, 4 w)."""
        out: Tensor = self.body(lr)
        if not self.residual:
            return out
        return out + nn.functional.interpolate(lr, scale_factor=SCALE, mode="bicubic")


class CriticBlock(nn.Module):
    """A residual block without BatchNorm under spectral normalisation; may halve the sides."""

    def __init__(self, features: int, *, halve: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(),
            spectral_norm(nn.Conv2d(features, features, 3, padding=1)),
            nn.ReLU(),
            spectral_norm(nn.Conv2d(features, features, 3, padding=1)),
        )
        self.pool = nn.MaxPool2d(2) if halve else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Same shape, or half the sides."""
        out: Tensor = self.pool(x + self.body(x))
        return out


class Critic(nn.Module):
    """Six residual blocks and a linear layer; the first blocks halve the sides down to 4."""

    def __init__(self, side: int, features: int = 64, depth: int = 6) -> None:
        super().__init__()
        halvings = max(0, (side // 4).bit_length() - 1)
        self.first = spectral_norm(nn.Conv2d(3, features, 3, padding=1))
        self.body = nn.Sequential(
            *(CriticBlock(features, halve=place < halvings) for place in range(depth))
        )
        self.last = spectral_norm(nn.Linear(features, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> scores (N,)."""
        seen = torch.relu(self.body(self.first(x))).sum((2, 3))
        score: Tensor = self.last(seen)
        return score.squeeze(1)
