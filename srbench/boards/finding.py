"""The sentence at the head of a board."""

from __future__ import annotations

import math

from srbench.boards.board import Board, Column, Row
from srbench.boards.table import badness

SUPERLATIVES = {"lower": "lowest", "higher": "highest", "target": "nearest to the HR images'"}


def finding(board: Board) -> str:
    """Say in one or two sentences what the first column shows.

    Examples
    --------
    ``ots has the lowest L2-UVP: 6.1 % (1,000 pairs, 3 seeds); next is wgan-gp[lambda=100] with
    9.4 %; identity scores 30.2 %.``
    """
    cells = len(board.records)
    table = board.final
    ranked = [row for row in table.rows
              if row.entries and math.isfinite(badness(row, table.columns, 0))]
    if not table.rows:
        return f"No cell finished: {cells} of {cells} ended without a result."
    if not ranked:
        return "The cells that finished have no value that methods could be compared by."
    column = table.columns[0]
    best, others = ranked[0], ranked[1:]
    sentence = f"{best.label} has the {SUPERLATIVES[column.direction]} {column.title}: "
    sentence += f"{_value(best, column)} ({_basis(best, column)})"
    if len(ranked) == 1:
        sentence = f"{best.label} scores {column.title} {_value(best, column)} " \
                   f"({_basis(best, column)})"
    anchors = [row for row in others if row.method == "identity"]
    if others and others[0] not in anchors:
        sentence += f"; next is {others[0].label} with {_value(others[0], column)}"
    sentence += "".join(f"; {row.label} scores {_value(row, column)}" for row in anchors)
    missing = len(board.failures)
    return sentence + "." + (f" {missing} of {cells} cells did not finish." if missing else "")


def caution(board: Board) -> str:
    """Say what the numbers of this board cannot show."""
    seeds = [row.seeds for row in board.final.rows]
    if not seeds:
        return ""
    if max(seeds) == 1:
        return ("One seed each says nothing about how much training varies: a difference between "
                "methods may be chance.")
    single = "; methods with one seed have none" if min(seeds) == 1 else ""
    return f"± is the standard deviation over seeds{single}. No test of differences was made."


def _value(row: Row, column: Column) -> str:
    mean = row.entries[0].mean
    assert mean is not None  # the caller ranks only rows with a value
    return f"{column.show(mean)} {column.unit}".strip()


def _basis(row: Row, column: Column) -> str:
    seeds = row.entries[0].seeds
    pairs = f"{column.count:,} pairs, " if column.count else ""
    return f"{pairs}{seeds} seed{'s' if seeds != 1 else ''}"
