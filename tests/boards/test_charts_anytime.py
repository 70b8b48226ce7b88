"""Histories of strangers, means of step functions, and the curves drawn from them."""

from __future__ import annotations

import json
import math

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from srbench.boards.charts import anytime, read_history
from srbench.boards.charts.history import average, steps
from srbench.errors import StoreError
from srbench.training.clocks import Ledger
from srbench.training.history import TYPES, History
from tests.boards.chart_boards import (
    HOSTILE,
    board,
    column,
    complaints,
    entry,
    layers,
    row,
    swept,
    texts,
    values,
)


def history(*pairs, name="validation/l2-uvp", pace=1.0):
    """Rows at (seconds, value), with ten images and thirty calls a second."""
    times = [time * pace for time, _ in pairs]
    return pd.DataFrame({
        "stage": "main", "step": range(len(pairs)), "seconds": times,
        "images": [int(10 * time) for time in times], "calls": [int(30 * time) for time in times],
        "name": name, "value": [value for _, value in pairs]})


def write(path, frame):
    frame.to_parquet(path, index=False)
    return path


# --- Reading


def test_what_a_training_wrote_is_read_back(tmp_path):
    book = History()
    book.add(Ledger(torch.device("cpu")), "main", 3, {"loss": 0.5, "validation/psnr": 20.0})
    frame = read_history(book.write(tmp_path))
    assert {"loss", "validation/psnr"} == set(frame["name"])
    assert frame["value"].tolist() == [0.5, 20.0]
    assert set(frame.columns) == set(TYPES)


def test_columns_that_are_not_known_are_not_read(tmp_path):
    path = write(tmp_path / "h.parquet", history((1.0, 2.0)).assign(more="x"))
    assert "more" not in read_history(path).columns


def test_a_missing_file_has_no_rows(tmp_path):
    frame = read_history(tmp_path / "none.parquet")
    assert len(frame) == 0
    assert steps(frame, "validation/psnr", "seconds") == ([], [])


@pytest.mark.parametrize("spoil", [
    lambda frame: frame.drop(columns="value"), lambda frame: frame.assign(value="x"),
    lambda frame: frame.assign(name=1.5), lambda frame: frame.assign(step=0.5)])
def test_other_columns_are_refused(spoil, tmp_path):
    with pytest.raises(StoreError, match=r"h\.parquet: column '\w+' holds"):
        read_history(write(tmp_path / "h.parquet", spoil(history((1.0, 2.0)))))


def test_bytes_that_are_no_parquet_are_refused(tmp_path):
    path = tmp_path / "h.parquet"
    path.write_bytes(b"PAR1 no PAR1")
    with pytest.raises(StoreError, match="is no history"):
        read_history(path)


def test_a_damaged_file_is_refused(tmp_path):
    path = write(tmp_path / "h.parquet", history(*[(1.0 + i, 2.0) for i in range(50)]))
    content = bytearray(path.read_bytes())
    content[40:400] = bytes(360)
    path.write_bytes(bytes(content))
    with pytest.raises(StoreError):
        read_history(path)


def test_a_small_file_does_not_become_a_large_table(tmp_path):
    rows = 200_000
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["x" * 1_000_000])
    table = pa.table({"stage": text, "name": text, **{
        name: pa.array([0] * rows, pa.int64()) for name in ("step", "images", "calls")}, **{
        name: pa.array([0.0] * rows) for name in ("seconds", "value")}})
    path = tmp_path / "h.parquet"
    pq.write_table(table, path, compression="zstd", dictionary_pagesize_limit=2**22)
    assert path.stat().st_size < 2**20  # it would be 400 GB of text
    with pytest.raises(StoreError, match=r"no training logs so many|do not explain"):
        read_history(path)


def test_more_rows_than_any_training_logs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("srbench.boards.charts.history.MOST_ROWS", 3)
    with pytest.raises(StoreError, match="has 4 rows; at most 3"):
        read_history(write(tmp_path / "h.parquet", history(*[(1.0, 2.0)] * 4)))
    monkeypatch.setattr("srbench.boards.charts.history.LARGEST", 10)
    with pytest.raises(StoreError, match="at most 10 are read"):
        read_history(tmp_path / "h.parquet")


# --- Means of step functions


def test_steps_are_one_names_finite_values_in_order():
    frame = pd.concat([history((2, 5), (1, 7), (2, 6), (3, math.nan), (0, 9), (4, math.inf)),
                       history((1, 100), name="loss")])
    assert steps(frame, "validation/l2-uvp", "seconds") == ([1, 2], [7, 6])


def test_the_mean_of_two_step_functions_by_hand():
    # a: 10 from 1, 4 from 3;  b: 20 from 2, 8 from 5.  Both are known from 2 on.
    curve = average([([1, 3], [10, 4]), ([2, 5], [20, 8])])
    assert curve.times == (2, 3, 5)
    assert curve.mean == (15, 12, 6)
    assert curve.low == (10, 4, 4)
    assert curve.high == (20, 20, 8)
    assert curve.seeds == 2


def test_a_seed_without_values_does_not_count():
    curve = average([([1.0], [3.0]), ([], [])])
    assert (curve.mean, curve.seeds) == ((3,), 1)
    assert average([]) is None
    assert average([([], [])]) is None


def test_a_long_run_is_thinned_evenly_in_log_time_and_keeps_its_ends():
    times = [float(time) for time in range(1, 5001)]
    curve = average([(times, times)], most=40)
    assert len(curve.times) <= 40
    assert curve.times[0] == 1
    assert curve.times[-1] == 5000
    assert curve.mean == curve.times
    assert sum(time > 1000 for time in curve.times) < 12


# --- The chart


def made():
    rows = [row("ots", entry(2.0)), row("bicubic", entry(9.0)),
            *(swept(lam, entry(value), chosen=("oracle",) if lam == 10 else ())
              for lam, value in ((0.0, 30.0), (1.0, 20.0), (10.0, 5.0), (100.0, 12.0)))]
    histories = {
        "ots": [history((1, 30), (10, 10), (100, 2)), history((1, 28), (10, 12), (100, 4))],
        **{f"wgan-gp[lambda={lam}]": [history((2, 30), (20, 10 + 10 * lam % 7)),
                                      history((2, 31), (20, 12))] for lam in (0, 1, 10, 100)}}
    return board(rows, [column("l2-uvp"), column("psnr")]), histories


@pytest.fixture(scope="module")
def chart():
    return anytime(*made())


def test_the_mean_and_the_band_are_drawn_on_each_clock(chart):
    for clock, view in zip((1, 10, 30), chart.spec["concat"], strict=True):
        data = [value for layer in view["layer"] if layer["mark"]["type"] == "line"
                for value in layer["data"]["values"] if value.get("label") == "ots"]
        assert [(value["x"], value["y"]) for value in data] == [
            (clock, 29), (10 * clock, 11), (100 * clock, 3)]
        band = [value for layer in view["layer"] if layer["mark"]["type"] == "area"
                for value in layer["data"]["values"] if value["label"] == "ots"]
        assert [(value["y"], value["y2"]) for value in band] == [(28, 30), (10, 12), (2, 4)]
    assert "bands: lowest to highest seed" in chart.description
    assert {"training time, s (log)", "images drawn (log)", "network calls (log)"} <= set(
        texts(chart))


def test_of_a_sweep_only_its_ends_and_the_chosen_are_drawn(chart):
    drawn = {value["label"] for value in values(chart, "point", "tip")}
    assert drawn == {"ots", "wgan-gp[lambda=0]", "wgan-gp[lambda=10]", "wgan-gp[lambda=100]"}
    dashes = {json.dumps(layer["mark"]["strokeDash"]): {v["label"] for v in layer["data"]["values"]}
              for layer in chart.spec["concat"][0]["layer"] if layer["mark"].get("strokeDash")}
    assert dashes == {"[7, 3]": {"wgan-gp[lambda=0]"}, "[2, 2]": {"wgan-gp[lambda=100]"},
                      "[1, 0]": {"ots", "wgan-gp[lambda=10]"}}


def test_the_panels_share_the_y_axis_and_name_the_curves_once(chart):
    known = {parameter["name"]: parameter["value"] for parameter in chart.spec["params"]}
    assert len({known[f"t{index}_y_low"] for index in range(3)}) == 1
    assert texts(chart).count("ots") == 1
    assert texts(chart).count("wgan-gp λ=10") == 1
    assert "Validation L2-UVP, % ↓" in texts(chart)


def test_the_table_and_the_words_say_when_the_best_was_reached(chart):
    line = next(line for line in chart.table if line[0] == "ots")
    assert line == ("ots", "2", "3.0", "3.0", "100", "1,000", "3,000")
    assert chart.description.startswith("At the end of training ots validates best: L2-UVP 3.0 %.")


def test_a_curve_that_gets_worse_is_told():
    rows = board([row("a", entry(1.0)), row("b", entry(2.0))], [column()])
    found = anytime(rows, {"a": [history((1, 30), (2, 5), (3, 20))],
                           "b": [history((1, 30), (2, 5), (3, 4))]}, clocks=("seconds",))
    assert "a ended worse than it had been." in found.description
    assert "One seed: no bands." in found.description


def test_the_picture_suits_a_strict_policy(chart):
    assert complaints(chart.svg, "anytime") == []


def test_two_builds_give_the_same_bytes(chart):
    again = anytime(*made())
    assert again.svg == chart.svg
    assert json.dumps(again.spec) == json.dumps(chart.spec)


def test_nothing_validated_gives_no_chart():
    rows = board([row("ots", entry(1.0))], [column()])
    assert anytime(rows, {}) is None
    assert anytime(rows, {"ots": []}) is None
    assert anytime(rows, {"ots": [history((1, 1), name="loss")]}) is None
    assert anytime(rows, {"other": [history((1, 1))]}) is None
    assert anytime(rows, {"ots": [history((1, 1))]}, metric="psnr") is None


def test_the_first_validated_column_is_taken():
    rows = board([row("ots", entry(1.0), entry(20.0))], [column("l2-uvp"), column("psnr")])
    found = anytime(rows, {"ots": [history((1, 18), (5, 20), name="validation/psnr")]})
    assert found.title == "PSNR during training"


def test_many_rows_leave_the_last_out_and_hostile_ones_are_texts():
    rows = [row(f"{HOSTILE}{index}", entry(float(index)), method="m") for index in range(14)]
    found = anytime(board(rows, [column()]), {one.label: [history((1, 2), (3, 1))] for one in rows},
                    clocks=("seconds",))
    assert len(values(found, "point", "tip")) == 10
    assert "4 rows further down the table are left out" in found.description
    assert complaints(found.svg, "anytime") == []
    assert "<script" not in found.svg


def test_one_validation_is_a_mark(chart):
    rows = board([row("ots", entry(1.0))], [column()])
    found = anytime(rows, {"ots": [history((5, 3))]}, clocks=("seconds",))
    assert [(v["x"], v["y"]) for v in values(found, "point", "tip")] == [(5, 3)]
    assert not any(kind == "area" for kind, _, _ in layers(found))
