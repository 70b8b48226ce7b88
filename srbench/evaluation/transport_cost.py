"""How far a map moves its input: the transport cost of T from the upsampled LR image.

Legend: T = the method's map, x ~ P, y the HR image of x, Up = bicubic upsampling by the scale.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn.functional import interpolate

from srbench.api.metric import Score
from srbench.errors import DataError
from srbench.evaluation.mean import MeanMetric, expect, pattern

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.metric import EvaluationContext


def upsampled(lr: Tensor, scale: int) -> Tensor:
    """Up(x): torch's bicubic interpolation (a = -0.75, edges repeated); x itself at scale 1."""
    if scale == 1:
        return lr
    return interpolate(lr.float(), scale_factor=scale, mode="bicubic", align_corners=False)


def cost(x: Tensor, y: Tensor) -> Tensor:
    """Mean over values of ``(x - y)^2`` of each sample: (N, ...) twice to (N,), float64.

    Raises
    ------
    DataError
        If the shapes differ.
    """
    if x.shape != y.shape:
        raise DataError(
            f"a transport cost needs values of one shape, got {tuple(x.shape[1:])} and "
            f"{tuple(y.shape[1:])}"
        )
    return (x.double() - y.double()).square().flatten(1).mean(1)


class TransportCost(MeanMetric):
    """Mean of ``(Up(x) - T(x))^2`` over values, then over samples, in the range [-1, 1].

    What an optimal transport map keeps small. The reference is the cost of the HR images: a map
    that moves less than that cannot have reached them, one that moves more changes the content.
    """

    protocol: ClassVar[str] = "transport-cost/mse-to-bicubic/v1"
    image_only: ClassVar[bool] = False

    def __init__(self, context: EvaluationContext) -> None:
        super().__init__(context)
        self._hr: list[Tensor] = []

    def values(self, prediction: Tensor, target: Tensor, lr: Tensor) -> Tensor:
        """Return the cost of each sample."""
        start = upsampled(lr, self.context.problem.scale)
        self._hr.append(cost(start, target))
        return cost(start, prediction)

    def compute(self) -> Score:
        """Return the mean cost, with that of the HR images beside it."""
        score = super().compute()
        return replace(score, reference={"hr": float(torch.cat(self._hr).mean())})

    def self_check(self) -> None:
        """Check that a shift by 0.3 costs 0.09 and that Up keeps a constant."""
        x = pattern(4, (3, 8, 8))
        expect("cost of a shift by 0.3", float(cost(x, x + 0.3).mean()), 0.09, tolerance=1e-6)
        grey = torch.full((1, 3, 4, 4), 0.3)
        value = float(cost(upsampled(grey, 4), torch.full((1, 3, 16, 16), 0.3)))
        expect("cost of an upsampled constant", value, 0, tolerance=1e-10)
