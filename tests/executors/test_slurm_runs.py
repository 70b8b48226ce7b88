"""``srbench run --executor slurm``, on submitit's local cluster and on Slurm's commands faked."""

from __future__ import annotations

import os
import signal
import subprocess

import psutil
import pytest

from srbench.errors import UnknownName
from srbench.results.store import Store
from srbench.running.executor import make_executor
from tests.engine.runs import TOY, Run, records, srbench, wait_for_training, wait_until

pytest.importorskip("submitit", reason="srbench[slurm] is not installed")

SLURM = (*TOY, "--device", "cpu", "--executor", "slurm", "--checkpoint-every", "0.3")
LOCAL = (*SLURM, "--slurm", "cluster=local")
SLOW = "toy-slow[iterations=120,sleep=0.05]"


@pytest.fixture
def begin(tmp_path):
    """Start a run that is ended whatever happens."""
    runs = []

    def begin(*words: str) -> Run:
        runs.append(Run(*words, cwd=tmp_path))
        return runs[-1]

    yield begin
    for run in runs:
        run.kill_all()


def test_a_crash_cancels_no_other_and_usr2_to_one_job_requeues_it(tmp_path, begin):
    run = begin(*LOCAL, "--methods", f"{SLOW},toy-segv")
    wait_for_training(run)
    wait_until(lambda: list(run.cells.glob("*/checkpoint/*")), "a checkpoint is written")
    job, = run.module("job")
    psutil.Process(job.ppid()).send_signal(signal.SIGUSR2)  # the task, as Slurm does
    code, _, told = run.end()
    assert code == 3, told
    found = records(tmp_path)
    crashed, slow = found["toy-segv 0"], found[f"{SLOW} 0"]
    assert (crashed["outcome"]["status"], slow["outcome"]["status"]) == ("crashed", "ok")
    assert slow["cost"]["resumes"] == 1
    assert len(list((tmp_path / "runs" / "slurm").glob("[0-9]*"))) == 2
    assert run.processes() == []


@pytest.mark.slow
def test_an_interrupt_leaves_a_checkpoint_and_the_jobs_of_others(tmp_path, begin, slurm,
                                                                 monkeypatch):
    monkeypatch.setenv("FAKE_SLURM_SLOTS", "2")
    script = tmp_path / "other.sh"
    script.write_text("#!/bin/bash\nsleep 600\n")
    subprocess.run(["sbatch", str(script)], check=True, stdout=subprocess.DEVNULL)
    wait_until(lambda: slurm.jobs()[0].state == "RUNNING", "somebody else's job runs")
    run = begin(*SLURM, "--methods", SLOW, "--seeds", "0,1", "--slurm", "partition=gpu")
    wait_for_training(run)
    assert [job.state for job in slurm.jobs()] == ["RUNNING", "RUNNING", "PENDING"]
    os.kill(run.process.pid, signal.SIGINT)
    code, _, told = run.end()
    assert code == 130, told
    found = records(tmp_path)
    assert {record["outcome"]["status"] for record in found.values()} == {"interrupted"}
    assert [job.state for job in slurm.jobs()] == ["RUNNING", "COMPLETED", "CANCELLED"]
    first = found[f"{SLOW} 0"]["identity"]["key"]
    assert list((run.cells / first / "checkpoint").iterdir())


@pytest.mark.slow
def test_an_interrupted_run_is_resumed_by_new_jobs(tmp_path, begin, slurm):
    run = begin(*SLURM, "--methods", SLOW)
    wait_for_training(run)
    os.kill(run.process.pid, signal.SIGINT)
    assert run.end()[0] == 130
    again = srbench("resume", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert records(tmp_path)[f"{SLOW} 0"]["cost"]["resumes"] == 1
    assert [job.state for job in slurm.jobs()] == ["COMPLETED", "COMPLETED"]


def test_the_command_line_reaches_the_executor(tmp_path, slurm):
    given = {"executor": "slurm", "slurm": ["partiton=gpu"], "jobs": 3}
    with pytest.raises(UnknownName, match="did you mean 'partition'"):
        make_executor(given, Store(tmp_path))
    assert make_executor({**given, "slurm": ["partition=gpu"]}, Store(tmp_path)).name == "slurm"
