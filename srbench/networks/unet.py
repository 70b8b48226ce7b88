"""UNet: the same-size transport map of the Wasserstein-2 experiments.

Legend: b = ``base``, the width at full resolution; N, C, H, W = batch, channels, height, width.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.errors import ParameterError


class UNet(nn.Module):
    """UNet with bilinear up-sampling, the map T of optimal-transport super-resolution.

    Four halvings, widths b, 2b, 4b, 8b, 8b; four doublings, each concatenated with the features
    of the way down. No output activation and no skip from input to output. State keys are those
    of the released checkpoints (``inc``, ``down1`` .. ``down4``, ``up1`` .. ``up4``, ``outc``).

    Parameters
    ----------
    base : int
        Width b at full resolution, at least 1. Parameters: 4,320,675 at 32, 9,715,827 at 48,
        17,267,523 at 64 (three channels in and out).
    in_channels, out_channels : int
        Channels of the input and of the output.

    Raises
    ------
    ParameterError
        If a width is below 1.

    Notes
    -----
    Input ``(N, in_channels, H, W)``, H and W at least 16 and otherwise free; output
    ``(N, out_channels, H, W)``. Weights start at PyTorch's defaults.

    References
    ----------
    Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
    2015; used as the transport map in arXiv 2202.01116.
    """

    def __init__(self, base: int = 64, *, in_channels: int = 3, out_channels: int = 3) -> None:
        super().__init__()
        for name, width in (
            ("base", base),
            ("in_channels", in_channels),
            ("out_channels", out_channels),
        ):
            if width < 1:
                raise ParameterError(f"UNet: {name} is {width}", hint=f"give {name} >= 1")
        b = base
        self.inc = DoubleConv(in_channels, b, b)
        self.down1 = Down(b, 2 * b)
        self.down2 = Down(2 * b, 4 * b)
        self.down3 = Down(4 * b, 8 * b)
        self.down4 = Down(8 * b, 8 * b)
        self.up1 = Up(16 * b, 4 * b)
        self.up2 = Up(8 * b, 2 * b)
        self.up3 = Up(4 * b, b)
        self.up4 = Up(2 * b, b)
        self.outc = OutConv(b, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(N, in_channels, H, W)`` to images ``(N, out_channels, H, W)``."""
        x1 = self.inc(x)  # (N,  b, H, W)
        x2 = self.down1(x1)  # (N, 2b, H/2, W/2)
        x3 = self.down2(x2)  # (N, 4b, H/4, W/4)
        x4 = self.down3(x3)  # (N, 8b, H/8, W/8)
        x5 = self.down4(x4)  # (N, 8b, H/16, W/16)
        y = self.up1(x5, x4)  # (N, 4b, H/8, W/8)
        y = self.up2(y, x3)  # (N, 2b, H/4, W/4)
        y = self.up3(y, x2)  # (N,  b, H/2, W/2)
        y = self.up4(y, x1)  # (N,  b, H, W)
        return cast("Tensor", self.outc(y))


class DoubleConv(nn.Module):
    """Twice: 3x3 convolution with bias, batch norm, ReLU."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(inputs, hidden, 3, padding=1),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, inputs, H, W)`` to ``(N, outputs, H, W)``."""
        return cast("Tensor", self.double_conv(x))


class Down(nn.Module):
    """2x2 max pooling, then a double convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(inputs, outputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, inputs, H, W)`` to ``(N, outputs, H // 2, W // 2)``."""
        return cast("Tensor", self.maxpool_conv(x))


class Up(nn.Module):
    """Bilinear doubling with aligned corners, concatenation with the skip, double convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = DoubleConv(inputs, inputs // 2, outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map ``(N, c, h, w)`` and a skip ``(N, inputs - c, H, W)`` to ``(N, outputs, H, W)``."""
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        rows, columns = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
        if rows or columns:  # a side that pooling halved with a remainder
            left, top = columns // 2, rows // 2
            x = F.pad(x, (left, columns - left, top, rows - top))
        return cast("Tensor", self.conv(torch.cat((skip, x), dim=1)))


class OutConv(nn.Module):
    """1x1 convolution to the output channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, inputs, H, W)`` to ``(N, outputs, H, W)``."""
        return cast("Tensor", self.conv(x))
