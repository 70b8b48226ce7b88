"""Words that others chose, made fit to be shown: names, reasons, notes of records and plugins."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

REPLACEMENT = "\ufffd"
LONGEST = 2_000  # characters of one text on a terminal or in a message
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
_NOT_SHOWN = re.compile("[^ -~]")  # a first, fast look: plain ASCII needs no second one


def printable(text: str, *, most: int = LONGEST) -> str:
    r"""One line of text that cannot steer a terminal or turn the text around it.

    Parameters
    ----------
    text : str
        Of anybody.
    most : int
        Characters after which the rest is left out, and said to be.

    Returns
    -------
    str
        White space of any kind as blanks; control and format characters (escape sequences,
        changes of direction, invisible ones, halves of surrogate pairs) as U+FFFD.

    Examples
    --------
    >>> printable("ots\x1b[2K\n\u202e!")
    'ots\ufffd[2K \ufffd!'
    """
    return cut(_NOT_SHOWN.sub(lambda found: _shown(found[0]), text[:most + 1]), len(text), most)


def printable_lines(text: str, *, most: int | None = None) -> str:
    """Text of several lines, each of them `printable`; cut only where ``most`` says so."""
    kept = text if most is None else cut(text[:most], len(text), most)
    return "\n".join(printable(line, most=len(line)) for line in kept.split("\n"))


def cut(text: str, length: int, most: int) -> str:
    """The first ``most`` characters of a text that had ``length``, and how many are left out."""
    return text if length <= most else f"{text[:most]}… ({length - most:,} more characters)"


def escaped_json(text: str) -> str:
    r"""JSON text in which characters that are not `printable` stand as ``\uXXXX``."""
    return re.sub("[^ -~\n]", lambda found: found[0] if found[0].isprintable()
                  else _json_escape(found[0]), text)


def inert_cell(text: str) -> str:
    """Text for a cell of a CSV file that no spreadsheet runs as a formula."""
    return printable_lines(f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text)


def escaped_latex(text: str, special: Mapping[str, str]) -> str:
    """Text for LaTeX, each special character replaced by its command."""
    return "".join(special.get(letter, letter) for letter in printable(text))


def _shown(letter: str) -> str:
    if letter.isprintable() or unicodedata.category(letter) == "Zs":
        return letter
    return " " if letter.isspace() else REPLACEMENT


def _json_escape(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
