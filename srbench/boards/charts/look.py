"""Colours, shapes and type of charts: a colour and a shape for each method, the same in all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from srbench.boards.board import Board

# Measured on white: each at least 4.5:1. charts.css names their partners in the dark.
COLOURS = ("#0060A8", "#B84A00", "#00734F", "#8C3B78", "#7A6A00", "#006D77")
INK, MUTED, LINE, PAPER = "#16191D", "#59616B", "#D3D8DE", "#FFFFFF"
DARK = {"#0060A8": "#6CB6FF", "#B84A00": "#FFA657", "#00734F": "#5FD3A0", "#8C3B78": "#E3A5D3",
        "#7A6A00": "#E3C94F", "#006D77": "#5CC8D3", INK: "#E8EBEE", MUTED: "#A5AEB8",
        LINE: "#363C44", PAPER: "#111418"}
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "triangle-right",
          "M-.9,-.3L-.3,-.3L-.3,-.9L.3,-.9L.3,-.3L.9,-.3L.9,.3L.3,.3L.3,.9L-.3,.9L-.3,.3L-.9,.3Z",
          "triangle-left")
# What learns nothing about the task stands in the background: grey.
ANCHORS = ("identity", "bicubic", "linear", "constant")
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
PARAMETERS = {"lambda": "λ"}


@dataclass(frozen=True)
class Look:
    """How a method is drawn."""

    colour: str
    shape: str


def looks(board: Board) -> dict[str, Look]:
    """Colours and shapes of the board's methods, in the order of their best rows."""
    methods = dict.fromkeys(row.method for row in board.final.rows)
    trained = [method for method in methods if method not in ANCHORS]
    found = {method: Look(COLOURS[index % len(COLOURS)], SHAPES[index % len(SHAPES)])
             for index, method in enumerate(trained)}
    grey = [method for method in methods if method in ANCHORS]
    return found | {method: Look(MUTED, SHAPES[(index + len(trained)) % len(SHAPES)])
                    for index, method in enumerate(grey)}


def config() -> dict[str, Any]:
    """Vega-Lite's settings. No text is measured, so no font of the machine moves anything."""
    return {
        "background": "transparent", "font": FONT, "aria": False,
        "view": {"stroke": None}, "mark": {"aria": False},
        "axis": {"aria": False, "domainColor": MUTED, "tickColor": MUTED, "gridColor": LINE,
                 "gridOpacity": 0.7, "labelColor": MUTED, "labelFontSize": 11,
                 "titleColor": INK, "titleFontSize": 12, "titleFontWeight": "normal",
                 "labelBound": False, "labelOverlap": False,
                 "labelFlush": False, "labelLimit": 0, "titleLimit": 0, "tickSize": 4},
        "axisY": {"domain": False, "ticks": False},
        "text": {"fontSize": 12, "baseline": "middle", "limit": 0, "color": INK},
        "point": {"filled": True, "opacity": 1}}


def join(names: Iterable[str], *, most: int = 6) -> str:
    """Names in a sentence; after ``most`` only how many more there are."""
    known = list(names)
    if len(known) > most:
        known = [*known[:most], f"{len(known) - most} more"]
    return known[0] if len(known) == 1 else ", ".join(known[:-1]) + f" and {known[-1]}"
