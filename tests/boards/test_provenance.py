"""How a board says its numbers came about, and where its links lead."""

from __future__ import annotations

import csv
import io
from urllib.parse import unquote

import pytest

from srbench.boards.build import build_board, log_linker, page_names, plan_commands
from srbench.boards.provenance import flatten, provenance
from srbench.boards.table import make_boards, natural_key
from srbench.boards.text import board_latex, records_csv
from srbench.foreign.text import printable
from srbench.results.store import Store
from tests.boards.conftest import Page
from tests.results.factory import log_file, make_metric, make_record

HOSTILE = "<b>x</b>\"'&\u202e{{7*7}}"


def board_of(*records):
    board, = make_boards(records)
    return board


def test_facts_name_every_value_that_occurs_once():
    records = [make_record("a", seed=2, finished="2026-01-02T05:00:00+00:00"),
               make_record("b", seed=0, finished="2026-01-02T04:00:00+00:00", budget="60s")]
    facts = dict(provenance(board_of(*records)).facts)
    assert facts["Dataset"] == "w2-early"
    assert facts["Seeds"] == "0, 2"
    assert facts["Precision"] == "fp32"
    assert facts["Training budget"] == "the preset's, 60s"
    assert facts["First cell finished"] == "2026-01-02T04:00:00+00:00"
    assert facts["Last cell finished"] == "2026-01-02T05:00:00+00:00"
    assert facts["srbench"] == f"0.1.0, sources {'c' * 12}"
    assert "Left out" not in facts


def test_records_left_out_are_counted():
    old = make_record(finished="2025-01-01T00:00:00+00:00")
    facts = dict(provenance(board_of(old, make_record())).facts)
    assert facts["Left out"].startswith("1 older records")


def test_equal_environments_are_told_once_with_their_count():
    records = [make_record(label) for label in ("a", "b", "c", "d")]
    records[2].environment = {"python": "3.13.0"}
    records[3].environment = {}
    found = provenance(board_of(*records)).environments
    assert [count for count, _ in found] == [2, 1]
    assert ("cpu.model", "A processor") in found[0][1]
    assert found[1][1] == (("python", "3.13.0"),)


def test_settings_are_those_of_each_label_in_numerical_order():
    records = [make_record(f"gan[k={k}]", seed=seed, method_params={"k": k, "nested": {"on": True}})
               for k in (10, 9) for seed in (0, 1)]
    first, second = provenance(board_of(*records)).settings
    assert (first.label, second.label) == ("gan[k=9]", "gan[k=10]")
    assert first.values == (("k", "9"), ("nested.on", "true"))
    assert first.plugin == f"srbench 0.1.0, sources {'a' * 12}"


def test_flatten_leaves_out_what_is_absent_and_keeps_false_and_zero():
    assert flatten({"a": {"b": {"c": 0}}, "d": None, "e": False, "f": [1, 2], "g": ""}) == (
        ("a.b.c", "0"), ("e", "false"), ("f", "[1, 2]"), ("g", ""))


@pytest.mark.parametrize(("smaller", "larger"), [
    ("k=2", "k=10"), ("k=0.1", "k=0.25"), ("k=1e-3", "k=0.01"), ("k=9,l=3", "k=9,l=20"),
    ("a", "b"), ("a", "a[k=1]"), ("k=1e3", "k=2000")])
def test_numbers_in_labels_count_as_numbers(smaller, larger):
    assert natural_key(smaller) < natural_key(larger)
    assert natural_key(smaller) == natural_key(smaller)


def test_hostile_words_in_every_field_stay_words(tmp_path):
    metric = make_metric("psnr", 20.0, title=HOSTILE, unit=HOSTILE, protocol=HOSTILE)
    gone = make_metric("ssim", None, title=HOSTILE, protocol="p", unavailable=HOSTILE,
                       remedy=HOSTILE)
    good = make_record(HOSTILE, title=HOSTILE, preset=HOSTILE, notice=HOSTILE, source=HOSTILE,
                       precision=HOSTILE, budget=HOSTILE, metrics={"psnr": metric, "ssim": gone},
                       method_params={HOSTILE: HOSTILE})
    good.environment = {HOSTILE: {HOSTILE: HOSTILE}}
    good.outcome.flags = [HOSTILE]
    for field in ("method_distribution", "method_version", "method_digest", "srbench_version"):
        setattr(good.origin, field, HOSTILE)
    bad = make_record(HOSTILE, seed=1, title=HOSTILE, preset=HOSTILE, status="crashed",
                      reason=HOSTILE)
    bad.outcome.log_tail = [HOSTILE]
    Store(tmp_path).write_plan("2026-01-02-030405", {"cells": [], "command": HOSTILE})

    path = build_board([good, bad], tmp_path / "out", runs=tmp_path,
                       definitions={"psnr": HOSTILE})
    source = path.read_text(encoding="utf-8")
    page = Page.of(source)

    assert "<b>" not in source
    assert "49" not in page.text.replace(printable(HOSTILE), "")
    assert page.unbalanced == []
    assert page.text.count(printable(HOSTILE)) > 20
    assert "script" not in {tag for tag, _ in page.tags}


def test_a_log_is_linked_whatever_the_folder_is_called(tmp_path):
    runs = tmp_path / "runs #1 50%?"
    record = make_record(status="failed")
    log = log_file(runs, record)
    path = build_board([record], tmp_path / "board", runs=runs, definitions={})
    link, = (tag["href"] for tag in Page.of(path.read_text(encoding="utf-8")).all("a")
             if tag["href"].endswith("log.txt"))
    assert not set(link) & set("#? ")
    assert (path.parent / unquote(link)).resolve() == log.resolve()


def test_a_log_that_is_gone_is_not_linked(tmp_path):
    assert log_linker(tmp_path, tmp_path / "out")("cells/x/log.txt") == ""


def test_commands_of_plans_once_each_and_none_of_lost_plans(tmp_path):
    store = Store(tmp_path)
    store.write_plan("one", {"cells": [], "command": "srbench run --methods a"})
    store.write_plan("two", {"cells": [], "command": "srbench run --methods a"})
    store.write_plan("three", {"cells": [], "command": ["not", "text"]})
    records = [make_record(name, plan=name) for name in ("one", "two", "three", "lost", "../up")]
    assert plan_commands(board_of(*records), store) == ["srbench run --methods a"]


def test_long_titles_that_differ_late_have_files_of_their_own(tmp_path):
    records = [make_record(title="w" * 300 + end) for end in ("a", "b", "c")]
    names = page_names(make_boards(records))
    assert len(set(names)) == 3
    build_board(records, tmp_path, runs=tmp_path, definitions={})
    assert len(list(tmp_path.glob("*.html"))) == 4
    for name, board in zip(names, make_boards(records), strict=True):
        assert board.title in (tmp_path / f"{name}.html").read_text(encoding="utf-8")


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
    assert table.rows[0].images == 1_280_000
