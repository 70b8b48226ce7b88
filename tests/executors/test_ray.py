"""The Ray executor on a real cluster of this machine; its nodes are killed while they work."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from importlib.util import find_spec

import psutil
import pytest

from srbench.engine.executors import LOST
from srbench.engine.executors.ray import RayExecutor
from srbench.errors import MissingDependency, UsageError
from tests.engine.cells import make_cell
from tests.engine.runs import TOY, Run, records, srbench, wait_for_training, wait_until
from tests.executors.cluster import RayCluster, kill_tree
from tests.executors.conftest import STOPPABLE, command, wait_for_code

# Not imported here: Ray reads once, when it is imported, how clusters are to be talked to.
pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="srbench[ray] is not installed")

SLOW = "toy-slow[iterations=200,sleep=0.05]"
RAY = (*TOY, "--device", "cpu", "--executor", "ray", "--checkpoint-every", "0.3")


@pytest.fixture(scope="module")
def cluster():
    """A head and two nodes of one CPU each; the first has two GPUs that are only declared."""
    cluster = RayCluster()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in cluster.environment.items():
                patch.setenv(name, value)
            cluster.add_node("--num-gpus=2")
            cluster.add_node()
            yield cluster
    finally:
        cluster.close()


@pytest.fixture
def executor(cluster):
    executor = RayExecutor(jobs=None, address=cluster.address)
    yield executor
    executor.close()


@pytest.fixture
def begin(tmp_path, cluster):
    runs = []

    def begin(*words: str) -> Run:
        runs.append(Run(*words, "--address", cluster.address, cwd=tmp_path))
        return runs[-1]

    yield begin
    for run in runs:
        run.kill_all()


def submit(executor, folder, code: str, *, device: str = "cpu", alone: bool = False, **cell):
    described = make_cell("ok", **cell).model_copy(update={"device": device})
    return executor.submit(described, command(folder, code), alone=alone)


def started(folder) -> bool:
    return (folder / "started").exists()


def test_what_becomes_of_jobs(executor, tmp_path):
    # In one test, so that tests spread over processes do not start a cluster each.
    ends = [submit(executor, tmp_path / "ok", "pass"),
            submit(executor, tmp_path / "bad", "raise SystemExit('the last words')", seed=1)]
    assert [wait_for_code(executor, handle) for handle in ends] == [0, 1]
    assert (tmp_path / "bad" / "log.txt").read_text() == "the last words\n"

    runs = submit(executor, tmp_path / "a", STOPPABLE)
    other = submit(executor, tmp_path / "b", STOPPABLE, seed=1)
    wait_until(lambda: started(tmp_path / "a") and started(tmp_path / "b"), "both run")
    waits = submit(executor, tmp_path / "c", STOPPABLE, seed=2)
    executor.cancel(waits, now=False)
    assert wait_for_code(executor, waits) == -signal.SIGTERM
    executor.cancel(runs, now=False)
    assert wait_for_code(executor, runs) == 75
    assert (tmp_path / "a" / "stopped").read_text() == "x"
    assert executor.poll(other) is None  # asked for was the other one
    job = int((tmp_path / "b" / "started").read_text())
    psutil.Process(psutil.Process(job).ppid()).kill()  # Ray's worker: its actor is gone
    assert wait_for_code(executor, other) == LOST

    told = submit(executor, tmp_path / "d", STOPPABLE)
    wait_until(lambda: started(tmp_path / "d"), "it runs")
    os.kill(int((tmp_path / "d" / "started").read_text()), signal.SIGTERM)  # not by us
    assert wait_for_code(executor, told) == LOST
    killed = submit(executor, tmp_path / "e", STOPPABLE)
    wait_until(lambda: started(tmp_path / "e"), "it runs")
    os.kill(int((tmp_path / "e" / "started").read_text()), signal.SIGKILL)
    assert wait_for_code(executor, killed) == -signal.SIGKILL
    assert not started(tmp_path / "c")
    jobs_get_gpus(executor, tmp_path)
    close_ends_what_runs(executor, tmp_path)


def jobs_get_gpus(executor, tmp_path):
    tell = ("import os, sys; open(sys.argv[2] + '/gpus', 'w')"
            ".write(os.environ.get('CUDA_VISIBLE_DEVICES', '-'))")
    one = submit(executor, tmp_path / "one", tell, device="cuda")
    assert wait_for_code(executor, one) == 0
    assert (tmp_path / "one" / "gpus").read_text() in ("0", "1")
    alone = submit(executor, tmp_path / "alone", tell, device="cuda", alone=True)
    assert wait_for_code(executor, alone) == 0
    assert (tmp_path / "alone" / "gpus").read_text() in ("0", "1")


def close_ends_what_runs(executor, tmp_path):
    runs = submit(executor, tmp_path / "f", STOPPABLE)
    wait_until(lambda: started(tmp_path / "f"), "it runs")
    executor.close()
    executor.close()
    assert (tmp_path / "f" / "stopped").exists()
    assert executor.poll(runs) is None


@pytest.mark.ci
def test_a_cell_whose_node_dies_goes_on_elsewhere_and_its_neighbour_stays(tmp_path, begin,
                                                                         cluster):
    run = begin(*RAY, "--methods", SLOW, "--seeds", "0,1")
    wait_for_training(run)
    wait_until(lambda: len(list(run.cells.glob("*/checkpoint/*"))) >= 2 and run.step() > 20,
               "both cells have a checkpoint")
    node = cluster.nodes[-1]
    below = {process.pid for process in psutil.Process(node.pid).children(recursive=True)}
    assert len([job for job in run.module("job") if job.pid in below]) == 1
    kill_tree(node)
    code, _, told = run.end()
    assert code == 0, told
    found = records(tmp_path)
    assert [record["outcome"]["status"] for record in found.values()] == ["ok", "ok"]
    assert sorted(record["cost"]["resumes"] for record in found.values()) == [0, 1]
    lost = next(record for record in found.values() if record["cost"]["resumes"])
    assert lost["outcome"]["notes"] == ["tried again: its machine was lost"]
    assert run.processes() == []


@pytest.mark.slow
def test_an_interrupt_leaves_a_checkpoint_and_a_resume_goes_on(tmp_path, begin, cluster):
    run = begin(*RAY, "--methods", SLOW, "--seeds", "0,1,2")
    wait_for_training(run)
    os.kill(run.process.pid, signal.SIGINT)
    code, _, told = run.end()
    assert code == 130, told
    found = records(tmp_path)
    assert {record["outcome"]["status"] for record in found.values()} == {"interrupted"}
    assert len(found) == 3
    assert run.processes() == []
    again = srbench("resume", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert max(record["cost"]["resumes"] for record in records(tmp_path).values()) == 1


@pytest.mark.slow
def test_through_a_client(tmp_path, cluster, monkeypatch):
    pytest.importorskip("grpc", reason="ray[client] is not installed")
    done = srbench(*RAY, "--methods", "toy-shift,toy-segv", "--address",
                   f"ray://127.0.0.1:{cluster.client_port}", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    statuses = {name: record["outcome"]["status"] for name, record in records(tmp_path).items()}
    assert statuses == {"toy-shift 0": "ok", "toy-segv 0": "crashed"}


@pytest.mark.slow
def test_without_an_address_this_machine_is_the_cluster(tmp_path, cluster):
    done = srbench(*RAY, "--methods", "toy-shift", "--seeds", "0,1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(records(tmp_path)) == 2
    assert "Ray" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_cluster_that_is_not_there(tmp_path):
    began = time.monotonic()
    with pytest.raises(UsageError, match=r"cannot connect to Ray at '127.0.0.1:1'"):
        RayExecutor(jobs=None, address="127.0.0.1:1")
    assert time.monotonic() - began < 60


def test_without_ray_the_message_says_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependency, match=re.escape("pip install 'srbench[ray]'")):
        RayExecutor(jobs=None, address=None)
