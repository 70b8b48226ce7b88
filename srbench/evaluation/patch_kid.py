"""Kernel Inception distance of patches, as the mean over disjoint blocks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from srbench.api.metric import Score
from srbench.errors import DataError
from srbench.evaluation.jackknife import NONE, jackknife
from srbench.evaluation.kid import check_squared_mmd, mmds_left_out, squared_mmd
from srbench.evaluation.patch_features import PROTOCOL, PatchMetric
from srbench.evaluation.reducers import Blocks

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.metric import EvaluationContext
    from srbench.evaluation.jackknife import Floats

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
        self._left_out: list[Floats] = []

    def update(self, prediction: Tensor, target: Tensor, lr: Tensor) -> None:
        """Take one batch of patches."""
        x, y = self.features(prediction, target, lr)
        for pair in zip(self._predicted.add(x), self._hr.add(y), strict=True):
            self._take(*pair)

    def _take(self, x: Tensor, y: Tensor) -> None:
        """Add the value of one block, and its values without the patches of each group."""
        if self.all_groups is not None:
            first = BLOCK * len(self._values)
            inside = [groups[first : first + len(x)] for groups in self.all_groups]
            count = 1 + max(int(groups.max()) for groups in self.all_groups)
            self._left_out.append(mmds_left_out([x], [y], (inside[0], inside[1]), count))
        self._values.append(squared_mmd([x], [y]))

    def compute(self) -> Score:
        """Return the mean over blocks and its jackknife interval over photographs.

        Detail holds the number of blocks and their standard deviation.
        """
        count = BLOCK * len(self._values)
        if not self._values:
            x, y = self._predicted.rest(), self._hr.rest()
            if x is None or y is None:
                raise DataError("patch-KID was computed before any patch was taken")
            self._take(x, y)
            count = len(x)
        mean = math.fsum(self._values) / len(self._values)
        detail: dict[str, float] = {"blocks": len(self._values)}
        if len(self._values) > 1:
            detail["sd_of_blocks"] = float(torch.tensor(self._values, dtype=torch.float64).std())
        sure = NONE
        if self.groups is not None:
            sizes = np.bincount(np.concatenate(self.groups))
            sure = jackknife(mean, np.mean(self._left_out, axis=0), sizes)
        return Score(value=mean, count=count, interval=sure.interval,
                     detail={**detail, **sure.detail})

    def self_check(self) -> None:
        """Check the estimator against its definition as a sum over pairs."""
        check_squared_mmd()
