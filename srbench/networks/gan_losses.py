"""Losses of FSSR and DASR, each a pure function of images or of a discriminator's outputs.

Legend: D = discriminator, "probabilities" = its sigmoid outputs, "logits" = its scores before the
sigmoid. Outputs of any shape; each loss is the mean over all of them and a scalar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from srbench.networks.frequency import haar

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

FLOOR = 1e-8  # added inside every logarithm of a probability


def log_generator_loss(fake: Tensor) -> Tensor:
    """``mean(-log(D(fake) + 1e-8))`` of probabilities: the generator of DSGAN and DSN."""
    return -(fake + FLOOR).log().mean()


def log_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """``mean(-log(D(real) + 1e-8)) + mean(-log(1 - D(fake) + 1e-8))`` of probabilities.

    The discriminator of DSGAN and DSN; ``fake`` is of detached images.
    """
    return -(real + FLOOR).log().mean() - (1 - fake + FLOOR).log().mean()


def bce_generator_loss(fake: Tensor) -> Tensor:
    """``BCE(D(fake), 1)`` of logits: the generator of DASR's second stage."""
    return F.softplus(-fake).mean()


def bce_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """``(BCE(D(real), 1) + BCE(D(fake), 0)) / 2`` of logits; ``fake`` is of detached images."""
    return 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())


def relativistic_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic average GAN: real ones should score above the average fake, and vice versa.

    ``(BCE(D(real) - mean D(fake), 1) + BCE(D(fake) - mean D(real), 0)) / 2`` of logits
    (Jolicoeur-Martineau, "The relativistic discriminator", 2019); ESRGAN's discriminator.
    """
    above, below = real - fake.mean(), fake - real.mean()
    return 0.5 * (F.softplus(-above).mean() + F.softplus(below).mean())


def relativistic_generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic average GAN, the generator's side: the same with the roles exchanged.

    ``(BCE(D(real) - mean D(fake), 0) + BCE(D(fake) - mean D(real), 1)) / 2`` of logits. ``real``
    is detached here.
    """
    return relativistic_discriminator_loss(fake, real.detach())


def color_loss(low: Callable[[Tensor], Tensor], first: Tensor, second: Tensor) -> Tensor:
    """``mean |low(first) - low(second)|`` of images ``(N, 3, H, W)`` in [0, 1].

    ``low`` is a low-pass: `LowPass(5, padded=False)` in DSGAN, `LowPass(9, count_padding=True)`
    in ESRGAN-FS, `low_band` in DSN.
    """
    return F.l1_loss(low(first), low(second))


def weighted_l1(weights: Tensor, sr: Tensor, hr: Tensor) -> Tensor:
    """``mean(DDM * |sr - hr|)``: DASR's pixel loss, weighted by the domain-distance map.

    Parameters
    ----------
    weights : Tensor
        The map, ``(N, 1, h, w)`` in [0, 1]; resized to the images bilinearly (corners not
        aligned), and not normalised.
    sr, hr : Tensor
        ``(N, 3, H, W)``, in [0, 1].

    Returns
    -------
    Tensor
        Scalar, at least 0.
    """
    resized = F.interpolate(weights, size=sr.shape[-2:], mode="bilinear", align_corners=False)
    return (resized * (sr - hr).abs()).mean()


def wavelet_l1(sr: Tensor, hr: Tensor) -> Tensor:
    """``mean |LL(sr) - LL(hr)|`` of images ``(N, 3, H, W)``, LL = the orthonormal Haar low-pass.

    LL of images in [0, 1] reaches 2: it is twice the mean of a block.
    """
    return F.l1_loss(haar(sr)[0], haar(hr)[0])
