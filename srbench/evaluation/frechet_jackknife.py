"""Fréchet distances without each group of images in turn.

Legend: X, Y = features (n, d) and (m, d); K = X Y^T of features less their means.
With fewer images than features ``tr (C1 C2)^(1/2)`` is the nuclear norm of K, of which rows and
columns are left out; else covariances are left out of the sum. Either way each group costs one
symmetric decomposition and no product as large as the first one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import linalg

from srbench.evaluation.frechet import frechet_of_moments
from srbench.evaluation.reducers import Moments, joint_moments, merge_all, without

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Rows = NDArray[np.float32]


def distances_left_out(first: Rows, second: Rows, first_groups: Integers,
                       second_groups: Integers) -> Floats:
    """Fréchet distance between two sets of features without each group in turn.

    Parameters
    ----------
    first, second : arrays of shape (n, d) and (m, d)
        Features; may be mapped files, of which one group at a time is read where there are many.
    first_groups, second_groups : arrays of shape (n,) and (m,)
        Group of each row, 0 to G - 1.

    Returns
    -------
    array of shape (G,)
        NaN where a side would keep fewer than two rows.
    """
    count = 1 + int(max(first_groups.max(), second_groups.max()))
    kept = [len(groups) - np.bincount(groups).max() for groups in (first_groups, second_groups)]
    if min(kept) < 2:
        return np.full(count, np.nan)
    if min(kept) <= first.shape[1]:
        return _of_few(np.asarray(first, np.float64), np.asarray(second, np.float64),
                       first_groups, second_groups, count)
    return np.array(list(_of_many((first, second), (first_groups, second_groups), count)))


def _of_few(x: Floats, y: Floats, x_groups: Integers, y_groups: Integers, count: int) -> Floats:
    """Fréchet distances from one product of all features."""
    offset = x.mean(0)
    x, y = x - offset, y - offset
    product = x @ (y - y.mean(0)).T
    found = np.empty(count)
    for group in range(count):
        rows, columns = x_groups != group, y_groups != group
        a, b = x[rows], y[columns]
        m1, m2 = a.mean(0), b.mean(0)
        part = product[np.ix_(rows, columns)]
        part = part - part.mean(0) - part.mean(1, keepdims=True) + part.mean()
        n, m = part.shape
        small = part @ part.T if n <= m else part.T @ part
        values = linalg.eigvalsh(small, check_finite=False).clip(min=0)
        trace = (np.square(a).sum() - n * m1 @ m1) / (n - 1)
        trace += (np.square(b).sum() - m * m2 @ m2) / (m - 1)
        root = np.sqrt(values).sum() / np.sqrt((n - 1) * (m - 1))
        found[group] = (m1 - m2) @ (m1 - m2) + trace - 2 * root
    return found


def _of_many(sides: tuple[Rows, Rows], groups: tuple[Integers, Integers],
             count: int) -> Iterator[float]:
    """Fréchet distances from moments of all rows less those of a group."""
    each = list(zip(sides, groups, strict=True))
    totals = [merge_all(part for part in _group_moments(*side, count) if part is not None)
              for side in each]
    for pair in zip(*(_group_moments(*side, count) for side in each), strict=True):
        rest = [total if part is None else without(total, part)
                for total, part in zip(totals, pair, strict=True)]
        yield frechet_of_moments(*rest).distance


def _group_moments(rows: Rows, groups: Integers, count: int) -> Iterator[Moments | None]:
    """Moments of the rows of each group, made when asked for; None of a group without rows."""
    for group in range(count):
        inside = groups == group
        yield joint_moments(torch.from_numpy(rows[inside])) if inside.any() else None
