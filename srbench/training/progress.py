"""When to validate, and what to tell whoever watches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from srbench.training.budget import Budget

Emit = Callable[[dict[str, Any]], None]
EVENTS_PER_SECOND = 5.0
MEMORY_SECONDS = 5.0


class Schedule:
    """Evenly spaced validations of one stage, the last one at its end.

    Parameters
    ----------
    number : int
        Validations of the stage; 0 validates at the end only.
    planned : int
        Steps of the stage. Under a budget of time the share of the time counts where it is ahead.
    budget : Budget
        Budget of the training.
    done, seconds : int, float
        Where the stage begins or goes on.
    """

    def __init__(self, number: int, planned: int, budget: Budget, done: int,
                 seconds: float) -> None:
        self._number, self._planned, self._budget = number, planned, budget
        self._passed = self._mark(done, seconds)

    def due(self, done: int, seconds: float) -> bool:
        """Whether a validation is due after ``done`` steps; asked after every step."""
        mark = self._mark(done, seconds)
        due, self._passed = mark > self._passed, max(mark, self._passed)
        return due

    def _mark(self, done: int, seconds: float) -> int:
        by_steps = done * self._number // max(self._planned, 1)
        if self._budget.seconds is None:
            return by_steps
        return max(by_steps, math.floor(self._number * seconds / self._budget.seconds))


class Progress:
    """Tells step, rate and time left of a stage, at most five times a second.

    Parameters
    ----------
    emit : callable
        Takes the event.
    stage : str
        Name of the stage.
    planned : int
        Its steps.
    done : int
        Where it begins or goes on.
    """

    def __init__(self, emit: Emit, stage: str, planned: int, done: int) -> None:
        self._emit, self._stage, self._planned = emit, stage, planned
        self._told, self._at = done, time.perf_counter()
        self._seconds = self._steps = 0.0

    def tell(self, done: int, left: float | None, values: dict[str, float]) -> None:
        """Emit the state after ``done`` steps unless the last event is too recent.

        Parameters
        ----------
        done : int
            Steps of the stage that are finished.
        left : float or None
            Seconds left of a budget of time.
        values : dict
            Latest means of what the method logs.
        """
        elapsed = time.perf_counter() - self._at
        if done == self._told or (elapsed < 1 / EVENTS_PER_SECOND and done < self._planned):
            return
        kept = math.exp(-elapsed / MEMORY_SECONDS)
        self._seconds = self._seconds * kept + max(elapsed, 1e-9)
        self._steps = self._steps * kept + (done - self._told)
        eta = (self._planned - done) * self._seconds / self._steps
        self._told, self._at = done, time.perf_counter()
        self._emit({"event": "progress", "stage": self._stage, "step": done,
                    "steps": self._planned, "rate": self._steps / self._seconds,
                    "eta": eta if left is None else max(0.0, min(eta, left)), "values": values})

    def skip(self, seconds: float) -> None:
        """Leave ``seconds`` out of the rate: they were no training."""
        self._at += seconds
