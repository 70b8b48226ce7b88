"""Learning rates as functions of the step alone, so that a resume needs no state of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def linear_decay(step: int, steps: int, *, epochs: int, decaying: int) -> float:
    """Factor of the learning rate: 1, then falling to 0 over the last epochs.

    The codes of FSSR and DASR change it once an epoch: in epoch e of E, of which the last d decay,
    it is ``1 - max(0, e - (E - d)) / d``.

    Parameters
    ----------
    step, steps : int
        Number of the step from 0, and of all steps.
    epochs, decaying : int
        E and d.

    Returns
    -------
    float
        In (0, 1].
    """
    epoch = step * epochs // max(steps, 1)
    return 1 - max(0, epoch - (epochs - decaying)) / max(decaying, 1)


def halved(step: int, milestones: Sequence[int]) -> float:
    """Factor of the learning rate: half at each milestone.

    The codes step the scheduler before the optimiser, so the update after ``m - 1`` others is the
    first at the rate of milestone ``m``.

    Parameters
    ----------
    step : int
        Number of the step from 0.
    milestones : sequence of int
        Steps, counted from 1.
    """
    return float(0.5 ** sum(step + 1 >= milestone for milestone in milestones))
