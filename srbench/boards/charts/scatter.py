"""Perception against distortion: what a method gives up of one for the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from srbench.boards.board import Board, Column, Row
from srbench.boards.charts.build import Panel, altair, assemble
from srbench.boards.charts.chart import Chart
from srbench.boards.charts.labels import fit, short
from srbench.boards.charts.look import INK, PAPER, join, looks
from srbench.boards.charts.points import Point, label_points
from srbench.boards.charts.scales import axis
from srbench.boards.charts.values import (
    column_index,
    families,
    mean,
    short_label,
    show,
    spread,
    with_unit,
)

DISTORTION = ("l2-uvp", "psnr")
PERCEPTION = ("fid", "patch-fid", "lpips")
WIDTH, HEIGHT = 520, 440
PADDING = {"left": 48, "top": 30}
FIELD = (455, 350)
TITLE = "Perception and distortion"


def scatter(board: Board, *, x: str = "", y: str = "") -> Chart | None:
    """Draw the perception-distortion plane of a board; up and right is better.

    Parameters
    ----------
    board : Board
        Its table of last iterates is drawn.
    x, y : str
        Names of columns. Left out: the first distortion (L2-UVP, PSNR) and the first perceptual
        distance (FID, patch-FID, LPIPS) of one dataset that any row has both of.

    Returns
    -------
    Chart or None
        None where no row has a value in both.
    """
    pair = _columns(board, x, y)
    if pair is None:
        return None
    points = _points(board, *pair)
    if not points:
        return None
    columns = board.final.columns[pair[0]], board.final.columns[pair[1]]
    panel = _panel(points, columns, pair)
    _lines(board, panel, points)
    _bars(panel, points)
    _published(panel, points, pair)
    _marks(panel, points, columns)
    label_points(board, panel, points)
    return assemble([panel], name="scatter", title=TITLE, size=(WIDTH, HEIGHT), padding=PADDING,
                    description=_words(points, columns, pair), table=_table(points, columns))


def pareto(values: Sequence[tuple[float, float]]) -> list[bool]:
    """Which points no other one beats: pairs of numbers that are better when smaller."""
    return [not any(a <= x and b <= y and (a < x or b < y) for a, b in values)
            for x, y in values]


def _columns(board: Board, x: str, y: str) -> tuple[int, int] | None:
    columns = board.final.columns

    def wanted(name: str, metrics: tuple[str, ...]) -> list[int]:
        if name:
            index = column_index(board.final, name)
            return [] if index is None else [index]
        return [index for metric in metrics for index, column in enumerate(columns)
                if column.metric == metric]

    return next(((a, b) for a in wanted(x, DISTORTION) for b in wanted(y, PERCEPTION)
                 if columns[a].about == columns[b].about and _rows(board, a, b)), None)


def _rows(board: Board, a: int, b: int) -> list[Row]:
    return [row for row in board.final.rows
            if mean(row.entries[a]) is not None and mean(row.entries[b]) is not None]


def _points(board: Board, a: int, b: int) -> list[Point]:
    look = looks(board)
    rows = _rows(board, a, b)
    columns = board.final.columns
    values = [(row.entries[a].mean or 0.0, row.entries[b].mean or 0.0) for row in rows]
    best = pareto([(columns[a].badness(x), columns[b].badness(y)) for x, y in values])
    return [Point(row=row, x=x, y=y, x_ends=spread(row.entries[a]), y_ends=spread(row.entries[b]),
                  look=look[row.method], pareto=ringed)
            for row, (x, y), ringed in zip(rows, values, best, strict=True)]


def _panel(points: list[Point], columns: tuple[Column, Column], pair: tuple[int, int]) -> Panel:
    bars: tuple[list[float], list[float]] = ([], [])
    for point in points:
        for index, known in enumerate((point.x_ends, point.y_ends)):
            bars[index].extend((known.low, known.high) if known else ())
        for index, place in enumerate(_told(point, pair) or ()):
            bars[index].append(place)
    x = axis([point.x for point in points], bars[0], reverse=columns[0].direction == "lower")
    y = axis([point.y for point in points], bars[1], reverse=columns[1].direction == "lower")
    panel = Panel(x, y, name="plane", width=FIELD[0], height=FIELD[1])
    titles = [f"{fit(with_unit(column), FIELD[0] - 120)}{' (log)' if ends.log else ''}"
              for column, ends in zip(columns, (x, y), strict=True)]
    panel.axes(x={"title": f"{titles[0]}  ·  better →", "titleAlign": "right",
                  "titleX": FIELD[0], "titleY": 36},
               y={"title": f"↑ better  ·  {titles[1]}", "titleAngle": 0, "titleAlign": "left",
                  "titleBaseline": "bottom", "titleX": -40, "titleY": -12})
    return panel


def _values(panel: Panel, point: Point, **more: Any) -> dict[str, Any]:
    return {"x": point.x, "y": point.y, "label": point.row.label, "color": point.look.colour,
            **more}


def _lines(board: Board, panel: Panel, points: list[Point]) -> None:
    """One polyline for each sweep, along its parameter."""
    by_row = {point.row.label: point for point in points}
    for (family, parameter), rows in families(board).items():
        line = [_values(panel, by_row[row.label], order=order)
                for order, row in enumerate(rows) if row.label in by_row]
        if len(line) > 1:
            alt = altair()
            values = [{**value, "label": f"{family} {parameter}"} for value in line]
            panel.add("line", values, fades=False, order="order:Q",
                      color=alt.value(line[0]["color"]),
                      mark={"strokeWidth": 1.25, "opacity": 0.55})


def _bars(panel: Panel, points: list[Point]) -> None:
    mark = {"strokeWidth": 1.25, "opacity": 0.75}
    panel.add("rule", [
        _values(panel, point, x=panel.x.clip(point.x_ends.low), x2=panel.x.clip(point.x_ends.high))
        for point in points if point.x_ends], mark=mark)
    panel.add("rule", [
        _values(panel, point, y=panel.y.clip(point.y_ends.low), y2=panel.y.clip(point.y_ends.high))
        for point in points if point.y_ends], mark=mark)


def _published(panel: Panel, points: list[Point], pair: tuple[int, int]) -> None:
    """Hollow marks at values of the literature, tied to ours."""
    values = []
    for point in points:
        told = _told(point, pair)
        if told:
            x, y = panel.x.clip(told[0]), panel.y.clip(told[1])
            values.append(_values(panel, point, x=x, y=y, x2=point.x, y2=point.y,
                                  shape=point.look.shape,
                                  tip=f"{short(point.row.label)}, published"))
    panel.add("rule", values, mark={"strokeWidth": 1, "strokeDash": [2, 2]})
    panel.add("point", [{key: value for key, value in entry.items() if key not in ("x2", "y2")}
                        for entry in values],
              mark={"filled": False, "fill": PAPER, "size": 60, "strokeWidth": 1.5})


def _told(point: Point, pair: tuple[int, int]) -> tuple[float, float] | None:
    """Published values of a point, where both are known."""
    x, y = (point.row.entries[index].published for index in pair)
    if x is None or y is None or not (math.isfinite(x.value) and math.isfinite(y.value)):
        return None
    return x.value, y.value


def _marks(panel: Panel, points: list[Point], columns: tuple[Column, Column]) -> None:
    alt = altair()
    panel.add("point", [_values(panel, point) for point in points if point.pareto], fades=False,
              color=alt.value(INK), mark={"filled": False, "size": 260, "strokeWidth": 1.25,
                                          "shape": "circle"})
    # Anchors and plain rows lie over the many rows of a sweep.
    ordered = sorted(points, key=lambda point: (point.row.sweep is None, point.pareto))
    panel.add("point", [
        _values(panel, point, shape=point.look.shape, size=70 if point.large else 34,
                tip=_tip(point, columns)) for point in ordered],
        size=alt.Size("size:Q", scale=None, legend=None))


def _tip(point: Point, columns: tuple[Column, Column]) -> str:
    lines = [short(point.row.label, 60)]
    for column, value, ends in zip(columns, (point.x, point.y), (point.x_ends, point.y_ends),
                                   strict=True):
        known = f", {ends.kind} {column.show(ends.low)} to {column.show(ends.high)}" if ends else ""
        lines.append(f"{short(column.heading, 40)} {show(column, value)}{known}")
    if point.pareto:
        lines.append("no other row is better in both")
    return "\n".join(lines)


def _words(points: list[Point], columns: tuple[Column, Column], pair: tuple[int, int]) -> str:
    best = (min(points, key=lambda point: columns[0].badness(point.x)),
            min(points, key=lambda point: columns[1].badness(point.y)))
    told = (f"{short_label(best[0].row)} ({show(columns[0], best[0].x)})",
            f"{short_label(best[1].row)} ({show(columns[1], best[1].y)})")
    heads = [short(column.heading, 40) for column in columns]
    if best[0] is best[1]:
        found = (f"{short_label(best[0].row)} is best in both {heads[0]} and {heads[1]}"
                 if len(points) > 1 else f"Only {short_label(best[0].row)} has both values")
    else:
        ringed = join((short_label(point.row) for point in points if point.pareto), most=5)
        found = (f"{told[0]} is best in {heads[0]}, {told[1]} in {heads[1]}; no other row beats "
                 f"those ringed in both: {ringed}")
    kinds = sorted({ends.kind for point in points for ends in (point.x_ends, point.y_ends) if ends})
    bars = f" Bars: {join(kinds)}." if kinds else " No intervals: there is nothing to make them of."
    hollow = " Hollow: published values." if any(_told(point, pair) for point in points) else ""
    return f"{found}. Up and right is better.{bars}{hollow}"


def _table(points: list[Point], columns: tuple[Column, Column]) -> list[list[str]]:
    header = ["Method", *(with_unit(column) for column in columns), "Beaten in both by another"]
    rows = []
    for point in points:
        entries = []
        for column, value, ends in zip(columns, (point.x, point.y), (point.x_ends, point.y_ends),
                                       strict=True):
            bars = f" ({column.show(ends.low)} to {column.show(ends.high)})" if ends else ""
            entries.append(f"{column.show(value)}{bars}")
        rows.append([short(point.row.label, 60), *entries, "no" if point.pareto else "yes"])
    return [header, *rows]
