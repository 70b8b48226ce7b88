"""Toy data, maps and weights that the tests of the evaluation share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from srbench.api.dataset import CropDataset, Dataset
from srbench.api.method import Method
from srbench.api.metric import EvaluationContext, Metric
from srbench.api.parameters import Parameters
from srbench.api.problem import Problem
from srbench.backbones import BACKBONES, store
from srbench.evaluation.plugin import srbench_metrics
from srbench.registry.implementation import load_implementation
from srbench.registry.infos import MetricInfo


def structured_images(count: int, size: int, seed: int = 0) -> Tensor:
    """Smooth random images with edges, levels k/255 mapped to [-1, 1], shape (count, 3, s, s)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, max(2, size // 8), max(2, size // 8), generator=generator)
    smooth = nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)
    edges = (smooth.roll(1, 0) > 0.5).float() * 0.3
    return ((smooth * 0.7 + edges).mul(255).round() / 255) * 2 - 1


class ToyDataset(Dataset):
    """Pairs (x, y) given as tensors; counts how often they were asked for."""

    def __init__(self, lr: Tensor, hr: Tensor, *, known_map: bool = True, **facts: Any) -> None:
        super().__init__(Parameters(), "toy")
        domain = "vector" if lr.ndim == 2 else ("image" if lr.shape == hr.shape else "sr")
        self.problem = Problem(domain=domain, lr_shape=tuple(lr.shape[1:]),
                               hr_shape=tuple(hr.shape[1:]),
                               scale=1 if lr.ndim == 2 else hr.shape[-1] // lr.shape[-1])
        self.lr, self.hr, self.known_map = lr, hr, known_map
        variance = float(hr.double().var(0, correction=0).sum())
        self._facts = {"hr_variance": variance, "test_size": len(hr), **facts}
        self.passes: list[int] = []

    def fingerprint(self) -> str:
        return f"{self.hr.double().sum().item():.12e}/{self.lr.double().sum().item():.12e}"

    def sample_lr(self, n: int, generator: torch.Generator) -> Tensor:
        return self.lr[:n]

    def sample_hr(self, n: int, generator: torch.Generator) -> Tensor:
        return self.hr[:n]

    def test_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        self.passes.append(batch_size)
        yield from zip(self.lr.split(batch_size), self.hr.split(batch_size), strict=True)

    def validation_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield from self.test_batches(batch_size)

    def facts(self) -> dict[str, Any]:
        return self._facts


class ToyPhotographs(CropDataset):
    """Photographs of three sizes at scale 4, and patches of them; counts the passes."""

    SIZES = ((40, 36), (36, 52), (70, 90))

    def __init__(self, patches: int = 0, *, name: str = "toy", known_size: bool = True) -> None:
        super().__init__(Parameters(), name)
        self.problem = Problem(domain="sr", lr_shape=(3, 32, 32), hr_shape=(3, 128, 128), scale=4,
                               lr_extent=36, hr_extent=144)
        generator = torch.Generator().manual_seed(0)
        self.hr = [torch.rand(1, 3, 4 * h, 4 * w, generator=generator) * 1.6 - 0.8
                   for h, w in self.SIZES]
        self.lr = [0.8 * nn.functional.avg_pool2d(hr, 4) - 0.1 for hr in self.hr]
        self.patches, self.known_size, self.calls = patches, known_size, {"test": 0, "patches": 0}

    def fingerprint(self) -> str:
        return f"photographs/{self.patches}"

    def sample_lr(self, n: int, generator: torch.Generator, size: int | None = None) -> Tensor:
        raise AssertionError("never trained")

    sample_hr = sample_lr

    def train_images(self, role: str) -> list[Tensor]:
        raise AssertionError("never trained")

    def test_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        self.calls["test"] += 1
        yield from zip(self.lr, self.hr, strict=True)

    def validation_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield from self.test_batches(batch_size)

    @property
    def patch_count(self) -> int:
        return self.patches

    def test_patches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        self.calls["patches"] += 1
        low, high = self.all_patches()
        yield from zip(low.split(batch_size), high.split(batch_size), strict=True)

    def all_patches(self) -> tuple[Tensor, Tensor]:
        """Every LR and HR patch; the HR patches are of other places and images."""
        generator = torch.Generator().manual_seed(1)
        sides = []
        for images, size in ((self.lr, 32), (self.hr, 128)):
            cut = []
            for _ in range(self.patches):
                image = images[int(torch.randint(3, (), generator=generator))][0]
                top, left = (int(torch.randint(side - size + 1, (), generator=generator))
                             for side in image.shape[1:])
                cut.append(image[:, top : top + size, left : left + size])
            sides.append(torch.stack(cut) if cut else torch.zeros(0, 3, size, size))
        return sides[0], sides[1]

    def facts(self) -> dict[str, Any]:
        return {"test_size": 3} if self.known_size else {}


class ToyMethod(Method):
    """A map given as a function, with a BatchNorm whose buffers tell whether it was disturbed."""

    def __init__(self, problem: Problem, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__(Parameters(), problem)
        self.function = function

    def build(self) -> None:
        self.norm = nn.BatchNorm2d(3)
        self.norm.running_mean += 0.1

    def fit(self, training: Any) -> None:
        raise AssertionError("never trained")

    def forward(self, lr: Tensor) -> Tensor:
        return self.function(lr)


@pytest.fixture
def images() -> Callable[..., Tensor]:
    return structured_images


@pytest.fixture
def make_dataset() -> type[ToyDataset]:
    return ToyDataset


@pytest.fixture
def photographs() -> type[ToyPhotographs]:
    return ToyPhotographs


@pytest.fixture
def make_method() -> type[ToyMethod]:
    return ToyMethod


@pytest.fixture
def pairs(images) -> ToyDataset:
    """24 image pairs of 64 pixels whose true map is a blend of the image with its mirror image."""
    y = images(24, 64)
    return ToyDataset(0.6 * y + 0.4 * y.flip(3), y)


@pytest.fixture
def context(pairs) -> EvaluationContext:
    return EvaluationContext(problem=pairs.problem, known_map=True, facts=pairs.facts(),
                             device=torch.device("cpu"), fingerprint=pairs.fingerprint())


@pytest.fixture
def builtin() -> dict[str, Any]:
    """The built-in metrics as the catalog hands them over."""
    def wrap(info: MetricInfo) -> Any:
        return SimpleNamespace(info=info, load=lambda: load_implementation(info, "srbench:metrics"))

    return {info.name: wrap(info) for info in srbench_metrics()}


@pytest.fixture
def entry() -> Callable[..., Any]:
    """Wrap a metric class of a test."""
    def wrap(kind: type[Metric] | Callable[[], Any], name: str = "toy") -> Any:
        info = MetricInfo(name=name, title=name, summary="A toy.", load="toy:Toy",
                          direction="lower")
        return SimpleNamespace(info=info, load=lambda: kind)
    return wrap


@pytest.fixture
def random_alexnet() -> dict[str, Tensor]:
    """Store He-normal AlexNet features as if they had been fetched."""
    generator = torch.Generator().manual_seed(5)
    shapes = [(64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3)]
    state = {}
    for index, (out, fan, side) in zip((0, 3, 6, 8, 10), shapes, strict=True):
        weight = torch.randn(out, fan, side, side, generator=generator)
        state[f"features.{index}.weight"] = weight * (2 / (fan * side * side)) ** 0.5
        state[f"features.{index}.bias"] = torch.randn(out, generator=generator) * 0.1
    store(BACKBONES["alexnet"], state, "a test")
    return state
