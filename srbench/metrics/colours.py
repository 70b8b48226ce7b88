"""Metrics of the colours and of the frequencies of two sets of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from srbench.errors import DataError
from srbench.evaluation import colours as _colours
from srbench.evaluation import palette, sliced
from srbench.evaluation import palette_sw2 as _sw2
from srbench.evaluation import spectrum as _spectrum
from srbench.metrics.shapes import colours, floats

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.evaluation.reducers import Moments


def palette_variance(images: Tensor) -> float:
    """Total variance of the colours of random pixels: how colourful images are.

    Clouds of 1024 pixels, colours in [0, 1]^3; the mean over 100 clouds drawn with a fixed seed.

    Parameters
    ----------
    images : Tensor
        Shape (N, 3, H, W), nominal range [-1, 1], not clamped.

    Returns
    -------
    float
        At least 0 (one colour). Read against that of the HR images; neither more nor less is
        better by itself.

    Raises
    ------
    DataError
        If they are no RGB images.

    References
    ----------
    Gazdieva et al., "Unpaired Image Super-Resolution with Optimal Transport Maps", appendix D.

    Examples
    --------
    >>> import torch
    >>> palette_variance(torch.full((2, 3, 8, 8), 0.5))
    0.0
    """
    colours("images", images)
    clouds = palette.Clouds()
    clouds.update(images)
    return float(clouds.variances().mean())


def palette_gap(restored: Tensor, clean: Tensor) -> float:
    """``100 |var(T(x)) - var(y)| / var(y)``: total variances of the colours of all pixels.

    Parameters
    ----------
    restored, clean : Tensor
        Shape (N, 3, H, W) and (M, 3, H', W'), nominal range [-1, 1], not clamped.

    Returns
    -------
    float
        Percent, at least 0. Lower is better.

    Raises
    ------
    DataError
        If they are no RGB images.
    SrbenchError
        If the clean images are of one colour.

    Examples
    --------
    >>> import torch
    >>> checks = torch.tensor([-0.8, 0.8]).expand(1, 3, 2, 2)
    >>> round(palette_gap(checks / 2, checks), 3)  # half the contrast, a quarter of the variance
    75.0
    """
    first, second = _moments(restored, clean)
    return _colours.relative_gap(float(first.variance().sum()), float(second.variance().sum()))


def colour_shift(restored: Tensor, clean: Tensor) -> float:
    """Euclidean distance between the mean colours of two sets of images, RGB in [0, 1].

    Parameters
    ----------
    restored, clean : Tensor
        Shape (N, 3, H, W) and (M, 3, H', W'), nominal range [-1, 1], not clamped.

    Returns
    -------
    float
        At least 0; at most sqrt(3) of images in range. Lower is better.

    Raises
    ------
    DataError
        If they are no RGB images.

    Examples
    --------
    >>> import torch
    >>> grey = torch.zeros(1, 3, 4, 4)
    >>> round(colour_shift(grey + 0.2, grey), 4)  # 0.1 in each channel
    0.1732
    """
    first, second = _moments(restored, clean)
    return float((first.mean - second.mean).norm())


def palette_sw2(restored: Tensor, clean: Tensor, lr: Tensor) -> float:
    """``SW2(T(x), y) / SW2(x, y)`` between clouds of colours, over 64 fixed directions.

    Parameters
    ----------
    restored, clean, lr : Tensor
        Colours, shape (K, 3), in [0, 1], not clamped: pixels drawn from images.

    Returns
    -------
    float
        0 where the restored palette is the HR one, 1 where it is no nearer than the LR one. Lower
        is better.

    Raises
    ------
    DataError
        If they are no clouds of colours.
    SrbenchError
        If the LR palette is the HR palette.

    Examples
    --------
    >>> import torch
    >>> y = torch.rand(50, 3, generator=torch.Generator().manual_seed(0))
    >>> round(palette_sw2(y + 0.1, y, y + 0.2), 4)
    0.5
    """
    for name, cloud in (("restored", restored), ("clean", clean), ("lr", lr)):
        floats(name, cloud, 2)
        if cloud.shape[1] != 3:
            raise DataError(f"{name} has shape {tuple(cloud.shape)}, not (K, 3)")
    directions = sliced.unit_directions(_sw2.DIRECTIONS, 3, _sw2.SEED)
    return _sw2.palette_ratio(sliced.sliced_w2(restored, clean, directions),
                              sliced.sliced_w2(lr, clean, directions))


def spectrum(images: Tensor) -> Tensor:
    """Mean log power of images in 32 rings of radial frequency, up to half a cycle per pixel.

    Parameters
    ----------
    images : Tensor
        Shape (N, C, H, W), nominal range [-1, 1], not clamped.

    Returns
    -------
    Tensor
        Shape (32,), nats, float64; ring k is around k / 64 cycles per pixel. NaN in rings in which
        images of that size have no frequency.

    Raises
    ------
    DataError
        If they are no images.

    Notes
    -----
    Power is ``|FFT|^2 / (H W)`` of values in [0, 1], plus 1e-10: that of white noise is its
    variance at every frequency.

    Examples
    --------
    >>> import torch
    >>> noise = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> lost = spectrum(noise) - spectrum(noise / 2)  # half the contrast: log 4 everywhere
    >>> torch.allclose(lost, torch.tensor(4.0).double().log(), atol=1e-4)
    True
    """
    floats("images", images, 4)
    profile = _spectrum.Profile(0.5)
    profile.update(images)
    return profile.mean()


def spectrum_gap(restored: Tensor, clean: Tensor) -> float:
    """Mean absolute difference between the spectra of two sets of images, in nats.

    Parameters
    ----------
    restored, clean : Tensor
        Shape (N, C, H, W) and (M, C, H', W'), nominal range [-1, 1], not clamped.

    Returns
    -------
    float
        At least 0. Lower is better.

    Raises
    ------
    DataError
        If they are no images.

    Examples
    --------
    >>> import torch
    >>> noise = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> round(spectrum_gap(noise / 2, noise), 4)  # log 4
    1.3863
    """
    return _spectrum.spectrum_gap(spectrum(restored), spectrum(clean))


def _moments(restored: Tensor, clean: Tensor) -> tuple[Moments, Moments]:
    colours("restored", restored)
    colours("clean", clean)
    return _colours.colour_moments(restored), _colours.colour_moments(clean)
