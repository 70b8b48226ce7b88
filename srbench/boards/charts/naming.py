"""Names of the horizontal lines of a lambda path."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from srbench.boards.board import Row
from srbench.boards.charts.build import Panel
from srbench.boards.charts.labels import Box, Segment, Wish, place_labels, short
from srbench.boards.charts.look import Look
from srbench.boards.charts.sweeping import Sweeping
from srbench.boards.charts.values import mean


def name_lines(panel: Panel, sweeping: Sweeping, index: int, beside: Sequence[Row],
                styles: dict[str, Look], curves: dict[str, list[dict[str, Any]]]) -> None:
    """Name horizontal lines where there is room."""
    axis_x = panel.x
    spots = [axis_x.value(share) for share in (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.14, 0.86)]
    wishes: list[Wish] = []
    where: list[dict[str, Any]] = []
    for row in beside:
        value = mean(row.entries[index]) or 0.0
        wishes.append(Wish(text=short(row.label, 18), on_line=True,
                           places=tuple(panel.at(x, value) for x in spots)))
        where.append({"label": row.label, "color": styles[row.method].colour})
    dots = [panel.at(sweeping.scale.place(row.sweep.value), known) for row in sweeping.rows
            if row.sweep and (known := mean(row.entries[index])) is not None]
    marks = [Box(x - 5, y - 5, x + 5, y + 5) for x, y in dots]
    lines: list[Segment] = [(*start, *end) for start, end in pairwise(dots)]
    for curve in curves.values():
        pixels = [panel.at(point["x"], point["y"]) for point in curve]
        lines += [(*start, *end) for start, end in pairwise(pixels)]
    for row in beside:
        y = panel.at(axis_x.low, mean(row.entries[index]) or 0.0)[1]
        lines.append((0.0, y, float(panel.width), y))
    placed = place_labels(wishes, panel.frame, marks=marks, lines=lines, size=10.5)
    found = []
    for label, more in zip(placed, where, strict=True):
        if label is not None:
            x = axis_x.value(label.place[0] / panel.width)
            found.append((label, (x, panel.y.value(1 - label.place[1] / panel.height)), more))
    panel.texts(found, size=10)
