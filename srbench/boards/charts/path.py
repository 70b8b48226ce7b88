"""The lambda path: each metric against the weight of the content loss."""

from __future__ import annotations

import math
from collections.abc import Sequence

from srbench.boards.board import Board, Row
from srbench.boards.charts.build import assemble
from srbench.boards.charts.chart import Chart
from srbench.boards.charts.look import join
from srbench.boards.charts.panels import add_key, metric_panel
from srbench.boards.charts.place import Scale
from srbench.boards.charts.sweeping import Sweeping
from srbench.boards.charts.values import (
    families,
    mean,
    short_label,
    show,
    show_entry,
    spread,
    symbol,
    valued,
    with_unit,
)

MOST_PANELS = 6
WIDTH = 520
FIELD = (212, 124)
GAPS = (50, 56)
PADDING = {"left": 40, "top": 74}
BOTTOM = 36
THEORY = ("The dashed curve is no prediction for WGAN-GP: it is the optimum of a GAN whose "
          "discrepancy is the squared W2 distance in the same mean squared units as the content "
          "loss. ")
BOUND = ("WGAN-GP's is W1; with an exact one no image moves farther than D/(2λ), which gives the "
         "dotted lower bound. ")


def path(board: Board, *, lines: Sequence[str] = ("ots",), values: int | None = None,
         ) -> Chart | None:
    """Draw metrics along the board's largest sweep, with what bounds it.

    λ = 0 stands apart at the left; at the right the identity, the limit λ → ∞.

    Parameters
    ----------
    board : Board
        Its table of last iterates is drawn.
    lines : sequence of str
        Methods without a sweep, drawn as horizontal lines.
    values : int, optional
        Number D of values of an image, for the bound of exact W1; left out: from the records.

    Returns
    -------
    Chart or None
        None where the board has no sweep of two values or more with a value.
    """
    sweep = _sweep(board)
    if sweep is None:
        return None
    (family, parameter), rows = sweep
    indices = [index for index in range(len(board.final.columns))
               if any(mean(row.entries[index]) is not None for row in rows)]
    # Those that the table shows first of all; sorting keeps the columns' order within both.
    indices.sort(key=lambda index: board.final.columns[index].name not in board.shown)
    indices = sorted(indices[:MOST_PANELS])
    if not indices:
        return None
    scale = Scale([row.sweep.value for row in rows if row.sweep])
    sweeping = Sweeping(board=board, rows=tuple(rows), scale=scale, parameter=symbol(parameter),
                        lines=tuple(row for row in board.final.rows
                                    if row.sweep is None and row.method in lines),
                        identity=next((row for row in board.final.rows
                                       if row.method == "identity"), None),
                        values=values, theory=parameter == "lambda")
    panels = [metric_panel(sweeping, index, position, width=FIELD[0], height=FIELD[1])
              for position, index in enumerate(indices)]
    add_key(panels[0], sweeping, indices)
    rows_down = math.ceil(len(panels) / 2)
    height = PADDING["top"] + rows_down * (FIELD[1] + GAPS[1]) - GAPS[1] + BOTTOM
    return assemble(panels, columns=2,
                    name="path", title=f"Metrics along {symbol(parameter)} of {family}",
                    description=_words(sweeping, indices), table=_table(sweeping, indices),
                    size=(WIDTH, height), padding=PADDING, spacing=GAPS)


def _sweep(board: Board) -> tuple[tuple[str, str], list[Row]] | None:
    found = [(key, [row for row in rows if any(mean(entry) is not None for entry in row.entries)])
             for key, rows in families(board).items()]
    found = [(key, rows) for key, rows in found if len(rows) > 1]
    return max(found, key=lambda item: len(item[1]), default=None)


def _words(sweeping: Sweeping, indices: list[int]) -> str:
    columns, first = sweeping.board.final.columns, indices[0]
    rows = valued(sweeping.board.final, first)
    told = []
    for rule in ("oracle", "validation"):
        chosen = next((row for row in sweeping.rows if row.sweep and rule in row.sweep.chosen),
                      None)
        if chosen is not None and chosen.sweep is not None:
            value = mean(chosen.entries[first])
            shown = "" if value is None else f" ({show(columns[first], value)})"
            told.append(f"best by {rule}: {short_label(chosen)}{shown}")
    for row in (*sweeping.lines, *([sweeping.identity] if sweeping.identity else [])):
        if row in rows:
            value = mean(row.entries[first]) or 0.0
            told.append(f"{short_label(row)}: {show(columns[first], value)}")
    found = f"{with_unit(columns[first]).partition(',')[0]}: {'; '.join(told)}. " if told else ""
    kinds = sorted({ends.kind for row in sweeping.rows for index in indices
                    if (ends := spread(row.entries[index]))})
    bands = (f"Bands: {join(kinds)}, cut where they leave the field." if kinds
             else "One run of each: no bands.")
    theory = ""
    if any(sweeping.theory_in(index) for index in indices):
        theory = THEORY + (BOUND if any(sweeping.bound_in(index) for index in indices) else "")
    return f"{found}{theory}{bands}"


def _table(sweeping: Sweeping, indices: list[int]) -> list[list[str]]:
    columns = sweeping.board.final.columns
    header = [sweeping.parameter, *(with_unit(columns[index]) for index in indices), "Chosen by"]
    rows = [[f"{row.sweep.value:g}" if row.sweep else "",
             *(show_entry(columns[index], row.entries[index]) for index in indices),
             join(row.sweep.chosen) if row.sweep and row.sweep.chosen else "-"]
            for row in sweeping.rows]
    for row in (*sweeping.lines, *([sweeping.identity] if sweeping.identity else [])):
        rows.append([short_label(row), *(show_entry(columns[index], row.entries[index])
                                         for index in indices), "-"])
    return [header, *rows]

