"""Which trainings a board draws, and from which of its datasets."""

from __future__ import annotations

import pandas as pd
import pytest

from srbench.boards.definition import Definition
from srbench.boards.figures import HISTORY, MOST_CURVES, make_figures
from srbench.boards.table import make_board, make_boards
from srbench.results.store import Store
from srbench.training.history import TYPES
from tests.results.factory import make_record


def write(runs, record, *values):
    """Give a cell a history of its validation."""
    folder = Store(runs).cell_folder(record.identity.key)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [("fit", step, step / 10, 100 * step, 200 * step, "validation/l2-uvp", value)
            for step, value in enumerate(values, 1)]
    frame = pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES)
    frame.to_parquet(folder / HISTORY, index=False)
    return record


def anytime(board, runs):
    return next((chart for chart in make_figures(board, runs / "cells").charts
                 if chart.name == "anytime"), None)


def test_of_several_datasets_the_one_that_ranks_is_drawn(tmp_path):
    titles = ("mix[dim=2]", "mix[dim=16]")
    records = [write(tmp_path, make_record(title=title, seed=seed, metrics={"l2-uvp": value}),
                     10 * value, value)
               for title, value in zip(titles, (1.0, 7.0), strict=True) for seed in (0, 1)]
    board = make_board(Definition(name="mix", title="mix", preset="quick", datasets=titles,
                                  columns=("l2-uvp",), rank=titles[1]), records)
    chart = anytime(board, tmp_path)
    assert "dim=16" in chart.svg
    numbers = {text for row in chart.table[1:] for text in row}
    assert "7.0" in numbers
    assert "1.0" not in numbers


def test_of_a_sweep_the_chosen_value_and_the_ends_are_drawn(tmp_path):
    values = {0: 30.0, 1: 20.0, 10: 5.0, 100: 25.0}
    records = [write(tmp_path, make_record(f"gan[lambda={lam}]", metrics={"l2-uvp": value},
                                           method_given={"lambda": lam}), 40.0, value)
               for lam, value in values.items()]
    chart = anytime(make_boards(records)[0], tmp_path)
    drawn = " ".join(text for row in chart.table for text in row)
    assert all(f"λ={lam}" in drawn or f"lambda={lam}" in drawn for lam in (0, 10, 100))
    assert "λ=1 " not in drawn
    assert "lambda=1]" not in drawn


def test_at_most_so_many_trainings_are_drawn(tmp_path):
    records = [write(tmp_path, make_record(f"m{index:02}", metrics={"l2-uvp": 5.0 + index}),
                     40.0, 5.0 + index) for index in range(MOST_CURVES + 5)]
    chart = anytime(make_boards(records)[0], tmp_path)
    drawn = {text for row in chart.table for text in row}
    assert {f"m{index:02}" for index in range(MOST_CURVES)} & drawn
    assert f"m{MOST_CURVES:02}" not in drawn


@pytest.mark.parametrize("damage", ["missing", "broken", "failed"])
def test_trainings_without_a_history_are_left_out(tmp_path, damage):
    records = [write(tmp_path, make_record("a", metrics={"l2-uvp": 5.0}), 9.0, 5.0),
               make_record("b", metrics={"l2-uvp": 6.0})]
    if damage == "broken":
        write(tmp_path, records[1], 1.0)
        (Store(tmp_path).cell_folder(records[1].identity.key) / HISTORY).write_bytes(b"PAR1 no")
    elif damage == "failed":
        records[1] = write(tmp_path, make_record("b", status="failed"), 1.0)
    chart = anytime(make_boards(records)[0], tmp_path)
    drawn = {text for row in chart.table for text in row}
    assert "a" in drawn
    assert "b" not in drawn


def test_no_chart_needs_no_library(tmp_path):
    board, = make_boards([make_record(metrics={"psnr": 20.0})])
    figures = make_figures(board, tmp_path / "cells")
    assert bool(figures.library) == bool(figures.charts)
