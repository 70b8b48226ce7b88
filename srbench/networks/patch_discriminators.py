"""Discriminators of FSSR and DASR that judge every patch of an image's high frequencies.

Each gives a map of scores; those of the degradation stages end in a sigmoid: near 1 for real.
"""

from __future__ import annotations

from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn

from srbench.errors import ParameterError
from srbench.networks.frequency import Filter, HaarFilters, HighPass, high_bands

SLOPE = 0.2  # of every LeakyReLU
Architecture = Literal["fsd", "nld_s1", "nld_s2"]
Separation = Literal["wavelet", "gau", "avg"]


class DSGANDiscriminator(nn.Module):
    """FSSR's discriminator: the high frequencies of images to one probability per pixel.

    A high-pass filter, then `PatchNet` with batch norm. State keys are those of the released
    checkpoints: ``net.net.*``, and the Gaussian if there is one.

    Parameters
    ----------
    kernel_size : int
        Side of the filter, odd.
    filter : {"avg", "gau"}
        Average, in which padding does not count, or Gaussian. Parameters: 1,030,273.

    Raises
    ------
    ParameterError
        If ``kernel_size`` is even.

    References
    ----------
    Fritsche, Gu, Timofte, "Frequency Separation for Real-World Super-Resolution", ICCVW 2019.
    """

    def __init__(self, kernel_size: int = 5, *, filter: Filter = "avg") -> None:
        super().__init__()
        self.filter = HighPass(kernel_size, filter)
        self.net = PatchNet(3, nn.BatchNorm2d)

    def logits(self, x: Tensor) -> Tensor:
        """Map images ``(N, 3, H, W)`` in [0, 1] to scores ``(N, 1, H, W)``, unbounded."""
        return cast("Tensor", self.net(self.filter(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(N, 3, H, W)`` in [0, 1] to probabilities ``(N, 1, H, W)``."""
        return torch.sigmoid(self.logits(x))


class DSNDiscriminator(nn.Module):
    """DASR's discriminator of the degradation stage: high frequencies to a map of probabilities.

    With ``"fsd"`` and wavelets the map is what domain-distance maps are made of. State keys are
    those of the released checkpoints: ``net.net.*`` or ``net.model.*``, ``DWT2.*``, the Gaussian.

    Parameters
    ----------
    architecture : {"fsd", "nld_s1", "nld_s2"}
        `PatchNet`, or `PatchGAN` whose first two convolutions have stride 1 or 2; each with
        instance norm.
    filter : {"wavelet", "gau", "avg"}
        Haar bands (halves the map), or what is left by a Gaussian or an average in which padding
        does not count. Parameters of ``"fsd"`` with wavelets: 1,039,105.
    bands : {"cat", "sum"}
        How the wavelet's bands are combined: see `srbench.networks.high_bands`.
    kernel_size : int
        Side of the filter, odd; unused with wavelets.

    Raises
    ------
    ParameterError
        If a name is unknown or ``kernel_size`` is even.

    References
    ----------
    Wei et al., "Unsupervised Real-world Image Super Resolution via Domain-distance Aware
    Training", CVPR 2021.
    """

    def __init__(
        self,
        architecture: Architecture = "fsd",
        *,
        filter: Separation = "wavelet",
        bands: Literal["cat", "sum"] = "cat",
        kernel_size: int = 5,
    ) -> None:
        super().__init__()
        _one_of("architecture", architecture, get_args(Architecture))
        _one_of("filter", filter, get_args(Separation))
        _one_of("bands", bands, ("cat", "sum"))
        self.bands = bands
        if filter == "wavelet":
            self.DWT2 = HaarFilters()
        else:
            self.filter = HighPass(kernel_size, filter)
        self.wavelet = filter == "wavelet"
        channels = 9 if self.wavelet and bands == "cat" else 3
        self.net: nn.Module = (
            PatchNet(channels, nn.InstanceNorm2d)
            if architecture == "fsd"
            else PatchGAN(channels, stride=int(architecture[-1]), inner_bias=True)
        )

    def high(self, x: Tensor) -> Tensor:
        """Map images ``(N, 3, H, W)`` in [0, 1] to what the network sees of them, in [0, 1]."""
        return high_bands(x, self.bands) if self.wavelet else cast("Tensor", self.filter(x))

    def logits(self, x: Tensor) -> Tensor:
        """Map images ``(N, 3, H, W)`` in [0, 1] to scores ``(N, 1, h, w)``, unbounded."""
        return cast("Tensor", self.net(self.high(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(N, 3, H, W)`` in [0, 1] to probabilities ``(N, 1, h, w)``."""
        return torch.sigmoid(self.logits(x))


class PatchNet(nn.Module):
    """Three 5x5 convolutions and a 1x1 one, all with stride 1: scores that see 13 x 13 pixels.

    Parameters
    ----------
    channels : int
        Of the input.
    norm : type
        ``BatchNorm2d`` or ``InstanceNorm2d`` (which learns nothing), with PyTorch's defaults.
    """

    def __init__(self, channels: int, norm: type[nn.BatchNorm2d | nn.InstanceNorm2d]) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, 64, 5, padding=2),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(64, 128, 5, padding=2),
            norm(128),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(128, 256, 5, padding=2),
            norm(256),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(256, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, channels, H, W)`` to scores ``(N, 1, H, W)``."""
        return cast("Tensor", self.net(x))


class PatchGAN(nn.Module):
    """Four 4x4 convolutions with instance norm: the patch discriminator of DASR's second stage.

    With the defaults it judges the Haar bands of a 128 x 128 image in 14 x 14 scores.

    Parameters
    ----------
    channels : int
        Of the input; 9 for the Haar bands of RGB. Parameters with the defaults: 668,737.
    stride : int
        Of the first two convolutions, 1 or 2; the last two have 1.
    inner_bias : bool
        Whether the convolutions before a norm have a bias: not in the second stage.

    Raises
    ------
    ParameterError
        If ``stride`` is neither 1 nor 2.
    """

    def __init__(self, channels: int = 9, *, stride: int = 2, inner_bias: bool = False) -> None:
        super().__init__()
        _one_of("stride", stride, (1, 2))
        self.model = nn.Sequential(
            nn.Conv2d(channels, 64, 4, stride, 1),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(64, 128, 4, stride, 1, bias=inner_bias),
            nn.InstanceNorm2d(128),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(128, 256, 4, 1, 1, bias=inner_bias),
            nn.InstanceNorm2d(256),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(256, 1, 4, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, channels, H, W)``, nominal range [0, 1], to scores ``(N, 1, h, w)``."""
        return cast("Tensor", self.model(x))


def _one_of(what: str, value: object, known: tuple[object, ...]) -> None:
    if value not in known:
        choices = ", ".join(map(str, known))
        raise ParameterError(f"a discriminator with {what}={value!r}", hint=f"use one of {choices}")
