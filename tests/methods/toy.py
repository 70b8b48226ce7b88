"""Datasets of which the optimal transport map is known, to train real methods on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from srbench import Dataset, Parameters, Problem, Training


class GaussianPair(Dataset):
    """P = N(0, I), Q = N(b, W W^T) in the plane: the map is x -> W x + b with W positive."""

    WEIGHT = torch.tensor([[1.5, 0.5], [0.5, 0.8]])
    BIAS = torch.tensor([1.0, -0.5])

    def __init__(self) -> None:
        super().__init__(Parameters(), "gaussian-pair")
        self.problem = Problem(domain="vector", lr_shape=(2,), hr_shape=(2,))

    def fingerprint(self) -> str:
        return "0" * 64

    def true_map(self, x: Tensor) -> Tensor:
        return x @ self.WEIGHT.T + self.BIAS

    def sample_lr(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, 2, generator=generator)

    def sample_hr(self, n: int, generator: torch.Generator) -> Tensor:
        return self.true_map(self.sample_lr(n, generator))

    def test_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        x = self.sample_lr(4096, torch.Generator().manual_seed(7))
        yield x, self.true_map(x)

    validation_batches = test_batches


class TwoPoints(GaussianPair):
    """Example 1 of arXiv 2202.01116: P on {0, 2} and Q on {1, 3}, each half and half."""

    def __init__(self) -> None:
        super().__init__()
        self.problem = Problem(domain="vector", lr_shape=(1,), hr_shape=(1,))

    def sample_lr(self, n: int, generator: torch.Generator) -> Tensor:
        return 2.0 * torch.randint(0, 2, (n, 1), generator=generator)

    def sample_hr(self, n: int, generator: torch.Generator) -> Tensor:
        return self.sample_lr(n, generator) + 1


class Noise(GaussianPair):
    """Images of uniform noise; HR is brighter. ``scale`` 1 or more."""

    def __init__(self, side: int = 16, scale: int = 1) -> None:
        super().__init__()
        shape = (3, side, side)
        self.problem = Problem(domain="image" if scale == 1 else "sr", lr_shape=shape,
                               hr_shape=(3, scale * side, scale * side), scale=scale)

    def sample_lr(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.rand(n, *self.problem.lr_shape, generator=generator) - 0.5

    def sample_hr(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.rand(n, *self.problem.hr_shape, generator=generator) - 0.25


def train(method_class: Any, dataset: Dataset, preset: str = "quick", seed: int = 0,
          folder: Any = None, **options: Any) -> tuple[Any, Any]:
    """Build a method as the harness does, fit it, and return it with the training's result."""
    given = {key: options.pop(key) for key in list(options) if key not in TRAINING_OPTIONS}
    given = {"lambda" if key == "lam" else key: value for key, value in given.items()}
    torch.manual_seed(seed)
    params = method_class.Params.resolve(preset, dataset.problem.domain, given)
    method = method_class(params, dataset.problem)
    training = Training(method, dataset, seed=seed, device=torch.device("cpu"), folder=folder,
                        **options)
    method.fit(training)
    return method, training.finish()


TRAINING_OPTIONS = {"precision", "budget", "log_every", "should_stop", "checkpoint_seconds",
                    "on_event", "validate", "validations"}


def l2_uvp(method: Any, dataset: GaussianPair) -> float:
    """Unexplained variance in percent: 100 E|T(x) - T*(x)|^2 / Var(Q)."""
    (x, y), = dataset.test_batches(4096)
    with torch.no_grad():
        error = (method(x) - y).square().sum(1).mean()
    return 100 * error.item() / y.var(0).sum().item()
