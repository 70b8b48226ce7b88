"""Fréchet Inception distance between the output and the HR test images."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from srbench.api.metric import Metric, Score
from srbench.evaluation.frechet import frechet_of_features
from srbench.evaluation.inception import PROTOCOL, InceptionFeatures
from srbench.evaluation.mean import expect, pattern

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.metric import EvaluationContext


class InceptionMetric(Metric):
    """Base of metrics that compare the Inception features of predictions and targets.

    Images are fed as float ``(x + 1) / 2``, neither clamped nor rounded, as the paper's evaluation
    does; pytorch-fid resizes them to 299 pixels bilinearly, without antialiasing. That suits images
    of one size below 299 pixels, not photographs: there the metric ``elsewhere`` is meant.
    """

    elsewhere: ClassVar[str] = ""

    def __init__(self, context: EvaluationContext) -> None:
        super().__init__(context)
        self._inception = InceptionFeatures.shared(context)
        self._predictions: list[Tensor] = []
        self._targets: list[Tensor] = []
        self._count = 0

    @classmethod
    def unsuited(cls, context: EvaluationContext) -> str:
        """Say why whole photographs are not compared."""
        if context.problem.domain != "sr":
            return ""
        other = f"; see {cls.elsewhere}" if cls.elsewhere else ""
        return (
            "does not apply: whole photographs of different sizes are never squeezed to 299 pixels"
            + other
        )

    def update(self, prediction: Tensor, target: Tensor, lr: Tensor) -> None:
        """Take one batch of images (N, 3, H, W)."""
        self._predictions.append(self._inception.of(prediction))
        self._targets.append(self._inception.of_target(target, self._count))
        self._count += len(target)

    def remember_targets(self) -> None:
        """Keep the targets' features for later runs, where this was the whole test set."""
        if self._count == self.context.facts.get("test_size"):
            self._inception.remember(torch.cat(self._targets))


class FID(InceptionMetric):
    """Fréchet distance between the two sets of 2048 features, covariances with ddof 1.

    Biased upwards by 1/N: values of different numbers of images are not comparable.
    """

    protocol: ClassVar[str] = f"fid/{PROTOCOL}/v1"
    elsewhere: ClassVar[str] = "patch-fid"

    def compute(self) -> Score:
        """Return the distance; detail says how well conditioned it was."""
        found = frechet_of_features(self._predictions, self._targets)
        self.remember_targets()
        return Score(
            value=found.distance,
            count=self._count,
            detail={
                "rank": found.rank,
                "smallest_eigenvalue": found.smallest,
                "way": found.way,
                "features": self._predictions[0].shape[1],
            },
        )

    def self_check(self) -> None:
        """Check FID(X, X) = 0 and the distance of a shift, on both ways to compute it."""
        for count in (6, 40):
            features = pattern(count, (8,))
            same = frechet_of_features([features], [features]).distance
            expect(f"FID(X, X) of {count} images", same, 0, tolerance=1e-6)
            shifted = frechet_of_features([features], [features + 1]).distance
            expect("FID of a shift by 1 in 8 features", shifted, 8, tolerance=1e-4)
