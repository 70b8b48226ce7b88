"""The smallest parts of the spec grammar: scalars, lists, and a reader that knows where it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isnan

from srbench.errors import SpecError

NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")  # as registry.infos demands it
KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'", re.DOTALL)
BARE = re.compile(r"[^,=\[\]\"'\s](?:[^,=\[\]\"']*[^,=\[\]\"'\s])?")
NUMERIC = re.compile(r"[+-]?[0-9.][0-9_.eE+-]*|[+-]?inf")
BLANK = re.compile(r"\s*")
WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "none": None}
FORM = "a spec is name, name[key=value] or name[key=[a,b]]"


class Reader:
    """A position in a text; every complaint says where it is.

    Parameters
    ----------
    text : str
        What is read.
    at : int
        Where reading starts, from 0.
    """

    def __init__(self, text: str, at: int = 0) -> None:
        self.text = text
        self.at = at
        self.skip()

    def skip(self) -> None:
        """Pass over white space."""
        blank = BLANK.match(self.text, self.at)
        self.at = blank.end() if blank else self.at

    def done(self) -> bool:
        """Tell whether nothing is left."""
        return self.at >= len(self.text)

    def peek(self) -> str:
        """Return the next character, or empty at the end."""
        return self.text[self.at:self.at + 1]

    def take(self, literal: str) -> bool:
        """Pass over ``literal`` if it comes next."""
        found = self.text.startswith(literal, self.at)
        if found:
            self.at += len(literal)
            self.skip()
        return found

    def match(self, pattern: re.Pattern[str]) -> str | None:
        """Return what ``pattern`` matches here and pass over it, or None."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        self.skip()
        return found.group()

    def fail(self, what: str, at: int | None = None) -> SpecError:
        """Return the error for this place; positions count from 1."""
        where = (self.at if at is None else at) + 1
        return SpecError(f"cannot read {self.text!r}: {what} at character {where}", hint=FORM)


def split_list(text: str) -> list[str]:
    """Split at the commas outside brackets and quotes.

    Raises
    ------
    SpecError
        If a part is empty or a bracket is not balanced.

    Examples
    --------
    >>> split_list("ots, wgan-gp[lambda=0,100]")
    ['ots', 'wgan-gp[lambda=0,100]']
    """
    reader = Reader(text)
    parts, start = [], 0
    opened: list[int] = []
    while not reader.done():
        at, char = reader.at, reader.peek()
        if char in "\"'" and reader.match(QUOTED) is not None:
            continue
        reader.at += 1
        if char == "[":
            opened.append(at)
        elif char == "]":
            if not opened:
                raise reader.fail("']' without '['", at)
            opened.pop()
        elif char == "," and not opened:
            parts.append((start, text[start:at]))
            start = at + 1
    if opened:
        raise reader.fail("'[' is never closed", opened[-1])
    parts.append((start, text[start:]))
    for at, part in parts:
        if not part.strip():
            raise reader.fail("nothing between commas" if len(parts) > 1 else "nothing", at)
    return [part.strip() for _, part in parts]


def format_value(value: object) -> str:
    """Text that `parse_value` reads as the same value.

    Raises
    ------
    SpecError
        If ``value`` is no int, float, bool, str or None, or is NaN.
    """
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and not isnan(value):
        if value.is_integer() and abs(value) < 1e16:
            return str(int(value))
        return re.sub(r"e([+-])0*(\d)", lambda m: "e" + m[1].strip("+") + m[2], repr(value))
    if isinstance(value, str):
        bare = BARE.fullmatch(value) and parse_value(value) == value
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return value if bare else f'"{escaped}"'
    raise SpecError(f"{value!r} has no text form in a spec", hint="use a number, a word or none")


def parse_value(text: str) -> object:
    """Read a scalar: ``1`` int, ``1e3`` float, ``true``, ``none``; anything else is a str."""
    if QUOTED.fullmatch(text):
        return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if NUMERIC.fullmatch(text):
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
    return text
