"""aim19 through the real command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from srbench.cli import main
from tests.aim19.conftest import LAYOUTS, make_copy, picture, png

RUN = ("run", "--methods", "bicubic", "--dataset", "aim19", "--dry-run")


@pytest.fixture
def srbench(tmp_path, monkeypatch, capsys):
    """The command line in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words: str) -> SimpleNamespace:
        code = main(list(words))
        told = capsys.readouterr()
        return SimpleNamespace(returncode=code, stdout=told.out, stderr=told.err)
    return call


def test_the_stand_in_says_so_in_a_process_of_its_own(tmp_path):
    done = subprocess.run([sys.executable, "-m", "srbench", *RUN], cwd=tmp_path, text=True,
                          capture_output=True, check=False, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    told = done.stdout + done.stderr
    assert "bicubic on aim19@embedded" in told
    assert "EMBEDDED stand-in" in told
    assert "srbench fetch aim19" in told
    assert not Path(tmp_path / "runs" / "cells").exists()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_partial_copy(srbench, tmp_path, layout):
    make_copy(tmp_path / "copy", layout)
    done = srbench(*RUN, "--set", "aim19.root=copy", "--set", "aim19.complete=false")
    assert done.returncode == 0, done.stderr
    assert "bicubic on aim19@partial" in done.stdout + done.stderr
    assert "PARTIAL copy" in done.stdout + done.stderr


def test_a_copy_that_cannot_be_used(srbench, tmp_path):
    copy = make_copy(tmp_path / "copy")
    copy.path("hr", "0002").write_bytes(png(picture((140, 140), 1))[:-100])
    done = srbench(*RUN, "--set", f"aim19.root={copy.root}", "--set", "aim19.complete=false")
    assert done.returncode == 1
    assert f"1 images cannot be used: {copy.path('hr', '0002')} is truncated" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_incomplete_copy_names_the_counts_and_the_way_out(srbench, tmp_path):
    make_copy(tmp_path / "copy")
    done = srbench(*RUN, "--set", "aim19.root=copy")
    assert done.returncode == 1
    assert "holds 3 LR training images, the complete set has 2650" in done.stderr
    assert "--set aim19.complete=false" in done.stderr


def test_a_wrong_folder(srbench, tmp_path):
    (tmp_path / "wrong" / "pictures").mkdir(parents=True)
    done = srbench(*RUN, "--set", "aim19.root=wrong")
    assert done.returncode == 1
    assert f"{tmp_path / 'wrong'} holds pictures; found: LR training images: missing" in done.stderr


def test_it_is_listed_and_described(srbench):
    listed = srbench("list", "datasets")
    assert "aim19" in listed.stdout
    described = srbench("info", "aim19")
    assert described.returncode == 0, described.stderr
    for word in ("fid_patches", "root", "complete", "augment", "research use"):
        assert word in described.stdout
