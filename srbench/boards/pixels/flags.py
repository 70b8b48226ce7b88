"""Flags in words: what each means, and which methods have it. The rules: docs/protocols.md."""

from __future__ import annotations

from srbench.boards.board import Board
from srbench.boards.pixels.model import FlagNote
from srbench.foreign.text import printable

LONGEST = 200  # characters of a name that is not ours

MEANINGS = {
    "nan": ("not finite", "An output value was no finite number. The training broke down; metrics "
                          "of such outputs are not computed."),
    "collapse": ("collapse", "The outputs hardly differ from one another: their variance is below "
                             "5 % of that of HR. The map has lost its input."),
    "identity-map": ("identity map", "The map hardly changes its input: it moves images by less "
                                     "than 1 % of the way from LR to HR, in mean square."),
    "colour-cast": ("colour cast", "The mean of a colour channel is further than 5 % of the range "
                                   "from that of HR: the images have a tint, or are too light or "
                                   "too dark."),
    "saturation": ("saturation", "Too many values sit at the ends of the range: their share "
                                 "exceeds that of HR by more than 0.1. Lights or shadows are "
                                 "burnt out."),
    "range": ("wrong range", "More than half of the values lie far outside the range of images "
                             "while none of HR's does, as if the output were in [0, 255]."),
    "checkerboard": ("checkerboard", "All outputs share a pattern that repeats every 2 or 4 "
                                     "pixels, stronger than in HR by more than 0.5 % of the range, "
                                     "as strided transposed convolutions leave it."),
}
UNKNOWN = "This version of srbench does not know the flag; it stands in the record as it is."


def flag_notes(board: Board) -> tuple[FlagNote, ...]:
    """Flags that any finished cell of the board's rows has, explained; ours first.

    Works for boards without images too.
    """
    whose: dict[str, list[str]] = {}
    for row in board.final.rows:
        for flag in row.flags:
            whose.setdefault(flag, []).append(printable(row.label))
    known = [name for name in MEANINGS if name in whose]
    return tuple(_note(name, tuple(whose[name]))
                 for name in [*known, *sorted(set(whose) - set(MEANINGS))])


def _note(name: str, labels: tuple[str, ...]) -> FlagNote:
    title, meaning = MEANINGS.get(name, (printable(name, most=LONGEST), UNKNOWN))
    return FlagNote(name=printable(name, most=LONGEST), title=title, meaning=meaning,
                    labels=labels, known=name in MEANINGS)
