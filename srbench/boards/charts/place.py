"""Where values of a swept parameter stand: logarithmic, with 0 and infinity apart."""

from __future__ import annotations

import math
from collections.abc import Iterable

from srbench.boards.charts.scales import Axis, number, tidy

APART = 0.75  # decades between the ends of the sweep and what stands apart, at least
MOST = 9


class Scale:
    """Positions of the values of one sweep on a linear axis in decades.

    Attributes
    ----------
    first, last : float
        Positions of the smallest positive and of the largest value.
    zero, infinity : float
        Positions of 0 and of the limit; ``zero`` only counts where ``has_zero``.
    """

    def __init__(self, values: Iterable[float]) -> None:
        self.values = sorted(set(values))
        positive = [value for value in self.values if value > 0] or [1.0]
        self.has_zero = self.values[0] <= 0
        self.first, self.last = math.log10(positive[0]), math.log10(positive[-1])
        self.apart = max(APART, 0.11 * (self.last - self.first))
        self.zero, self.infinity = self.first - self.apart, self.last + self.apart

    def place(self, value: float) -> float:
        """Return the position of a value, 0 and infinity included."""
        if value <= 0:
            return self.zero
        return self.infinity if math.isinf(value) else math.log10(value)

    def axis(self) -> Axis:
        """Return the axis with a tick at each decade, or at each value where there are few."""
        inner = self._inner()
        ticks = [*([self.zero] if self.has_zero else []), *map(self.place, inner), self.infinity]
        low = (self.zero if self.has_zero else self.first) - 0.4 * self.apart
        return Axis(low=tidy(low), high=tidy(self.infinity + 0.4 * self.apart),
                    ticks=tuple(map(tidy, ticks)))

    def labels(self) -> dict[float, str]:
        """Return the text at each tick."""
        named = {tidy(self.place(value)): number(value) for value in self._inner()}
        if self.has_zero:
            named[tidy(self.zero)] = "0"
        return named | {tidy(self.infinity): "∞"}

    def breaks(self) -> list[float]:
        """Return the positions of the lines that set 0 and infinity apart."""
        found = [self.last + self.apart / 2]
        return [self.first - self.apart / 2, *found] if self.has_zero else found

    def between(self, count: int = 60) -> list[float]:
        """Values from the smallest positive to the largest, evenly in decades."""
        step = (self.last - self.first) / (count - 1)
        return [10 ** (self.first + index * step) for index in range(count)]

    def _inner(self) -> list[float]:
        positive = [value for value in self.values if value > 0]
        decades = [10.0**power for power in range(math.ceil(self.first - 1e-9),
                                                  math.floor(self.last + 1e-9) + 1)]
        if len(decades) >= 3:
            every = math.ceil(len(decades) / MOST)
            return decades[::every]
        return positive[::math.ceil(len(positive) / MOST)] if positive else []

