"""The residual networks of WGAN-QC: potential (also called critic) and generator.

Legend: s = image side; levels = halvings from s to 4; width(i) = min(filters * 2^i, filters_max).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.errors import ParameterError

SMALLEST = 4  # side of the feature map the potential ends at and the generator starts from
SLOPE = 0.2  # of every LeakyReLU


def levels(size: int) -> int:
    """Halvings that lead from an image side to 4: 3 for 32, 4 for 64, 5 for 128.

    Raises
    ------
    ParameterError
        If ``size`` is not a power of two of at least 8.
    """
    if size < 2 * SMALLEST or size & (size - 1):
        raise ParameterError(
            f"a residual network for images of side {size}", hint="use 8, 16, 32, 64, 128, ..."
        )
    return (size // SMALLEST).bit_length() - 1


def potential_widths(size: int, filters: int, filters_max: int) -> list[tuple[int, int, int]]:
    """Widths of the two blocks of each resolution of the potential, finest first.

    Each entry is the width in, between the two blocks and out; ``levels(size) + 1`` of them.
    """
    width = [min(filters * 2**i, filters_max) for i in range(levels(size) + 2)]
    return [(width[i], width[i], width[i + 1]) for i in range(levels(size) + 1)]


def generator_widths(size: int, filters: int, filters_max: int) -> list[tuple[int, int, int]]:
    """Widths of the two blocks of each resolution of the generator, coarsest first."""
    steps = potential_widths(size, filters, filters_max)
    return [(wide, narrow, narrow) for narrow, _, wide in reversed(steps)]


class ResNetPotential(nn.Module):
    """WGAN-QC residual network from images to one real number each, without batch norm.

    The potential f of optimal transport, the critic of a Wasserstein GAN. State keys are those
    of the released checkpoints: ``conv_img.*``, ``resnet.i.*``, ``fc.*``.

    Parameters
    ----------
    size : int
        Side s of the square input images: a power of two, at least 8. Parameters with the
        default widths: 22,933,441 at 64, 32,372,673 at 128.
    filters, filters_max : int
        Width at full resolution, doubled at each halving, and the width it stops at.
    res_ratio : float
        Factor of the residual branch.
    init_slope : float or None
        Slope of the LeakyReLU that Kaiming-normal initialisation (fan out) of the convolution
        weights assumes: 0.0 in the Wasserstein-2 experiments, 0.2 in those on photographs. None
        keeps PyTorch's defaults, as biases and the last layer always do.

    Raises
    ------
    ParameterError
        If ``size`` is not a power of two of at least 8.

    References
    ----------
    Liu, Gu, Samaras, "Wasserstein GAN With Quadratic Transport Cost", ICCV 2019.
    """

    def __init__(
        self,
        size: int = 64,
        filters: int = 64,
        *,
        filters_max: int = 512,
        res_ratio: float = 0.1,
        init_slope: float | None = 0.0,
    ) -> None:
        super().__init__()
        self.size = size
        widths = potential_widths(size, filters, filters_max)
        layers: list[nn.Module] = []
        for first, between, last in widths:
            if layers:
                layers.append(nn.AvgPool2d(3, stride=2, padding=1))
            layers.append(ResBlock(first, between, res_ratio=res_ratio))
            layers.append(ResBlock(between, last, res_ratio=res_ratio))
        self.conv_img = nn.Conv2d(3, widths[0][0], 3, padding=1)
        self.resnet = nn.Sequential(*layers)
        self.fc = nn.Linear(widths[-1][-1] * SMALLEST**2, 1)
        if init_slope is not None:
            kaiming_convolutions(self, init_slope)

    def forward(self, x: Tensor) -> Tensor:
        """Value of each image.

        Parameters
        ----------
        x : Tensor
            ``(N, 3, size, size)``, nominal range [-1, 1].

        Returns
        -------
        Tensor
            ``(N,)``, unbounded.

        Raises
        ------
        ParameterError
            If the images are not of the side the network was built for.
        """
        if x.shape[1:] != (3, self.size, self.size):
            raise ParameterError(
                f"a potential for 3x{self.size}x{self.size} images got {tuple(x.shape)}",
                hint=f"build it with size={x.shape[-1]}",
            )
        y = F.leaky_relu(self.conv_img(x), SLOPE, inplace=True)
        y = self.resnet(y).flatten(1)  # in C, H, W order whatever the memory format
        return cast("Tensor", self.fc(y)).squeeze(1)


class ResNetGenerator(nn.Module):
    """WGAN-QC residual generator with batch norm: noise to images in [-1, 1].

    In eval mode its samples are the clean faces of the Wasserstein-2 benchmark. State keys are
    those of the released checkpoint: ``fc``, ``bn1d``, ``resnet.i``, ``conv_img``.

    Parameters
    ----------
    z_dim : int
        Length of the noise vector.
    size : int
        Side of the images: a power of two, at least 8. Parameters with the defaults: 24,004,675.
    filters, filters_max : int
        Width at full resolution, doubled at each halving, and the width it stops at.
    res_ratio : float
        Factor of the residual branch.

    Raises
    ------
    ParameterError
        If ``size`` is not a power of two of at least 8.

    References
    ----------
    Liu, Gu, Samaras, "Wasserstein GAN With Quadratic Transport Cost", ICCV 2019; Korotin et al.,
    "Do Neural Optimal Transport Solvers Work? A Continuous Wasserstein-2 Benchmark", 2021.
    """

    def __init__(
        self,
        z_dim: int = 128,
        size: int = 64,
        *,
        filters: int = 64,
        filters_max: int = 512,
        res_ratio: float = 0.1,
    ) -> None:
        super().__init__()
        widths = generator_widths(size, filters, filters_max)
        layers: list[nn.Module] = []
        for first, between, last in widths:
            if layers:
                layers.append(nn.Upsample(scale_factor=2))
            layers.append(NormedResBlock(first, between, res_ratio=res_ratio))
            layers.append(NormedResBlock(between, last, res_ratio=res_ratio))
        features = widths[0][0] * SMALLEST**2
        self.fc = nn.Linear(z_dim, features)
        self.bn1d = nn.BatchNorm1d(features)
        self.resnet = nn.Sequential(*layers)
        self.conv_img = nn.Conv2d(widths[-1][-1], 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Map noise ``(N, z_dim)`` to images ``(N, 3, size, size)`` in [-1, 1]."""
        y = F.leaky_relu(self.bn1d(self.fc(z)), SLOPE, inplace=True)
        y = self.resnet(torch.unflatten(y, 1, (-1, SMALLEST, SMALLEST)))
        return torch.tanh(self.conv_img(y))


class ResBlock(nn.Module):
    """lrelu(shortcut + res_ratio * conv_1(lrelu(conv_0(x)))), convolutions with bias."""

    def __init__(self, inputs: int, outputs: int, *, res_ratio: float) -> None:
        super().__init__()
        hidden = min(inputs, outputs)
        self.res_ratio = res_ratio
        self.conv_0 = nn.Conv2d(inputs, hidden, 3, padding=1)
        self.conv_1 = nn.Conv2d(hidden, outputs, 3, padding=1)
        if inputs != outputs:
            self.conv_s = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.learned_shortcut = inputs != outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, inputs, H, W)`` to ``(N, outputs, H, W)``."""
        shortcut = self.conv_s(x) if self.learned_shortcut else x
        residual = self.conv_1(F.leaky_relu(self.conv_0(x), SLOPE, inplace=True))
        return F.leaky_relu(
            torch.add(shortcut, residual, alpha=self.res_ratio), SLOPE, inplace=True
        )


class NormedResBlock(nn.Module):
    """The same block with batch norm after each convolution, which then has no bias."""

    def __init__(self, inputs: int, outputs: int, *, res_ratio: float) -> None:
        super().__init__()
        hidden = min(inputs, outputs)
        self.res_ratio = res_ratio
        self.conv_0 = nn.Conv2d(inputs, hidden, 3, padding=1, bias=False)
        self.bn2d_0 = nn.BatchNorm2d(hidden)
        self.conv_1 = nn.Conv2d(hidden, outputs, 3, padding=1, bias=False)
        self.bn2d_1 = nn.BatchNorm2d(outputs)
        if inputs != outputs:
            self.conv_s = nn.Conv2d(inputs, outputs, 1, bias=False)
            self.bn2d_s = nn.BatchNorm2d(outputs)
        self.learned_shortcut = inputs != outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, inputs, H, W)`` to ``(N, outputs, H, W)``."""
        shortcut = self.bn2d_s(self.conv_s(x)) if self.learned_shortcut else x
        hidden = F.leaky_relu(self.bn2d_0(self.conv_0(x)), SLOPE, inplace=True)
        residual = self.bn2d_1(self.conv_1(hidden))
        return F.leaky_relu(
            torch.add(shortcut, residual, alpha=self.res_ratio), SLOPE, inplace=True
        )


def kaiming_convolutions(network: nn.Module, slope: float) -> None:
    """Draw every convolution weight anew, Kaiming normal with fan out and the gain of a LeakyReLU.

    Standard deviation sqrt(2 / ((1 + slope^2) * outputs * kernel area)). Biases stay as they are.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(
                layer.weight, a=slope, mode="fan_out", nonlinearity="leaky_relu"
            )
