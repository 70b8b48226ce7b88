"""Small trainings of the methods on photographs, and how to compare two of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from srbench.training import Training
from srbench_dasr.method import DASR
from srbench_fssr.method import FSSR
from srbench_ots.method import OTS
from tests.methods.photographs import Waves, waves
from tests.methods.toy import train

CPU = torch.device("cpu")
RESTORER = {"blocks": 1, "features": 4, "growth": 4, "batch_size": 2, "iterations": 4}
TINY_FSSR = {**RESTORER, "hr_crop": 32, "dsgan_iterations": 3, "dsgan_batch_size": 2,
             "dsgan_crop": 128, "dsgan_blocks": 1, "discriminator_features": 2,
             "milestones": [2, 4]}
TINY_DASR = {**RESTORER, "hr_crop": 128, "dsn_iterations": 3, "dsn_batch_size": 2,
             "dsn_crop": 128, "dsn_blocks": 1, "milestones": [3]}
TINY_OTS = {"blocks": 1, "features": 4, "batch_size": 2, "potential_filters": 2,
            "inner_steps": 2, "iterations": 7}


class Listed(Waves):
    """Photographs of the sizes a test lists."""

    def __init__(self, lr: Sequence[tuple[int, int]], hr: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.lr_images = [self.degrade(waves(*size, 0.3 * k), generator)
                          for k, size in enumerate(lr)]
        self.hr_images = [waves(*size, 0.7 + 0.3 * k) for k, size in enumerate(hr)]
        self.problem = problem(min(map(min, lr)), min(map(min, hr)))


def problem(lr_extent: int = 272, hr_extent: int = 276, scale: int = 4) -> Any:
    from srbench import Problem

    return Problem(domain="sr", lr_shape=(3, 32, 32), hr_shape=(3, 32 * scale, 32 * scale),
                   scale=scale, lr_extent=lr_extent, hr_extent=hr_extent)


def build(kind: Any, preset: str = "quick", at: Any = None, **given: Any) -> Any:
    """A method as the harness builds it, with the tiny settings of its kind under ``given``."""
    tiny = {FSSR: TINY_FSSR, DASR: TINY_DASR, OTS: TINY_OTS}[kind]
    at = problem() if at is None else at
    return kind(kind.Params.resolve(preset, at.domain, {**tiny, **given}), at)


def fit(kind: Any, folder: Path | None = None, dataset: Any = None, **options: Any) -> Any:
    """Train a method of that kind in its tiny settings; returns (method, result)."""
    tiny = {FSSR: TINY_FSSR, DASR: TINY_DASR, OTS: TINY_OTS}[kind]
    return train(kind, dataset or Waves(), folder=folder, **{**tiny, **options})


def training_of(method: nn.Module, dataset: Any = None, **options: Any) -> Training:
    return Training(method, dataset or Waves(), seed=0, device=CPU, **options)


def weights_of(method: nn.Module) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in method.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(value, second[key]) for key, value in first.items())


def rows(result: Any) -> pd.DataFrame:
    """The history without the clock, which no two runs share."""
    return pd.DataFrame(result.history).drop(columns="seconds")


def costs(result: Any) -> list[dict[str, Any]]:
    return [cost.model_dump(exclude={"seconds"}) for cost in result.stages]


def unit(image: Tensor) -> Tensor:
    """A photograph (3, h, w) uint8 as (1, 3, h, w) in [0, 1], in double precision."""
    return image[None].double() / 255


def pixels(store: Any, index: int) -> Tensor:
    """Image ``index`` of a store as (c, h, w)."""
    return torch.from_numpy(store[index].copy()).permute(2, 0, 1)


def shrink(images: Tensor, factor: int) -> Tensor:
    """MATLAB's imresize(image, 1 / factor, 'bicubic') by its definition, in double precision."""
    rows_, columns = (_weights(side, factor) for side in images.shape[-2:])
    return torch.einsum("ih,nchw,jw->ncij", rows_, images.double(), columns)


def _weights(size: int, factor: int) -> Tensor:
    """Matrix (ceil(size / factor), size): cubic kernel of a = -1/2, widened, mirrored edges."""
    outputs = -(-size // factor)
    matrix = torch.zeros(outputs, size, dtype=torch.float64)
    for i in range(outputs):
        centre = (i + 0.5) * factor - 0.5
        found: dict[int, float] = {}
        for j in range(int(centre) - 2 * factor - 1, int(centre) + 2 * factor + 3):
            t = abs(centre - j) / factor
            value = (1.5 * t**3 - 2.5 * t**2 + 1 if t <= 1 else
                     -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t <= 2 else 0.0)
            at = j % (2 * size)
            at = min(at, 2 * size - 1 - at)
            found[at] = found.get(at, 0.0) + value
        total = sum(found.values())
        for at, value in found.items():
            matrix[i, at] += value / total
    return matrix


def steps_of(*counts: int) -> Iterator[int]:
    """Total steps at the first, a middle and the last step of each stage of that length."""
    done = 0
    for count in counts:
        yield from (done + at for at in sorted({1, (count + 1) // 2, count}))
        done += count
