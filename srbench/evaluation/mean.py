"""Metrics that are a mean over images, and the helpers every metric uses."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING

import torch

from srbench.api.metric import Metric, Score
from srbench.errors import SrbenchError

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.metric import EvaluationContext

NORMAL_975 = 1.959963984540054  # 97.5 % quantile of the standard normal distribution


def unit_range(images: Tensor) -> Tensor:
    """Map the nominal range [-1, 1] to [0, 1] without clamping."""
    return (images + 1) / 2


def mean_interval(values: list[float]) -> tuple[float, float] | None:
    """95 % interval of the mean of independent values, normal approximation; needs two values."""
    if len(values) < 2:
        return None
    column = torch.tensor(values, dtype=torch.float64)
    half = NORMAL_975 * float(column.std()) / math.sqrt(len(values))
    mean = float(column.mean())
    return mean - half, mean + half


def expect(what: str, value: float, wanted: float, *, tolerance: float) -> None:
    """Compare a self check with its known answer.

    Raises
    ------
    SrbenchError
        If ``value`` is further than ``tolerance`` from ``wanted``, or is not a number.
    """
    if not abs(value - wanted) <= tolerance:
        raise SrbenchError(
            f"self check failed: {what} gives {value!r} where {wanted!r} is known to be right",
            hint="srbench doctor",
        )


def pattern(count: int, shape: tuple[int, ...]) -> Tensor:
    """Deterministic float32 samples in [-1, 1] of shape (count, *shape) for self checks."""
    size = count * math.prod(shape)
    return torch.sin(torch.arange(size, dtype=torch.float64) * 0.7).float().reshape(count, *shape)


class MeanMetric(Metric):
    """Mean over test images of one value per image, with its 95 % interval."""

    def __init__(self, context: EvaluationContext) -> None:
        super().__init__(context)
        self._parts: list[Tensor] = []

    @abstractmethod
    def values(self, prediction: Tensor, target: Tensor, lr: Tensor) -> Tensor:
        """Return one value per image, shape (N,)."""

    def update(self, prediction: Tensor, target: Tensor, lr: Tensor) -> None:
        """Take one batch of predictions, targets and inputs, each (N, ...)."""
        self._parts.append(self.values(prediction, target, lr))

    def compute(self) -> Score:
        """Return the mean, its interval over the images, and the value of each image."""
        if not self._parts:
            raise SrbenchError(f"{self.protocol} was computed before any image was taken")
        per_image: list[float] = torch.cat(self._parts).double().cpu().tolist()
        mean = math.fsum(per_image) / len(per_image)
        return Score(
            value=mean,
            count=len(per_image),
            per_image=per_image,
            interval=mean_interval(per_image),
        )
