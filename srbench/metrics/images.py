"""Metrics of pairs of images: one value for each image."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from srbench.evaluation import lpips_alex
from srbench.evaluation import psnr as _psnr
from srbench.evaluation import ssim as _ssim
from srbench.metrics.shapes import alike, colours, floats

if TYPE_CHECKING:
    from torch import Tensor


def psnr(restored: Tensor, clean: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image, ``-10 log10(MSE + 1e-8)`` at data range 1.

    Parameters
    ----------
    restored, clean : Tensor
        Shape (N, C, H, W), nominal range [-1, 1]; clamped here.

    Returns
    -------
    Tensor
        Shape (N,), dB, at most 80 (equal images), float64. Higher is better.

    Raises
    ------
    DataError
        If the shapes differ or are not those of images.

    Notes
    -----
    The definition of piq, whose ``1e-8`` bounds it; protocol ``psnr/rgb-float-clamped/...``.

    Examples
    --------
    >>> import torch
    >>> grey = torch.zeros(1, 3, 8, 8)
    >>> psnr(grey + 0.2, grey).round(decimals=3)  # an error of 0.1 at data range 1
    tensor([20.], dtype=torch.float64)
    """
    floats("restored", restored, 4)
    alike(restored=restored, clean=clean)
    return _psnr.psnr(restored, clean)


def ssim(restored: Tensor, clean: Tensor) -> Tensor:
    """Structural similarity of each image, as scikit-image's default on 8-bit RGB.

    Parameters
    ----------
    restored, clean : Tensor
        Shape (N, C, H, W), H and W at least 7, nominal range [-1, 1]; clamped and rounded to 256
        levels here.

    Returns
    -------
    Tensor
        Shape (N,), at most 1 (equal images), float64. Higher is better.

    Raises
    ------
    DataError
        If the shapes differ or the images are smaller than the window of 7 x 7.

    References
    ----------
    Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.

    Examples
    --------
    >>> import torch
    >>> image = torch.linspace(-1, 1, 3 * 16 * 16).reshape(1, 3, 16, 16)
    >>> ssim(image, image)
    tensor([1.], dtype=torch.float64)
    """
    floats("restored", restored, 4)
    alike(restored=restored, clean=clean)
    return _ssim.ssim(_ssim.to_uint8_levels(restored), _ssim.to_uint8_levels(clean))


def lpips(restored: Tensor, clean: Tensor, network: Any = None) -> Tensor:
    """Learned perceptual distance of each image (AlexNet, version 0.1).

    Parameters
    ----------
    restored, clean : Tensor
        Shape (N, 3, H, W), H and W at least 32, nominal range [-1, 1]; clamped here.
    network : lpips.LPIPS, optional
        On the device of the images; by default that of this machine's AlexNet weights.

    Returns
    -------
    Tensor
        Shape (N,), at least 0 (equal images), float32. Lower is better.

    Raises
    ------
    DataError
        If the shapes differ or are not those of RGB images.
    MissingWeights
        If the weights are not on this machine; the hint is the command that gets them.

    References
    ----------
    Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018.

    Examples
    --------
    >>> import torch
    >>> lpips(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))  # doctest: +SKIP
    tensor([0.])
    """
    colours("restored", restored)
    alike(restored=restored, clean=clean)
    network = network or _alexnet().to(restored.device)
    first, second = (lpips_alex.tower(network, images.float()) for images in (restored, clean))
    return lpips_alex.distance(network, first, second).clone()  # of inference no more


@cache
def _alexnet() -> Any:
    from srbench import weights

    return lpips_alex.build_network(weights.load("alexnet"))
