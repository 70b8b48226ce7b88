"""Exact moments of the colours of all pixels, and the two metrics that compare them.

Palette gap and colour shift are what a transport map must not have: differences between the mean
and the spread of the colours it produces and those of the HR images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from srbench.api.metric import Metric, Score
from srbench.errors import SrbenchError
from srbench.evaluation.mean import expect, unit_range
from srbench.evaluation.reducers import Moments, merge, merge_all

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.metric import EvaluationContext


def relative_gap(value: float, wanted: float) -> float:
    """``100 |value - wanted| / wanted``, in percent.

    Raises
    ------
    SrbenchError
        If ``wanted`` is not positive.
    """
    if not wanted > 0:
        raise SrbenchError(f"the HR images have a colour variance of {wanted:g}, nothing to miss")
    return 100 * abs(value - wanted) / wanted


def colour_moments(images: Tensor) -> Moments:
    """Moments of the colours in [0, 1] of every pixel of images (N, 3, H, W) in [-1, 1]."""
    values = unit_range(images).double().transpose(0, 1).flatten(1)  # channels apart: adds fast
    mean = values.mean(1)
    return Moments(values.shape[1], mean, values.sub_(mean[:, None]).square_().sum(1))


class ColourMetric(Metric):
    """Base of metrics of the colour moments of restored, HR and LR images.

    Every pixel weighs the same, so a large image weighs more than a small one; images may differ in
    size. Nothing is clamped.
    """

    def __init__(self, context: EvaluationContext) -> None:
        super().__init__(context)
        self._moments: dict[str, Moments] = {}
        self._count = 0

    def update(self, prediction: Tensor, target: Tensor, lr: Tensor) -> None:
        """Take one batch of images."""
        for name, images in (("prediction", prediction), ("hr", target), ("lr", lr)):
            part, before = colour_moments(images), self._moments.get(name)
            self._moments[name] = part if before is None else merge(before, part)
        self._count += len(target)

    def of(self, name: str) -> Moments:
        """Moments of ``"prediction"``, ``"hr"`` or ``"lr"``; an error before the first batch."""
        return merge_all([self._moments[name]] if name in self._moments else [])


class PaletteGap(ColourMetric):
    """``100 |var(T(x)) - var(y)| / var(y)``, total variances of all pixels' colours."""

    protocol: ClassVar[str] = "palette-gap/total-variance-all-pixels/v1"

    def compute(self) -> Score:
        """Return the gap in percent; the reference is that of the LR images themselves."""
        variance = {name: float(self.of(name).variance().sum()) for name in _KINDS}
        return Score(
            value=relative_gap(variance["prediction"], variance["hr"]),
            count=self._count,
            reference={"lr": relative_gap(variance["lr"], variance["hr"])},
            detail={f"variance_{name}": value for name, value in variance.items()},
        )

    def self_check(self) -> None:
        """Check that half the contrast is a quarter of the variance, a gap of 75 %."""
        corners = torch.tensor([-0.9, 0.9]).reshape(1, 1, 1, 2).expand(2, 3, 4, 2)
        whole, half = (
            float(colour_moments(images).variance().sum()) for images in (corners, corners / 2)
        )
        expect("palette variance of two greys", whole, 0.75 * 0.81, tolerance=1e-7)
        expect("palette gap of half the contrast", relative_gap(half, whole), 75, tolerance=1e-4)


class ColourShift(ColourMetric):
    """Euclidean norm of the difference between the mean colours of T(x) and y, RGB in [0, 1]."""

    protocol: ClassVar[str] = "colour-shift/mean-rgb-all-pixels/v1"

    def compute(self) -> Score:
        """Return the norm; the reference is that of the LR images, detail the three channels."""
        means = {name: self.of(name).mean for name in _KINDS}
        gap = means["prediction"] - means["hr"]
        channels = dict(zip(("red", "green", "blue"), gap.tolist(), strict=True))
        return Score(
            value=float(gap.norm()),
            count=self._count,
            reference={"lr": float((means["lr"] - means["hr"]).norm())},
            detail=channels,
        )

    def self_check(self) -> None:
        """Check the mean colour of two constant images."""
        grey = torch.zeros(1, 3, 4, 4)
        means = [colour_moments(images).mean for images in (grey + 0.2, grey)]
        value = float((means[0] - means[1]).norm())
        expect("colour shift by 0.1 in each channel", value, 0.1 * 3**0.5, tolerance=1e-6)


_KINDS = ("prediction", "hr", "lr")
