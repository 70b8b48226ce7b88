"""``srbench board`` through the command line."""

from __future__ import annotations

import json
import sys
import webbrowser
from pathlib import Path

import pytest

from srbench.cli import main
from srbench.cli.board import find_page, has_display
from srbench.results.store import Store
from tests.boards.published_runs import BOARD, TITLE, define, tree
from tests.cli import fake_pages
from tests.results.factory import make_record


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with pages that are quick to build."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "srbench.boards.build", fake_pages.module())
    return tmp_path


@pytest.fixture
def runs(place: Path) -> Path:
    """Return runs with two datasets, one of them with two presets."""
    for record in (make_record("ots", title=TITLE, key="a"),
                   make_record("ots", title=TITLE, preset="paper", key="b"),
                   make_record("bicubic", title="aim19", key="c")):
        Store(place / "runs").commit(record)
    return place / "runs"


@pytest.fixture
def boards(place: Path) -> Path:
    """Return boards, one with a published record."""
    folder = define(place / "leaderboards")
    define(folder, "empty", BOARD.replace("quick", "code"))
    Store(folder / "records" / "w2").commit(make_record("ots", title=TITLE, key="z"))
    return folder


def page(path: Path) -> dict:
    return json.loads(path.read_text())


def test_without_definitions_each_dataset_and_preset_makes_a_board(runs, capsys):
    assert main(["board", "build"]) == 0
    out = runs / "boards"
    assert capsys.readouterr().out.strip() == "runs/boards/index.html"
    assert sorted(path.name for path in out.glob("*.html") if "pixels" not in path.name) == [
        "aim19-quick.html", "index.html", "w2-early@embedded-paper.html",
        "w2-early@embedded-quick.html"]
    assert page(out / "aim19-quick.html")["keys"] == ["c"]


def test_definitions_take_their_records(runs, boards, capsys):
    assert main(["board", "build", "--runs", "runs", "--out", "pages", "--no-pixels"]) == 0
    assert sorted(path.name for path in Path("pages").iterdir()) == [
        "aim19-quick.html", "index.html", "w2-early@embedded-paper.html", "w2.html"]
    assert page(Path("pages/w2.html")) == {"title": "W2", "keys": ["a"], "runs": "runs",
                                           "invalid": 0}
    assert "[1/3] aim19-quick" in capsys.readouterr().err


def test_one_board_of_several(runs, boards, capsys):
    assert main(["board", "build", "w2", "--runs", "runs", "--out", "pages"]) == 0
    assert capsys.readouterr().out.strip() == "pages/w2.html"
    assert page(Path("pages/w2.html"))["keys"] == ["a"]
    assert main(["board", "build", "--runs", "runs", "--out", "pages"]) == 0
    before = tree(Path("pages"))
    Path("pages/w2.html").write_text("old")
    Path("pages/aim19-quick.html").write_text("not asked for")
    assert main(["board", "build", "w2", "--runs", "runs", "--out", "pages"]) == 0
    assert tree(Path("pages")) == {**before, "aim19-quick.html": b"not asked for"}, (
        "the front page still lists all")


def test_a_name_that_is_no_board_is_suggested(runs, boards, capsys):
    assert main(["board", "build", "w3", "--runs", "runs"]) == 2
    assert "no board named 'w3'; did you mean 'w2'?" in capsys.readouterr().err


def test_published_boards_are_built_from_their_own_records(runs, boards, capsys):
    assert main(["board", "build", "--definitions", "leaderboards"]) == 0
    assert capsys.readouterr().out.strip() == "leaderboards/pages/index.html"
    assert page(boards / "pages" / "w2.html")["keys"] == ["z"]
    assert page(boards / "pages" / "empty.html")["keys"] == [], "a board without a record"
    assert (boards / "pages" / "index.html").read_text() == "empty w2"


def test_without_runs_the_published_boards_are_meant(boards, capsys):
    assert main(["board", "build"]) == 0
    assert capsys.readouterr().out.strip() == "leaderboards/pages/index.html"


def test_checking_pages(runs, boards, capsys):
    assert main(["board", "build", "--definitions", "leaderboards"]) == 0
    assert main(["board", "build", "--check"]) == 0
    capsys.readouterr()
    pages = boards / "pages"
    (pages / "w2.html").write_text("by hand")
    (pages / "old.html").write_text("left")
    (pages / "empty.html").unlink()
    before = tree(boards)
    assert main(["board", "build", "--check"]) == 3
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "missing: leaderboards/pages/empty.html", "left over: leaderboards/pages/old.html",
        "differs: leaderboards/pages/w2.html"]
    assert "3 files" in said.err
    assert tree(boards) == before
    assert main(["board", "build", "empty", "--check"]) == 3
    assert capsys.readouterr().out.splitlines() == ["missing: leaderboards/pages/empty.html"]


def test_nothing_to_build(place, capsys):
    assert main(["board", "build"]) == 4
    assert "no records in runs" in capsys.readouterr().err
    (place / "leaderboards").mkdir()
    assert main(["board", "build"]) == 4
    assert "no board is defined in leaderboards" in capsys.readouterr().err
    assert main(["board", "build", "--definitions", "elsewhere"]) == 2
    assert "no folder elsewhere" in capsys.readouterr().err


def test_a_wrong_definition_is_an_error_with_a_remedy(runs, place, capsys):
    define(place / "leaderboards", text=BOARD + "colums = []")
    assert main(["board", "build"]) == 2
    assert "did you mean 'columns'" in capsys.readouterr().err


def test_records_that_cannot_be_used_are_said(runs, capsys):
    (runs / "cells" / "bad").mkdir()
    (runs / "cells" / "bad" / "record.json").write_text("{}")
    assert main(["board", "build"]) == 0
    assert "runs/cells/bad/record.json is left out" in capsys.readouterr().err
    assert page(runs / "boards" / "aim19-quick.html")["invalid"] == 1


def test_unknown_commands_are_suggested(capsys):
    assert main(["board", "biuld"]) == 2
    assert "did you mean 'build'" in capsys.readouterr().err
    assert main(["board"]) == 2
    assert main(["board", "build", "--help"]) == 0
    assert "--color" in capsys.readouterr().out


def test_open_prints_and_opens(runs, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    monkeypatch.setenv("BROWSER", "any")
    main(["board", "build"])
    capsys.readouterr()
    assert main(["board", "open"]) == 0
    assert capsys.readouterr().out.strip() == "runs/boards/index.html"
    assert main(["board", "open", "w2-early@embedded-quick"]) == 0
    assert opened == [(runs / "boards" / name).as_uri() for name in (
        "index.html", "w2-early@embedded-quick.html")]
    assert main(["board", "open", "w2-erly@embedded-quick"]) == 2
    assert "did you mean" in capsys.readouterr().err


def test_open_without_display_or_browser(runs, monkeypatch, capsys):
    main(["board", "build"])
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(webbrowser, "open", lambda url: pytest.fail("there is no display"))
    assert main(["board", "open"]) == 0
    assert "no display" in capsys.readouterr().err
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    assert main(["board", "open"]) == 0
    assert "no browser could be started" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/passwd", "a\x1bb"])
def test_open_looks_nowhere_else(name, capsys):
    assert main(["board", "open", name]) == 2
    assert "cannot be the name of a page" in capsys.readouterr().err


def test_nothing_to_open(capsys):
    assert main(["board", "open"]) == 4
    assert "srbench board build" in capsys.readouterr().err


def test_which_page_is_found(tmp_path):
    assert find_page([tmp_path], None) is None
    plan = tmp_path / "2026-01-01"
    plan.mkdir()
    (plan / "w2.html").write_text("")
    assert find_page([tmp_path], None) == plan / "w2.html", "a run's page, where no other is"
    assert find_page([tmp_path], "w2") == plan / "w2.html"
    (tmp_path / "only.html").write_text("")
    (tmp_path / "only-pixels.html").write_text("")
    assert find_page([tmp_path], None) == tmp_path / "only.html"
    (tmp_path / "index.html").write_text("")
    assert find_page([tmp_path / "nowhere", tmp_path], None) == tmp_path / "index.html"


@pytest.mark.parametrize(("environment", "platform", "shown"), [
    ({}, "linux", False), ({"DISPLAY": ":0"}, "linux", True), ({"DISPLAY": ""}, "linux", False),
    ({"WAYLAND_DISPLAY": "w"}, "linux", True), ({}, "darwin", True), ({}, "win32", True)])
def test_displays(environment, platform, shown):
    assert has_display(environment, platform) == shown
