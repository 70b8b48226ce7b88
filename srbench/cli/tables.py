"""Results as tables for a terminal: only columns with values, and only as many as fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from srbench.foreign.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType
    from rich.table import Table as RichTable

    from srbench.boards.board import Board, Column, Entry, Row, Table
    from srbench.results.record import Record

GAP = 2  # blanks between columns
LONGEST = 500  # characters of one name, reason or note
COST = ("seeds", "training\ns", "parameters")


def results_tables(records: Sequence[Record], runs: Path | None = None, *,
                   width: int | None = None) -> list[RenderableType]:
    """Tables of records for a rich console, one for each dataset title and preset.

    Parameters
    ----------
    records : sequence of Record
        Of any datasets and presets.
    runs : Path, optional
        The runs folder they are from, named in front of the paths of logs.
    width : int, optional
        Columns of the terminal; what does not fit is named below the table. None shows all.

    Returns
    -------
    list of renderables
        For each board its notice, its table, why values are missing, and the cells that are not
        ok. Names of plugins are never read as markup.
    """
    from srbench.boards.table import make_boards

    return [part for board in make_boards(records) for part in _board_parts(board, runs, width)]


def _board_parts(board: Board, runs: Path | None, width: int | None) -> list[RenderableType]:
    from rich.text import Text

    parts: list[RenderableType] = []
    if board.notice:
        parts.append(Text(f"NOTE  {_clean(board.notice)}\n", style="bold yellow"))
    if board.final.rows:
        parts += _table_and_notes(board, width)
    else:
        parts.append(Text(f"{_clean(board.title)}, preset {board.preset}: no cell finished"))
    for failure in board.failures:
        parts.append(Text(_clean(f"{failure.status}: {failure.label}, seed {failure.seed}: "
                                 f"{failure.reason or 'no reason was recorded'}  "
                                 f"log: {runs / failure.log if runs else failure.log}"),
                          style="red"))
    if board.superseded:
        parts.append(Text(f"{board.superseded} older records of the same cells are left out",
                          style="dim"))
    return [*parts, Text()]


def _table_and_notes(board: Board, width: int | None) -> list[RenderableType]:
    from rich.text import Text

    from srbench.boards.text import empty_columns, mending

    table = board.final
    valued = [index for index in range(len(table.columns))
              if any(row.entries[index].mean is not None for row in table.rows)]
    shown = valued if width is None else valued[:fitting(table, valued, width)]
    notes = [f"[{number}] {table.missing(gap)}: {gap.why}{mending(gap.remedy)}"
             for number, gap in enumerate(table.gaps, 1)
             if any(table.columns[index].name == gap.column for index in shown)]
    notes += empty_columns(table)
    notes += [f"no value of {', '.join(titles)}: {why}" for why, titles in table.inapplicable]
    notes += [f"{', '.join(labels)}: {note}" for note, labels in board.notes]
    if len(shown) < len(valued):
        rest = ", ".join(table.columns[index].title for index in valued[len(shown):])
        notes.append(f"not shown for want of space: {rest} (the page and --csv have all)")
    return [_rich_table(board, shown), *(Text(_clean(note), style="dim") for note in notes)]


def fitting(table: Table, valued: Sequence[int], width: int) -> int:
    """How many of the valued columns fit beside the method and the cost; at least one."""
    used = max(len(_label(row)) for row in table.rows)
    used += sum(GAP + _widest(heading) for heading in COST)
    for number, index in enumerate(valued):
        column = table.columns[index]
        cells = [len(_value(row.entries[index], column, row)) for row in table.rows]
        used += GAP + max([_widest(_header(column)), *cells])
        if used > width:
            return max(1, number)
    return len(valued)


def _rich_table(board: Board, indices: Sequence[int]) -> RichTable:
    from rich.table import Table as RichTable
    from rich.text import Text

    title = Text(_clean(f"{board.title}, preset {board.preset}"), style="bold")
    shown = RichTable(title=title, title_justify="left", box=None, pad_edge=False,
                      header_style="dim")
    shown.add_column("method", overflow="fold")
    for index in indices:
        shown.add_column(Text(_header(board.final.columns[index])), justify="right", no_wrap=True)
    for heading in COST:
        shown.add_column(heading, justify="right", no_wrap=True)
    for row in board.final.rows:
        shown.add_row(*_cells(row, board.final, indices))
    return shown


def _cells(row: Row, table: Table, indices: Sequence[int]) -> list[RenderableType]:
    from rich.text import Text

    values = [(row.entries[index], table.columns[index]) for index in indices]
    return [Text(_label(row)),
            *(Text(_value(entry, column, row), style="bold" if entry.best else "")
              for entry, column in values),
            str(len(row.seeds)), f"{row.costs.seconds:,.1f}", f"{row.costs.parameters:,.0f}"]


def _label(row: Row) -> str:
    return _clean(row.label + (f" ({', '.join(row.flags)})" if row.flags else ""))


def _header(column: Column) -> str:
    """The title a word to a line, unit and arrow below it."""
    words = _clean(column.heading).replace(" ", "\n")
    return f"{words}\n{_clean(column.unit)} {column.arrow}".replace("\n ", "\n")


def _widest(heading: str) -> int:
    return max(len(line) for line in heading.split("\n"))


def _value(entry: Entry, column: Column, row: Row) -> str:
    found = entry.estimate
    if found is None:
        return f"– [{entry.gap}]"
    deviation = "" if found.seed_sd is None else f" ± {column.show(found.seed_sd)}"
    fewer = "" if found.seeds == len(row.seeds) else f" ({found.seeds} of {len(row.seeds)})"
    return column.show(found.mean) + deviation + fewer


def _clean(text: str) -> str:
    """Text of a record on one line that cannot steer the terminal."""
    return printable(text, most=LONGEST)
