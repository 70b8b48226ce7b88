"""Sums that can be taken in shards and merged: count, mean and M2 in float64.

Legend: M2 = sum of squared deviations from the mean (of each value, or as a d x d matrix);
M2 / count is the variance. The merge is that of Chan, Golub and LeVeque (1979), exact up to
rounding whatever the order of the shards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from srbench.errors import SrbenchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Count, mean and M2 of samples.

    Parameters
    ----------
    count : int
        Number of samples.
    mean : Tensor
        Shape (d,), float64.
    m2 : Tensor
        Shape (d,), or (d, d) where covariances are kept; float64.
    """

    count: int
    mean: Tensor
    m2: Tensor

    def variance(self) -> Tensor:
        """Return the population variance of each value (ddof 0), shape (d,)."""
        diagonal = self.m2 if self.m2.ndim == 1 else self.m2.diagonal()
        return diagonal / self.count

    def covariance(self) -> Tensor:
        """Return the sample covariance (ddof 1), shape (d, d)."""
        return self.m2 / (self.count - 1)


def moments(samples: Tensor) -> Moments:
    """Moments of each value of ``samples`` of shape (N, d), N > 0."""
    double = samples.double()
    mean = double.mean(0)
    return Moments(len(double), mean, (double - mean).square().sum(0))


def joint_moments(samples: Tensor) -> Moments:
    """Moments with the full d x d matrix M2 of ``samples`` of shape (N, d), N > 0."""
    double = samples.double()
    mean = double.mean(0)
    centred = double - mean
    return Moments(len(double), mean, centred.T @ centred)


def merge(first: Moments, second: Moments) -> Moments:
    """Moments of both sets of samples together (Chan, Golub and LeVeque, 1979)."""
    count = first.count + second.count
    gap = second.mean - first.mean
    outer = gap.square() if first.m2.ndim == 1 else torch.outer(gap, gap)
    weight = first.count * second.count / count
    return Moments(
        count, first.mean + gap * (second.count / count), first.m2 + second.m2 + outer * weight
    )


def without(total: Moments, part: Moments) -> Moments:
    """Moments of what is left where ``part`` is taken out of ``total``: `merge` turned round."""
    count = total.count - part.count
    mean = (total.mean * total.count - part.mean * part.count) / count
    gap = part.mean - mean
    outer = gap.square() if total.m2.ndim == 1 else torch.outer(gap, gap)
    return Moments(count, mean, total.m2 - part.m2 - outer * (count * part.count / total.count))


def shards(rows: Tensor, size: int) -> list[Tensor]:
    """Cut a tensor into parts of at most ``size`` rows."""
    return [rows[first : first + size] for first in range(0, len(rows), size)]


class Blocks:
    """Cut a stream of rows into blocks of exactly ``size`` rows.

    Parameters
    ----------
    size : int
        Rows of a block, at least 1.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._parts: list[Tensor] = []
        self._waiting = 0

    def add(self, rows: Tensor) -> Iterator[Tensor]:
        """Take rows (n, d) and yield every full block there now is."""
        self._parts.append(rows)
        self._waiting += len(rows)
        while self._waiting >= self.size:
            joined = torch.cat(self._parts)
            self._parts, self._waiting = [joined[self.size :]], self._waiting - self.size
            yield joined[: self.size]

    def rest(self) -> Tensor | None:
        """Return the rows that fill no block, and forget them; None where there are none."""
        rows = torch.cat(self._parts) if self._waiting else None
        self._parts, self._waiting = [], 0
        return rows


class JointMoments:
    """Joint moments of a stream of rows, taken a shard at a time.

    Rows are gathered to shards of ``size`` because a d x d matrix is added for each.
    """

    def __init__(self, size: int = 1024) -> None:
        self._blocks = Blocks(size)
        self._total: Moments | None = None

    def add(self, rows: Tensor) -> None:
        """Take rows (n, d)."""
        for block in self._blocks.add(rows):
            self._merge(joint_moments(block))

    def total(self) -> Moments:
        """Moments of all rows so far.

        Raises
        ------
        SrbenchError
            If there are none.
        """
        rest = self._blocks.rest()
        if rest is not None:
            self._merge(joint_moments(rest))
        return merge_all([] if self._total is None else [self._total])

    def _merge(self, part: Moments) -> None:
        self._total = part if self._total is None else merge(self._total, part)


def merge_all(parts: Iterable[Moments]) -> Moments:
    """Merge shards from left to right.

    Raises
    ------
    SrbenchError
        If there are none.
    """
    total: Moments | None = None
    for part in parts:
        total = part if total is None else merge(total, part)
    if total is None:
        raise SrbenchError("no samples were taken, so there are no moments to merge")
    return total
