"""Tiny datasets made of formulas, whose map from P to Q is known: nothing is fetched.

Legend: x ~ P (low resolution), y ~ Q (high resolution), T* = the map with T*#P = Q.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from srbench.api.dataset import Dataset
from srbench.api.parameters import Parameters
from srbench.api.problem import Problem

TEST, VALIDATION, TRAIN_LR, TRAIN_HR, MAP = range(5)  # streams of one seed
GAIN = (0.9, 0.6, 1.1)  # of T* on images, by channel
SHIFT = (0.15, -0.25, 0.05)
WAVES = 3  # in each channel of an image
AMPLITUDE = 0.27  # largest of one wave, so that images stay in [-1, 1]
WAVE_VARIANCE = WAVES * AMPLITUDE**2 / 6  # of one value: E[a^2] / 2 a wave, a ~ U(0, AMPLITUDE)


def stream(seed: int, which: int) -> torch.Generator:
    """Return a generator on the CPU for one purpose of a dataset."""
    return torch.Generator().manual_seed(1000 * seed + which)


class Synthetic(Dataset):
    """What the synthetic datasets of one size share: pairs (x, T*(x)) of samples of P.

    Parameters
    ----------
    problem : Problem
        Shapes and domain.
    seed : int
        Decides the held-out pairs, and for vectors T* too.
    """

    source = "generated"
    known_map = True
    test_size = 12

    def __init__(self, problem: Problem, seed: int) -> None:
        super().__init__(Parameters(), f"synthetic-{problem.domain}")
        self.problem, self.seed = problem, seed
        self.device = torch.device("cpu")

    def fingerprint(self) -> str:
        """SHA-256 of the class, the shapes and the seed."""
        words = f"{type(self).__name__} v1 {self.problem} {self.seed}"
        return hashlib.sha256(words.encode()).hexdigest()

    def prepare(self, device: torch.device) -> None:
        """Note where samples are wanted."""
        self.device = device

    def true_map(self, lr: Tensor) -> Tensor:
        """Return T*(x), samples of Q where ``lr`` are samples of P."""
        raise NotImplementedError

    def sample_hr(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw T* of ``n`` new samples of P."""
        return self.true_map(self.sample_lr(n, generator))

    def test_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the test pairs (x, T*(x))."""
        return self._pairs(TEST, self.test_size, batch_size)

    def validation_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the validation pairs, half as many."""
        return self._pairs(VALIDATION, self.test_size // 2, batch_size)

    def _pairs(self, which: int, size: int,
               batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        lr = self.sample_lr(size, stream(self.seed, which))
        for at in range(0, size, batch_size):
            x = lr[at:at + batch_size]
            yield x.to(self.device), self.true_map(x).to(self.device)


class SyntheticVectors(Synthetic):
    """P = N(0, I) and Q = N(b, W^2): T*(x) = W x + b with W symmetric and positive.

    That T* is the optimal transport map, and its quantities are known in closed form.

    Parameters
    ----------
    dim : int
        Values of a sample.
    seed : int
        Decides W, b and the pairs.

    Attributes
    ----------
    weight, bias : Tensor
        W, shape (dim, dim), eigenvalues in [0.5, 1.5], and b, shape (dim,).
    """

    test_size = 64

    def __init__(self, dim: int = 4, *, seed: int = 0) -> None:
        super().__init__(Problem(domain="vector", lr_shape=(dim,), hr_shape=(dim,)), seed)
        generator = stream(seed, MAP)
        basis = torch.linalg.qr(torch.randn(dim, dim, generator=generator).double())[0]
        values = 0.5 + torch.rand(dim, generator=generator).double()
        self.weight = ((basis * values) @ basis.T).float()
        self.bias = torch.randn(dim, generator=generator) / 2

    def true_map(self, lr: Tensor) -> Tensor:
        """Return W x + b of ``lr``, shape (N, dim)."""
        mapped: Tensor = lr @ self.weight.to(lr.device) + self.bias.to(lr.device)
        return mapped

    def sample_lr(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` normal vectors, (n, dim)."""
        return torch.randn(n, *self.problem.lr_shape, generator=generator,
                           device=generator.device)

    def facts(self) -> dict[str, Any]:
        """``tr W^2``, and ``1/2 (|W - I|^2 + |b|^2)`` for the transport cost."""
        weight, bias = self.weight.double(), self.bias.double()
        moved = (weight - torch.eye(len(weight))).square().sum() + bias.square().sum()
        return {"hr_variance": float(weight.square().sum()), "transport_cost": float(moved) / 2,
                "test_size": self.test_size}


class SyntheticImages(Synthetic):
    """Sums of random waves, and T* a gain and a shift of each channel.

    T* is the optimal transport map: the gradient of a convex function.

    Parameters
    ----------
    side : int
        Of the square images.
    seed : int
        Decides the pairs.
    """

    def __init__(self, side: int = 16, *, seed: int = 0) -> None:
        shape = (3, side, side)
        super().__init__(Problem(domain="image", lr_shape=shape, hr_shape=shape), seed)

    def true_map(self, lr: Tensor) -> Tensor:
        """Return gain * x + shift, of ``lr`` (N, 3, h, w)."""
        return recolour(lr)

    def sample_lr(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` images, (n, 3, side, side), in [-0.81, 0.81]."""
        return waves(n, self.problem.lr_shape[1:], generator)

    def facts(self) -> dict[str, Any]:
        """Variance of Q and transport cost in closed form: phases are uniform."""
        pixels = self.problem.dim // 3
        variance = sum(gain**2 for gain in GAIN) * WAVE_VARIANCE * pixels
        moved = sum((gain - 1) ** 2 * WAVE_VARIANCE + shift**2
                    for gain, shift in zip(GAIN, SHIFT, strict=True))
        return {"hr_variance": variance, "transport_cost": moved * pixels / 2,
                "test_size": self.test_size}


def waves(n: int, sides: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw images whose channels are sums of waves, (n, 3, h, w), of mean 0 everywhere.

    Each wave has a random amplitude, phase and direction and is 6 to 30 pixels long.
    """
    where = generator.device
    a, phase, angle, length = (torch.rand(n, 3, WAVES, 1, 1, generator=generator, device=where)
                               for _ in range(4))
    turn = 2 * math.pi / (6 + 24 * length)
    y, x = (torch.arange(side, device=where, dtype=torch.float32) for side in sides)
    way = torch.cos(math.pi * angle) * x + torch.sin(math.pi * angle) * y[:, None]
    return (AMPLITUDE * a * torch.cos(turn * way + 2 * math.pi * phase)).sum(2)


def recolour(images: Tensor) -> Tensor:
    """Return gain * x + shift of images (N, 3, h, w)."""
    gain, shift = (torch.tensor(values, device=images.device)[:, None, None]
                   for values in (GAIN, SHIFT))
    recoloured: Tensor = gain * images + shift
    return recoloured
