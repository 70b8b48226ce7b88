"""Kernel Inception distance: an unbiased squared MMD of Inception features.

Legend: X, Y = features (n, d) and (m, d); k(x, y) = (x . y / d + 1)^3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from srbench.api.metric import Score
from srbench.errors import DataError
from srbench.evaluation.fid import InceptionMetric
from srbench.evaluation.inception import PROTOCOL
from srbench.evaluation.jackknife import jackknife
from srbench.evaluation.mean import expect, pattern
from srbench.evaluation.reducers import shards

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from srbench.evaluation.jackknife import Floats, Integers

TILE = 2048  # rows of a kernel matrix held at a time


def polynomial_kernel(x: Tensor, y: Tensor) -> Tensor:
    """Return ``(x . y / d + 1)^3`` of each pair of rows (Binkowski et al., 2018), shape (n, m)."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def kernel_sum(x: Tensor, y: Tensor) -> float:
    """Sum of the kernel over all pairs of rows, a tile at a time."""
    tiles = ((a, b) for a in shards(x, TILE) for b in shards(y, TILE))
    return sum(float(polynomial_kernel(a, b).sum()) for a, b in tiles)


def squared_mmd(first: Sequence[Tensor], second: Sequence[Tensor]) -> float:
    """Unbiased squared MMD over all pairs of two sets of features, each given in shards.

    Zero in expectation where both sets come from one distribution, so it may be negative. No
    subsets are drawn: the value does not depend on a seed or on the order.

    Parameters
    ----------
    first, second : sequence of Tensor
        Shards of shape (n_i, d).

    Raises
    ------
    DataError
        If a set has fewer than two rows.
    """
    x, y = torch.cat(list(first)).double(), torch.cat(list(second)).double()
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise DataError(f"KID needs two images a side, got {n} and {m}")
    within_x = (kernel_sum(x, x) - _own_kernels(x)) / (n * (n - 1))
    within_y = (kernel_sum(y, y) - _own_kernels(y)) / (m * (m - 1))
    return within_x + within_y - 2 * kernel_sum(x, y) / (n * m)


def mmds_left_out(
    first: Sequence[Tensor],
    second: Sequence[Tensor],
    groups: tuple[Integers, Integers],
    count: int | None = None,
) -> Floats:
    """Unbiased squared MMD without each group of rows in turn.

    The kernel is summed once over each pair of groups; what a group adds is then taken off.

    Parameters
    ----------
    first, second : sequence of Tensor
        As for `squared_mmd`.
    groups : pair of arrays of shape (n,) and (m,)
        Group of each row, 0 to G - 1.
    count : int, optional
        G, where these rows may not have all groups.

    Returns
    -------
    array of shape (G,)
        NaN where a side would keep fewer than two rows.
    """
    x, y = torch.cat(list(first)).double(), torch.cat(list(second)).double()
    count = count or 1 + max(int(group.max()) for group in groups)
    n, m = (len(group) - np.bincount(group, minlength=count) for group in groups)
    if min(n.min(), m.min()) < 2:
        return np.full(count, np.nan)
    xs, ys = ([side[torch.from_numpy(group == g)] for g in range(count)]
              for side, group in zip((x, y), groups, strict=True))
    own = [np.array([_own_kernels(part) for part in parts]) for parts in (xs, ys)]
    within_x = (_without_group(xs, xs) - (own[0].sum() - own[0])) / (n * (n - 1))
    within_y = (_without_group(ys, ys) - (own[1].sum() - own[1])) / (m * (m - 1))
    left_out: Floats = within_x + within_y - 2 * _without_group(xs, ys) / (n * m)
    return left_out


def _without_group(first: list[Tensor], second: list[Tensor]) -> Floats:
    """Kernel sums over all pairs of rows of which neither is in a group, for each group."""
    sums = np.array([[kernel_sum(a, b) if len(a) and len(b) else 0.0 for b in second]
                     for a in first])
    rest: Floats = sums.sum() - sums.sum(0) - sums.sum(1) + sums.diagonal()
    return rest


def _own_kernels(x: Tensor) -> float:
    """Sum of k(x, x) over rows."""
    return float(((x.square().sum(1) / x.shape[1] + 1) ** 3).sum())


class KID(InceptionMetric):
    """Unbiased KID over all pairs of images, from the features that FID uses."""

    protocol: ClassVar[str] = f"kid/polynomial3-all-pairs/{PROTOCOL}/v1"
    elsewhere: ClassVar[str] = "patch-kid"

    def compute(self) -> Score:
        """Return the squared distance and its jackknife interval over test images."""
        value = squared_mmd(self._predictions, self._targets)
        self.remember_targets()
        groups = self.groups()
        left_out = mmds_left_out(self._predictions, self._targets, (groups, groups))
        sure = jackknife(value, left_out, np.bincount(groups))
        return Score(value=value, count=self._count, interval=sure.interval, detail=sure.detail)

    def self_check(self) -> None:
        """Check the estimator against its definition as a sum over pairs."""
        check_squared_mmd()


def check_squared_mmd() -> None:
    """Check the estimator on two small sets, and on one whose answer is worked out by hand.

    There ``x . y / d`` is the product of 1, 2 and 0, 3: 27 and 1 within, 1, 64, 1 and 343 across.

    Raises
    ------
    SrbenchError
        If it is not the sum over pairs.
    """
    x, y = pattern(5, (4,)).double(), pattern(6, (4,)).flip(1).double()
    k_xx, k_yy, k_xy = (polynomial_kernel(a, b) for a, b in ((x, x), (y, y), (x, y)))
    off_x = (k_xx.sum() - k_xx.trace()) / 20
    off_y = (k_yy.sum() - k_yy.trace()) / 30
    wanted = float(off_x + off_y - 2 * k_xy.mean())
    expect("KID of two small sets", squared_mmd([x], [y]), wanted, tolerance=1e-9)
    first, second = (torch.tensor([[a, a, a], [b, b, b]]) for a, b in ((1.0, 2.0), (0.0, 3.0)))
    value = squared_mmd([first], [second])
    expect("KID of four rows", value, 27 + 1 - 2 * (1 + 64 + 1 + 343) / 4, tolerance=1e-9)
