"""What executors read off a job's command line, and what they pass on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from srbench.engine.executors import LOST
from srbench.engine.executors.commands import carried, folder_of, leave_words, timeout_of
from srbench.engine.outcome import describe_exit
from srbench.engine.tasks import JobOptions
from srbench.running import request


def test_folder_and_time_limit_are_those_of_the_command(tmp_path):
    command = JobOptions(timeout=90.0).command(tmp_path, "slurm")
    assert folder_of(command) == tmp_path
    assert timeout_of(command) == 90.0
    assert timeout_of(JobOptions().command(tmp_path, "slurm")) is None


def test_words_are_appended_to_the_log_and_a_folder_that_is_gone_is_no_error(tmp_path):
    command = [sys.executable, "-m", "srbench.engine.job", str(tmp_path)]
    leave_words(command, "first\n\n")
    leave_words(command, "  \n")
    leave_words(command, "second")
    assert (tmp_path / "log.txt").read_text() == "first\nsecond\n"
    leave_words([*command[:3], str(tmp_path / "gone")], "nobody hears this")


def test_settings_of_srbench_travel_with_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"SRBENCH_CACHE": "cache", "SRBENCH_OFFLINE": "1", "HOME": "/home/somebody",
             "PYTHONPATH": os.pathsep.join(["", "lib", "/opt/lib"])}
    assert carried(given) == {
        "SRBENCH_CACHE": str(tmp_path / "cache"), "SRBENCH_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(tmp_path / "lib"), "/opt/lib"])}


def test_a_job_whose_machine_was_lost_too_often_says_so():
    assert describe_exit(LOST) == "lost with its machine"


@pytest.mark.parametrize("executor", ["ray", "slurm"])
def test_gpus_of_other_machines_are_not_looked_for_on_this_one(monkeypatch, executor):
    monkeypatch.setattr(request, "choose_device", lambda name: f"looked for {name}")
    assert request._device_of_cells({"device": "cuda", "executor": executor}) == "cuda"
    assert request._device_of_cells({"device": "cuda", "executor": None}) == "looked for cuda"
    assert request._device_of_cells({"device": None, "executor": executor}) == "looked for None"
