"""The terms of both objectives, l = alpha l_pixel + beta l_GAN (equation 1 of the paper)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import avg_pool2d, relu


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge: scores (N,) of real images are to be above 1, of generated ones below -1."""
    return relu(1 - real).mean() + relu(1 + fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Scores (N,) of generated images are to be large."""
    return -fake.mean()


def pixel_loss(image: Tensor, target: Tensor) -> Tensor:
    """Mean squared error; a target ``s`` times larger is averaged over s x s pixels first."""
    ratio = target.shape[-1] // image.shape[-1]
    return (image - avg_pool2d(target, ratio)).square().mean()
