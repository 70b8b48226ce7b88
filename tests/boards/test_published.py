"""Whether our values reproduce published ones."""

from __future__ import annotations

import math

import pytest

from srbench.boards.board import Column, Entry, Row
from srbench.boards.definition import Definition, Expected
from srbench.boards.published import absent_rows, judge, judged
from srbench.results.statistics import Estimate

COLUMN = Column(name="l2-uvp", metric="l2-uvp", title="L2-UVP", unit="%", direction="lower",
                decimals=1, protocol="p", count=10, reference={}, dataset="mix")


def ours(mean: float, seeds: int = 3) -> Estimate:
    return Estimate(mean=mean, seeds=seeds, scenes=10, seed_sd=0.1, scene_interval=None,
                    interval=None)


def expected(label: str = "ots", **changes) -> Expected:
    return Expected(**{"label": label, "metric": "l2-uvp", "dataset": "mix", "value": 1.4,
                       "tolerance": 0.2, "source": "Table 2", **changes})


def definition(*published: Expected) -> Definition:
    return Definition(name="b", title="B", preset="quick", datasets=("mix",), published=published)


def row(label: str, mean: float | None) -> Row:
    entry = Entry() if mean is None else Entry(estimate=ours(mean))
    return Row(label=label, anchor=label, method=label, seeds=(0,), entries=(entry,))


@pytest.mark.parametrize(("mean", "value", "tolerance", "verdict"), [
    (1.4, 1.4, 0.0, "reproduced"),
    (1.6, 1.4, 0.2, "reproduced"),  # 1.6 - 1.4 is 0.20000000000000018
    (1.2, 1.4, 0.2, "reproduced"),
    (0.3, 0.2, 0.1, "reproduced"),
    (1.601, 1.4, 0.2, "not reproduced"),
    (1.199, 1.4, 0.2, "not reproduced"),
    (1e6 + 1.001, 1e6, 1.0, "reproduced"),  # within what a double of that size can say
    (1e6 + 1.1, 1e6, 1.0, "not reproduced"),
    (-3.0, -2.9, 0.1, "reproduced"),
])
def test_the_tolerance_is_absolute_and_its_end_belongs_to_it(mean, value, tolerance, verdict):
    found = judge(ours(mean), expected(value=value, tolerance=tolerance), unit="%")
    assert found.verdict == verdict
    assert (found.value, found.tolerance, found.source) == (value, tolerance, "Table 2")


def test_the_words_hold_the_numbers():
    assert judge(ours(1.5), expected(), unit="%").why == (
        "3 seeds have the mean 1.5, 0.1 % from 1.4; up to 0.2 % counts as reproduced")
    assert judge(ours(2.5, seeds=1), expected()).why == (
        "one seed has 2.5, 1.1 from 1.4; up to 0.2 counts as reproduced")


@pytest.mark.parametrize("estimate", [None, ours(math.nan), ours(math.inf)])
def test_without_a_value_it_was_not_tried(estimate):
    found = judge(estimate, expected())
    assert found.verdict == "not tried"
    assert "no finished cell of ots" in found.why
    assert judge(estimate, expected(), why="no weights").why == "no weights"


def test_values_go_to_their_rows_and_columns():
    rows = judged([row("ots", 1.5), row("identity", 30.0), row("linear", None)], [COLUMN],
                  definition(expected(), expected("linear"), expected(metric="psnr"),
                             expected(dataset="other", value=9.0)))
    assert [entry.published and entry.published.verdict
            for entry in (rows[0].entries[0], rows[1].entries[0], rows[2].entries[0])] == [
        "reproduced", None, "not tried"]
    assert "linear has no value of L2-UVP" in rows[2].entries[0].published.why


def test_precision_or_budget_in_a_label_does_not_hide_the_method():
    board = definition(expected())
    rows = [row("ots (bf16)", 1.5), row("ots[lr=1]", 1.5)]
    found = judged(rows, [COLUMN], board)
    assert found[0].entries[0].published is not None
    assert found[1].entries[0].published is None
    assert absent_rows(rows[:1], [COLUMN], board) == ()


def test_published_methods_without_a_row():
    board = definition(expected("W2", value=2.0), expected(), expected("MM"),
                       expected("MM", metric="psnr"))
    absent = absent_rows([row("ots", 1.5)], [COLUMN], board)
    assert [(label, list(values)) for label, values in absent] == [
        ("W2", ["l2-uvp"]), ("MM", ["l2-uvp"])]
    assert absent[0][1]["l2-uvp"].value == 2.0
    assert absent[0][1]["l2-uvp"].verdict == "not tried"
