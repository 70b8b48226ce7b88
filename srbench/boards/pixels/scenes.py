"""Which scenes a page shows: by rule, from the values of all methods, never by hand."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from srbench.boards.board import Board, Column
from srbench.boards.pixels.cells import (
    Cell,
    Stored,
    columns_of,
    first_readable,
    psnr,
)
from srbench.foreign.text import printable

EQUAL = 100.0  # dB of an image that is its HR image
MOST_VOTES = 64  # methods whose values choose: reading those of hundreds would take long


@dataclass(frozen=True)
class Choice:
    """Scenes in the order of the page: places among the kept images, their roles, and the rule."""

    order: tuple[tuple[int, str], ...]
    rule: str


def choose_scenes(board: Board, cells: Sequence[Cell]) -> Choice:
    """Put the worst, median and best of the kept scenes in front of the others.

    Parameters
    ----------
    board : Board
        Its first column ranks.
    cells : sequence of Cell
        One for each method; members of sweeps that are folded have no vote.

    Returns
    -------
    Choice
        Only of scenes whose HR image can be read.
    """
    kept = max((cell.kept for cell in cells), default=0)
    targets = {index: hr for index in range(kept)
               if (hr := first_readable(cells, "hr", index)) is not None}
    readable = list(targets)
    voters = [cell for cell in cells if not cell.row.folded][:MOST_VOTES] or list(cells)
    column = columns_of(board, cells[0])[:1] if cells else []
    votes, what = _votes(voters, column[0] if column else None, targets)
    robust = any(cell.row.flags for cell in voters) or not np.isfinite(votes).all()
    scores = agreed(votes, robust=robust)
    order = ordered(readable, scores)
    rule = _rule(len(readable), votes, scores, what, robust=robust)
    if len(voters) < len(cells) and "chosen by rule" in rule:
        rule += " Members of sweeps that are folded in the table have no say in it."
    return Choice(order[:board.scenes], rule)


def _votes(voters: Sequence[Cell], column: Column | None,
           targets: Mapping[int, Stored]) -> tuple[NDArray[np.float64], str]:
    """Badness of each method on each scene, shape (methods, scenes), and of what it is one."""
    if column is not None:
        rows = [[column.badness(float(values[index])) if index < len(values) else math.nan
                 for index in targets]
                for cell in voters if (values := cell.values(column)) is not None]
        if rows:
            return np.array(rows), printable(column.title)
    rows = [[_psnr(cell.image("prediction", index), hr) for index, hr in targets.items()]
            for cell in voters]
    return -np.array(rows).reshape(len(voters), len(targets)), ""


def _psnr(prediction: Stored | None, hr: Stored) -> float:
    if prediction is None or prediction.size != hr.size:
        return math.nan
    return min(psnr(prediction.pixels, hr.pixels), EQUAL)


def agreed(votes: NDArray[np.float64], *, robust: bool) -> NDArray[np.float64]:
    """One score a scene from those of all methods; NaN where no method has a finite one.

    Parameters
    ----------
    votes : array of shape (methods, scenes)
        Smaller is better; what is not finite does not count.
    robust : bool
        Take the median over methods, so that one broken method does not choose, else the mean.
    """
    finite = np.where(np.isfinite(votes), votes, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of scenes without any value
        return np.asarray(np.nanmedian(finite, 0) if robust else np.nanmean(finite, 0))


def ordered(readable: Sequence[int],
            scores: NDArray[np.float64]) -> tuple[tuple[int, str], ...]:
    """Worst, median and best, then the rest in test order; without scores all in test order.

    Of an even number the better of the two scenes in the middle is the median. Scenes of one
    score stand in test order.
    """
    scored = [(-float(score), index) for index, score in zip(readable, scores, strict=True)
              if math.isfinite(score)]
    ranks = [index for _, index in sorted(scored)]  # from worst to best
    roles: dict[int, str] = {}
    if len(ranks) > 1:
        roles = {ranks[0]: "worst"}
        if len(ranks) > 2:
            roles[ranks[len(ranks) // 2]] = "median"
        roles[ranks[-1]] = "best"
    return (*roles.items(), *((index, "") for index in readable if index not in roles))


def _rule(count: int, votes: NDArray[np.float64], scores: NDArray[np.float64], what: str, *,
          robust: bool) -> str:
    kept = f"the {count} test images that every cell keeps, the first of the test set" \
        if count > 1 else "the first test image"
    if np.isfinite(scores).sum() < 2:
        return f"Shown: {kept}; not chosen by hand."
    measure = what or "PSNR of the kept images"
    over = f"{len(votes)} methods" if len(votes) > 1 else "the only method"
    average = "median" if robust else "mean"
    why = ", since some outputs carry flags" if robust else ""
    by = f"the {average} over {over} of {measure}{why}" if len(votes) > 1 else \
        f"{measure} of {over}"
    names = "Worst, median and best" if np.isfinite(scores).sum() > 2 else "Worst and best"
    return f"{names} are chosen by rule among {kept}: by {by}. None is chosen by hand."

