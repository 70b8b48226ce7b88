"""Variance of a mean over seeds and test scenes: two crossed random effects with interaction.

Legend: S = seeds, C = clusters (scenes), u_sc = value of seed s on scene c, a_s = effect of the
training, b_c = of the scene, e_sc = of both together: ``u_sc = mu + a_s + b_c + e_sc``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import optimize, special

from srbench.results.resampling import Floats, Integers, cluster_totals

# How much of the interaction is taken off the variance between seeds, and below which share of the
# scenes' variance that of the seeds is discounted: chosen by simulation, docs/statistics.md.
INTERACTION = 0.5
DISCOUNT = 0.2
_SMALLEST = -230.0  # log of the smallest p value that is told from 0


@dataclass(frozen=True, kw_only=True)
class Variance:
    """Estimated variance of a mean or a difference, by its sources.

    Attributes
    ----------
    seeds, seed_freedom : float
        Variance of the mean over seeds as their values show it, interaction included, and its
        degrees of freedom. 0 where nothing random was trained.
    scenes, scene_freedom : float
        Variance of the mean over scenes as the means over seeds show it, and its degrees of
        freedom, which may be infinite.
    interaction : float
        The part of both that stems from the interaction, as far as known.
    """

    seeds: float = 0.0
    seed_freedom: float = math.inf
    scenes: float = 0.0
    scene_freedom: float = math.inf
    interaction: float = 0.0

    @property
    def trainings(self) -> float:
        """Variance that trainings add to that of the scenes."""
        added = max(self.seeds - INTERACTION * self.interaction, 0.0)
        return added**2 / (added + DISCOUNT * self.scenes) if added > 0 else 0.0

    def margin(self, level: float) -> float:
        """Half the width of the two-sided interval: ``sqrt(t_a^2 trainings + t_b^2 scenes)``.

        Each variance has the t quantile of its own degrees of freedom (Howe, 1974; Burdick and
        Graybill, 1992). With one source this is the t interval.
        """
        return self._margin((1 - level) / 2)

    def _margin(self, tail: float) -> float:
        return math.sqrt(self.trainings * _t(self.seed_freedom, tail)**2
                         + self.scenes * _t(self.scene_freedom, tail)**2)

    def p(self, difference: float) -> float:
        """Two-sided p value: one minus the level of the interval that just excludes zero."""
        size, trainings = abs(difference), self.trainings
        if trainings + self.scenes <= 0:
            return 1.0 if size == 0 else 0.0
        if trainings == 0 or self.scenes == 0:
            freedom = self.seed_freedom if trainings else self.scene_freedom
            ratio = -size / math.sqrt(trainings + self.scenes)
            below = special.stdtr(freedom, ratio) if math.isfinite(freedom) else special.ndtr(ratio)
            return min(1.0, 2 * float(below))
        if size == 0:
            return 1.0
        if self._margin(math.exp(_SMALLEST) / 2) <= size:
            return 0.0
        return math.exp(optimize.brentq(lambda log: self._margin(math.exp(log) / 2) - size,
                                        _SMALLEST, 0.0, xtol=1e-10))


def _t(freedom: float, tail: float) -> float:
    """Quantile of Student's t that leaves ``tail`` above it."""
    if math.isinf(freedom):
        return -float(special.ndtri(tail))
    return -float(special.stdtrit(freedom, tail))


def pooled(variances: Sequence[float], freedoms: Sequence[float]) -> tuple[float, float]:
    """Sum of independent variances and its degrees of freedom (Welch, 1938)."""
    total = sum(variances)
    spread = sum(value**2 / freedom
                 for value, freedom in zip(variances, freedoms, strict=True))
    if spread == 0:
        return total, min(freedoms, default=math.inf)
    return total, total**2 / spread


def influence(scenes: Floats, index: Integers, sizes: Integers) -> Floats:
    """Values of clusters whose plain mean over C is the mean over images, shape (S, C).

    The mean over images is a ratio of sums over clusters; its linearisation gives each cluster
    ``mean_s + (T_sc - n_c mean_s) C / N``, with T the sum and n the number of its images.
    """
    totals = cluster_totals(scenes, index, len(sizes))
    means = totals.sum(1, keepdims=True) / sizes.sum()
    values: Floats = means + (totals - means * sizes) * (len(sizes) / sizes.sum())
    return values


def interaction(u: Floats, of_seed: Floats, of_scene: Floats) -> float:
    """Mean square of what seeds and scenes alone do not explain in (S, C), both at least 2.

    Parameters
    ----------
    u : array of shape (S, C)
        Values.
    of_seed, of_scene : arrays of shape (S,) and (C,)
        Their means.
    """
    rest = u - of_scene
    rest -= (of_seed - of_seed.mean())[:, None]
    flat = rest.ravel()
    return float(flat @ flat) / ((len(of_seed) - 1) * (len(of_scene) - 1))
