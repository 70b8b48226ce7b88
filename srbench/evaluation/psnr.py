"""Peak signal-to-noise ratio by the definition of piq."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from srbench.evaluation.mean import MeanMetric, expect, pattern, unit_range

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-8  # piq adds it to the mean squared error, so equal images score 80 dB


def psnr(prediction: Tensor, target: Tensor) -> Tensor:
    """PSNR of each image, ``-10 log10(MSE + 1e-8)`` on clamped float RGB of data range 1.

    Parameters
    ----------
    prediction, target : Tensor
        Shape (N, C, H, W), nominal range [-1, 1]; clamped here.

    Returns
    -------
    Tensor
        Shape (N,), dB, at most 80, float64.
    """
    gap = unit_range(prediction.clamp(-1, 1)) - unit_range(target.clamp(-1, 1))
    mse = gap.square().flatten(1).mean(1, dtype=torch.float64)
    return -10 * torch.log10(mse + EPSILON)


class PSNR(MeanMetric):
    """Mean of the PSNR of each image (not the PSNR of the mean error)."""

    protocol: ClassVar[str] = "psnr/rgb-float-clamped/piq-eps1e-8/v1"

    def values(self, prediction: Tensor, target: Tensor, lr: Tensor) -> Tensor:
        """Return the PSNR of each image in dB."""
        return psnr(prediction, target)

    def self_check(self) -> None:
        """Check the cap of equal images and a known error."""
        images = pattern(2, (3, 8, 8))
        expect("PSNR(x, x)", float(psnr(images, images).mean()), 80, tolerance=1e-9)
        half = torch.zeros(1, 3, 4, 4)
        expect("PSNR of an error of 0.1", float(psnr(half, half + 0.2)), 20, tolerance=1e-5)
