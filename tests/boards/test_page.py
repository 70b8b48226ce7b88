"""Where a page's links lead, what its files are called, and what hostile words do in it."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from srbench.boards.definition import Definition
from srbench.boards.markup import csp_hash
from srbench.boards.page import log_linker, page_names, render, render_index
from srbench.boards.provenance import provenance
from srbench.boards.table import make_board, make_boards
from srbench.foreign.text import printable
from tests.boards.conftest import Page
from tests.boards.worlds import mix_board, mix_records, only, scored
from tests.results.factory import log_file, make_metric, make_record

HOSTILE = "<b>x</b>\"'&\u202e{{7*7}}"


def shown(board, **options) -> tuple[str, Page]:
    """HTML of a board without charts and images, and the same read."""
    source = render(board, provenance(board), **options)
    return source, Page.of(source)


def hostile_board():
    metric = make_metric("psnr", 20.0, title=HOSTILE, unit=HOSTILE, protocol=HOSTILE)
    gone = make_metric("ssim", None, title=HOSTILE, protocol="p", unavailable=HOSTILE,
                       remedy=HOSTILE)
    changes = {"title": HOSTILE, "preset": HOSTILE, "dataset": HOSTILE}
    good = make_record(HOSTILE, notice=HOSTILE, source=HOSTILE, precision=HOSTILE, budget=HOSTILE,
                       metrics={"psnr": metric, "ssim": gone}, method_params={HOSTILE: HOSTILE},
                       **changes)
    good.environment = {HOSTILE: {HOSTILE: HOSTILE}}
    good.outcome.flags = good.outcome.notes = [HOSTILE]
    for field in ("method_distribution", "method_version", "method_digest", "srbench_version"):
        setattr(good.origin, field, HOSTILE)
    bad = make_record(HOSTILE, seed=1, status="crashed", reason=HOSTILE, **changes)
    bad.outcome.log_tail = [HOSTILE]
    board, = make_boards([good, bad])
    return board


def test_hostile_words_in_every_field_stay_words():
    board = hostile_board()
    source = render(board, provenance(board, [HOSTILE]))
    page = Page.of(source)
    assert "<b>x" not in source
    assert "49" not in page.text.replace(printable(HOSTILE), "")
    assert page.unbalanced == []
    assert page.text.count(printable(HOSTILE)) > 15
    assert not [attributes for _, attributes in page.tags if "style" in attributes
                or any(name.startswith("on") for name in attributes)]


def test_ids_are_plain_and_once_whatever_labels_hold():
    records = [make_record(label, metrics={"psnr": 20.0}) for label in
               ["a[k=1]", "a(k=1)", HOSTILE, "", "\u202e", "A[K=1]"]]
    _, page = shown(only(records))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z][a-z0-9.-]*", name) for name in ids)
    links = {tag["href"] for tag in page.all("a") if tag["href"].startswith("#")}
    assert {link[1:] for link in links} <= set(ids)
    assert len([name for name in ids if name.startswith("m-")]) == 6


def test_the_policy_allows_exactly_what_stands_in_the_page():
    source, page = shown(only(scored("ots", [5.0, 6.0])))
    policy = next(tag["content"] for tag in page.all("meta") if "http-equiv" in tag)
    assert "default-src 'none'" in policy
    for element in ("style", "script"):
        texts = re.findall(rf"<{element}>(.*?)</{element}>", source, re.DOTALL)
        assert texts
        for text in texts:
            assert csp_hash(text) in policy
    assert "unsafe" not in policy


def test_a_page_of_every_case_is_well_formed():
    gone = make_metric("l2-uvp", None, unavailable="does not apply: no map")
    definition = Definition(name="w2", title="W2", preset="quick", datasets=("w2-early",))
    for board in (make_board(definition, []), only([make_record(metrics={})]),
                  only([make_record(status="failed")]),
                  only([make_record(metrics={"l2-uvp": gone})]),
                  only([*scored("gan[k=1]", [5.0, 6.0]), *scored("gan[k=2]", [7.0, 8.0])]),
                  mix_board(mix_records({"a": {2: 1.0, 4: 2.0}, "b": {2: 3.0}}))):
        source, page = shown(board)
        assert source.startswith("<!doctype html>")
        assert page.unbalanced == []
        assert page.stack == []


def test_several_datasets_are_told_apart_in_the_page():
    records = [*mix_records({"a": {2: 1.0, 4: 2.0}, "b": {2: 3.0}}),
               *mix_records({"b": {4: 0.0}}, status="crashed")]
    _, page = shown(mix_board(records))
    assert "not run, or not finished, on mix3tomix10[dim=4]" in page.text
    assert "b on mix3tomix10[dim=4] , seed 0, crashed" in page.text.replace("],", "] ,")


def test_a_log_is_linked_whatever_the_folder_is_called(tmp_path):
    runs = tmp_path / "runs #1 50%?"
    record = make_record(status="failed")
    log = log_file(runs, record)
    out = tmp_path / "board"
    _, page = shown(only([record]), log_link=log_linker(runs, out))
    link, = (tag["href"] for tag in page.all("a") if tag["href"].endswith("log.txt"))
    assert not set(link) & set("#? ")
    assert (out / unquote(link)).resolve() == log.resolve()


def test_a_log_that_is_gone_is_not_linked(tmp_path):
    assert log_linker(tmp_path, tmp_path / "out")("cells/x/log.txt") == ""
    assert log_linker(tmp_path, tmp_path / "out")("../../etc/passwd") == ""


def test_long_titles_that_differ_late_have_files_of_their_own():
    boards = make_boards([make_record(title="w" * 300 + end) for end in ("a", "b", "c")])
    names = page_names(boards)
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"[a-z0-9@._-]{1,140}", name) for name in names)


@pytest.mark.parametrize("titles", [["index"], ["../up", "/etc"], ["\u202e", "日本", "ß"],
                                    ["a", "A"], ["a b", "a-b", "a/b"], [".", ".."]])
def test_files_are_plain_and_once(titles):
    names = page_names(make_boards([make_record(title=title) for title in titles]))
    assert len({name.lower() for name in names}) == len(titles)
    assert all(re.fullmatch(r"[a-z0-9@][a-z0-9@._-]*", name) for name in names)
    assert "index" not in names


def test_two_boards_of_one_name_have_two_files():
    definition = Definition(name="w2", title="W2", preset="quick", datasets=("w2",))
    boards = [make_board(definition, []) for _ in range(2)]
    boards.append(make_board(Definition(name="w2", title="W2", preset="paper", datasets=("w2",)),
                             []))
    assert len(set(page_names(boards))) == 3


def test_the_front_page_links_every_board():
    boards = make_boards([make_record(title=title) for title in ("a", HOSTILE)])
    names = page_names(boards)
    page = Page.of(render_index(boards, names))
    assert {f"{name}.html" for name in names} <= {tag["href"] for tag in page.all("a")}
    assert page.unbalanced == []
    assert "ots scores L2-UVP 6.1 %." in page.text

