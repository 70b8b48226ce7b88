"""Anytime curves: how good a method is after so much time, data and computation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srbench.boards.board import Board, Column, Row
from srbench.boards.charts.build import Panel, assemble
from srbench.boards.charts.chart import Chart
from srbench.boards.charts.history import Curve, average, steps
from srbench.boards.charts.labels import short, spread
from srbench.boards.charts.look import MUTED, Look, join, looks
from srbench.boards.charts.scales import axis
from srbench.boards.charts.values import families, short_label, show, with_unit

if TYPE_CHECKING:
    import pandas as pd

CLOCKS = {"seconds": "training time, s", "images": "images drawn", "calls": "network calls"}
VALIDATION = "validation/"
MOST_CURVES = 10
FIELD = (252, 250)
GAP = 30
PADDING = {"left": 56, "top": 34}
SIZE = (1020, 330)
COUNT = "datum.value >= 1000 ? format(datum.value, '.3~s') : format(datum.value, ',.6~g')"
DASHES = {"first": [7, 3], "last": [2, 2], "": [1, 0]}


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row's curves, one for each clock."""

    row: Row
    look: Look
    dash: str
    curves: tuple[Curve, ...]


def anytime(board: Board, histories: Mapping[str, Sequence[pd.DataFrame]], *,
            clocks: Sequence[str] = tuple(CLOCKS), metric: str = "") -> Chart | None:
    """Draw the validation of a metric against clocks, the mean over seeds with a band.

    Parameters
    ----------
    board : Board
        Says which rows are drawn: of a sweep only its ends and what was chosen.
    histories : mapping
        For the label of a row the histories of its seeds, as `read_history` gives them.
    clocks : sequence of str
        Of ``"seconds"``, ``"images"``, ``"calls"``; one panel for each.
    metric : str
        Name of the validated metric; left out: the first column of the board that was validated.

    Returns
    -------
    Chart or None
        None where no row of the board has a validation.
    """
    rows = _rows(board, histories)
    column = _column(board, rows, histories, metric)
    if column is None:
        return None
    lines, left_out = _curves(board, rows, histories, column, clocks)
    if not lines:
        return None
    panels = [_panel(lines, index, clock, column) for index, clock in enumerate(clocks)]
    _names(panels[-1], lines)
    return assemble(panels, columns=len(clocks), name="anytime", size=_size(len(clocks)),
                    title=f"{short(column.title, 40)} during training", padding=PADDING,
                    spacing=(GAP, 0), table=_table(lines, clocks, column),
                    description=_words(lines, left_out, column))


def _rows(board: Board, histories: Mapping[str, Sequence[pd.DataFrame]]) -> list[tuple[Row, str]]:
    """Rows with a history in the board's order, and how each is dashed."""
    ends: dict[str, str] = {}
    for family in families(board).values():
        with_history = [row for row in family if histories.get(row.label)]
        if with_history:
            ends |= {with_history[-1].label: "last", with_history[0].label: "first"}
    return [(row, "" if row.sweep is None or row.sweep.chosen else ends[row.label])
            for row in board.final.rows if histories.get(row.label)
            and (row.sweep is None or row.sweep.chosen or row.label in ends)]


def _curves(board: Board, rows: list[tuple[Row, str]],
            histories: Mapping[str, Sequence[pd.DataFrame]], column: Column,
            clocks: Sequence[str]) -> tuple[list[Line], int]:
    """Curves of the first rows that were validated, and how many rows are left out."""
    style, name = looks(board), VALIDATION + column.metric
    lines: list[Line] = []
    for place, (row, dash) in enumerate(rows):
        if len(lines) == MOST_CURVES:
            return lines, len(rows) - place
        found = [average([steps(frame, name, clock) for frame in histories[row.label]])
                 for clock in clocks]
        known = [curve for curve in found if curve is not None]
        if known and len(known) == len(clocks):
            lines.append(Line(row=row, look=style[row.method], dash=dash, curves=tuple(known)))
    return lines, 0


def _column(board: Board, rows: list[tuple[Row, str]],
            histories: Mapping[str, Sequence[pd.DataFrame]], metric: str) -> Column | None:
    names = {str(name) for row, _ in rows for frame in histories[row.label]
             for name in frame["name"].unique()}
    return next((column for column in board.final.columns
                 if VALIDATION + column.metric in names and metric in ("", column.metric)), None)


def _size(panels: int) -> tuple[int, int]:
    room = SIZE[0] - PADDING["left"] - 3 * FIELD[0] - 2 * GAP  # for names, at the right
    return PADDING["left"] + panels * (FIELD[0] + GAP) - GAP + room, SIZE[1]


def _panel(lines: list[Line], index: int, clock: str, column: Column) -> Panel:
    every = [line.curves[index] for line in lines]
    x = axis([time for curve in every for time in curve.times], log=True, padding=0.03)
    # All panels share the y axis: it shows all values of all clocks.
    curves = [curve for line in lines for curve in line.curves]
    y = axis([value for curve in curves for value in curve.mean],
             [end for curve in curves for end in (*curve.low, *curve.high)])
    panel = Panel(x, y, name=f"t{index}", width=FIELD[0], height=FIELD[1],
                  title="" if index else
                  f"Validation {with_unit(column)} {column.arrow}{' (log)' if y.log else ''}")
    panel.axes(x={"labelExpr": COUNT}, y={"labels": index == 0})
    panel.write([{"at": FIELD[0], "text": f"{CLOCKS[clock]} (log)"}], y=FIELD[1] + 32,
                align="right", fontSize=12)
    _draw(panel, list(zip(lines, every, strict=True)), column)
    return panel


def _draw(panel: Panel, pairs: list[tuple[Line, Curve]], column: Column) -> None:
    def common(line: Line) -> dict[str, Any]:
        return {"label": line.row.label, "color": line.look.colour}

    panel.add("area", [
        {"x": time, "y": panel.y.clip(low), "y2": panel.y.clip(high), **common(line)}
        for line, curve in pairs if curve.seeds > 1
        for time, low, high in zip(curve.times, curve.low, curve.high, strict=True)],
        detail="label:N", mark={"opacity": 0.13, "interpolate": "step-after"})
    for dash, pattern in DASHES.items():
        panel.add("line", [
            {"x": time, "y": value, **common(line)} for line, curve in pairs if line.dash == dash
            for time, value in zip(curve.times, curve.mean, strict=True)], detail="label:N",
            mark={"strokeWidth": 1.75, "interpolate": "step-after", "strokeDash": pattern})
    panel.add("point", [
        {"x": curve.times[-1], "y": curve.mean[-1], "shape": line.look.shape, **common(line),
         "tip": f"{short(line.row.label, 60)}\nat the end: {show(column, curve.mean[-1])}\n"
                f"best: {show(column, _best(curve, column)[1])}"} for line, curve in pairs],
        mark={"size": 50})


def _names(panel: Panel, lines: list[Line]) -> None:
    """Name curves at the right of the last panel, moved apart where they end close together."""
    ends = [panel.at(line.curves[-1].times[-1], line.curves[-1].mean[-1]) for line in lines]
    heights = spread([y for _, y in ends], 4, panel.height - 4, 15)
    for line, (x, y), height in zip(lines, ends, heights, strict=True):
        more: dict[str, Any] = {"at": panel.width + 14, "text": short(short_label(line.row), 22),
                                "label": line.row.label}
        panel.write([more], y=height, colour=line.look.colour, fontSize=12)
        panel.rule((x + 5, y), (panel.width + 11, height), MUTED)


def _best(curve: Curve, column: Column) -> tuple[float, float]:
    """Time and mean of the best validation; the last where better is not defined."""
    pairs = list(zip(curve.times, curve.mean, strict=True))
    if column.direction == "target" and "hr" not in column.reference:
        return pairs[-1]
    return min(pairs, key=lambda pair: column.badness(pair[1]))


def _words(lines: list[Line], left_out: int, column: Column) -> str:
    told = []
    best = min(lines, key=lambda line: column.badness(line.curves[0].mean[-1]))
    told.append(f"At the end of training {short_label(best.row)} validates best: "
                f"{short(column.title, 40)} {show(column, best.curves[0].mean[-1])}.")
    values = [value for line in lines for value in line.curves[0].mean]
    seen = 0.05 * (max(values) - min(values))  # what a reader can see
    worse = [short_label(line.row) for line in lines if _loss(line.curves[0], column) > seen]
    if worse:
        told.append(f"{join(worse)} ended worse than {'it' if len(worse) == 1 else 'they'} had "
                    "been.")
    seeds = max(line.curves[0].seeds for line in lines)
    told.append("Lines: mean over seeds; bands: lowest to highest seed." if seeds > 1
                else "One seed: no bands.")
    if any(line.dash for line in lines):
        told.append("Of a sweep its ends are dashed.")
    if left_out:
        told.append(f"{left_out} rows further down the table are left out.")
    return " ".join(told)


def _loss(curve: Curve, column: Column) -> float:
    """By how much the end is worse than the best."""
    bad = [column.badness(value) for value in curve.mean]
    return bad[-1] - min(bad)


def _table(lines: list[Line], clocks: Sequence[str], column: Column) -> list[list[str]]:
    header = ["Method", "Seeds", "At the end", "Best",
              *(f"{CLOCKS[clock]} until the best" for clock in clocks)]
    rows = []
    for line in lines:
        first = line.curves[0]
        rows.append([short(line.row.label, 60), str(first.seeds), column.show(first.mean[-1]),
                     column.show(_best(first, column)[1]),
                     *(f"{_best(curve, column)[0]:,.4g}" for curve in line.curves)])
    return [header, *rows]

