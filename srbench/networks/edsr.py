"""EDSR: residual super-resolution network, the transport map for real photographs."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from srbench.errors import ParameterError


class EDSR(nn.Module):
    """EDSR without mean shift: low-resolution images to images ``scale`` times larger.

    A head convolution, ``blocks`` residual blocks and a convolution around which the head skips,
    one convolution and pixel shuffle per doubling, a last convolution; no batch norm, no output
    activation. State keys are those of the released checkpoints (``head``, ``body``, ``tail``).

    Parameters
    ----------
    blocks : int
        Residual blocks, at least 0.
    features : int
        Width, at least 1. Parameters with the defaults: 20,226,051.
    scale : int
        Magnification, a power of two: 1, 2, 4, 8, ...
    res_scale : float
        Factor of the residual branch of a block.

    Raises
    ------
    ParameterError
        If ``scale`` is not a power of two or a count is out of its range.

    References
    ----------
    Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW 2017;
    used as the transport map in arXiv 2202.01116.
    """

    def __init__(
        self, blocks: int = 64, features: int = 128, *, scale: int = 4, res_scale: float = 1.0
    ) -> None:
        super().__init__()
        if blocks < 0 or features < 1:
            raise ParameterError(
                f"EDSR: blocks={blocks}, features={features}",
                hint="give blocks >= 0, features >= 1",
            )
        if scale < 1 or scale & (scale - 1):
            raise ParameterError(f"EDSR: scale is {scale}", hint="use 1, 2, 4, 8, ...")
        doublings: list[nn.Module] = []
        for _ in range(scale.bit_length() - 1):
            doublings += [conv3x3(features, 4 * features), nn.PixelShuffle(2)]
        self.head = nn.Sequential(conv3x3(3, features))
        self.body = nn.Sequential(
            *(Block(features, res_scale=res_scale) for _ in range(blocks)),
            conv3x3(features, features),
        )
        self.tail = nn.Sequential(nn.Sequential(*doublings), conv3x3(features, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(N, 3, H, W)`` to images ``(N, 3, scale * H, scale * W)``, unclamped."""
        head = self.head(x)
        return cast("Tensor", self.tail(head + self.body(head)))


class Block(nn.Module):
    """x + res_scale * conv(ReLU(conv(x)))."""

    def __init__(self, features: int, *, res_scale: float) -> None:
        super().__init__()
        self.res_scale = res_scale
        self.body = nn.Sequential(
            conv3x3(features, features), nn.ReLU(inplace=True), conv3x3(features, features)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, features, H, W)`` to the same shape."""
        return torch.add(x, self.body(x), alpha=self.res_scale)


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """3x3 convolution with bias that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)
