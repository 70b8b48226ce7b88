"""Fréchet Inception distance between the output and the HR test images."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from srbench.api.metric import Metric, Score
from srbench.evaluation.frechet import frechet_of_features
from srbench.evaluation.frechet_jackknife import distances_left_out
from srbench.evaluation.inception import PROTOCOL, InceptionFeatures
from srbench.evaluation.jackknife import group_index, jackknife
from srbench.evaluation.mean import expect, pattern

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.metric import EvaluationContext
    from srbench.evaluation.jackknife import Integers


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

    def groups(self) -> Integers:
        """Group of each image that the jackknife leaves out at a time; scenes stay together."""
        scenes = self.context.facts.get("test_scenes")
        if scenes is None or len(scenes) != self._count:
            scenes = range(self._count)
        return group_index(scenes)

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
        """Return the distance and its jackknife interval over test images.

        Detail says how well conditioned it was.
        """
        found = frechet_of_features(self._predictions, self._targets)
        self.remember_targets()
        groups = self.groups()
        x, y = torch.cat(self._predictions).numpy(), torch.cat(self._targets).numpy()
        left_out = distances_left_out(x, y, groups, groups)
        sure = jackknife(found.distance, left_out, np.bincount(groups))
        return Score(
            value=found.distance,
            count=self._count,
            interval=sure.interval,
            detail={
                "rank": found.rank,
                "smallest_eigenvalue": found.smallest,
                "way": found.way,
                "features": self._predictions[0].shape[1],
                **sure.detail,
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
