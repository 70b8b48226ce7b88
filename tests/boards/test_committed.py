"""Boards of a folder: which are built, and whether pages are what records give."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from srbench.boards.committed import (
    built_beside,
    committed_jobs,
    differences,
    is_of,
    jobs_of,
    take_over,
)
from srbench.boards.definition import Definition
from srbench.errors import StoreError
from srbench.results.store import Store
from tests.cli import fake_pages
from tests.results.factory import make_record


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_differences_are_found_and_made_true(tmp_path):
    there = write(tmp_path / "there", same="1", changed="1", sub__gone="1")
    fresh = write(tmp_path / "fresh", same="1", changed="2", sub__new="1")
    found = differences(there, fresh)
    assert found == [("changed", "changed"), ("removed", "sub/gone"), ("added", "sub/new")]
    take_over(there, fresh, found)
    assert differences(there, fresh) == []
    assert differences(tmp_path / "nowhere", fresh) == [
        ("added", "changed"), ("added", "same"), ("added", "sub/new")]


@pytest.mark.parametrize(("name", "mine"), [
    ("w2.html", True), ("w2.csv", True), ("w2-pixels.html", True), ("w2-pixels/hr_0.png", True),
    ("w2/x.png", True), ("w2@embedded.html", False), ("w2-late.html", False),
    ("w2.x.html", False), ("index.html", False), ("other.html", False)])
def test_files_of_a_board(name, mine):
    assert is_of(name, "w2") == mine


def test_only_the_named_boards_count(tmp_path):
    there = write(tmp_path / "there")
    fresh = write(tmp_path / "fresh", **{"a.html": "1", "b.html": "1", "index.html": "1"})
    assert differences(there, fresh, only=["a"]) == [("added", "a.html")]


def test_the_folder_beside_is_a_sibling_and_goes(tmp_path):
    out = tmp_path / "deep" / "pages"
    with built_beside(out, lambda folder: write(folder, page="1")) as fresh:
        assert fresh.parent == out.parent
        assert (fresh / "page").read_text() == "1"
    assert list(out.parent.iterdir()) == []
    with pytest.raises(ZeroDivisionError), built_beside(out, lambda folder: 1 / 0):
        pass
    assert list(out.parent.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot build pages"), built_beside(
            tmp_path / "file" / "pages", lambda folder: None):
        pass
    fresh = write(tmp_path / "fresh", page="1")
    with pytest.raises(StoreError, match="cannot write"):
        take_over(tmp_path / "file", fresh, [("added", "page")])


def board(name: str, *datasets: str, methods: tuple[str, ...] = ()) -> Definition:
    return Definition(name=name, title=name, preset="quick", datasets=datasets, methods=methods)


@pytest.fixture
def jobs(monkeypatch):
    """Return names and labels of the jobs of records and definitions, without real pages."""
    monkeypatch.setitem(sys.modules, "srbench.boards.build", fake_pages.module())

    def names(records, *definitions):
        found = jobs_of(records, definitions, Path("runs"))
        assert all(job.runs == Path("runs") for job in found)
        return {job.definition.name: [record.identity.label for record in job.records]
                for job in found}

    return names


def test_records_that_no_definition_wants_make_boards_of_their_own(jobs):
    records = [make_record("ots", title="a"), make_record("bicubic", title="a"),
               make_record("ots", title="b"), make_record("ots", title="a", preset="paper")]
    assert jobs(records) == {"a-paper": ["ots"], "a-quick": ["ots", "bicubic"], "b-quick": ["ots"]}
    assert jobs(records, board("both", "a", "b")) == {"a-paper": ["ots"],
                                                      "both": ["ots", "bicubic", "ots"]}
    assert jobs(records, board("some", "a", methods=("ots",))) == {
        "a-paper": ["ots"], "a-quick": ["bicubic"], "b-quick": ["ots"], "some": ["ots"]}
    assert jobs([], board("both", "a", "b")) == {}


def test_a_record_may_stand_on_two_boards(jobs):
    found = jobs([make_record("ots", title="a")], board("one", "a"), board("two", "a", "b"))
    assert found == {"one": ["ots"], "two": ["ots"]}


def test_two_data_of_one_title_are_two_boards(jobs):
    found = jobs([make_record("ots", title="a"), make_record("ots", title="a",
                                                             fingerprint="e" * 64)])
    assert len(found) == 2
    assert all(name.startswith("a-data-") for name in found)


def test_published_boards_are_built_with_records_or_without(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "srbench.boards.build", fake_pages.module())
    record = make_record("ots", title="a")
    Store(tmp_path / "records" / "full").commit(record)
    (tmp_path / "records" / "full" / "cells" / "bad").mkdir()
    (tmp_path / "records" / "full" / "cells" / "bad" / "record.json").write_text("{}")
    found, invalid = committed_jobs([board("empty", "a"), board("full", "a")], tmp_path)
    assert [(job.definition.name, list(job.records), job.runs.name) for job in found] == [
        ("empty", [], "empty"), ("full", [record], "full")]
    assert [broken.path.parent.name for broken in invalid] == ["bad"]
