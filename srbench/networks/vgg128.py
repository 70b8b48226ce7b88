"""The discriminator of ESRGAN, shaped like a VGG."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from srbench.errors import ParameterError

SLOPE = 0.2  # of every LeakyReLU
LEVELS = 5  # halvings; widths 1, 2, 4, 8, 8 times the first
HIDDEN = 100


class VGG128(nn.Module):
    """ESRGAN's discriminator: an image to one score, with batch norm.

    Pairs of convolutions, 3x3 and 4x4 with stride 2, five times, then two linear layers. FSSR
    shows it high frequencies and trains it in train mode throughout. State keys are those of the
    original code.

    Parameters
    ----------
    features : int
        Width of the first pair, at least 1.
    size : int
        Side of the images, a multiple of 32. Parameters with the defaults: 14,499,401.

    Raises
    ------
    ParameterError
        If ``size`` is not a positive multiple of 32 or ``features`` is not positive.

    References
    ----------
    Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", ECCVW 2018.
    """

    def __init__(self, features: int = 64, *, size: int = 128) -> None:
        super().__init__()
        if features < 1 or size < 1 or size % 2**LEVELS:
            raise ParameterError(
                f"VGG128: features={features}, size={size}",
                hint="give features >= 1 and a size of 32, 64, 96, 128, ...",
            )
        self.size = size
        inputs = 3
        for level in range(LEVELS):
            width = features * min(2**level, 8)
            self.add_module(f"conv{level}_0", nn.Conv2d(inputs, width, 3, 1, 1, bias=level == 0))
            if level:
                self.add_module(f"bn{level}_0", nn.BatchNorm2d(width))
            self.add_module(f"conv{level}_1", nn.Conv2d(width, width, 4, 2, 1, bias=False))
            self.add_module(f"bn{level}_1", nn.BatchNorm2d(width))
            inputs = width
        self.linear1 = nn.Linear(inputs * (size // 2**LEVELS) ** 2, HIDDEN)
        self.linear2 = nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Score of each image.

        Parameters
        ----------
        x : Tensor
            ``(N, 3, size, size)``, nominal range [0, 1].

        Returns
        -------
        Tensor
            ``(N, 1)``, unbounded.

        Raises
        ------
        ParameterError
            If the images are not of the side the network was built for.
        """
        if x.shape[1:] != (3, self.size, self.size):
            raise ParameterError(
                f"a discriminator of 3x{self.size}x{self.size} images got {tuple(x.shape)}",
                hint=f"build it with size={x.shape[-1]}",
            )
        for level in range(LEVELS):
            for half in range(2):
                x = self.get_submodule(f"conv{level}_{half}")(x)
                if level or half:
                    x = self.get_submodule(f"bn{level}_{half}")(x)
                x = F.leaky_relu(x, SLOPE, inplace=True)
        x = F.leaky_relu(self.linear1(x.flatten(1)), SLOPE, inplace=True)
        return cast("Tensor", self.linear2(x))
