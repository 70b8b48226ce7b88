"""Paths a user typed mean the same in a cell, which works in a folder of its own."""

from __future__ import annotations

from pathlib import Path

from srbench.paths import CWD, typed_in, user_path


def test_a_relative_path_starts_where_it_was_typed(tmp_path, monkeypatch):
    monkeypatch.setenv(CWD, "/somewhere")
    monkeypatch.chdir(tmp_path)
    assert user_path("data/x") == Path("/somewhere/data/x")
    assert user_path("") == Path("/somewhere")


def test_without_a_cell_that_is_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.delenv(CWD, raising=False)
    monkeypatch.chdir(tmp_path)
    assert user_path("data") == tmp_path / "data"


def test_absolute_paths_and_homes_stay(monkeypatch, tmp_path):
    monkeypatch.setenv(CWD, "/somewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("/data") == Path("/data")
    assert user_path("~/data") == tmp_path / "data"


def test_another_folder_for_a_while(monkeypatch):
    monkeypatch.setenv(CWD, "/before")
    with typed_in("/other"):
        assert user_path("x") == Path("/other/x")
    assert user_path("x") == Path("/before/x")
    monkeypatch.delenv(CWD)
    with typed_in("/other"):
        assert user_path("x") == Path("/other/x")
    assert user_path("x") == Path.cwd() / "x"
