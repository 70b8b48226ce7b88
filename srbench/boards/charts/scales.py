"""Axes of charts: which are logarithmic, where they end, where their ticks are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DECADES = 1.5  # of values, from which an axis is logarithmic
PADDING = 0.06  # of the axis, on each side
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
MOST_TICKS = 6


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis from ``low`` to ``high``; ``reverse`` puts ``low`` at the right or the top."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False
    reverse: bool = False

    def place(self, value: float) -> float:
        """Return where a value is: 0 at the left or bottom end, 1 at the other."""
        if self.log:
            start = math.log(self.low)
            share = (math.log(max(value, 1e-300)) - start) / (math.log(self.high) - start)
        else:
            share = (value - self.low) / (self.high - self.low)
        return 1 - share if self.reverse else share

    def value(self, share: float) -> float:
        """Return the value at a place, the inverse of `place`."""
        share = 1 - share if self.reverse else share
        if self.log:
            return float(self.low * (self.high / self.low) ** share)
        return self.low + share * (self.high - self.low)

    def clip(self, value: float) -> float:
        """Return the nearest value that the axis shows."""
        return min(max(value, self.low), self.high)


def spans_decades(values: Iterable[float]) -> bool:
    """Whether values are positive and span more than 1.5 decades: a log axis shows them better."""
    known = list(values)
    return (bool(known) and min(known) > 0
            and math.log10(max(known)) - math.log10(min(known)) > DECADES)


def axis(values: Sequence[float], bounds: Iterable[float] = (), *, reverse: bool = False,
         log: bool | None = None, padding: float = PADDING) -> Axis:
    """Axis that shows ``values`` and the ends of their error bars.

    Parameters
    ----------
    values : sequence of float
        Finite, at least one; they decide whether the axis is logarithmic.
    bounds : iterable of float
        Also shown, but for those that a log axis cannot show and, where no value is negative,
        those that are: an interval may reach below 0 where the metric cannot.
    log : bool, optional
        Asks for a log or a linear axis; needs positive values.
    """
    logarithmic = spans_decades(values) if log is None else log
    least = 0 if min(values) >= 0 else -math.inf
    shown = [*values, *(bound for bound in bounds if bound >= least
                        and (bound > 0 or not logarithmic))]
    low, high = min(shown), max(shown)
    if logarithmic:
        # A bar that nearly reaches 0 would take decades for itself.
        low, high = math.log10(max(low, min(values) / 10)), math.log10(high)
    gap = (high - low) or abs(high) * 0.2 or 1.0
    low, high = low - padding * gap, high + padding * gap
    if logarithmic:
        low, high = 10**low, 10**high
    low, high = tidy(low), tidy(high)
    ticks = log_ticks(low, high) if logarithmic else linear_ticks(low, high)
    return Axis(low=low, high=high, ticks=ticks, log=logarithmic, reverse=reverse)


def linear_ticks(low: float, high: float) -> tuple[float, ...]:
    """Multiples of 1, 2, 2.5 or 5 times a power of ten, at most six."""
    power = 10.0 ** math.floor(math.log10((high - low) / MOST_TICKS))
    for step in (power * factor for factor in STEPS):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < MOST_TICKS:
            break
    return tuple(tidy(index * step) for index in range(first, last + 1))


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Powers of ten, with 2 and 5 times them between where there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in ((1,), (1, 3), (1, 2, 5)):
        ticks = tuple(tidy(factor * 10.0**power) for power in range(first, last + 1)
                      for factor in factors)
        ticks = tuple(tick for tick in ticks if low <= tick <= high)
        if len(ticks) >= 3:
            return ticks
    return linear_ticks(low, high)


def tidy(value: float) -> float:
    """Six significant digits: what is drawn does not hang on the last bit of a sum."""
    return float(f"{value:.6g}")


def number(value: float) -> str:
    """A value of a parameter, short: ``0.1``, ``100``, ``10⁵``."""
    if value >= 1000 and math.log10(value).is_integer():
        return "10" + str(round(math.log10(value))).translate(str.maketrans("0123456789",
                                                                         "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{value:g}"
