"""Small pieces of text that several sections of the page share."""

from __future__ import annotations

from collections.abc import Sequence

from srbench.boards.board import Column
from srbench.foreign.text import printable

MOST_NAMES = 6


def listed(names: Sequence[str], most: int = MOST_NAMES) -> str:
    """Names in a row, the rest as a number.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b", "c"], most=2)
    ('a', 'a, b and c', 'a, b and 1 more')
    """
    shown = list(names[:most])
    if len(names) > most:
        shown.append(f"{len(names) - most} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def with_unit(column: Column, value: float) -> str:
    """A value with the metric's decimals and unit, which no line break parts."""
    return printable(f"{column.show(value)}\u00a0{column.unit}".rstrip())
