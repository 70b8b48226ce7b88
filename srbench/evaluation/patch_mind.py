"""Monge Inception distance of patches, from projections alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from srbench.api.metric import Score
from srbench.errors import DataError
from srbench.evaluation.mind import ESTIMATOR, check_mind, mind, mind_directions
from srbench.evaluation.patch_features import PROTOCOL, PatchMetric

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.metric import EvaluationContext


class PatchMIND(PatchMetric):
    """``3 d SW2^2`` between features of restored patches and of independent HR patches.

    Of each patch only its 1000 projections are kept, in float32.
    """

    protocol: ClassVar[str] = f"patch-mind/{ESTIMATOR}/{PROTOCOL}/v1"

    def __init__(self, context: EvaluationContext) -> None:
        super().__init__(context)
        self._kept = f"{self.protocol}/hr-projections"
        self._known: Tensor | None = context.store.get(self._kept)
        self._directions: Tensor | None = None
        self._predicted: list[Tensor] = []
        self._hr: list[Tensor] = []

    def update(self, prediction: Tensor, target: Tensor, lr: Tensor) -> None:
        """Take one batch of patches."""
        x, y = self.features(prediction, target, lr)
        if self._directions is None:
            self._directions = mind_directions(x.shape[1])
        self._predicted.append(x @ self._directions.T)
        if self._known is None:
            self._hr.append(y @ self._directions.T)

    def compute(self) -> Score:
        """Return the distance."""
        if self._directions is None:
            raise DataError("patch-MIND was computed before any patch was taken")
        hr = self._known if self._known is not None else torch.cat(self._hr)
        if self.is_whole:
            self.context.store[self._kept] = hr
        width = self._directions.shape[1]
        value = mind(torch.cat(self._predicted), hr, width)
        return Score(value=value, count=self._count, detail={"features": width})

    def self_check(self) -> None:
        """Check MIND(X, X) = 0 and the distance of a shift, which has a closed form."""
        check_mind()
