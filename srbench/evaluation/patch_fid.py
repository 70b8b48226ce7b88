"""Fréchet Inception distance of patches, from merged moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from srbench.api.metric import Score
from srbench.evaluation.frechet import frechet_of_moments
from srbench.evaluation.mean import expect, pattern
from srbench.evaluation.patch_features import PROTOCOL, PatchMetric
from srbench.evaluation.reducers import JointMoments, joint_moments

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.metric import EvaluationContext
    from srbench.evaluation.reducers import Moments


class PatchFID(PatchMetric):
    """Fréchet distance between features of restored patches and of independent HR patches.

    Only means and covariances (ddof 1, float64) are kept. Biased upwards by 1/N: values of
    different numbers of patches are not comparable.
    """

    protocol: ClassVar[str] = f"patch-fid/{PROTOCOL}/v1"

    def __init__(self, context: EvaluationContext) -> None:
        super().__init__(context)
        self._kept = f"{self.protocol}/hr-moments"
        self._known: Moments | None = context.store.get(self._kept)
        self._predicted, self._hr = JointMoments(), JointMoments()

    def update(self, prediction: Tensor, target: Tensor, lr: Tensor) -> None:
        """Take one batch of patches."""
        x, y = self.features(prediction, target, lr)
        self._predicted.add(x)
        if self._known is None:
            self._hr.add(y)

    def compute(self) -> Score:
        """Return the distance; detail says how well conditioned it was."""
        hr = self._known if self._known is not None else self._hr.total()
        if self.is_whole:
            self.context.store[self._kept] = hr
        found = frechet_of_moments(self._predicted.total(), hr)
        return Score(
            value=found.distance,
            count=self._count,
            detail={
                "rank": found.rank,
                "smallest_eigenvalue": found.smallest,
                "way": found.way,
                "features": len(hr.mean),
            },
        )

    def self_check(self) -> None:
        """Check FID(X, X) = 0 and the distance of a shift, on both ways to compute it."""
        for count in (6, 40):
            features = pattern(count, (8,))
            moments, shifted = joint_moments(features), joint_moments(features + 1)
            same = frechet_of_moments(moments, moments).distance
            expect(f"patch-FID(X, X) of {count} patches", same, 0, tolerance=1e-6)
            away = frechet_of_moments(moments, shifted).distance
            expect("patch-FID of a shift by 1 in 8 features", away, 8, tolerance=1e-4)
