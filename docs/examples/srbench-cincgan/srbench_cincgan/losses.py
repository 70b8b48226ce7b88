"""The terms of the two objectives, equations 1-5 and 6-10 of the paper; images are (N, 3, H, W)."""

from __future__ import annotations

from torch import Tensor


def judge_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Least squares: scores of real images go to 1, of generated ones to 0."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def generator_loss(fake: Tensor) -> Tensor:
    """Least squares: the scores of generated images are to be 1."""
    return (fake - 1).square().mean()


def square_loss(image: Tensor, target: Tensor) -> Tensor:
    """Mean squared error: both cycles, and the identity of the outer one."""
    return (image - target).square().mean()


def absolute_loss(image: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error: the identity of the inner cycle."""
    return (image - target).abs().mean()


def total_variation(image: Tensor) -> Tensor:
    """Mean squared difference of neighbours, along rows plus along columns."""
    across = image[..., :, 1:] - image[..., :, :-1]
    down = image[..., 1:, :] - image[..., :-1, :]
    return across.square().mean() + down.square().mean()
