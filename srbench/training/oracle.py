"""The iterate ground truth would have chosen, and how often it looked."""

from __future__ import annotations

import math
from typing import Any, Literal

from torch import Tensor, nn


class Oracle:
    """Keeps a copy of the method where the first validation metric was best.

    Parameters
    ----------
    direction : {"lower", "higher"}
        Which values are better.
    """

    def __init__(self, direction: Literal["lower", "higher"]) -> None:
        self._sign = 1.0 if direction == "lower" else -1.0
        self.state: dict[str, Tensor] | None = None
        self.value: float | None = None
        self.step: int | None = None
        self.looks = 0

    def look(self, value: float, step: int, method: nn.Module) -> None:
        """Take the method as it is now if ``value`` is the best finite one so far."""
        self.looks += 1
        if not math.isfinite(value):
            return
        if self.value is None or self._sign * value < self._sign * self.value:
            self.value, self.step = value, step
            self.state = {name: tensor.detach().to("cpu", copy=True)
                          for name, tensor in method.state_dict().items()
                          if isinstance(tensor, Tensor)}

    def saved(self) -> dict[str, Any]:
        """Return what `load` needs."""
        return {"state": self.state, "value": self.value, "step": self.step, "looks": self.looks}

    def load(self, saved: dict[str, Any]) -> None:
        """Go on from what `saved` returned."""
        self.state, self.value = saved["state"], saved["value"]
        self.step, self.looks = saved["step"], saved["looks"]
