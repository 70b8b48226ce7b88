"""Strip plots: where a scene lies among a method's values of all test images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 100, 20


@dataclass(frozen=True, kw_only=True)
class Strip:
    """A histogram of bars one unit wide as an SVG path, and the place of each scene on its axis.

    ``marks`` holds None for scenes without a finite value.
    """

    path: str
    marks: tuple[int | None, ...]
    count: int


def common_ends(rows: Sequence[NDArray[np.float64]]) -> tuple[float, float] | None:
    """Least and largest finite value of all methods; None where there is none."""
    finite = [row[np.isfinite(row)] for row in rows]
    finite = [row for row in finite if len(row)]
    if not finite:
        return None
    return min(float(row.min()) for row in finite), max(float(row.max()) for row in finite)


def make_strip(values: NDArray[np.float64], scenes: Sequence[int],
               ends: tuple[float, float]) -> Strip:
    """Draw one method's values on an axis that all methods share.

    Parameters
    ----------
    values : array of shape (N,)
        Of all test images; what is not finite is left out.
    scenes : sequence of int
        Test images that are marked.
    ends : (float, float)
        Values at the left and right end; others are drawn at the nearer end.
    """
    finite = values[np.isfinite(values)]
    places = np.array([_place(float(value), ends) for value in finite], dtype=np.int64)
    counts = np.bincount(places, minlength=WIDTH) if len(places) else np.zeros(WIDTH, np.int64)
    most = max(1, int(counts.max()))
    bars = [f"M{place} {HEIGHT}v-{max(1, int(count) * HEIGHT // most)}h1V{HEIGHT}z"
            for place, count in enumerate(counts.tolist()) if count]
    marks = tuple(_place(float(values[scene]), ends)
                  if scene < len(values) and math.isfinite(values[scene]) else None
                  for scene in scenes)
    return Strip(path="".join(bars), marks=marks, count=len(finite))


def _place(value: float, ends: tuple[float, float]) -> int:
    low, high = ends
    if not high > low:
        return WIDTH // 2
    return min(WIDTH - 1, max(0, math.floor((value - low) / (high - low) * WIDTH)))
