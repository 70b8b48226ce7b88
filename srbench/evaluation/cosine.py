"""Cosine between the displacements of a map and of the true transport map.

Legend: T = the method's map, T* = the true map, x ~ P, y = T*(x) ~ Q.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch

from srbench.api.metric import Metric, Score
from srbench.errors import SrbenchError
from srbench.evaluation.mean import expect, pattern

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.metric import EvaluationContext


def cosine_terms(prediction: Tensor, target: Tensor, lr: Tensor) -> Tensor:
    """Sum over a batch ``<y - x, T(x) - x>``, ``|T(x) - x|^2`` and ``|y - x|^2``.

    Parameters
    ----------
    prediction, target, lr : Tensor
        T(x), y = T*(x) and x, all of one shape (N, ...).

    Returns
    -------
    Tensor
        Shape (3,), float64.
    """
    x = lr.double().flatten(1)
    moved, wanted = prediction.double().flatten(1) - x, target.double().flatten(1) - x
    return torch.stack(
        [(wanted * moved).sum(), moved.square().sum(), wanted.square().sum()],
    )


def cosine(inner: float, moved: float, wanted: float) -> float:
    """``<T* - id, T - id> / (|T* - id| |T - id|)``; 0 for the identity map, which has no direction.

    Korotin et al. (2021), section 5.1.
    """
    norm = math.sqrt(moved * wanted)
    return inner / norm if norm > 0 else 0.0


class Cosine(Metric):
    """Cosine in the direction P -> Q.

    The released code divides by a transport cost estimated from one batch of other pairs, which
    lets the score exceed 1; here the cost comes from the same test pairs, so it cannot.
    """

    protocol: ClassVar[str] = "cosine/forward/cost-of-same-pairs/v1"
    image_only: ClassVar[bool] = False
    needs_map: ClassVar[bool] = True

    def __init__(self, context: EvaluationContext) -> None:
        super().__init__(context)
        self._sums = torch.zeros(3, dtype=torch.float64, device=context.device)
        self._count = 0

    def update(self, prediction: Tensor, target: Tensor, lr: Tensor) -> None:
        """Take one batch; inputs and outputs must have one shape."""
        if lr.shape != target.shape:
            raise SrbenchError(
                f"cosine needs x and T(x) of one shape, got {tuple(lr.shape[1:])} "
                f"and {tuple(target.shape[1:])}"
            )
        self._sums += cosine_terms(prediction, target, lr)
        self._count += len(lr)

    def compute(self) -> Score:
        """Return the cosine over all pairs."""
        inner, moved, wanted = self._sums.tolist()
        pairs = 2 * self._count
        detail = {"transport_cost": wanted / pairs, "cost_of_map": moved / pairs}
        return Score(value=cosine(inner, moved, wanted), count=self._count, detail=detail)

    def self_check(self) -> None:
        """Check that the true map scores 1, its opposite -1, the identity 0, another its angle."""
        x = pattern(8, (12,))
        y = 2 * x.flip(1) + 0.5
        way = y - x
        across = torch.stack([-way[:, 1::2], way[:, ::2]], 2).flatten(1)  # every pair turned
        turned = x + 0.8 * way + 0.6 * across
        cases = (("true", y, 1), ("opposite", 2 * x - y, -1), ("identity", x, 0),
                 ("turned", turned, 0.8))
        for what, prediction, wanted in cases:
            value = cosine(*cosine_terms(prediction, y, x).tolist())
            expect(f"cosine of the {what} map", value, wanted, tolerance=1e-6)
