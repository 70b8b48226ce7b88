"""Variance of a mean over seeds and test scenes: two crossed random effects with interaction.

Legend: S = seeds, C = clusters (scenes), u_sc = value of seed s on scene c, a_s = effect of the
training, b_c = of the scene, e_sc = of both together: ``u_sc = mu + a_s + b_c + e_sc``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from srbench.results.resampling import Floats, Integers


@dataclass(frozen=True, kw_only=True)
class Variance:
    """Estimated variance of a mean, and the degrees of freedom that the estimate has."""

    value: float
    freedom: float

    def margin(self, level: float) -> float:
        """Half the width of the two-sided t interval."""
        if self.value <= 0:
            return 0.0
        quantile = special.stdtrit(self.freedom, (1 + level) / 2) if math.isfinite(
            self.freedom) else special.ndtri((1 + level) / 2)
        return math.sqrt(self.value) * float(quantile)

    def p(self, difference: float) -> float:
        """Two-sided p value of a difference from zero."""
        if self.value <= 0:
            return 1.0 if difference == 0 else 0.0
        ratio = -abs(difference) / math.sqrt(self.value)
        below = special.stdtr(self.freedom, ratio) if math.isfinite(
            self.freedom) else special.ndtr(ratio)
        return min(1.0, 2 * float(below))


@dataclass(frozen=True, kw_only=True)
class Term:
    """A part of a variance: its estimate, its degrees of freedom, and whether it is subtracted."""

    value: float
    freedom: float
    minus: bool = False


def combined(terms: Sequence[Term]) -> Variance:
    """Add terms up; degrees of freedom by Satterthwaite (1946).

    The sum is never below the largest single term: where the interaction is estimated larger than
    an effect, that effect is taken for zero.
    """
    plus = [term for term in terms if not term.minus]
    largest = max(plus, key=lambda term: term.value)
    total = sum(-term.value if term.minus else term.value for term in terms)
    if total <= largest.value:
        return Variance(value=largest.value, freedom=largest.freedom)
    spread = sum(term.value**2 / term.freedom for term in terms)
    return Variance(value=total, freedom=total**2 / spread if spread > 0 else math.inf)


def influence(scenes: Floats, index: Integers, sizes: Integers) -> Floats:
    """Values of clusters whose plain mean over C is the mean over images, shape (S, C).

    The mean over images is a ratio of sums over clusters; its linearisation gives each cluster
    ``mean_s + (T_sc - n_c mean_s) C / N``, with T the sum and n the number of its images.
    """
    from srbench.results.resampling import cluster_totals

    totals = cluster_totals(scenes, index, len(sizes))
    means = totals.sum(1, keepdims=True) / sizes.sum()
    residuals: Floats = (totals - means * sizes) * (len(sizes) / sizes.sum())
    return means + residuals


def mean_squares(u: Floats) -> tuple[float, float, float]:
    """Mean squares of seeds, scenes and interaction of (S, C); zero where one row or column."""
    seeds, scenes = u.shape
    of_seed, of_scene, grand = u.mean(1), u.mean(0), float(u.mean())
    rest = u - of_seed[:, None] - of_scene + grand
    ms_seed = scenes * float(np.square(of_seed - grand).sum()) / max(seeds - 1, 1)
    ms_scene = seeds * float(np.square(of_scene - grand).sum()) / max(scenes - 1, 1)
    return ms_seed, ms_scene, float(np.square(rest).sum()) / max((seeds - 1) * (scenes - 1), 1)
