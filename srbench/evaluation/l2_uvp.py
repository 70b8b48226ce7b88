"""L2-UVP: unexplained variance percentage of a transport map.

Legend: T = the method's map, T* = the true map, x ~ P, y = T*(x) ~ Q.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from srbench.errors import DataError
from srbench.evaluation.mean import MeanMetric, expect, pattern

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.metric import EvaluationContext


def l2_uvp(prediction: Tensor, target: Tensor, hr_variance: float) -> Tensor:
    """Squared error of each sample, ``100 |T(x) - T*(x)|^2 / Var(Q)``, whose mean is L2-UVP.

    Korotin et al. (2021), section 5.1. 0 is the true map, 100 the constant map to the mean of Q.

    Parameters
    ----------
    prediction, target : Tensor
        T(x) and T*(x), shape (N, ...).
    hr_variance : float
        Total variance of Q: the sum over values of their population variances.

    Returns
    -------
    Tensor
        Shape (N,), percent, float64.
    """
    squared = (prediction.double() - target.double()).flatten(1).square().sum(1)
    return 100 * squared / hr_variance


class L2UVP(MeanMetric):
    """L2-UVP of the map in eval mode.

    The interval is over test pairs only: the variance of Q counts as known.
    """

    protocol: ClassVar[str] = "l2-uvp/eval-mode/v1"
    image_only: ClassVar[bool] = False
    needs_map: ClassVar[bool] = True

    def __init__(self, context: EvaluationContext) -> None:
        super().__init__(context)
        variance = context.facts.get("hr_variance")
        if variance is None or not variance > 0:
            raise DataError(f"the dataset's facts['hr_variance']={variance!r} is no variance of Q")
        self.hr_variance = float(variance)

    def values(self, prediction: Tensor, target: Tensor, lr: Tensor) -> Tensor:
        """Return ``100 |T(x) - T*(x)|^2 / Var(Q)`` of each pair."""
        return l2_uvp(prediction, target, self.hr_variance)

    def self_check(self) -> None:
        """Check that the map to the mean of Q scores 100 and the true map 0."""
        y = pattern(64, (12,)).double()
        variance = float(y.var(0, correction=0).sum())
        for what, prediction, wanted in (("constant", y.mean(0).expand_as(y), 100), ("true", y, 0)):
            metric = type(self)(replace(self.context, facts={"hr_variance": variance}))
            metric.update(prediction, y, y)
            expect(f"L2-UVP of the {what} map", metric.compute().value, wanted, tolerance=1e-6)


class L2UVPOfficial(L2UVP):
    """L2-UVP as the released evaluation measures it.

    The notebooks evaluate right after an update of T, so BatchNorm works in train mode on batches
    of ten. Ours differs in the pairs (the fixed test pairs instead of 2560 fresh ones, an
    incomplete last batch left out) and in working on a copy, so running statistics never change.
    """

    protocol: ClassVar[str] = "l2-uvp/train-mode-batches-of-10/v1"
    mode: ClassVar[Literal["eval", "train10"]] = "train10"
    image_only: ClassVar[bool] = True
