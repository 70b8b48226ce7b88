"""Charts of a board: drawn by Vega-Lite, read without scripts, interactive with them."""

from __future__ import annotations

from srbench.boards.charts.anytime import anytime
from srbench.boards.charts.chart import Chart
from srbench.boards.charts.history import read_history
from srbench.boards.charts.library import (
    chart_script,
    chart_style,
    interactive_library,
)
from srbench.boards.charts.path import path
from srbench.boards.charts.scatter import scatter

__all__ = ["Chart", "anytime", "chart_script", "chart_style", "interactive_library",
           "path", "read_history", "scatter"]
