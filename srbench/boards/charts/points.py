"""Points of the perception-distortion plane, and which of them are named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from srbench.boards.board import Board, Row
from srbench.boards.charts.build import Panel
from srbench.boards.charts.labels import Box, Segment, Wish, place_labels
from srbench.boards.charts.look import Look, join
from srbench.boards.charts.values import Spread, families, short_label, symbol

MOST_LABELS = 16


@dataclass(frozen=True, kw_only=True)
class Point:
    """A row in the plane. ``pareto``: no other row is better in one and as good in the other."""

    row: Row
    x: float
    y: float
    x_ends: Spread | None
    y_ends: Spread | None
    look: Look
    pareto: bool = False

    @property
    def large(self) -> bool:
        """Whether it is a method's only row or one chosen from a sweep."""
        return self.row.sweep is None or bool(self.row.sweep.chosen)


def label_points(board: Board, panel: Panel, points: list[Point]) -> None:
    """Name the most important points; what has no room is named by tooltip and table."""
    names = _names(board, points)
    ranked = sorted(points, key=lambda point: _importance(point, names))[:MOST_LABELS]
    ranked = [point for point in ranked if point.row.label in names]
    spots = [panel.at(point.x, point.y) for point in points]
    radii = [10 if point.pareto else 6 for point in points]
    marks = [Box(x - r, y - r, x + r, y + r) for (x, y), r in zip(spots, radii, strict=True)]
    wishes = [Wish(text=names[point.row.label], places=(panel.at(point.x, point.y),))
              for point in ranked]
    frame = Box(-44, 2, panel.width + 14, panel.height - 2)
    placed = place_labels(wishes, frame, marks=marks, lines=_segments(board, panel, points))
    panel.texts([(label, (point.x, point.y), {"label": point.row.label, "color": point.look.colour})
                 for point, label in zip(ranked, placed, strict=True) if label])


def _names(board: Board, points: list[Point]) -> dict[str, str]:
    """Texts by label: of sweeps only the ends and what was chosen."""
    names = {point.row.label: short_label(point.row) for point in points
             if point.row.sweep is None or point.row.sweep.chosen or point.pareto}
    for rows in families(board).values():
        for row in (rows[0], rows[-1]):
            names[row.label] = short_label(row)
        for row in rows:
            if row.sweep is not None and row.sweep.chosen:
                value = short_label(row).partition("=")[2]
                names[row.label] = (f"{symbol(row.sweep.parameter)}={value}, best by "
                                    f"{join(row.sweep.chosen)}")
    return names


def _importance(point: Point, names: Mapping[str, str]) -> tuple[bool, bool, bool]:
    # Sorting is stable: within these groups the board's order decides.
    return (point.row.label not in names, not (point.pareto or point.large),
            point.row.sweep is not None)


def _segments(board: Board, panel: Panel, points: list[Point]) -> list[Segment]:
    found: list[Segment] = []
    by_row = {point.row.label: point for point in points}
    for rows in families(board).values():
        line = [panel.at(by_row[row.label].x, by_row[row.label].y) for row in rows
                if row.label in by_row]
        found += [(*start, *end) for start, end in pairwise(line)]
    for point in points:
        if point.x_ends:
            low, high = panel.x.clip(point.x_ends.low), panel.x.clip(point.x_ends.high)
            found.append((*panel.at(low, point.y), *panel.at(high, point.y)))
        if point.y_ends:
            low, high = panel.y.clip(point.y_ends.low), panel.y.clip(point.y_ends.high)
            found.append((*panel.at(point.x, low), *panel.at(point.x, high)))
    return found
