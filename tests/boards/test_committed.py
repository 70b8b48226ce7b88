"""Boards of a folder: which are built, and whether pages are what records give."""

from __future__ import annotations

from pathlib import Path

import pytest

from srbench.boards.committed import built_beside, differences, is_of, take_over
from srbench.errors import StoreError


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
