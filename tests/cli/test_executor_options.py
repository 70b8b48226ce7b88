"""Options of executors are looked at before anything is planned or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from srbench.cli import main

PLUGIN = Path(__file__).resolve().parents[1] / "toy_plugin.py"
RUN = ["run", "--plugin", str(PLUGIN), "--methods", "toy-shift", "--dataset", "toy"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("words", "said"), [
    (["--executor", "slrm"], "no executor named 'slrm'; did you mean 'slurm'?"),
    (["--slurm", "partition=gpu"], "--slurm is an option of --executor slurm, not of local"),
    (["--address", "auto"], "--address is an option of --executor ray, not of local"),
    (["--executor", "ray", "--slurm", "a=1"], "--slurm is an option of --executor slurm, not of "
                                              "ray"),
    (["--executor", "slurm", "--slurm", "partitoin=gpu"], "partition")])
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_wrong_word_is_named_and_nothing_is_written(words, said, dry, capsys, tmp_path):
    assert main([*RUN, *words, *dry]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert "plan  " not in captured.err
    assert list(tmp_path.iterdir()) == []
