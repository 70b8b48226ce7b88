"""Panels of the lambda path: one for each metric, and the key above them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from srbench.boards.board import Column, Row
from srbench.boards.charts.build import Panel, altair
from srbench.boards.charts.labels import fit, short, text_width
from srbench.boards.charts.look import INK, LINE, MUTED, PAPER, Look, looks
from srbench.boards.charts.naming import name_lines
from srbench.boards.charts.scales import axis, number
from srbench.boards.charts.sweeping import Sweeping
from srbench.boards.charts.values import mean, show_entry, spread, with_unit
from srbench.boards.theory import interpolation_l2_uvp, w1_l2_uvp_bound

BEYOND = 0.4  # of the range of the means, as far as bands may stretch an axis
RULES = (("oracle", "diamond", 190), ("validation", "square", 130))
KEY_Y, KEY_LINE = -64, 18  # pixels from the top of the first field
THEORY, BOUND = "theory for W2² in place of W1", "lower bound for exact W1"
DASHES: dict[str, Sequence[float]] = {"theory": [6, 3], "bound": [1.5, 2.5]}


def metric_panel(sweeping: Sweeping, index: int, position: int, *, width: int,
                 height: int) -> Panel:
    """Draw one metric along the sweep."""
    column = sweeping.board.final.columns[index]
    styles = looks(sweeping.board)
    beside = [row for row in (*sweeping.lines, sweeping.identity)
              if row is not None and mean(row.entries[index]) is not None]
    ends = [spread(row.entries[index]) for row in sweeping.rows]
    known = [value for row in (*sweeping.rows, *beside)
             if (value := mean(row.entries[index])) is not None]
    room = BEYOND * (max(known) - min(known)) or math.inf
    y = axis(known, [min(max(end, min(known) - room), max(known) + room)
                     for item in ends if item for end in (item.low, item.high)], padding=0.1)
    head = fit(with_unit(column), width - 55)
    panel = Panel(sweeping.scale.axis(), y, name=f"m{position}", width=width, height=height,
                  title=f"{head} {column.arrow}{' (log)' if y.log else ''}")
    _axes(panel, sweeping)
    _lines(panel, beside, index, styles)
    curves = _curves(panel, sweeping, index)
    _means(panel, sweeping, index, styles[sweeping.rows[0].method])
    _limit(panel, sweeping, index, styles)
    name_lines(panel, sweeping, index, beside, styles, curves)
    return panel


def add_key(panel: Panel, sweeping: Sweeping, indices: Sequence[int]) -> None:
    """Say above the first panel what the marks mean."""
    alt = altair()
    colour = looks(sweeping.board)[sweeping.rows[0].method].colour
    chosen = {rule for row in sweeping.rows if row.sweep for rule in row.sweep.chosen}
    spot = {"x": alt.expr("datum.at"), "y": KEY_Y, "clip": False}
    family = sweeping.rows[0].sweep.family if sweeping.rows[0].sweep else ""
    panel.rule((0, KEY_Y), (20, KEY_Y), colour, width=1.75)
    panel.add("point", [{"at": 10}], fades=False, color=alt.value(colour),
              mark={**spot, "size": 30})
    texts = [{"at": 25, "text": short(family, 24)}]
    at = 25 + text_width(short(family, 24), 11) + 24
    for rule, shape, size in RULES:
        if rule in chosen:
            panel.add("point", [{"at": at}], fades=False, color=alt.value(INK),
                      mark={**spot, "shape": shape, "size": size, "filled": False,
                            "strokeWidth": 1.25})
            texts.append({"at": at + 12, "text": f"best by {rule}"})
            at += 12 + text_width(f"best by {rule}", 11) + 24
    panel.write(texts, y=KEY_Y)
    at = 0
    for kind, text, drawn in (("theory", THEORY, sweeping.theory_in),
                              ("bound", BOUND, sweeping.bound_in)):
        if any(map(drawn, indices)):
            y = KEY_Y + KEY_LINE
            panel.rule((at, y), (at + 26, y), INK, width=1.25, dash=DASHES[kind])
            panel.write([{"at": at + 32, "text": text}], y=y)
            at += 32 + text_width(text, 11) + 20


def _axes(panel: Panel, sweeping: Sweeping) -> None:
    pairs = " : ".join(f"abs(datum.value - {tick}) < 1e-4 ? '{text}'"
                       for tick, text in sweeping.scale.labels().items())
    panel.axes(x={"labelExpr": f"{pairs} : ''", "grid": False}, y={})
    panel.named = True
    if text_width(sweeping.parameter, 11) < 22:
        panel.write([{"at": -6, "text": f"{sweeping.parameter} ="}], y=panel.height + 12,
                    colour=MUTED, align="right")
    else:
        panel.write([{"at": panel.width, "text": sweeping.parameter}], y=panel.height + 27,
                    colour=MUTED, align="right")
    panel.add("rule", [{"x": value} for value in sweeping.scale.breaks()], fades=False,
              color=altair().value(LINE), mark={"strokeWidth": 1, "strokeDash": [3, 3]})


def _lines(panel: Panel, beside: Sequence[Row], index: int, styles: dict[str, Look]) -> None:
    values = [{"y": mean(row.entries[index]), "label": row.label,
               "color": styles[row.method].colour} for row in beside]
    panel.add("rule", values, mark={"strokeWidth": 1.25})


def _curves(panel: Panel, sweeping: Sweeping, index: int) -> dict[str, list[dict[str, Any]]]:
    """Draw what theory says; return the points of each curve that lie in the field."""
    uvp = sweeping.identity_uvp(index)
    if uvp is None:
        return {}
    found = {"theory": [(lam, interpolation_l2_uvp(lam, uvp)) for lam in sweeping.scale.between()]}
    known = sweeping.denominator(index)
    if known is not None:
        found["bound"] = [
            (lam, w1_l2_uvp_bound(lam, uvp, hr_variance=known[0], values=known[1]))
            for lam in sweeping.scale.between()]
    shown = {}
    for name, curve in found.items():
        shown[name] = [{"x": sweeping.scale.place(lam), "y": value} for lam, value in curve
                       if panel.y.low <= value <= panel.y.high and (name != "bound" or value > 0)]
        panel.add("line", shown[name], fades=False, color=altair().value(INK),
                  mark={"strokeWidth": 1.25, "strokeDash": DASHES[name]})
    return shown


def _means(panel: Panel, sweeping: Sweeping, index: int, look: Look) -> None:
    """Mean line and band over the positive values, a bar for 0; rings at what was chosen."""
    alt = altair()
    points = []
    for row in sweeping.rows:
        value, ends = mean(row.entries[index]), spread(row.entries[index])
        if value is None or row.sweep is None:
            continue
        point: dict[str, Any] = {
            "x": sweeping.scale.place(row.sweep.value), "y": value, "label": row.label,
            "color": look.colour, "chosen": row.sweep.chosen, "apart": row.sweep.value <= 0,
            "tip": _tip(sweeping, row, index)}
        if ends:
            point |= {"low": panel.y.clip(ends.low), "high": panel.y.clip(ends.high)}
        points.append(point)
    inner = [point for point in points if not point["apart"]]
    banded = [{"x": point["x"], "y": point["low"], "y2": point["high"]}
              for point in inner if "low" in point]
    panel.add("area", banded, fades=False, color=alt.value(look.colour), mark={"opacity": 0.18})
    panel.add("line", [{"x": point["x"], "y": point["y"]} for point in inner], fades=False,
              color=alt.value(look.colour), mark={"strokeWidth": 1.75})
    panel.add("rule", [{"x": point["x"], "y": point["low"], "y2": point["high"],
                        "color": look.colour} for point in points
                       if point["apart"] and "low" in point], fades=False,
              mark={"strokeWidth": 5, "opacity": 0.18})
    drawn = [{key: point[key] for key in ("x", "y", "label", "color", "tip")} for point in points]
    panel.add("point", drawn, mark={"size": 30})
    for rule, shape, size in RULES:
        panel.add("point", [{"x": point["x"], "y": point["y"]} for point in points
                            if rule in point["chosen"]], fades=False, color=alt.value(INK),
                  mark={"shape": shape, "size": size, "filled": False, "strokeWidth": 1.25})


def _limit(panel: Panel, sweeping: Sweeping, index: int, styles: dict[str, Look]) -> None:
    row = sweeping.identity
    if row is None or (value := mean(row.entries[index])) is None:
        return
    panel.add("point", [{"x": sweeping.scale.infinity, "y": value, "label": row.label,
                         "color": styles[row.method].colour, "shape": styles[row.method].shape,
                         "tip": _tip(sweeping, row, index)}],
              mark={"size": 36, "stroke": PAPER, "strokeWidth": 0.75})


def _tip(sweeping: Sweeping, row: Row, index: int) -> str:
    column: Column = sweeping.board.final.columns[index]
    ends = spread(row.entries[index])
    head = f"{sweeping.parameter} = {number(row.sweep.value)}" if row.sweep else short(row.label)
    chosen = [f"best by {rule}" for rule in row.sweep.chosen] if row.sweep else []
    kind = [ends.kind] if ends else []
    return "\n".join([head, f"{with_unit(column)}: {show_entry(column, row.entries[index])}",
                      *kind, *chosen])
