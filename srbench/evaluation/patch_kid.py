"""Kernel Inception distance of patches, as the mean over disjoint blocks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch

from srbench.api.metric import Score
from srbench.errors import DataError
from srbench.evaluation.kid import check_squared_mmd, squared_mmd
from srbench.evaluation.patch_features import PROTOCOL, PatchMetric
from srbench.evaluation.reducers import Blocks

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.metric import EvaluationContext

BLOCK = 1000


class PatchKID(PatchMetric):
    """Mean of the unbiased squared MMD of disjoint blocks of 1000 patches a side, in their order.

    A mean of unbiased values is unbiased, and depends on no seed. An incomplete last block is left
    out, unless it is the only one; the count says how many patches a side there are in the value.
    """

    protocol: ClassVar[str] = f"patch-kid/polynomial3-disjoint-blocks-of-1000/{PROTOCOL}/v1"

    def __init__(self, context: EvaluationContext) -> None:
        super().__init__(context)
        self._predicted, self._hr = Blocks(BLOCK), Blocks(BLOCK)
        self._values: list[float] = []

    def update(self, prediction: Tensor, target: Tensor, lr: Tensor) -> None:
        """Take one batch of patches."""
        x, y = self.features(prediction, target, lr)
        pairs = zip(self._predicted.add(x), self._hr.add(y), strict=True)
        self._values.extend(squared_mmd([a], [b]) for a, b in pairs)

    def compute(self) -> Score:
        """Return the mean over blocks; detail holds their number and standard deviation."""
        count = BLOCK * len(self._values)
        if not self._values:
            x, y = self._predicted.rest(), self._hr.rest()
            if x is None or y is None:
                raise DataError("patch-KID was computed before any patch was taken")
            self._values, count = [squared_mmd([x], [y])], len(x)
        mean = math.fsum(self._values) / len(self._values)
        detail: dict[str, float] = {"blocks": len(self._values)}
        if len(self._values) > 1:
            detail["sd_of_blocks"] = float(torch.tensor(self._values, dtype=torch.float64).std())
        return Score(value=mean, count=count, detail=detail)

    def self_check(self) -> None:
        """Check the estimator against its definition as a sum over pairs."""
        check_squared_mmd()
