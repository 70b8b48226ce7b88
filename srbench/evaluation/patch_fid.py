"""Fréchet Inception distance of patches, from merged moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from srbench.api.metric import Score
from srbench.evaluation.frechet import frechet_of_moments
from srbench.evaluation.frechet_jackknife import distances_left_out
from srbench.evaluation.jackknife import NONE, jackknife
from srbench.evaluation.mean import expect, pattern
from srbench.evaluation.patch_features import PROTOCOL, PatchMetric
from srbench.evaluation.reducers import JointMoments, joint_moments
from srbench.evaluation.spool import Spool

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.metric import EvaluationContext
    from srbench.evaluation.jackknife import Jackknife
    from srbench.evaluation.reducers import Moments


class PatchFID(PatchMetric):
    """Fréchet distance between features of restored patches and of independent HR patches.

    Only means and covariances (ddof 1, float64) are kept in memory; where the dataset names the
    photograph of each patch, features wait on disk for the jackknife. Biased upwards by 1/N: values
    of different numbers of patches are not comparable.
    """

    protocol: ClassVar[str] = f"patch-fid/{PROTOCOL}/v1"

    def __init__(self, context: EvaluationContext) -> None:
        super().__init__(context)
        self._kept = f"{self.protocol}/hr-moments"
        self._known: Moments | None = context.store.get(self._kept)
        self._predicted, self._hr = JointMoments(), JointMoments()
        self._spool = Spool() if self.all_groups is not None else None

    def update(self, prediction: Tensor, target: Tensor, lr: Tensor) -> None:
        """Take one batch of patches."""
        x, y = self.features(prediction, target, lr)
        self._predicted.add(x)
        if self._spool is not None:
            self._spool.add(x.numpy())
        if self._known is None:
            self._hr.add(y)

    def compute(self) -> Score:
        """Return the distance and its jackknife interval over photographs.

        Detail says how well conditioned it was.
        """
        hr = self._known if self._known is not None else self._hr.total()
        if self.is_whole:
            self.context.store[self._kept] = hr
        found = frechet_of_moments(self._predicted.total(), hr)
        sure = self._jackknife(found.distance)
        return Score(
            value=found.distance,
            count=self._count,
            interval=sure.interval,
            detail={
                "rank": found.rank,
                "smallest_eigenvalue": found.smallest,
                "way": found.way,
                "features": len(hr.mean),
                **sure.detail,
            },
        )

    def _jackknife(self, value: float) -> Jackknife:
        """Leave a tenth of the photographs out in turn, with their LR and their HR patches."""
        predicted = self._spool.rows() if self._spool is not None else None
        hr, groups = self._targets.rows, self.groups
        if groups is None or predicted is None or hr is None:
            return NONE
        left_out = distances_left_out(predicted, hr, *groups)
        return jackknife(value, left_out, np.bincount(np.concatenate(groups)))

    def self_check(self) -> None:
        """Check FID(X, X) = 0 and the distance of a shift, on both ways to compute it."""
        for count in (6, 40):
            features = pattern(count, (8,))
            moments, shifted = joint_moments(features), joint_moments(features + 1)
            same = frechet_of_moments(moments, moments).distance
            expect(f"patch-FID(X, X) of {count} patches", same, 0, tolerance=1e-6)
            away = frechet_of_moments(moments, shifted).distance
            expect("patch-FID of a shift by 1 in 8 features", away, 8, tolerance=1e-4)
