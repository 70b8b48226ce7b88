"""Structural similarity equal to scikit-image's default, as sums of shifted images.

Legend: mu = mean and sigma = variance or covariance over the window, C1 and C2 = the constants of
Wang et al. (2004), L = 255 the data range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from srbench.errors import DataError
from srbench.evaluation.mean import MeanMetric, expect, pattern, unit_range
from srbench.evaluation.reducers import shards

if TYPE_CHECKING:
    from torch import Tensor

WINDOW = 7
PIXELS = WINDOW * WINDOW
CENTRE = 128.0  # integers this small keep every window sum below 2^24, so float32 adds exactly
CACHED = 2**17  # values worked on at a time on the CPU: few enough for its cache
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2


def to_uint8_levels(images: Tensor) -> Tensor:
    """Levels 0..255 of [-1, 1] images, clamped and rounded half to even, still float32."""
    return (unit_range(images).clamp(0, 1) * 255).round()


def window_sums(images: Tensor) -> Tensor:
    """Sum over each 7x7 window inside the image: (N, C, H, W) to (N, C, H - 6, W - 6)."""
    for axis in (2, 3):
        size = images.shape[axis]
        pairs = images.narrow(axis, 0, size - 1) + images.narrow(axis, 1, size - 1)
        fours = pairs.narrow(axis, 0, size - 3) + pairs.narrow(axis, 2, size - 3)
        images = (
            fours.narrow(axis, 0, size - 6)
            + pairs.narrow(axis, 4, size - 6)
            + images.narrow(axis, 6, size - 6)
        )
    return images


def ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """SSIM of each image, equal to ``skimage.metrics.structural_similarity`` on uint8 RGB.

    Uniform 7x7 window, sample covariances (divided by 48), data range 255, mean over channels and
    over the windows inside the image; no downsampling.

    Parameters
    ----------
    prediction, target : Tensor
        Levels 0..255 as float32, shape (N, C, H, W), H and W at least 7.

    Returns
    -------
    Tensor
        Shape (N,), at most 1, float64.

    Raises
    ------
    DataError
        If the images are smaller than the window.
    """
    if min(prediction.shape[-2:]) < WINDOW:
        raise DataError(
            f"SSIM needs images of at least {WINDOW}x{WINDOW} pixels, "
            f"got {prediction.shape[-2]}x{prediction.shape[-1]}"
        )
    size = len(prediction)
    if prediction.device.type == "cpu":
        size = max(1, CACHED // prediction[0].numel())
    pairs = zip(shards(prediction, size), shards(target, size), strict=True)
    return torch.cat([_ssim(x - CENTRE, y - CENTRE) for x, y in pairs])


def _ssim(x: Tensor, y: Tensor) -> Tensor:
    """SSIM of centred levels; see `ssim`."""
    mu_x, mu_y = window_sums(x).div_(PIXELS), window_sums(y).div_(PIXELS)
    sigma = window_sums(x * x + y * y).sub_((mu_x * mu_x + mu_y * mu_y).mul_(PIXELS))
    sigma_xy = window_sums(x * y).sub_((mu_x * mu_y).mul_(PIXELS))
    mu_x, mu_y = mu_x.add_(CENTRE), mu_y.add_(CENTRE)
    sample = 1 / (PIXELS - 1)
    top = (2 * mu_x * mu_y).add_(C1).mul_(sigma_xy.mul_(2 * sample).add_(C2))
    bottom = (mu_x.square_() + mu_y.square_()).add_(C1).mul_(sigma.mul_(sample).add_(C2))
    return top.div_(bottom).flatten(1).mean(1, dtype=torch.float64)


class SSIM(MeanMetric):
    """Mean SSIM by the definition of scikit-image's defaults."""

    protocol: ClassVar[str] = "ssim/rgb-uint8-rounded/uniform7/v1"

    def values(self, prediction: Tensor, target: Tensor, lr: Tensor) -> Tensor:
        """Return the SSIM of each image."""
        return ssim(to_uint8_levels(prediction), to_uint8_levels(target))

    def self_check(self) -> None:
        """Check SSIM(x, x) = 1 and the closed form of two constant images."""
        images = to_uint8_levels(pattern(2, (3, 16, 16)))
        expect("SSIM(x, x)", float(ssim(images, images).mean()), 1, tolerance=1e-6)
        black = torch.zeros(1, 3, 8, 8)
        value, wanted = float(ssim(black, black + 10)), C1 / (100 + C1)
        expect("SSIM of levels 0 and 10", value, wanted, tolerance=1e-6)
