"""The charts of a page, and the library that makes them interactive."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.boards.board import Board, Row
from srbench.boards.charts import anytime, interactive_library, path, read_history, scatter
from srbench.errors import StoreError
from srbench.foreign.paths import plain_file
from srbench.results.frame import shown_labels
from srbench.results.record import Status

if TYPE_CHECKING:
    import pandas as pd

    from srbench.boards.charts import Chart

MOST_CURVES = 12  # methods whose trainings are drawn
HISTORY = "history.parquet"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Charts in the order of the page; ``library`` is the script they share, empty without any."""

    charts: tuple[Chart, ...]
    library: str


def make_figures(board: Board, cells: Path) -> Figures:
    """Draw what the board has data for.

    Parameters
    ----------
    board : Board
        With its table.
    cells : Path
        Folder of the cells' folders, for the histories of trainings.
    """
    found = [scatter(board), path(board), anytime(board, _histories(board, cells))]
    charts = tuple(chart for chart in found if chart is not None)
    return Figures(charts=charts, library=interactive_library() if charts else "")


def _histories(board: Board, cells: Path) -> dict[str, list[pd.DataFrame]]:
    """Histories of the seeds of each method that is drawn, by label, in the table's order.

    Of several datasets, those of the one that ranks, whose metric the chart names.
    """
    wanted = [row.label for row in _drawn(board.final.rows)]
    found: dict[str, list[pd.DataFrame]] = {label: [] for label in wanted}
    ranking = board.final.columns[0].dataset if board.final.columns else ""
    for record, label in zip(board.records, shown_labels(board.records), strict=True):
        if (label in found and record.outcome.status is Status.OK
                and (len(board.datasets) < 2 or record.identity.title == ranking)):
            with suppress(StoreError):  # none or broken: the others' curves are still told
                history = read_history(
                    plain_file(cells, f"{record.identity.key}/{HISTORY}"))
                if len(history):
                    found[label].append(history)
    return {label: histories for label, histories in found.items() if histories}


def _drawn(rows: Sequence[Row]) -> list[Row]:
    """Trained rows whose curves are drawn: of sweeps the chosen values and both ends."""
    ends: dict[str, list[float]] = {}
    for row in rows:
        if row.sweep:
            ends.setdefault(row.sweep.family, []).append(row.sweep.value)
    shown = [row for row in rows if row.costs.images and (
        row.sweep is None or row.sweep.chosen
        or row.sweep.value in (min(ends[row.sweep.family]), max(ends[row.sweep.family])))]
    return shown[:MOST_CURVES]
