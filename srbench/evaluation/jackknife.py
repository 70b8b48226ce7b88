"""Delete-a-group jackknife: intervals of metrics that are no mean over images.

Legend: N = images (or patches), G = groups, m_g = images of a group, t_g = the metric without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

GROUPS = 20  # of up to MANY images; of more only FEWER, for each costs a decomposition
FEWER, MANY = 10, 1024
DIGITS = 9


@dataclass(frozen=True)
class Jackknife:
    """What a jackknife says of a value.

    Attributes
    ----------
    interval : tuple of float or None
        ``value -+ t se`` with ``G - 1`` degrees of freedom.
    detail : dict
        ``jackknife_se``, ``groups``, and ``jackknife``: how much each group moves the value, whose
        standard deviation over ``sqrt(G)`` is the standard error. They let the values of two
        methods be compared group by group.
    """

    interval: tuple[float, float] | None
    detail: dict[str, Any]


NONE = Jackknife(None, {})


def group_index(scenes: Sequence[int] | Integers, groups: int | None = None) -> Integers:
    """Group of each image; images of one scene stay together.

    Scenes go to the groups in turn, in the order of their numbers: the same for every method.

    Parameters
    ----------
    scenes : sequence of int, shape (N,)
        Scene of each image.
    groups : int, optional
        Most groups; see `GROUPS`.

    Returns
    -------
    array of shape (N,)
        0 to G - 1, where G is at most the number of scenes.
    """
    most = groups or (GROUPS if len(scenes) <= MANY else FEWER)
    _, index = np.unique(np.asarray(scenes, np.int64), return_inverse=True)
    turn: Integers = index.astype(np.int64) % most
    return turn


def standard_error(left_out: Floats, sizes: Integers | None = None) -> float:
    """Standard error from the values without each group in turn.

    With groups of one size ``sqrt((G - 1) / G sum (t_g - mean t)^2)``, with others the delete-m_j
    jackknife of Busing, Meijer and van der Leeden (1999).
    """
    moves = deviations(left_out, sizes)
    count = len(moves)
    return float(np.sqrt(np.square(moves).sum() / (count * (count - 1))))


def deviations(left_out: Floats, sizes: Integers | None = None) -> Floats:
    """How much each group moves the value: for a mean over groups of one size, m_g - m.

    Parameters
    ----------
    left_out : array of shape (G,)
        The value without each group, G at least 2.
    sizes : array of shape (G,), optional
        Images of each group; equal without it.
    """
    count = len(left_out)
    images = np.ones(count) if sizes is None else np.asarray(sizes, np.float64)
    rest = images.sum() - images
    centre = np.average(left_out, weights=rest)  # for a mean, the mean of all images
    moves: Floats = (centre - left_out) * np.sqrt(rest / images * (count - 1))
    return moves


def jackknife(value: float, left_out: Floats, sizes: Integers | None = None) -> Jackknife:
    """Interval of a value from those without each group; none from fewer than two groups."""
    count = len(left_out)
    if count < 2 or not np.isfinite(left_out).all():
        return NONE
    error = standard_error(left_out, sizes)
    half = error * float(special.stdtrit(count - 1, 0.975))
    moves = [_rounded(move) for move in deviations(left_out, sizes).tolist()]
    return Jackknife((value - half, value + half),
                     {"jackknife_se": error, "groups": count, "jackknife": moves})


def _rounded(number: float) -> float:
    """Keep digits that matter; records hold this number of times the groups."""
    return number if number == 0 or not math.isfinite(number) else float(f"{number:.{DIGITS}g}")
