"""``srbench publish`` through the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from srbench.cli import main
from srbench.cli.publish import listed
from tests.boards.published_runs import BOARD, define, tree, whole_cell
from tests.cli import fake_pages


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with runs and boards, with pages that are quick to build."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "srbench.boards.build", fake_pages.module())
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    define(tmp_path / "leaderboards")
    define(tmp_path / "leaderboards", "empty", BOARD.replace("quick", "code"))
    return tmp_path


@pytest.fixture
def record(place):
    return whole_cell(place / "runs")


def test_records_pages_and_the_list_of_files(place, record, capsys):
    assert main(["publish", "--yes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    cell = f"leaderboards/records/w2/cells/{record.identity.key}"
    assert f"added: {cell}/record.json" in lines
    assert f"added: {cell}/images/hr_0.png" in lines
    assert "added: leaderboards/pages/w2.html" in lines
    assert "added: leaderboards/pages/index.html" in lines
    assert "checkpoint" not in "".join(lines)
    for line in lines:
        assert (place / line.removeprefix("added: ")).is_file()
    page = json.loads((place / "leaderboards/pages/w2.html").read_text())
    assert page["keys"] == [record.identity.key]
    assert (place / "leaderboards/pages/index.html").read_text() == "empty w2"


def test_what_it_makes_passes_the_check(record):
    assert main(["publish", "--yes"]) == 0
    assert main(["board", "build", "--check"]) == 0
    before = tree(Path("leaderboards"))
    assert main(["publish"]) == 0, "nothing changes, so nobody is asked"
    assert tree(Path("leaderboards")) == before


def test_a_dry_run_writes_nothing(place, record, capsys):
    before = tree(place)
    assert main(["publish", "--dry-run", "--branch", "gh-pages"]) == 2, "in no repository"
    assert "in no git repository" in capsys.readouterr().err
    assert main(["publish", "--dry-run"]) == 0
    said = capsys.readouterr()
    assert f"added: leaderboards/records/w2/cells/{record.identity.key}/record.json" in said.out
    assert "nothing was written" in said.err
    assert tree(place) == before


def test_nobody_can_be_asked(place, record, capsys):
    before = tree(place)
    assert main(["publish"]) == 2
    said = capsys.readouterr().err
    assert "stdin is no terminal" in said
    assert "--yes" in said
    assert tree(place) == before


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_the_user_is_asked(place, record, monkeypatch, capsys, answer, code):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda prompt: answer.strip())
    before = tree(place)
    assert main(["publish"]) == code
    assert (tree(place) == before) == (code != 0)


def test_json(record, capsys):
    assert main(["publish", "--yes", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    boards = {board["name"]: board for board in data["boards"]}
    assert boards["w2"] == {"name": "w2", "cells": 1, "new": [record.identity.key], "cut": {}}
    assert boards["empty"]["cells"] == 0
    paths = [change["path"] for change in data["records"]]
    assert f"records/w2/cells/{record.identity.key}/per_image.parquet" in paths
    assert {"kind": "added", "path": "pages/w2.html"} in data["pages"]
    assert (data["branch"], data["dry_run"]) == (None, False)


def test_nothing_belongs_to_a_board(place, record, capsys):
    assert main(["publish", "empty", "--yes"]) == 4
    said = capsys.readouterr().err
    assert "no record in runs belongs to the board empty: it takes w2-early@embedded, preset code" \
        in said
    assert main(["publish", "--runs", "nowhere", "--yes"]) == 4
    assert main(["publish", "w3", "--yes"]) == 2
    assert "did you mean 'w2'" in capsys.readouterr().err
    assert not (place / "leaderboards/pages").exists()


def test_no_boards(place, record, capsys):
    for path in (place / "leaderboards").iterdir():
        path.unlink()
    assert main(["publish", "--yes"]) == 4
    assert "no board is defined" in capsys.readouterr().err
    assert main(["publish", "--to", "elsewhere"]) == 2


def test_a_refusal_writes_nothing(place, record, capsys):
    whole_cell(place / "runs", "bicubic", fingerprint="e" * 64)
    before = tree(place)
    assert main(["publish", "--yes"]) == 2
    said = capsys.readouterr().err
    assert "would mix two fingerprints" in said
    assert "hint: " in said
    assert tree(place) == before


def test_replacing(place, record, capsys):
    assert main(["publish", "--yes"]) == 0
    other = whole_cell(place / "others", fingerprint="e" * 64)
    assert main(["publish", "--runs", "others", "--yes"]) == 2
    capsys.readouterr()
    assert main(["publish", "--runs", "others", "--yes", "--replace"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"removed: leaderboards/records/w2/cells/{record.identity.key}/record.json" in lines
    assert f"added: leaderboards/records/w2/cells/{other.identity.key}/record.json" in lines
    assert "changed: leaderboards/pages/w2.html" in lines


def test_pages_that_no_board_makes_are_taken_away(place, record, capsys):
    assert main(["publish", "--yes"]) == 0
    (place / "leaderboards/empty.toml").unlink()
    capsys.readouterr()
    assert main(["publish", "--yes"]) == 0
    assert "removed: leaderboards/pages/empty.html" in capsys.readouterr().out
    assert not (place / "leaderboards/pages/empty.html").exists()


def test_cut_paths_and_invalid_records_are_said(place, capsys):
    whole_cell(place / "runs", "ots[pretrained=/home/me/T.pt]")
    (place / "runs/cells/bad").mkdir()
    (place / "runs/cells/bad/record.json").write_text("{}")
    assert main(["publish", "--yes"]) == 0
    said = capsys.readouterr().err
    assert "only the last part is published (identity.label" in said
    assert said.count("runs/cells/bad/record.json is left out") == 1


def test_an_interrupted_publication_is_put_in_order(place, record):
    assert main(["publish", "--yes"]) == 0
    board = place / "leaderboards/records/w2"
    (board / ".leaving").mkdir()
    (board / "cells" / record.identity.key).rename(board / ".leaving" / record.identity.key)
    assert main(["publish", "--runs", "nowhere", "--yes"]) == 4
    assert (board / "cells" / record.identity.key / "record.json").is_file()
    assert not (board / ".leaving").exists()


def test_a_branch(place, record, monkeypatch, capsys):
    for name, value in (("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@b"),
                        ("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", "a@b")):
        monkeypatch.setenv(name, value)
    subprocess.run(["git", "init", "--quiet", "."], check=True)
    assert main(["publish", "--yes", "--branch", "gh-pages"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "git push origin gh-pages"
    assert lines[-2].startswith("branch gh-pages is now at ")
    listed_files = subprocess.run(["git", "ls-tree", "-r", "--name-only", "gh-pages"], check=True,
                                  capture_output=True, text=True).stdout.splitlines()
    assert {"index.html", "w2.html", ".nojekyll"} <= set(listed_files)
    assert not any("record" in name for name in listed_files)
    assert main(["publish", "--runs", "nowhere", "--yes", "--branch", "gh-pages", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["branch"]["changed"] is False


def test_many_files_of_one_folder_are_counted():
    found = [("added", f"a/images/{number}.png") for number in range(13)]
    found += [("removed", "a/images/x.png"), ("added", "a/record.json")]
    assert listed(found, Path("l")) == ["added: l/a/images (13 files)", "removed: l/a/images/x.png",
                                        "added: l/a/record.json"]


def test_the_real_pages_are_what_the_published_records_give(place, record, monkeypatch, capsys):
    """The whole way once, with the pages users get, and again under another hash seed."""
    monkeypatch.delitem(sys.modules, "srbench.boards.build")
    whole_cell(place / "runs", "bicubic")
    assert main(["publish", "--yes"]) == 0
    pages = tree(place / "leaderboards" / "pages")
    assert {f"w2.{kind}" for kind in ("html", "csv", "json", "tex", "bib")} <= set(pages)
    assert b"bicubic" in pages["w2.html"]
    assert b"empty.html" in pages["index.html"]
    assert str(place).encode() not in b"".join(pages.values())
    done = subprocess.run(
        [sys.executable, "-m", "srbench", "board", "build", "--check"], text=True, check=False,
        capture_output=True, env={**os.environ, "PYTHONHASHSEED": "7", "LC_ALL": "C"})
    assert done.returncode == 0, done.stdout + done.stderr
