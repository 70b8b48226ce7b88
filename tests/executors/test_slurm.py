"""The Slurm executor with Slurm's commands faked, and the command that runs in its jobs."""

from __future__ import annotations

import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from srbench.engine.executors import LOST, slurm_clusters
from srbench.engine.executors import slurm as slurm_module
from srbench.engine.executors.slurm import SlurmExecutor
from srbench.engine.executors.slurm_clusters import SlurmJob
from srbench.engine.executors.slurm_command import REQUEUES, Command
from srbench.errors import MissingDependency, UsageError
from tests.engine.cells import make_cell
from tests.engine.runs import wait_until
from tests.executors.conftest import STOPPABLE, command, wait_for_code

pytest.importorskip("submitit", reason="srbench[slurm] is not installed")

UNTIL_TOLD = """
import os, sys, time
while not os.path.exists(sys.argv[2] + "/go"):
    time.sleep(0.05)
"""


@pytest.fixture
def quick(monkeypatch) -> None:
    """Look often: nothing here is far away."""
    monkeypatch.setattr(slurm_module, "LOOK", 0.05)
    monkeypatch.setattr(slurm_clusters, "LOOK", 0.2)
    monkeypatch.setattr(slurm_clusters, "SETTLE", 0.5)


@pytest.fixture
def executor(slurm, quick, tmp_path):
    executor = SlurmExecutor(tmp_path / "runs" / "slurm", None, ["partition=gpu", "time=30"])
    yield executor
    executor.close()


def submit(executor, folder: Path, code: str, **cell):
    return executor.submit(make_cell("ok", **cell), command(folder, code))


def started(folder: Path) -> bool:
    return (folder / "started").exists()


def flags(script: str) -> dict[str, str]:
    """Parameters of a submitted script."""
    return {name: value.strip("'\"") for name, value in
            re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", script, re.M)}


def test_each_cell_is_a_job_whose_script_asks_for_what_it_needs(executor, slurm, tmp_path):
    first = submit(executor, tmp_path / "a", "import sys; sys.exit(0)", threads=3)
    second = submit(executor, tmp_path / "b", "import sys; sys.exit(9)", seed=1)
    assert wait_for_code(executor, first) == 0
    assert wait_for_code(executor, second) == 9
    scripts = [job.script.read_text() for job in slurm.jobs()]
    assert len(scripts) == 2
    asked = flags(scripts[0])
    assert asked["partition"] == "gpu"
    assert asked["time"] == "30"
    assert asked["cpus-per-task"] == "3"
    assert asked["nodes"] == "1"
    assert asked["signal"] == "USR2@120"
    assert "requeue" in asked
    assert asked.keys().isdisjoint({"array", "dependency", "gpus-per-node", "mem"})
    assert "--cpus-per-task=3" in scripts[0].partition("srun ")[2]
    assert flags(scripts[1])["cpus-per-task"] == "1"
    assert flags(scripts[0])["job-name"] != flags(scripts[1])["job-name"]


def test_what_the_pickle_holds_is_words(executor, slurm, tmp_path):
    job = submit(executor, tmp_path / "a", "pass").job
    content = job.paths.submitted_pickle.read_bytes()
    submission = pickle.loads(content)
    assert vars(submission.function) == {"words": [*command(tmp_path / "a", "pass"), "--wait",
                                                   "60"], "requeues": 0}
    assert b"torch" not in content
    assert len(content) < 1000


def test_a_job_that_fails_cancels_no_other(executor, slurm, tmp_path):
    slow = submit(executor, tmp_path / "slow", UNTIL_TOLD)
    bad = submit(executor, tmp_path / "bad", "raise SystemExit(1)", seed=1)
    assert wait_for_code(executor, bad) == 1
    (tmp_path / "slow" / "go").touch()
    assert wait_for_code(executor, slow) == 0
    assert slurm.calls("scancel") == []


def test_a_preempted_job_writes_its_checkpoint_and_is_requeued(executor, slurm, tmp_path):
    folder = tmp_path / "a"
    again = f"if os.path.exists({str(folder / 'stopped')!r}): sys.exit(0)\n"
    handle = submit(executor, folder, STOPPABLE.replace("def stop", again + "def stop"))
    wait_until(lambda: started(folder), "the job runs")
    slurm.jobs()[0].signal(signal.SIGUSR2)  # to every process of the step, as Slurm does
    assert wait_for_code(executor, handle) == 0
    job, = slurm.jobs()
    assert job.starts.read_text().count("start") == 2
    assert (folder / "stopped").read_text() == "x"  # asked once
    assert pickle.loads(handle.job.paths.submitted_pickle.read_bytes()).function.requeues == 1


def test_a_cell_that_ended_when_it_was_told_is_not_requeued(executor, slurm, tmp_path):
    handle = submit(executor, tmp_path / "a", STOPPABLE.replace("_exit(75)", "_exit(0)"))
    wait_until(lambda: started(tmp_path / "a"), "the job runs")
    slurm.jobs()[0].signal(signal.SIGUSR2)
    assert wait_for_code(executor, handle) == 0
    assert slurm.calls("scontrol") == []


def test_a_job_told_to_stop_by_somebody_else_is_lost_and_not_ended(executor, slurm, tmp_path):
    handle = submit(executor, tmp_path / "a", STOPPABLE)
    wait_until(lambda: started(tmp_path / "a"), "the job runs")
    subprocess.run(["scancel", "--signal=TERM", handle.job.job_id], check=True)
    assert wait_for_code(executor, handle) == LOST


def test_a_job_we_ask_to_stop_is_interrupted(executor, slurm, tmp_path):
    handle = submit(executor, tmp_path / "a", STOPPABLE)
    wait_until(lambda: started(tmp_path / "a"), "the job runs")
    executor.cancel(handle, now=False)
    assert wait_for_code(executor, handle) == 75
    assert (tmp_path / "a" / "stopped").read_text() == "x"


def test_a_job_that_does_not_stop_is_cancelled(executor, slurm, tmp_path):
    deaf = STOPPABLE.replace("number, stop", "number, signal.SIG_IGN")
    handle = submit(executor, tmp_path / "a", deaf)
    wait_until(lambda: started(tmp_path / "a"), "the job runs")
    executor.cancel(handle, now=False)
    executor.cancel(handle, now=True)
    assert wait_for_code(executor, handle) == -signal.SIGTERM
    assert slurm.jobs()[0].state == "CANCELLED"


def test_a_pending_job_leaves_the_queue_and_others_stay(executor, slurm, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_SLURM_SLOTS", "1")
    runs = submit(executor, tmp_path / "a", STOPPABLE)
    wait_until(lambda: started(tmp_path / "a"), "the first job runs")
    waits = submit(executor, tmp_path / "b", STOPPABLE, seed=1)
    executor.cancel(waits, now=False)
    assert wait_for_code(executor, waits) == -signal.SIGTERM
    assert not started(tmp_path / "b")
    assert executor.poll(runs) is None
    assert {words[-1] for words in slurm.calls("scancel")} == {waits.job.job_id}


def test_close_cancels_the_jobs_of_this_run_and_no_others(executor, slurm, tmp_path):
    other = SlurmExecutor(tmp_path / "others", None, [])
    theirs = submit(other, tmp_path / "other", STOPPABLE, seed=7)
    ours = submit(executor, tmp_path / "a", STOPPABLE)
    wait_until(lambda: started(tmp_path / "a") and started(tmp_path / "other"), "both run")
    executor.close()
    executor.close()
    wait_until(lambda: slurm.job(ours.job.job_id).state == "CANCELLED", "it is cancelled")
    wait_until(lambda: (tmp_path / "a" / "stopped").exists(), "it writes its checkpoint")
    assert slurm.job(theirs.job.job_id).state == "RUNNING"
    other.close()


@pytest.mark.parametrize(("state", "code", "words"), [
    ("NODE_FAIL", LOST, "NODE_FAIL"), ("TIMEOUT", LOST, "TIMEOUT"), ("", LOST, "unknown"),
    ("PREEMPTED", LOST, "PREEMPTED"), ("CANCELLED", LOST, "CANCELLED"),
    ("OUT_OF_MEMORY", -signal.SIGKILL, "Cannot allocate memory"),
    ("FAILED", 1, "do its nodes see this folder?"),
    ("COMPLETED", 1, "do its nodes see this folder?")])
def test_what_a_state_means_for_a_job_that_left_nothing(tmp_path, monkeypatch, state, code, words):
    monkeypatch.setattr(slurm_clusters, "answer_of", lambda *_: f"{state} by 0" if state else None)
    monkeypatch.setattr(slurm_clusters, "SETTLE", 0.0)
    paths = SimpleNamespace(folder=tmp_path, result_pickle=tmp_path / "no", stderr=tmp_path / "no")
    handle = SlurmJob(SimpleNamespace(job_id="7", paths=paths), command(tmp_path, ""), 0.0)
    cluster = slurm_clusters.Slurm()
    monkeypatch.setattr(cluster, "_is_queued", lambda *_: False)
    assert cluster.code(handle) == code
    assert words in (tmp_path / "log.txt").read_text()


def test_a_lost_job_is_told_from_one_that_ended(executor, slurm, tmp_path):
    handle = submit(executor, tmp_path / "a", STOPPABLE)
    wait_until(lambda: started(tmp_path / "a"), "the job runs")
    slurm.jobs()[0].fail("NODE_FAIL")
    assert wait_for_code(executor, handle) == LOST
    assert "NODE_FAIL" in (tmp_path / "a" / "log.txt").read_text()


def test_a_lost_job_is_noticed_without_accounting(executor, slurm, tmp_path):
    (tmp_path / "slurm" / "bin" / "sacct").write_text("#!/bin/sh\nexit 1\n")
    handle = submit(executor, tmp_path / "a", STOPPABLE)
    wait_until(lambda: started(tmp_path / "a"), "the job runs")
    slurm.jobs()[0].fail("NODE_FAIL")
    assert wait_for_code(executor, handle) == LOST


def test_where_slurm_does_not_answer_nothing_is_concluded(executor, slurm, tmp_path):
    squeue = tmp_path / "slurm" / "bin" / "squeue"
    squeue.write_text("#!/bin/sh\nexit 1\n")
    handle = submit(executor, tmp_path / "a", "pass")
    assert wait_for_code(executor, handle) == 0


def test_a_program_that_is_not_there(executor, slurm, tmp_path):
    words = ["/nowhere/python", *command(tmp_path / "a", "")[1:]]
    handle = executor.submit(make_cell("ok"), words)
    assert wait_for_code(executor, handle) == 127
    assert "/nowhere/python" in (tmp_path / "a" / "log.txt").read_text()


def test_not_more_jobs_than_asked_for(slurm, quick, tmp_path):
    executor = SlurmExecutor(tmp_path / "slurm-jobs", 1, [])
    first = submit(executor, tmp_path / "a", "pass")
    assert submit(executor, tmp_path / "b", "pass", seed=1) is None
    assert wait_for_code(executor, first) == 0
    assert submit(executor, tmp_path / "b", "pass", seed=1) is not None
    executor.close()


def test_a_refused_job_is_an_error_with_slurms_words(executor, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_SLURM_REFUSES", "invalid partition specified: gpu")
    with pytest.raises(UsageError, match="invalid partition specified: gpu"):
        submit(executor, tmp_path / "a", "pass")


def test_a_full_queue_is_waited_for(executor, slurm, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_SLURM_REFUSES", "QOSMaxSubmitJobPerUserLimit")
    assert submit(executor, tmp_path / "a", "pass") is None
    monkeypatch.delenv("FAKE_SLURM_REFUSES")
    assert submit(executor, tmp_path / "a", "pass") is None  # not asked again at once
    monkeypatch.setattr(executor, "_not_before", 0.0)
    assert submit(executor, tmp_path / "a", "pass") is not None


def test_a_numbered_gpu_is_slurms_business(executor, tmp_path):
    cell = make_cell("ok").model_copy(update={"device": "cuda:1"})
    with pytest.raises(UsageError, match="Slurm chooses the GPU"):
        executor.submit(cell, command(tmp_path / "a", "pass"))


def test_without_submitit_the_message_says_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(MissingDependency, match=re.escape("pip install 'srbench[slurm]'")):
        SlurmExecutor(tmp_path, None, [])


def test_without_slurm_the_message_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"no sbatch and no srun.*cluster=local"):
        SlurmExecutor(tmp_path, None, [])


def test_the_debug_cluster_runs_jobs_here(tmp_path):
    executor = SlurmExecutor(tmp_path / "jobs", None, ["cluster=debug"])
    ends = [submit(executor, tmp_path / str(code), f"raise SystemExit({code})", seed=code)
            for code in (0, 3)]
    assert [wait_for_code(executor, handle) for handle in ends] == [0, 3]
    waits = submit(executor, tmp_path / "c", "raise SystemExit(0)", seed=9)
    executor.cancel(waits, now=False)
    assert wait_for_code(executor, waits) == -signal.SIGTERM


def test_the_cells_processes_do_not_see_usr2(tmp_path):
    code = "import os, signal; os.kill(os.getpid(), signal.SIGUSR2)"
    assert Command(command(tmp_path, code))() == 0
    assert signal.SIGUSR2 not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_the_code_of_a_job_that_was_killed(tmp_path):
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert Command(command(tmp_path, code))() == -signal.SIGKILL


def test_before_the_job_began_there_is_nothing_to_write():
    again = Command(["x"], 4).checkpoint()
    assert (again.function.words, again.function.requeues) == (["x"], 5)


def test_turns_are_limited():
    assert Command(["x"], REQUEUES).checkpoint() is None


def test_looks_are_shared_by_all_jobs(executor, slurm, tmp_path, monkeypatch):
    monkeypatch.setattr(slurm_clusters, "LOOK", 60.0)
    handles = [submit(executor, tmp_path / str(seed), UNTIL_TOLD, seed=seed) for seed in range(2)]
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        for handle in handles:
            executor.poll(handle)
    assert len(slurm.calls("squeue")) == 1
