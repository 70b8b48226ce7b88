"""How a board says its numbers came about."""

from __future__ import annotations

import csv
import io
import json

import pytest

from srbench.boards.definition import Definition
from srbench.boards.provenance import MOST_VALUES, flatten, plan_commands, provenance
from srbench.boards.table import make_board, natural_key
from srbench.boards.text import board_latex, records_csv
from srbench.results.store import Store
from tests.boards.worlds import mix_board, mix_records, only
from tests.results.factory import make_record


def board_of(*records):
    return only(records)


def facts_of(*records):
    return dict(provenance(board_of(*records)).facts)


def test_facts_name_every_value_that_occurs_once():
    facts = facts_of(
        make_record("a", seed=2, finished="2026-01-02T05:00:00+00:00"),
        make_record("b", seed=0, finished="2026-01-02T04:00:00+00:00", budget="60s"))
    assert facts["Dataset"] == "w2-early"
    assert facts["Source of the data"] == "official"
    assert facts["Fingerprint of the data (SHA-256)"] == "d" * 64
    assert facts["Preset"] == "quick"
    assert facts["Cells"] == "2, 0 of them not ok"
    assert facts["Seeds"] == "0, 2"
    assert facts["Precision"] == "fp32"
    assert facts["Training budget"] == "the preset's, 60s"
    assert facts["First cell finished"] == "2026-01-02T04:00:00+00:00"
    assert facts["Last cell finished"] == "2026-01-02T05:00:00+00:00"
    assert facts["srbench"] == f"0.1.0, sources {'c' * 12}"
    assert facts["Result"] == "last iterate of training"
    assert "Left out" not in facts


def test_seeds_are_in_the_order_of_numbers():
    assert facts_of(*(make_record(seed=seed) for seed in (10, 9, 0)))["Seeds"] == "0, 9, 10"


def test_cells_that_did_not_finish_are_counted():
    assert facts_of(make_record(), make_record("b", status="oom"))["Cells"] == (
        "2, 1 of them not ok")


def test_records_left_out_are_counted():
    old = make_record(finished="2025-01-01T00:00:00+00:00")
    assert facts_of(old, make_record())["Left out"].startswith("1 older records")


def test_the_commits_of_the_harness_are_named_shortened():
    records = [make_record(name) for name in "abc"]
    records[0].environment = {"git": {"commit": "1" * 40}}
    records[1].environment = {"git": {"commit": "2" * 40, "dirty": True}}
    assert facts_of(*records)["Commit"] == f"{'1' * 12}, {'2' * 12}"
    assert "Commit" not in facts_of(make_record())


def test_several_datasets_are_all_named():
    facts = dict(provenance(mix_board(mix_records({"a": {2: 1.0, 4: 2.0}}))).facts)
    assert facts["Dataset"] == "mix3tomix10[dim=2], mix3tomix10[dim=4], mix3tomix10[dim=16]"
    assert facts["Fingerprint of the data (SHA-256)"].count(", ") == 1


def test_a_board_without_records_says_only_what_it_would_be():
    board = make_board(Definition(name="w2", title="W2", preset="paper", datasets=("w2",)), [])
    found = provenance(board, ["srbench run --methods ots"])
    assert dict(found.facts) == {"Dataset": "w2", "Preset": "paper", "Cells": "none"}
    assert found.environment == ()
    assert found.commands == ("srbench run --methods ots",)


def test_one_value_of_the_environment_is_told_once():
    found = dict(provenance(board_of(*(make_record(name) for name in "abc"))).environment)
    assert found == {"python": "3.12.1", "cpu.model": "A processor", "cpu.threads": "1",
                     "packages.torch": "2.10.0"}


def test_values_that_differ_are_counted_the_most_frequent_first():
    records = [make_record(name) for name in "abcde"]
    records[2].environment = {"python": "3.13.0"}
    records[3].environment = {"python": "3.11.9"}
    records[4].environment = {"gpu": "One"}
    found = dict(provenance(board_of(*records)).environment)
    assert found["python"] == "3.12.1 (2 cells), 3.11.9 (1 cells), 3.13.0 (1 cells)"
    assert found["gpu"] == "One"


def test_many_values_of_one_fact_are_cut():
    records = [make_record(f"m{number}") for number in range(MOST_VALUES + 3)]
    for number, record in enumerate(records):
        record.environment = {"host": f"h{number}"}
    text = dict(provenance(board_of(*records)).environment)["host"]
    assert text.count("(1 cells)") == MOST_VALUES
    assert text.endswith(" and 3 other values")


def test_the_environment_does_not_depend_on_the_order_of_records():
    records = [make_record(name) for name in "abcd"]
    for number, record in enumerate(records):
        record.environment = {f"k{number}": number, "both": number % 2}
    assert (provenance(board_of(*records)).environment
            == provenance(board_of(*records[::-1])).environment)


def test_flatten_leaves_out_what_is_absent_and_keeps_false_and_zero():
    assert flatten({"a": {"b": {"c": 0}}, "d": None, "e": False, "f": [1, 2], "g": ""}) == (
        ("a.b.c", "0"), ("e", "false"), ("f", "[1, 2]"), ("g", ""))
    assert flatten({}) == ()


def test_flatten_writes_what_json_can_read():
    data = {"x": 1e-5, "y": [1, "two", None], "z": True}
    assert {name: json.loads(text) for name, text in flatten(data)} == data


@pytest.mark.parametrize(("smaller", "larger"), [
    ("k=2", "k=10"), ("k=0.1", "k=0.25"), ("k=1e-3", "k=0.01"), ("k=9,l=3", "k=9,l=20"),
    ("a", "b"), ("a", "a[k=1]"), ("k=1e3", "k=2000")])
def test_numbers_in_labels_count_as_numbers(smaller, larger):
    assert natural_key(smaller) < natural_key(larger)
    assert natural_key(smaller) == natural_key(smaller)


def test_commands_of_plans_once_each_and_none_of_lost_plans(tmp_path):
    store = Store(tmp_path)
    store.write_plan("one", {"cells": [], "command": "srbench run --methods a"})
    store.write_plan("two", {"cells": [], "command": "srbench run --methods a"})
    store.write_plan("three", {"cells": [], "command": ["not", "text"]})
    records = [make_record(name, plan=name) for name in ("one", "two", "three", "lost", "../up")]
    assert plan_commands(board_of(*records), store) == ["srbench run --methods a"]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x85", "\u2028"])
def test_no_line_end_leaves_the_comment_of_a_latex_table(end):
    text = board_latex(board_of(make_record(title=f"a{end}\\input{{x}}")))
    assert text.splitlines()[0] == r"% a \input{x}, preset quick"


def test_a_metric_called_like_a_fact_keeps_a_column_of_its_own():
    """`seed` and `images` are names a plugin may give."""
    record = make_record(seed=3, metrics={"seed": 5.5, "images": 6.5, "l2-uvp": 1.0})
    table = board_of(record).final
    line, = csv.DictReader(io.StringIO(records_csv([record])))
    assert (line["seed"], line["images"]) == ("3", "1280000")
    assert (line["seed (seed/v1)"], line["images (images/v1)"]) == ("5.5", "6.5")
    assert [entry.mean for entry in table.rows[0].entries] == [1.0, 5.5, 6.5]
    assert table.rows[0].costs.images == 1_280_000
