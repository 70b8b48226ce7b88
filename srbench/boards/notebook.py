"""Boards as a fragment of HTML for a notebook: the table of the page, without script.

It takes its colours from the notebook, so that it can be read in a light and in a dark one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from srbench.boards.finding import basis, finding
from srbench.boards.markup import PACKAGE, environment
from srbench.boards.page import references
from srbench.boards.text import empty_columns

if TYPE_CHECKING:
    from srbench.boards.board import Board, Table
    from srbench.results.store import Invalid

STYLE = "templates/notebook.css"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A board of the fragment.

    Attributes
    ----------
    board : Board
        With the columns that are shown.
    finding, basis : str
        Sentences above the table.
    hidden : list of str
        Headings of the columns with values that are not shown.
    empty : list of str
        Which columns have no value, and why.
    references : list of (str, str)
        Rows of the data itself: what they are called, and their key.
    own : str
        Begins the ids of the table.
    """

    board: Board
    finding: str
    basis: str
    hidden: list[str]
    empty: list[str]
    references: list[tuple[str, str]]
    own: str


def notebook_html(boards: Sequence[Board], invalid: Sequence[Invalid] = ()) -> str:
    """Fragment of HTML that shows boards; everything is escaped, nothing runs, nothing is fetched.

    Parameters
    ----------
    boards : sequence of Board
        One table each.
    invalid : sequence of Invalid
        Records that cannot be used; they are listed.
    """
    from markupsafe import Markup

    style = Markup((PACKAGE / STYLE).read_text(encoding="utf-8"))
    return environment().get_template("notebook.html").render(
        parts=[_part(board) for board in boards], style=style,
        invalid=[(f"{broken.path.parent.name}/{broken.path.name}", broken.reason)
                 for broken in invalid])


def _part(board: Board) -> Part:
    table, hidden = _narrowed(board.final, board.shown)
    digest = hashlib.sha256(f"{board.name}\0{board.preset}".encode()).hexdigest()[:8]
    shown = replace(board, final=table)
    return Part(board=shown, finding=finding(board), basis=basis(board), hidden=hidden,
                empty=empty_columns(board.final),
                references=references(shown), own=f"srbench-{digest}-")


def _narrowed(table: Table, shown: Sequence[str]) -> tuple[Table, list[str]]:
    """The table with the columns that a page shows at first, and the headings of the others."""
    kept = [index for index, column in enumerate(table.columns) if column.name in shown]
    names = {table.columns[index].name for index in kept}
    numbers = [number for number, gap in enumerate(table.gaps, 1) if gap.column in names]
    renumbered = {old: new for new, old in enumerate(numbers, 1)}
    rows = tuple(replace(row, entries=tuple(
        replace(row.entries[index], gap=renumbered.get(row.entries[index].gap or 0))
        for index in kept)) for row in table.rows)
    narrow = replace(table, columns=tuple(table.columns[index] for index in kept), rows=rows,
                     gaps=tuple(table.gaps[number - 1] for number in numbers))
    valued = [any(row.entries[index].mean is not None for row in table.rows)
              for index in range(len(table.columns))]
    return narrow, [column.heading for column, has in zip(table.columns, valued, strict=True)
                    if has and column.name not in names]
