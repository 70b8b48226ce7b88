"""Whether what a command printed is what a page shows, up to what differs from run to run."""

from __future__ import annotations

import math
import re

TOLERANCE = 0.05  # of numbers with decimals: trainings differ in their last digits by machine
_TIME = r"(?:ms|s|seconds?|min|minutes?|h|hours?|d)"
MASKS = (
    (re.compile(r"\x1b\[[0-9;?]*[A-Za-z]"), ""),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[T -]?\d\d:?\d\d:?\d\d(?:[.\d]*)?)?"
                r"(?:Z|[+-]\d\d:\d\d|-[0-9a-f]{4})?"), "<date>"),
    (re.compile(r"\b\d+:\d\d(?::\d\d)?\b"), "<time>"),
    (re.compile(rf"\b\d[\d,.]*(?:e-?\d+)? ?{_TIME}\b(?: \d+ ?{_TIME}\b)*"), "<time>"),
    (re.compile(r"\b\d[\d,.]* (?:it|steps?|images?|patches|cells?)/(?:s|min)\b"), "<speed>"),
    (re.compile(r"\b\d[\d,.]* ?(?:[KMG]i?B|kB|bytes|B)\b"), "<size>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{6,64}\b"), "<key>"),
    (re.compile(r"\b\d+\.\d+\.\d+[\w.+]*"), "<version>"),
    (re.compile(r"[─━═╌-]{3,}"), "<rule>"),
    (re.compile(r"(?<!\S)/\S*?/(?=runs/|[\w.@-]+(?:\s|$))"), "<folder>/"),
)
_NUMBER = re.compile(r"^[-+±(]*\d[\d,]*\.\d+[%)]*,?$")


def masked(text: str) -> list[list[str]]:
    """Words of each line that says something, what varies replaced by its kind."""
    for pattern, kind in MASKS:
        text = pattern.sub(kind, text)
    return [line.split() for line in text.splitlines() if line.strip()]


def same_words(shown: list[str], printed: list[str]) -> bool:
    """Whether one line agrees with another; a last word ``...`` stands for the rest."""
    if shown and shown[-1] == "...":
        return len(printed) >= len(shown) - 1 and same_words(shown[:-1],
                                                             printed[:len(shown) - 1])
    return len(shown) == len(printed) and all(map(_same_word, shown, printed))


def difference(shown: str, printed: str) -> str:
    """Say where the two part, or nothing; a line ``...`` stands for any lines, also none."""
    want, have = masked(shown), masked(printed)
    place = 0
    for number, line in enumerate(want):
        if line == ["..."]:
            rest = want[number + 1:]
            starts = range(place, len(have) + 1)
            if any(not _difference(rest, have[start:]) for start in starts):
                return ""
            return f"what follows '...' is not printed: {' '.join(rest[0]) if rest else ''}"
        if place >= len(have):
            return f"not printed: {' '.join(line)}"
        if not same_words(line, have[place]):
            return f"shown:   {' '.join(line)}\nprinted: {' '.join(have[place])}"
        place += 1
    return "" if place == len(have) else f"printed, but not shown: {' '.join(have[place])}"


def _difference(want: list[list[str]], have: list[list[str]]) -> str:
    join = "\n".join
    return difference(join(map(" ".join, want)), join(map(" ".join, have)))


def _same_word(shown: str, printed: str) -> bool:
    if shown == printed or (_NUMBER.match(shown) and _NUMBER.match(printed)
                            and _close(_value(shown), _value(printed))):
        return True
    return "<" in shown and "..." in shown  # a path cut short by hand


def _value(word: str) -> float:
    return float(word.strip("±()%+,").replace(",", ""))


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=0.01)
