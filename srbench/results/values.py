"""Values of one method in one metric: what statistics start from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from srbench.results.resampling import Floats, Integers


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Values of one method in one metric.

    Attributes
    ----------
    seeds : tuple of int
        S seeds.
    values : array of shape (S,)
        Value of each seed.
    scenes : array of shape (S, N), optional
        Value of each test image; None where the metric is no mean over images (FID) or files are
        missing.
    clusters : array of shape (N,), optional
        Scene of each image: crops of one scene are one cluster. None: each its own.
    spread : array of shape (S,), optional
        Jackknife standard error of each value over test scenes, where ``scenes`` is None.
    jackknife : array of shape (S, G), optional
        How much each group of test scenes moves each value, where ``scenes`` is None; its mean
        over groups is 0 and its standard deviation over ``sqrt(G)`` is ``spread``. It lets methods
        be compared group by group.
    trained : bool
        False where nothing random was trained (bicubic): all seeds repeat one value.
    note : str
        Why ``scenes`` is None though the metric has values of images.
    """

    seeds: tuple[int, ...]
    values: Floats
    scenes: Floats | None = None
    clusters: Integers | None = None
    spread: Floats | None = None
    jackknife: Floats | None = None
    trained: bool = True
    note: str = ""

    def __post_init__(self) -> None:
        count = len(self.seeds)
        if count == 0 or np.shape(self.values) != (count,):
            raise ValueError(f"{count} seeds have values of shape {np.shape(self.values)}; give "
                             "one of each seed, and at least one")
        for what, array in (("values of images", self.scenes), ("jackknife", self.jackknife)):
            if array is not None and (array.ndim != 2 or len(array) != count or not array.size):
                raise ValueError(f"{what} have the shape {array.shape}, not ({count}, N)")
        if self.spread is not None and np.shape(self.spread) != (count,):
            raise ValueError(f"spread has the shape {np.shape(self.spread)}, not ({count},)")


def badness(sample: Sample, direction: Literal["lower", "higher", "target"],
            reference: float = math.nan) -> Sample:
    """Return the values on a scale where smaller is better.

    With ``"target"`` the value is the distance of the mean from ``reference``; it is linear in the
    values of images only as long as their mean stays on its side of the reference.
    """
    centre, sign = 0.0, 1.0 if direction == "lower" else -1.0
    if direction == "target":
        centre, sign = reference, math.copysign(1.0, float(sample.values.mean()) - reference)
    return replace(
        sample, values=sign * (sample.values - centre),
        scenes=None if sample.scenes is None else sign * (sample.scenes - centre),
        jackknife=None if sample.jackknife is None else sign * sample.jackknife)
