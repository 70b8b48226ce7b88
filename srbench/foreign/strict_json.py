"""JSON of others: read as the standard has it, and no deeper than a record is."""

from __future__ import annotations

import json
import math
from typing import Any

DEEPEST = 40


def parse(content: bytes, *, constants: bool = False) -> Any:
    """Value of a JSON document.

    Parameters
    ----------
    content : bytes
        UTF-8, 16 or 32.
    constants : bool
        Whether NaN, Infinity and numbers too large for a float are numbers, as Python writes them.

    Raises
    ------
    ValueError
        If it is not JSON, names a key twice, nests deeper than `DEEPEST`, or holds numbers that
        are not finite where they are not allowed.
    """
    def refuse(word: str) -> float:
        raise ValueError(f"{word} is no JSON number")

    def number(digits: str) -> float:
        value = float(digits)
        return value if constants or math.isfinite(value) else refuse(digits[:40])

    try:
        value = json.loads(content, parse_float=number, object_pairs_hook=_unique,
                           parse_constant=float if constants else refuse)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error
    _check_depth(value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:100]!r} occurs twice")
    return found


def _check_depth(value: Any) -> None:
    layer, depth = [value], 0
    while layer:
        if depth > DEEPEST:
            raise ValueError(f"it nests deeper than {DEEPEST}")
        layer = [inner for outer in layer if isinstance(outer, dict | list)
                 for inner in (outer.values() if isinstance(outer, dict) else outer)]
        depth += 1
