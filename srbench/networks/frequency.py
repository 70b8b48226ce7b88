"""Separation of low from high frequencies, as FSSR and DASR do it.

FSSR filters with an average or a Gaussian; DASR takes the Haar wavelet. High frequencies of images
in [0, 1] are mapped to [0, 1] as well: 0.5 + 0.5 * high, so 0.5 means none.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.errors import ParameterError

Filter = Literal["avg", "gau"]
SIGMA_SHARE = 1 / 6  # standard deviation of the Gaussian, in kernel sizes
ODD = "use an odd number"


class LowPass(nn.Module):
    """Average or Gaussian filter with stride 1.

    Parameters
    ----------
    kernel : int
        Side of the filter, odd: 5 in DSGAN and DSN, 9 in ESRGAN-FS.
    filter : {"avg", "gau"}
        Plain average, or Gaussian with a standard deviation of kernel / 6.
    padded : bool
        Whether the output has the size of the input; otherwise it is smaller by kernel - 1.
    count_padding : bool
        Whether padded zeros count in the average: yes in ESRGAN-FS, no in DSGAN and DSN. The
        Gaussian always counts them.

    Raises
    ------
    ParameterError
        If ``kernel`` is even or not positive.
    """

    def __init__(
        self,
        kernel: int = 5,
        filter: Filter = "avg",
        *,
        padded: bool = True,
        count_padding: bool = False,
    ) -> None:
        super().__init__()
        padding = _half(kernel) if padded else 0
        self.filter: nn.Module = (
            GaussianFilter(kernel, padding=padding)
            if filter == "gau"
            else nn.AvgPool2d(kernel, 1, padding, count_include_pad=count_padding)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, 3, H, W)`` to its low frequencies, in the range of the input."""
        return cast("Tensor", self.filter(x))


class HighPass(nn.Module):
    """0.5 + 0.5 * (x - low(x)) of images in [0, 1].

    Parameters
    ----------
    kernel, filter, count_padding
        See `LowPass`; always padded.
    """

    def __init__(
        self, kernel: int = 5, filter: Filter = "avg", *, count_padding: bool = False
    ) -> None:
        super().__init__()
        self.filter_low = LowPass(kernel, filter, count_padding=count_padding)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, 3, H, W)`` in [0, 1] to its high frequencies, same shape, in [0, 1]."""
        return 0.5 + 0.5 * (x - cast("Tensor", self.filter_low(x)))


class GaussianFilter(nn.Module):
    """Depthwise convolution of three channels with a Gaussian whose weights sum to 1.

    The weight is a buffer, not trained, under the official key ``gaussian_filter.weight``.
    """

    def __init__(self, kernel: int = 5, *, padding: int = 0) -> None:
        super().__init__()
        self.padding = padding
        self.gaussian_filter = nn.Module()
        weight = gaussian_kernel(kernel, kernel * SIGMA_SHARE)
        self.gaussian_filter.register_buffer("weight", weight.repeat(3, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, 3, H, W)`` to the filtered images; zeros surround them where padded."""
        weight = cast("Tensor", self.gaussian_filter.weight)
        return F.conv2d(x, weight, padding=self.padding, groups=3)


class HaarFilters(nn.Module):
    """The Haar transform as a module, whose buffers are those of DASR's checkpoints.

    They are there to load and save these files by key; their values are fixed, and the transform
    is `haar` whatever they hold.
    """

    def __init__(self) -> None:
        super().__init__()
        half = 0.5**0.5
        for axis, shape in (("col", (1, 1, 2, 1)), ("row", (1, 1, 1, 2))):
            self.register_buffer(f"h0_{axis}", torch.tensor((half, half)).reshape(shape))
            self.register_buffer(f"h1_{axis}", torch.tensor((half, -half)).reshape(shape))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return LL and the bands of `haar`."""
        return haar(x)


def haar(x: Tensor) -> tuple[Tensor, Tensor]:
    """One level of the orthonormal Haar wavelet transform.

    Of a block [[a, b], [c, d]]: LL = (a+b+c+d)/2, and the bands (a+b-c-d)/2, (a-b+c-d)/2,
    (a-b-c+d)/2 in this order. An odd side is made even by reflection at its end.

    Parameters
    ----------
    x : Tensor
        ``(N, C, H, W)``, sides of at least 2.

    Returns
    -------
    ll : Tensor
        ``(N, C, ceil(H / 2), ceil(W / 2))``; in [0, 2] for images in [0, 1].
    bands : Tensor
        ``(N, 3, C, ceil(H / 2), ceil(W / 2))``; in [-1, 1] for images in [0, 1].
    """
    odd_rows, odd_columns = x.shape[-2] % 2, x.shape[-1] % 2
    if odd_rows or odd_columns:
        x = F.pad(x, (0, odd_columns, 0, odd_rows), mode="reflect")
    top, bottom = x[..., ::2, :], x[..., 1::2, :]
    down, across = 0.5 * (top + bottom), 0.5 * (top - bottom)  # sums and differences of rows
    ll = down[..., ::2] + down[..., 1::2]
    bands = (
        across[..., ::2] + across[..., 1::2],
        down[..., ::2] - down[..., 1::2],
        across[..., ::2] - across[..., 1::2],
    )
    return ll, torch.stack(bands, 1)


def high_bands(x: Tensor, combine: Literal["cat", "sum"] = "cat") -> Tensor:
    """Haar bands as DASR's discriminators see them: 0.5 + 0.5 * band.

    Parameters
    ----------
    x : Tensor
        ``(N, C, H, W)`` in [0, 1].
    combine : {"cat", "sum"}
        Bands one after the other, all channels of the first first, or their average.

    Returns
    -------
    Tensor
        ``(N, 3 * C, H / 2, W / 2)`` or ``(N, C, H / 2, W / 2)``, in [0, 1].
    """
    bands = haar(x)[1]
    return 0.5 + 0.5 * (bands.flatten(1, 2) if combine == "cat" else bands.mean(1))


def low_band(x: Tensor) -> Tensor:
    """LL / 2, the mean of each 2 x 2 block: ``(N, C, H / 2, W / 2)`` in the range of x."""
    return 0.5 * haar(x)[0]


def receptive_average(scores: Tensor, size: int = 17) -> Tensor:
    """Spread a map of scores over the field each of them saw: DASR's domain-distance map.

    Average over ``size`` x ``size`` scores with stride 1; what lies outside is not counted. The
    field of DASR's discriminator of four 5 x 5 convolutions is 17.

    Parameters
    ----------
    scores : Tensor
        ``(N, 1, H, W)``.
    size : int
        Side of the field, odd.

    Returns
    -------
    Tensor
        ``(N, 1, H, W)``, in the range of the scores.

    Raises
    ------
    ParameterError
        If ``size`` is even or not positive.
    """
    return F.avg_pool2d(scores, size, 1, _half(size), count_include_pad=False)


def gaussian_kernel(size: int, sigma: float) -> Tensor:
    """Gaussian weights ``(size, size)`` around the centre, which sum to 1; ``size`` is odd."""
    offsets = torch.arange(size, dtype=torch.float64) - _half(size)
    line = torch.exp(-offsets.square() / (2 * sigma**2))
    plane = torch.outer(line, line)
    return (plane / plane.sum()).float()


def _half(size: int) -> int:
    """Padding that keeps the size under an odd kernel."""
    if size < 1 or size % 2 == 0:
        raise ParameterError(f"a filter of side {size} has no centre", hint=ODD)
    return size // 2
