"""Means and deviations over seeds against NumPy, over many layouts of cells."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srbench.boards.table import make_boards
from srbench.results.frame import column_names, newest, shown_labels, summarise, to_frame
from tests.results.factory import make_metric, make_record

VALUES = st.floats(-1e6, 1e6, allow_nan=False)
CELLS = st.dictionaries(
    st.tuples(st.sampled_from(["ots", "gan[k=1]", "gan[k=10]"]), st.integers(0, 4)),
    st.one_of(st.none(), VALUES, st.just("failed")), min_size=1, max_size=12)


@settings(deadline=None, max_examples=40)
@given(CELLS)
def test_summaries_are_numpys(cells):
    records = [make_record(label, seed=seed, status="failed") if value == "failed" else
               make_record(label, seed=seed, metrics={"psnr": value})
               for (label, seed), value in cells.items()]
    lines = {line["label"]: line for line in summarise(to_frame(records)).to_dict("records")}

    done = {label: [value for (name, _), value in cells.items()
                    if name == label and value != "failed"] for label, _ in cells}
    assert set(lines) == {label for label, values in done.items() if values}
    for label, line in lines.items():
        values = [value for value in done[label] if value is not None]
        assert line["seeds"] == len(done[label])
        if "psnr" in line:
            assert line["psnr.n"] == len(values)
            if values:
                assert line["psnr"] == pytest.approx(np.mean(values), rel=1e-9, abs=1e-6)
            if len(values) > 1:
                assert line["psnr.sd"] == pytest.approx(np.std(values, ddof=1), rel=1e-6, abs=1e-6)
            else:
                assert math.isnan(line["psnr.sd"])


def test_three_seeds_by_hand_and_in_the_table():
    values = {0: 1.0, 1: 2.0, 5: 6.0}  # mean 3; 4 + 1 + 9 = 14; 14 / 2 = 7
    records = [make_record(seed=seed, metrics={"l2-uvp": value}, seconds_fit=value)
               for seed, value in values.items()]
    board, = make_boards(records)
    row, = board.final.rows
    found = row.entries[0].estimate
    assert (found.mean, found.seeds) == (3.0, 3)
    assert found.seed_sd == pytest.approx(math.sqrt(7))
    assert row.costs.seconds == pytest.approx(3.0)
    assert board.seeds == (0, 1, 5)


def test_seeds_measured_by_two_protocols_are_not_averaged_together():
    other = make_metric("psnr", 30.0, protocol="psnr/luma/v1")
    records = [make_record(seed=0, metrics={"psnr": 20.0}), make_record(seed=1,
                                                                       metrics={"psnr": other})]
    line = summarise(to_frame(records)).iloc[0]
    ours = "psnr (psnr/rgb-float-clamped/v1)"
    assert (line[ours], line[f"{ours}.n"]) == (20.0, 1)
    assert (line["psnr (psnr/luma/v1)"], line["psnr (psnr/luma/v1).n"]) == (30.0, 1)
    assert line["seeds"] == 2
    row, = make_boards(records)[0].final.rows
    assert [(entry.mean, entry.estimate.seeds) for entry in row.entries] == [(20.0, 1),
                                                                             (30.0, 1)]


def test_the_same_label_on_two_datasets_and_presets_is_four_rows():
    records = [make_record(title=title, preset=preset, metrics={"psnr": value})
               for value, (title, preset) in enumerate(
                   (t, p) for t in ("early", "late") for p in ("quick", "paper"))]
    frame = summarise(to_frame(records))
    assert list(frame["psnr"]) == [0.0, 1.0, 2.0, 3.0]
    assert list(frame["seeds"]) == [1] * 4
    assert len(make_boards(records)) == 4


@pytest.mark.parametrize("name", ["key", "title", "label", "seed", "status", "parameters"])
def test_a_metric_cannot_take_the_place_of_a_fact(name):
    record = make_record(seed=4, metrics={name: 2.5, "psnr": 20.0})
    names = column_names([record])
    assert names[name, f"{name}/v1"] == f"{name} ({name}/v1)"
    frame = to_frame([record])
    assert frame.columns.is_unique
    assert frame.loc[0, f"{name} ({name}/v1)"] == 2.5
    assert frame.loc[0, "seed"] == 4
    assert summarise(frame).iloc[0]["psnr"] == 20.0


def test_the_newest_record_wins_in_any_order():
    days = [make_record(finished=f"2026-01-0{day}T00:00:00+00:00", metrics={"psnr": float(day)})
            for day in (1, 2, 3)]
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        kept, = newest([days[index] for index in order])
        assert kept.values.final["psnr"].value == 3.0
    board, = make_boards(days)
    assert board.superseded == 2


def test_labels_say_what_differs_and_only_then():
    plain = [make_record("a"), make_record("b")]
    assert shown_labels(plain) == ["a", "b"]
    mixed = [make_record("a", precision="bf16"), make_record("a"), make_record("b", budget="60s")]
    assert shown_labels(mixed) == ["a (bf16, no budget)", "a (fp32, no budget)",
                                   "b (fp32, budget 60s)"]
    apart = [make_record("a", precision="bf16", preset="quick"), make_record("a", preset="paper")]
    assert shown_labels(apart) == ["a", "a"]


def test_values_of_a_failed_cell_stay_in_the_frame_but_out_of_the_means():
    records = [make_record(seed=0, metrics={"psnr": 20.0}),
               make_record(seed=1, status="timeout", metrics={"psnr": 90.0})]
    frame = to_frame(records)
    assert list(frame["psnr"]) == [20.0, 90.0]
    assert summarise(frame).iloc[0]["psnr"] == 20.0
