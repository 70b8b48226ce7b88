"""What a cell asks of a Ray cluster, and the part that runs on its nodes, without Ray."""

from __future__ import annotations

import signal
import sys
import threading
from types import SimpleNamespace

import pytest

from srbench.engine.executors.machine import UNKNOWN_GIB
from srbench.engine.executors.ray_resources import GIB, Resources
from srbench.engine.executors.ray_runner import NOT_STARTED, Runner, smallest_gpu
from srbench.errors import UsageError
from tests.engine.cells import make_cell
from tests.engine.runs import wait_until
from tests.executors.conftest import STOPPABLE, command

SMALL = {"CPU": 2.0, "memory": 8.0 * GIB}
LARGE = {"CPU": 16.0, "memory": 64.0 * GIB, "GPU": 4.0}


def cluster(*nodes: dict[str, float], gpu_gib: float = 0.0) -> Resources:
    """A cluster of such nodes, and one that has died."""
    listed = [{"NodeID": f"node{index}", "Alive": True, "Resources": resources}
              for index, resources in enumerate(nodes)]
    listed.append({"NodeID": "dead", "Alive": False, "Resources": {"CPU": 512.0, "GPU": 8.0}})
    found = Resources(SimpleNamespace(nodes=lambda: listed))
    found._gpu_gib = gpu_gib
    found._near = lambda node, *, soft=False: (node, soft)
    return found


def wants(resources: Resources, *, alone: bool = False, avoid: str = "", threads: int = 1, **cell):
    described = make_cell("ok", threads=threads).model_copy(update=cell)
    return resources.of(described, alone=alone, avoid=avoid)


def test_a_cell_takes_what_it_declares():
    asked = wants(cluster(LARGE), threads=4, ranks=2, memory_gib=3.0)
    assert asked == {"num_cpus": 8, "memory": 3 * GIB}
    assert wants(cluster(LARGE))["memory"] == UNKNOWN_GIB * GIB


def test_no_more_than_the_largest_living_node_has():
    asked = wants(cluster(SMALL), threads=64, memory_gib=500.0)
    assert asked == {"num_cpus": 2, "memory": 8 * GIB}


def test_nodes_that_are_still_to_come_are_believed_in():
    assert wants(cluster({"memory": 1.0 * GIB}), threads=4)["num_cpus"] == 4


@pytest.mark.parametrize(("cell", "gpu_gib", "expected"), [
    ({}, 80.0, 1), ({"ranks": 2}, 80.0, 2), ({"gpu_memory_gib": 20.0}, 80.0, 0.25),
    ({"gpu_memory_gib": 3.0}, 7.0, 0.4286), ({"gpu_memory_gib": 100.0}, 80.0, 1.0),
    ({"gpu_memory_gib": 20.0, "ranks": 2}, 80.0, 2), ({"gpu_memory_gib": 20.0}, 0.0, 1)])
def test_gpus_are_whole_or_the_part_that_the_memory_is(cell, gpu_gib, expected):
    asked = wants(cluster(SMALL, LARGE, gpu_gib=gpu_gib), device="cuda", **cell)
    assert asked["num_gpus"] == expected


def test_a_numbered_gpu_is_rays_business():
    with pytest.raises(UsageError, match="Ray chooses the GPU"):
        wants(cluster(LARGE), device="cuda:1")


def test_a_cluster_without_so_many_gpus_is_told_of_once(caplog):
    resources = cluster(SMALL)
    for _ in range(2):
        assert wants(resources, device="cuda")["num_gpus"] == 1
    assert caplog.text.count("no node of the Ray cluster has 1 GPUs") == 1


def test_alone_is_all_memory_of_a_node_and_rather_another_than_before():
    resources = cluster(SMALL, LARGE)
    asked = wants(resources, alone=True)
    assert asked["memory"] == 64 * GIB
    assert asked["scheduling_strategy"] == ("node1", True)
    again = wants(resources, alone=True, avoid="node1")
    assert again["scheduling_strategy"] == ("node0", True)
    shared = wants(cluster(LARGE, gpu_gib=80.0), alone=True, device="cuda",
                   gpu_memory_gib=20.0)
    assert shared["num_gpus"] == 1


def test_the_runner_tells_code_and_last_words(tmp_path):
    code = "import os, sys; sys.stderr.write(os.environ['WORD'] + os.getcwd()); sys.exit(3)"
    told = Runner().run(command(tmp_path, code), {"WORD": "x" * 5000}, str(tmp_path))
    assert told == (3, ("x" * 5000 + str(tmp_path))[-4000:])


def test_a_folder_or_a_program_this_node_lacks(tmp_path):
    assert Runner().run(command(tmp_path, "pass"), {}, "/nowhere") == (0, "")
    code, words = Runner().run(["/nowhere/python"], {}, str(tmp_path))
    assert code == NOT_STARTED
    assert "/nowhere/python" in words


@pytest.mark.parametrize("now", [False, True])
def test_the_runner_passes_orders_on(tmp_path, now):
    runner, ends = Runner(), []
    thread = threading.Thread(target=lambda: ends.append(
        runner.run(command(tmp_path, STOPPABLE), {}, str(tmp_path))[0]))
    thread.start()
    wait_until(lambda: (tmp_path / "started").exists(), "the job runs")
    runner.stop(now=now)
    thread.join(20)
    assert ends == [75]


def test_an_order_before_the_job_began_keeps_it_from_beginning(tmp_path):
    runner = Runner()
    runner.stop(now=False)
    assert runner.run([sys.executable, "-c", "raise SystemExit(5)"], {}, ".") == (
        -signal.SIGTERM, "")


def test_the_smallest_gpu_of_a_node(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("srbench.engine.executors.ray_runner.visible_gpus",
                        lambda: {"0": 80.0, "1": 40.0})
    assert smallest_gpu() == 40.0
    monkeypatch.setattr("srbench.engine.executors.ray_runner.visible_gpus", dict)
    assert smallest_gpu() == 0.0
