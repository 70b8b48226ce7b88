"""Boards as CSV, JSON and LaTeX."""

from __future__ import annotations

import csv
import io
import json

import pytest

from srbench.boards.table import make_boards
from srbench.boards.text import board_data, board_latex, records_csv
from tests.results.factory import make_metric, make_record


def test_csv_has_one_line_per_cell_with_full_precision():
    records = [make_record("ots", seed=0, metrics={"l2-uvp": 1 / 3}),
               make_record("b[lambda=1,c=2]", status="failed", reason='says "no", twice\nover')]
    lines = list(csv.DictReader(io.StringIO(records_csv(records))))

    assert float(lines[0]["l2-uvp"]) == 1 / 3
    assert lines[0]["l2-uvp.protocol"] == "l2-uvp/total-variance/v1"
    assert lines[1]["label"] == "b[lambda=1,c=2]"
    assert lines[1]["reason"] == 'says "no", twice\nover'
    assert lines[1]["l2-uvp"] == ""


@pytest.mark.parametrize("formula", ["=cmd()", "+1+1", "-2", "@SUM(A1)", "\t=1", "\r=1"])
def test_csv_holds_no_formula(formula):
    records = [make_record(formula, status="failed", reason=formula)]
    line = next(csv.DictReader(io.StringIO(records_csv(records), newline="")))
    assert line["label"] == f"'{formula}".replace("\r", " ").replace("\t", " ")
    assert line["reason"] == line["label"]


def test_csv_leaves_negative_numbers_alone():
    line = next(csv.DictReader(io.StringIO(records_csv([make_record(metrics={"psnr": -2.5})]))))
    assert line["psnr"] == "-2.5"


def test_json_data_is_json_and_has_null_for_what_is_missing():
    missing = make_metric("lpips", None, unavailable="no weights", remedy="srbench fetch alex")
    board = make_boards([make_record(metrics={"l2-uvp": 6.25, "lpips": missing}),
                         make_record("b", status="oom", reason="13 GiB wanted")])[0]
    data = json.loads(json.dumps(board_data(board), allow_nan=False))

    values = data["rows"][0]["values"]
    assert values["l2-uvp"] == {"mean": 6.25, "sd": None, "seeds": 1}
    assert values["lpips"] == {"mean": None, "sd": None, "seeds": 0}
    assert data["unavailable"][0]["remedy"] == "srbench fetch alex"
    assert data["failures"][0]["reason"] == "13 GiB wanted"
    assert data["columns"][0]["better"] == "lower is better"
    assert len(data["cells"]) == 2


def test_latex_escapes_and_marks_the_best():
    board = make_boards([make_record("a_b&c[x=1%]", metrics={"l2-uvp": 5.0}),
                         make_record("b", metrics={"l2-uvp": 6.0}),
                         make_record("b", seed=1, metrics={"l2-uvp": 8.0})])[0]
    text = board_latex(board)

    assert r"a\_b\&c[x=1\%] & \textbf{5.0} \\" in text
    assert r"b & 7.0 $\pm$ 1.4 \\" in text
    assert r"Method & L2-UVP [\%] $\downarrow$ \\" in text
    assert text.count("&") - text.count(r"\&") == 3
