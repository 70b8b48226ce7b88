"""Records as tables; means and deviations against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from srbench.results.frame import (
    column_names,
    metric_columns,
    newest,
    shown_labels,
    shown_titles,
    summarise,
    to_frame,
)
from tests.results.factory import make_metric, make_record


def test_one_row_per_cell_with_facts_metrics_and_protocols():
    records = [make_record("ots", seed=3, metrics={"l2-uvp": 6.5, "psnr": 24.0}),
               make_record("wgan-gp[lambda=10]", status="timeout", reason="killed after 600 s")]
    frame = to_frame(records)

    assert list(frame["label"]) == ["ots", "wgan-gp[lambda=10]"]
    assert list(frame["method"]) == ["ots", "wgan-gp"]
    assert list(frame["status"]) == ["ok", "timeout"]
    assert frame.loc[0, "l2-uvp"] == 6.5
    assert frame.loc[0, "l2-uvp.protocol"] == "l2-uvp/total-variance/v1"
    assert math.isnan(frame.loc[1, "l2-uvp"])
    assert frame.loc[0, "images"] == 1_280_000
    assert metric_columns(frame) == ["l2-uvp", "psnr"]


def test_mean_and_deviation_over_seeds_by_hand():
    values = {0: 2.0, 1: 4.0, 2: 9.0}  # mean 5; squared deviations 9 + 1 + 16 = 26; 26 / 2 = 13
    records = [make_record("ots", seed=seed, metrics={"l2-uvp": value}, seconds_fit=10.0 + seed)
               for seed, value in values.items()]
    line = summarise(to_frame(records)).iloc[0]

    assert line["seeds"] == 3
    assert line["l2-uvp"] == pytest.approx(5.0)
    assert line["l2-uvp.sd"] == pytest.approx(math.sqrt(13.0))
    assert line["l2-uvp.n"] == 3
    assert line["seconds_fit"] == pytest.approx(11.0)


def test_one_seed_has_no_deviation_and_failed_cells_do_not_count():
    records = [make_record("ots", seed=0, metrics={"psnr": 20.0}),
               make_record("ots", seed=1, status="diverged", metrics={"psnr": 1000.0})]
    line = summarise(to_frame(records)).iloc[0]

    assert line["seeds"] == 1
    assert line["psnr"] == 20.0
    assert math.isnan(line["psnr.sd"])


def test_a_value_missing_for_one_seed_lowers_n():
    records = [make_record("ots", seed=0, metrics={"psnr": 20.0}),
               make_record("ots", seed=1, metrics={"psnr": None})]
    line = summarise(to_frame(records)).iloc[0]

    assert (line["seeds"], line["psnr.n"], line["psnr"]) == (2, 1, 20.0)


def test_presets_and_datasets_are_never_averaged():
    records = [make_record("ots", preset=preset, title=title, metrics={"psnr": value})
               for preset, title, value in [("quick", "w2-early", 1.0), ("paper", "w2-early", 2.0),
                                            ("quick", "w2-early@embedded", 3.0)]]
    assert list(summarise(to_frame(records))["psnr"]) == [1.0, 2.0, 3.0]


def test_two_protocols_never_share_a_column():
    records = [make_record(label, metrics={"psnr": make_metric("psnr", value, protocol=protocol)})
               for label, value, protocol in [("a", 20.0, "psnr/rgb/v1"), ("b", 24.0, "psnr/y/v1")]]
    frame = to_frame(records)

    assert metric_columns(frame) == ["psnr (psnr/rgb/v1)", "psnr (psnr/y/v1)"]
    assert "psnr" not in frame.columns
    assert frame.loc[0, "psnr (psnr/rgb/v1)"] == 20.0
    assert math.isnan(frame.loc[0, "psnr (psnr/y/v1)"])
    assert column_names(records[:1]) == {("psnr", "psnr/rgb/v1"): "psnr"}


def test_the_oracle_is_a_block_of_its_own():
    records = [make_record(metrics={"psnr": 20.0}, oracle={"psnr": 21.0})]
    assert to_frame(records).loc[0, "psnr"] == 20.0
    assert to_frame(records, block="oracle").loc[0, "psnr"] == 21.0


def test_a_repeated_seed_is_refused_and_newest_mends_it():
    old = make_record(metrics={"psnr": 20.0}, finished="2026-01-01T00:00:00+00:00")
    new = make_record(metrics={"psnr": 22.0}, finished="2026-01-03T00:00:00+00:00")
    with pytest.raises(ValueError, match="repeat a seed"):
        summarise(to_frame([new, old]))
    assert newest([new, old]) == [new]
    assert newest([old, new]) == [new]
    assert summarise(to_frame(newest([new, old])))["psnr"].tolist() == [22.0]


def test_newest_keeps_what_is_not_the_same_cell():
    records = [make_record("ots", seed=0), make_record("ots", seed=1), make_record("b"),
               make_record("ots", preset="paper"), make_record("ots", precision="bf16"),
               make_record("ots", fingerprint="e" * 64)]
    assert newest(records) == records


def test_labels_name_precision_and_budget_only_where_they_differ():
    assert shown_labels([make_record("ots"), make_record("b")]) == ["ots", "b"]
    records = [make_record("ots"), make_record("ots", precision="bf16", budget="600s"),
               make_record("ots", title="other")]
    assert shown_labels(records) == ["ots (fp32, no budget)", "ots (bf16, budget 600s)", "ots"]


def test_one_title_with_two_fingerprints_becomes_two():
    records = [make_record(fingerprint="a" * 64), make_record(fingerprint="b" * 64)]
    assert shown_titles(records) == ["w2-early (data aaaaaaaa)", "w2-early (data bbbbbbbb)"]
    assert shown_titles(records[:1]) == ["w2-early"]


def test_no_finished_cell_gives_an_empty_summary():
    assert summarise(to_frame([make_record(status="failed")])).empty
