"""Charts of a board: drawn by Vega-Lite, read without scripts, interactive with them."""

from __future__ import annotations

from srbench.boards.charts.anytime import anytime
from srbench.boards.charts.chart import Chart, script_json
from srbench.boards.charts.history import read_history
from srbench.boards.charts.library import (
    chart_script,
    chart_style,
    csp_hash,
    interactive_library,
)
from srbench.boards.charts.path import path
from srbench.boards.charts.scatter import scatter

__all__ = ["Chart", "anytime", "chart_script", "chart_style", "csp_hash", "interactive_library",
           "path", "read_history", "scatter", "script_json"]
