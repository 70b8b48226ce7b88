"""Labels beside marks, none over another: greedy, in order of importance, the same every time."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from srbench.foreign.text import printable

SIZE = 12.0
LONGEST = 32  # characters of a label; the whole one is in the table
# Widths in 1/1000 em of Liberation Sans (as of Arial and Helvetica), whose outlines a reader may
# not have: the slack is what DejaVu Sans, the widest of the usual substitutes, takes more.
SLACK = 1.16
_NARROW = {"i": 222, "j": 222, "l": 222, "'": 191, "|": 260, " ": 278, "!": 278, ",": 278,
           ".": 278, "/": 278, ":": 278, ";": 278, "I": 278, "[": 278, "]": 278, "f": 278,
           "t": 278, "(": 333, ")": 333, "-": 333, "r": 333, "m": 833, "M": 833, "W": 944,
           "w": 722, "@": 1015, "%": 889, "=": 584, "+": 584, "λ": 500, "→": 1000, "²": 333}
DISTANCES = (7.0, 13.0, 22.0, 34.0, 48.0, 64.0)
LEADER = 20.0  # from this distance on a line leads to the mark
DIRECTIONS = ((1, 0), (-1, 0), (1, -1), (1, 1), (-1, -1), (-1, 1), (0, -1), (0, 1))
Segment = tuple[float, float, float, float]


@dataclass(frozen=True)
class Box:
    """Pixels from the left and the top."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether the two share an area."""
        return (self.left < other.right and other.left < self.right
                and self.top < other.bottom and other.top < self.bottom)

    def inside(self, other: Box) -> bool:
        """Whether it lies within the other."""
        return (other.left <= self.left and self.right <= other.right
                and other.top <= self.top and self.bottom <= other.bottom)

    def crossed(self, segment: Segment) -> bool:
        """Whether a straight line goes through it (Liang and Barsky's clipping)."""
        x, y, end_x, end_y = segment
        start, end = 0.0, 1.0
        for step, near, far in ((end_x - x, self.left - x, self.right - x),
                                (end_y - y, self.top - y, self.bottom - y)):
            if step == 0:
                if near > 0 or far < 0:
                    return False
                continue
            first, second = sorted((near / step, far / step))
            start, end = max(start, first), min(end, second)
        return start < end


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A text for one of several places (pixels), at most ``reach`` from it.

    ``on_line``: the places are points of a horizontal line, which the text stands on or under.
    """

    text: str
    places: tuple[tuple[float, float], ...]
    on_line: bool = False
    reach: float = DISTANCES[-1]


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Where a text went: offsets in pixels from the place, which is its ``align`` end's middle."""

    text: str
    place: tuple[float, float]
    dx: float
    dy: float
    align: str
    box: Box
    leader: bool


def short(text: str, most: int = LONGEST) -> str:
    """One printable line of at most ``most`` characters."""
    line = printable(text, most=2 * most + 100)
    return line if len(line) <= most else line[:most - 1] + "…"


def text_width(text: str, size: float = SIZE) -> float:
    """Pixels that a text takes, rather too many than too few."""
    return SLACK * size * sum(map(_width, text)) / 1000


def fit(text: str, width: float, size: float = SIZE) -> str:
    """One printable line no wider than ``width`` pixels."""
    line = short(text, 200)
    most = len(line)
    while most > 1 and text_width(line, size) > width:
        most -= 1
        line = short(text, most)
    return line


def place_labels(wishes: Sequence[Wish], frame: Box, *, marks: Sequence[Box] = (),
                 lines: Sequence[Segment] = (), size: float = SIZE) -> list[Placed | None]:
    """Give each wish a free place, in order; None where there is none.

    Labels keep off each other, off ``marks`` and within ``frame``; they cross ``lines`` only where
    they must, and stay close.
    """
    taken: list[Box] = list(marks)
    placed: list[Placed | None] = []
    for wish in wishes:
        best: tuple[float, Placed] | None = None
        for cost, candidate in _candidates(wish, size):
            if best is not None and cost >= best[0]:
                continue
            if not candidate.box.inside(frame) or any(map(candidate.box.overlaps, taken)):
                continue
            cost += 3 * sum(map(candidate.box.crossed, lines))
            if best is None or cost < best[0]:
                best = cost, candidate
        placed.append(best and best[1])
        if best:
            taken.append(best[1].box)
    return placed


def spread(positions: Sequence[float], low: float, high: float, gap: float) -> list[float]:
    """Move positions apart to at least ``gap`` within the ends, in order, by little.

    Where they do not fit they share the room evenly.
    """
    count = len(positions)
    if count == 0:
        return []
    gap = min(gap, (high - low) / max(count - 1, 1))
    order = sorted(range(count), key=lambda index: (positions[index], index))
    # Blocks of neighbours that touch, each at the mean of what its members wish for.
    blocks: list[list[float]] = []  # [sum of wished starts, members]
    for rank, index in enumerate(order):
        blocks.append([min(max(positions[index], low), high) - rank * gap, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, members = blocks.pop()
            blocks[-1] = [blocks[-1][0] + total, blocks[-1][1] + members]
    moved, rank = [0.0] * count, 0
    for total, members in blocks:
        for _ in range(int(members)):
            start = min(max(total / members, low), high - (count - 1) * gap)
            moved[order[rank]] = start + rank * gap
            rank += 1
    return moved


def _candidates(wish: Wish, size: float) -> list[tuple[float, Placed]]:
    width, height = text_width(wish.text, size), 1.25 * size
    found: list[tuple[float, Placed]] = []
    for index, (x, y) in enumerate(wish.places):
        if wish.on_line:
            offsets = [(0.0, -0.75 * size), (0.0, 0.75 * size)]
        else:
            offsets = [(a * d, b * d) for d in DISTANCES if d <= wish.reach
                       for a, b in DIRECTIONS]
        for turn, (dx, dy) in enumerate(offsets):
            align = "center" if dx == 0 else "left" if dx > 0 else "right"
            left = x + dx - {"center": width / 2, "left": 0.0, "right": width}[align]
            if dx == 0 and not wish.on_line:
                dy += 0.3 * size * (1 if dy > 0 else -1)  # the text's own height
            box = Box(left, y + dy - height / 2, left + width, y + dy + height / 2)
            distance = max(abs(dx), abs(dy))
            cost = 0.2 * index + 0.01 * turn + (0 if wish.on_line else distance / 9)
            found.append((cost, Placed(text=wish.text, place=(x, y), dx=dx, dy=dy, align=align,
                                       box=box, leader=not wish.on_line and distance > LEADER)))
    return found


def _width(letter: str) -> int:
    known = _NARROW.get(letter)
    if known is not None:
        return known
    if unicodedata.east_asian_width(letter) in "WF" or ord(letter) > 0xFFFF:
        return 1000
    return 722 if letter.isupper() else 556 if letter < "\u0250" else 800
