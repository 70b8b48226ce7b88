"""How long a training may go on: by steps or by seconds of training."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from srbench.errors import UsageError

FORM = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>s|min|m|h|it|)")
SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limit over all stages of a training together; what comes first counts.

    Parameters
    ----------
    seconds : float or None
        On the training clock: validation and checkpoints are not charged.
    steps : int or None
        Steps of all stages together.
    """

    seconds: float | None = None
    steps: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``"600s"``, ``"10m"``, ``"3min"``, ``"2h"`` or, steps, ``"500"``, ``"500it"``.

        Raises
        ------
        UsageError
            If the text has another form, is zero, or asks for a fraction of a step.
        """
        match = FORM.fullmatch(text.strip().lower())
        if match is None or float(match["number"]) <= 0:
            raise UsageError(f"the budget {text!r} is not understood",
                             hint="write 600s, 10m or 2h for time, 500 or 500it for steps")
        if match["unit"] in SECONDS:
            return cls(seconds=float(match["number"]) * SECONDS[match["unit"]])
        if "." in match["number"]:
            raise UsageError(f"the budget {text!r} asks for a fraction of a step",
                             hint="write a whole number of steps, or 600s, 10m, 2h for time")
        return cls(steps=int(match["number"]))

    def allows(self, steps: int, seconds: float) -> bool:
        """Whether another step may start after ``steps`` steps and ``seconds`` seconds."""
        return ((self.steps is None or steps < self.steps)
                and (self.seconds is None or seconds < self.seconds))

    def until(self, share: float) -> Budget:
        """Return the part of the budget that lies before ``share`` of it, in (0, 1]."""
        return Budget(seconds=None if self.seconds is None else self.seconds * share,
                      steps=None if self.steps is None else max(1, round(self.steps * share)))

    def fraction(self, steps: int, seconds: float) -> float:
        """Share of the budget that is used, 0 without limits."""
        by_steps = steps / self.steps if self.steps else 0.0
        by_time = seconds / self.seconds if self.seconds else 0.0
        return max(by_steps, by_time)

    def __str__(self) -> str:
        parts = []
        if self.seconds is not None:
            parts.append(f"{Decimal(str(self.seconds)).normalize():f}s")  # no exponent
        parts += [f"{self.steps}it"] if self.steps is not None else []
        return ",".join(parts)


UNLIMITED = Budget()
