"""Where progress is shown: a notebook's own display, stderr, or nowhere."""

from __future__ import annotations

import builtins
import io

import pytest
from rich.console import Console

from srbench.cli.progress import RunProgress
from srbench.python import progress
from srbench.python.progress import NotebookOutput, in_notebook, said
from tests.engine.cells import make_cell


class ZMQInteractiveShell:
    """What a kernel's shell is called."""


@pytest.fixture
def notebook(monkeypatch):
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)


def widgets(monkeypatch, *, there: bool):
    monkeypatch.setattr(progress, "find_spec", lambda name: object() if there else None)


def test_off_a_notebook_it_is_stderr(capsys):
    assert not in_notebook()
    said(True).stderr.print("a word")
    assert capsys.readouterr() == ("", "a word\n")


def test_false_is_silent(capsys, notebook):
    out = said(False)
    out.stderr.print("a word")
    out.note("another")
    assert capsys.readouterr() == ("", "")


def test_a_notebook_with_widgets_shows_bars(notebook, monkeypatch):
    widgets(monkeypatch, there=True)
    out = said(True)
    assert isinstance(out, NotebookOutput)
    assert out.stderr.is_jupyter


def test_a_notebook_without_widgets_shows_lines_on_stderr(notebook, monkeypatch, capsys):
    widgets(monkeypatch, there=False)
    out = said(True)
    assert not out.stderr.is_jupyter
    with RunProgress(out.stderr, total=1, done=0) as bars:
        bars.on_event(make_cell("ots"), {"event": "started"})
    assert capsys.readouterr() == ("", "start  ots on w2-early, seed 0\n")


def test_bars_move_where_the_console_is_a_notebooks():
    for jupyter in (True, False):
        console = Console(file=io.StringIO(), force_terminal=False, force_jupyter=jupyter)
        assert RunProgress(console, total=1, done=0)._bars.disable is not jupyter
