"""Boards as CSV, JSON and LaTeX."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from srbench.boards.definition import Definition, Expected
from srbench.boards.finding import finding
from srbench.boards.table import make_board
from srbench.boards.text import board_data, board_latex, records_csv
from srbench.results.store import Invalid
from tests.boards.worlds import mix_board, mix_records, only, pictured, scored
from tests.results.factory import make_metric, make_record

PUBLISHED = tuple(Expected(label=label, metric="l2-uvp", dataset="w2-early", value=value,
                           tolerance=0.5, source="Table 2")
                  for label, value in [("ots", 6.0), ("dasr", 20.0), ("b", 3.0)])
DEFINED = Definition(name="w2", title="W2", preset="quick", datasets=("w2-early",),
                     published=PUBLISHED)


def data_of(board):
    """Board data as a reader of the file has them; anything but JSON raises."""
    return json.loads(json.dumps(board_data(board), allow_nan=False))


def lines_of(records, **options):
    return list(csv.DictReader(io.StringIO(records_csv(records, **options), newline="")))


# CSV


def test_csv_has_one_line_per_cell_with_full_precision():
    lines = lines_of([make_record("ots", seed=0, metrics={"l2-uvp": 1 / 3}),
                      make_record("b[lambda=1,c=2]", status="failed",
                                  reason='says "no", twice\nover')])
    assert float(lines[0]["l2-uvp"]) == 1 / 3
    assert lines[0]["l2-uvp.protocol"] == "l2-uvp/total-variance/v1"
    assert lines[1]["label"] == "b[lambda=1,c=2]"
    assert lines[1]["reason"] == 'says "no", twice\nover'
    assert lines[1]["l2-uvp"] == ""


@pytest.mark.parametrize("formula", ["=cmd()", "+1+1", "-2", "@SUM(A1)", "\t=1", "\r=1"])
def test_csv_holds_no_formula(formula):
    line, = lines_of([make_record(formula, status="failed", reason=formula)])
    assert line["label"] == f"'{formula}".replace("\r", " ").replace("\t", " ")
    assert line["reason"] == line["label"]


def test_csv_leaves_negative_numbers_alone():
    line, = lines_of([make_record(metrics={"psnr": -2.5})])
    assert line["psnr"] == "-2.5"


def test_csv_of_no_record_is_its_head():
    assert lines_of([]) == []
    assert records_csv([]).startswith("key,title,preset,label,")
    assert records_csv([]).count("\n") == 1


def test_csv_lists_what_cannot_be_used():
    broken = Invalid(path=Path("cells/abc/record.json"), reason="=not JSON")
    last = lines_of([make_record()], invalid=[broken])[-1]
    assert (last["key"], last["status"], last["reason"]) == ("abc", "invalid", "'=not JSON")


# JSON


def test_json_data_is_json_and_has_null_for_what_is_missing():
    missing = make_metric("lpips", None, unavailable="no weights", remedy="srbench fetch alex")
    board = only([make_record(metrics={"l2-uvp": 6.25, "lpips": missing}),
                  make_record("b", status="oom", reason="13 GiB wanted")])
    data = data_of(board)
    row, = data["rows"]
    assert row["values"]["l2-uvp"] == {
        "mean": 6.25, "seeds": 1, "scenes": 0, "seed_sd": None, "scene_interval": None,
        "interval": None, "why": "one seed: how much training varies is unknown", "best": False,
        "rank": None, "against": {}, "published": None}
    assert row["values"]["lpips"] == {"mean": None, "gap": 1, "published": None}
    assert data["unavailable"] == [{"column": "lpips", "labels": ["ots"], "why": "no weights",
                                    "remedy": "srbench fetch alex"}]
    assert data["failures"][0]["reason"] == "13 GiB wanted"
    assert data["columns"][0]["better"] == "lower is better"
    assert len(data["cells"]) == 2
    assert data["finding"] == finding(board)


def test_json_has_intervals_ranks_and_differences_as_numbers():
    draw = np.random.default_rng(0)
    images = {"ots": draw.normal(6, 1, 30), "bicubic": draw.normal(9, 1, 30)}
    records, evidence = pictured(images, trained=False)
    data = data_of(only(records, evidence=evidence))
    ots, bicubic = (row["values"]["l2-uvp"] for row in data["rows"])
    expected = stats.ttest_1samp(images["ots"], 0).confidence_interval(0.95)
    assert ots["interval"] == pytest.approx(list(expected))
    assert (ots["rank"], ots["best"], bicubic["rank"]) == ([1, 1], True, [2, 2])
    test = stats.ttest_rel(images["bicubic"], images["ots"])
    assert bicubic["against"]["ots"]["p"] == pytest.approx(test.pvalue)
    assert bicubic["against"]["ots"]["interval"] == pytest.approx(list(
        test.confidence_interval(0.95)))
    assert data["reference"] == "bicubic"
    assert data["rows"][0]["values"]["l2-uvp"]["against"]["bicubic"]["difference"] == (
        pytest.approx(-bicubic["against"]["ots"]["difference"]))


def test_json_has_costs_and_sweeps():
    data = data_of(only([*scored("gan[k=1]", 5.0), *scored("gan[k=2]", 6.0)]))
    assert data["rows"][0]["sweep"] == {"family": "gan", "parameter": "k", "value": 1.0,
                                        "chosen": ["oracle"]}
    assert data["rows"][0]["costs"]["seconds"] == 12.5
    assert data["rows"][0]["costs"]["device_memory"] is None
    assert (data["rows"][0]["seeds"], data["criterion"]) == ([0], "")


def test_json_has_published_values_with_and_without_ours():
    gone = make_metric("l2-uvp", None, unavailable="broken")
    data = data_of(make_board(DEFINED, [make_record(), make_record("b", metrics={
        "l2-uvp": gone})]))
    by_label = {row["label"]: row["values"]["l2-uvp"]["published"] for row in data["rows"]}
    assert by_label["ots"]["verdict"] == "reproduced"
    assert (by_label["b"]["value"], by_label["b"]["verdict"]) == (3.0, "not tried")
    absent, = data["absent"]
    assert absent["label"] == "dasr"
    assert absent["published"]["l2-uvp"]["value"] == 20.0


def test_json_of_a_board_without_records():
    data = data_of(make_board(DEFINED, []))
    assert (data["rows"], data["columns"], data["cells"]) == ([], [], [])
    assert data["datasets"] == ["w2-early"]


def test_json_says_which_metrics_do_not_apply_and_what_to_know():
    gone = make_metric("l2-uvp", None, unavailable="does not apply: no map")
    record = make_record(metrics={"l2-uvp": gone, "psnr": 20.0})
    record.outcome.notes = ["tiles"]
    data = data_of(only([record]))
    assert data["inapplicable"] == [{"why": "does not apply: no map", "titles": ["L2-UVP"]}]
    assert data["notes"] == [{"note": "tiles", "labels": ["ots"]}]


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("value", [1.7e308, -1.7e308])
def test_json_of_sums_that_overflow_is_still_json(value):
    board = only([*scored("a", [value] * 3), *scored("b", 1.0)])
    by_label = {row["label"]: row["values"]["l2-uvp"] for row in data_of(board)["rows"]}
    assert by_label["a"]["mean"] is None
    assert by_label["b"]["mean"] == 1.0


def test_json_of_several_datasets_names_each_column():
    data = data_of(mix_board(mix_records({"a": {2: 1.0, 4: 2.0}, "b": {2: 3.0}})))
    assert [column["dataset"] for column in data["columns"]] == [
        "mix3tomix10[dim=2]", "mix3tomix10[dim=4]"]
    assert data["rows"][1]["values"]["l2-uvp dim=4"] == {"mean": None, "gap": 1,
                                                         "published": None}


# LaTeX


def test_latex_escapes_and_marks_the_best():
    values = [6.0, 8.0, 7.3]
    text = board_latex(only([make_record("a_b&c[x=1%]", metrics={"l2-uvp": 5.0}),
                             *scored("b", values)]))
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert r"a\_b\&c[x=1\%] & \textbf{5.0} \\" in text
    assert rf"b & 7.1 {{\scriptsize [{low:.1f}, {high:.1f}]}} \\" in text
    assert r"Method & L2-UVP [\%] $\downarrow$ \\" in text
    assert text.count("&") - text.count(r"\&") == 3


def test_latex_is_a_whole_table_with_a_dash_for_what_is_missing():
    gone = make_metric("psnr", None, unavailable="broken")
    text = board_latex(only([make_record(metrics={"l2-uvp": 5.0, "psnr": gone})]))
    lines = text.splitlines()
    assert lines[0] == "% w2-early, preset quick"
    assert lines[1].startswith("% ")
    assert lines[2:4] == [r"\begin{tabular}{lrr}", r"\toprule"]
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]
    assert r"ots & 5.0 & -- \\" in lines


def test_latex_names_the_dataset_of_a_column():
    text = board_latex(mix_board(mix_records({"a": {2: 1.0, 4: 2.0}})))
    assert (r"Method & L2-UVP, dim=2 [\%] $\downarrow$ & L2-UVP, dim=4 [\%] $\downarrow$ \\"
            in text)


def test_latex_of_a_board_without_rows():
    assert board_latex(make_board(DEFINED, [])).splitlines()[2] == r"\begin{tabular}{l}"


@pytest.mark.parametrize("hostile", [r"\input{x}", "a}b{c", "x\\\\y", "a\nb", "100% & #1 $x_2^3$"])
def test_no_name_is_a_latex_command(hostile):
    text = board_latex(only([make_record(hostile, title=hostile)]))
    row = next(line for line in text.splitlines() if line.endswith(r"& \textbf{6.1} & 24.31 \\")
               or line.endswith(r"& 6.1 & 24.31 \\"))
    name = row.rpartition(" & 6.1")[0]
    rest = name
    for escaped in (r"\textbackslash{}", r"\{", r"\}", r"\&", r"\%", r"\#", r"\$", r"\_",
                    r"\textasciicircum{}"):
        rest = rest.replace(escaped, "")
    assert not set(rest) & set("\\{}&%#$_^\n")
    assert text.splitlines()[0].startswith("% ")
