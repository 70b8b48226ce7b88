"""Where jobs go on a machine with declared cores, memory and GPUs; there are none of the latter."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srbench.engine import scheduler
from srbench.engine.executors.gpus import visible_gpus
from srbench.engine.executors.limits import Limits
from srbench.engine.executors.local import LocalExecutor
from srbench.engine.executors.machine import Machine, Packing
from srbench.engine.scheduler import Scheduler
from srbench.errors import UsageError
from srbench.results.record import Status
from srbench.results.store import Store
from tests.engine.cells import make_cell, stand_in
from tests.engine.runs import wait_until

TWO = Machine(cores=8, memory_gib=32.0, gpus={"0": 16.0, "1": 16.0})
# A job that says which GPUs it was given and goes on until it is told to end.
STUB = ("import os, sys, time; path = sys.argv[1]; open(path + '.new', 'w').write("
        "os.environ.get('CUDA_VISIBLE_DEVICES', 'all')); os.rename(path + '.new', path); "
        "time.sleep(60)")


def gpu_cell(seed: int, *, ranks: int = 1, gpu: float = 0.0, memory: float = 1.0, threads: int = 1,
             device: str = "cuda"):
    cell = make_cell("ok", seed=seed, threads=threads)
    return cell.model_copy(update={"device": device, "ranks": ranks, "gpu_memory_gib": gpu,
                                   "memory_gib": memory})


def cpu_cell(seed: int, **needs):
    return gpu_cell(seed, device="cpu", **needs)


class Jobs:
    """Submits stubs for cells and ends them."""

    def __init__(self, folder: Path, machine: Machine, jobs: int | None = None) -> None:
        self.executor, self._folder = LocalExecutor(machine=machine, jobs=jobs), folder
        self._number = 0

    def start(self, cell, *, alone: bool = False):
        """Handle and what the stub was given; None where there was no room."""
        self._number += 1
        path = self._folder / f"stub-{self._number}"
        handle = self.executor.submit(cell, [sys.executable, "-SEc", STUB, str(path)], alone=alone)
        if handle is None:
            return None
        wait_until(path.exists, "the stub started")
        return handle, path.read_text()

    def end(self, handle) -> None:
        self.executor.cancel(handle, now=True)
        wait_until(lambda: self.executor.poll(handle) is not None, "the stub ended")


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    made = []

    def make(machine: Machine = TWO, number: int | None = None) -> Jobs:
        made.append(Jobs(tmp_path, machine, number))
        return made[-1]

    yield make
    for each in made:
        each.executor.close()


def test_each_cell_gets_a_gpu_of_its_own_and_the_third_waits(jobs):
    jobs = jobs()
    (first, one), (_, two) = jobs.start(gpu_cell(1)), jobs.start(gpu_cell(2))
    assert {one, two} == {"0", "1"}
    assert jobs.start(gpu_cell(3)) is None
    jobs.end(first)
    assert jobs.start(gpu_cell(3))[1] == one


def test_cells_that_declare_gpu_memory_share_a_gpu_as_far_as_it_goes(jobs):
    jobs = jobs(Machine(8, 32.0, {"0": 16.0}))
    assert [jobs.start(gpu_cell(n, gpu=6.0))[1] for n in (1, 2)] == ["0", "0"]
    assert jobs.start(gpu_cell(3, gpu=6.0)) is None
    assert jobs.start(gpu_cell(4, gpu=4.0))[1] == "0"
    assert jobs.start(gpu_cell(5)) is None  # one that says nothing wants the whole


def test_the_emptiest_gpu_is_taken_first(jobs):
    jobs = jobs()
    assert [jobs.start(gpu_cell(n, gpu=5.0))[1] for n in range(5)] == ["0", "1", "0", "1", "0"]


def test_a_whole_gpu_is_never_shared(jobs):
    jobs = jobs(Machine(8, 32.0, {"0": 16.0}))
    jobs.start(gpu_cell(1))
    assert jobs.start(gpu_cell(2, gpu=0.5)) is None


def test_a_training_over_two_gpus_takes_both(jobs):
    jobs = jobs()
    handle, both = jobs.start(gpu_cell(1, ranks=2))
    assert both == "0,1"
    assert jobs.start(gpu_cell(2)) is None
    jobs.end(handle)
    jobs.start(gpu_cell(2))
    assert jobs.start(gpu_cell(1, ranks=2)) is None


def test_a_gpu_named_by_the_device_is_that_gpu(jobs):
    jobs = jobs()
    assert jobs.start(gpu_cell(1, device="cuda:1"))[1] == "all"  # in which it is number 1
    assert jobs.start(gpu_cell(2, device="cuda:1")) is None
    assert jobs.start(gpu_cell(3))[1] == "0"


def test_threads_and_memory_are_counted(jobs):
    jobs = jobs(Machine(4, 8.0))
    first, _ = jobs.start(cpu_cell(1, threads=3))
    assert jobs.start(cpu_cell(2, threads=2)) is None
    jobs.start(cpu_cell(3, threads=1))
    jobs.end(first)
    assert jobs.start(cpu_cell(4, memory=7.5)) is None
    assert jobs.start(cpu_cell(5, memory=7.0)) is not None


def test_a_number_of_jobs_replaces_the_count_of_threads(jobs):
    jobs = jobs(Machine(1, 8.0), 2)
    assert jobs.start(cpu_cell(1, threads=4))
    assert jobs.start(cpu_cell(2, threads=4))
    assert jobs.start(cpu_cell(3)) is None


@pytest.mark.parametrize("cell", [cpu_cell(1, memory=500.0), cpu_cell(1, threads=64),
                                  gpu_cell(1, gpu=80.0)])
def test_a_cell_too_large_for_the_machine_runs_alone(jobs, cell):
    jobs = jobs(Machine(2, 8.0, {"0": 16.0}))
    other, _ = jobs.start(cpu_cell(2))
    if cell.device == "cpu":
        assert jobs.start(cell) is None
        jobs.end(other)
    handle, _ = jobs.start(cell)
    assert jobs.start(gpu_cell(3, gpu=1.0) if cell.device == "cuda" else cpu_cell(3)) is None
    jobs.end(handle)
    assert jobs.start(cpu_cell(3))


def test_a_cell_that_must_be_alone_waits_until_it_is(jobs):
    jobs = jobs(Machine(8, 32.0))
    other, _ = jobs.start(cpu_cell(1))
    assert jobs.start(cpu_cell(2), alone=True) is None
    jobs.end(other)
    assert jobs.start(cpu_cell(2), alone=True)
    assert jobs.start(cpu_cell(3)) is None


def test_alone_is_on_another_gpu_that_nobody_shares(jobs):
    jobs = jobs()
    handle, before = jobs.start(gpu_cell(1, gpu=4.0))
    jobs.end(handle)
    _, after = jobs.start(gpu_cell(1, gpu=4.0), alone=True)
    assert (before, after) == ("0", "1")
    assert [jobs.start(gpu_cell(n, gpu=4.0))[1] for n in (2, 3)] == ["0", "0"]


NEEDS = st.fixed_dictionaries({
    "device": st.sampled_from(["cpu", "cuda", "cuda:1"]), "ranks": st.integers(1, 3),
    "gpu": st.sampled_from([0.0, 2.0, 7.5, 40.0]), "memory": st.sampled_from([0.0, 1.0, 9.0, 99.0]),
    "threads": st.integers(1, 9), "alone": st.booleans()})


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(NEEDS, st.integers(0, 9)), max_size=40), st.sampled_from([None, 1, 3]))
def test_whatever_comes_and_goes_nothing_is_given_twice(moves, jobs):
    machine = Machine(8, 32.0, {"0": 16.0, "1": 16.0, "2": 8.0})
    packing = Packing(machine, jobs)
    for number, (needs, ends) in enumerate(moves):
        alone = needs["alone"]
        options = {name: value for name, value in needs.items() if name != "alone"}
        if options["device"] == "cuda:1":
            options["ranks"] = 1
        place = packing.find(gpu_cell(number, **options), alone=alone)
        assert place is not None or packing.places, "an empty machine takes any cell"
        if place is not None:
            packing.places.append(place)
            assert len(place.gpus) == (0 if options["device"] == "cpu" else options["ranks"])
            assert_within(machine, packing, jobs)
        del packing.places[ends:]


def assert_within(machine, packing, jobs):
    places = packing.places
    assert jobs is None or len(places) <= jobs
    if len(places) > 1:
        assert sum(place.memory_gib for place in places) <= machine.memory_gib
        assert jobs or sum(place.threads for place in places) <= machine.cores
    for gpu, memory in machine.gpus.items():
        on_it = [place for place in places if gpu in place.gpus]
        assert len(on_it) <= 1 or not any(place.whole_gpus for place in on_it)
        assert len(on_it) <= 1 or sum(place.gpu_gib for place in on_it) <= memory


@pytest.mark.parametrize(("cell", "gpus", "told"), [
    (gpu_cell(1, ranks=4), {"0": 1.0, "1": 1.0}, ("wants 4 GPUs", "has 2", "--gpus-per-cell 2")),
    (gpu_cell(1), {}, ("wants 1 GPU of", "has 0", "--device cpu", "CUDA_VISIBLE_DEVICES")),
    (gpu_cell(1, device="cuda:2"), {"0": 1.0}, ("cuda:2", "has 0")),
    (gpu_cell(1, device="cuda:0", ranks=2), {"0": 1.0, "1": 1.0}, ("cuda:0", "has 1")),
])
def test_too_few_gpus_are_an_error_before_anything_starts(cell, gpus, told):
    machine = Machine(8, 32.0, gpus)
    with pytest.raises(UsageError) as caught:
        machine.check([cpu_cell(0), cell])
    for words in told:
        assert words in f"{caught.value} {caught.value.hint}"
    with pytest.raises(UsageError):
        Packing(machine).find(cell)


def test_the_command_line_refuses_before_it_writes(tmp_path, monkeypatch, capsys):
    from srbench.cli import main
    from srbench.running import request
    from tests.engine.runs import TOY

    monkeypatch.setenv("PATH", str(tmp_path))  # no driver
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(request, "choose_device", lambda name: "cuda")
    code = main([*TOY, "--methods", "toy-shift", "--runs", str(tmp_path / "runs")])
    assert code == 2
    assert "wants 1 GPU of device cuda, of which this machine has 0" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


# ------------------------------------------------------------------ out of memory


class Watching(LocalExecutor):
    """Notes where each job goes."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.went: list[tuple[str, tuple[str, ...], bool, float]] = []

    def submit(self, cell, command, *, alone=False):
        job = super().submit(cell, command, alone=alone)
        if job is not None:
            self.went.append((cell.identity.method, job.place.gpus, alone, time.monotonic()))
        return job


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run cells of the stand-in on three declared GPUs."""
    path = [str(stand_in(tmp_path / "first")), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(scheduler, "BACK_OFF", 0.5)
    store = Store(tmp_path / "runs")
    executor = Watching(machine=Machine(8, 32.0, dict.fromkeys("012", 16.0)))

    def start(*cells):
        events = []
        records = Scheduler(store, executor, on_event=lambda cell, event: events.append(
            (cell.identity.method, event["event"]))).run(cells)
        return records, executor.went, events

    return start


def on_gpu(way: str, seed: int = 0):
    return make_cell(way, seed=seed).model_copy(update={"device": "cuda", "gpu_memory_gib": 4.0})


def test_a_cell_out_of_memory_is_tried_once_more_alone_elsewhere_after_a_while(run):
    (hungry, beside), went, events = run(on_gpu("hungry"), on_gpu("late"))
    assert (hungry.outcome.status, beside.outcome.status) == (Status.OK, Status.OK)
    (_, first, alone_first, at), (_, second, alone_second, again) = [
        entry for entry in went if entry[0] == "hungry"]
    assert (alone_first, alone_second) == (False, True)
    assert first != second
    assert again - at >= 0.5
    assert ("hungry", "retry") in events
    assert hungry.outcome.notes == ["tried again: it ran out of memory; next time it runs alone"]


def test_a_cell_out_of_memory_twice_is_oom_and_its_siblings_do_not_notice(run):
    cells = [on_gpu("insatiable"), *(on_gpu("ok", seed) for seed in range(1, 5))]
    (record, *siblings), went, _ = run(*cells)
    assert record.outcome.status == Status.OOM
    assert "CUDA out of memory" in record.outcome.reason
    assert record.outcome.notes == ["tried again: it ran out of memory; next time it runs alone"]
    assert [name for name, *_ in went].count("insatiable") == 2
    assert {sibling.outcome.status for sibling in siblings} == {Status.OK}
    assert [name for name, *_ in went].count("ok") == 4
    assert not any(sibling.outcome.notes for sibling in siblings)


# ------------------------------------------------------------------ what the driver says


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Put a ``nvidia-smi`` on PATH that answers for three GPUs."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def answers(text: str, code: int = 0) -> None:
        script = tmp_path / "nvidia-smi"
        script.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {code}\n")
        script.chmod(0o755)

    answers("0, GPU-aaaa1111, 81559\n1, GPU-bbbb2222, 81559\n2, GPU-bbcc3333, 24576")
    return answers


@pytest.mark.parametrize(("variable", "found"), [
    (None, {"0": 81559 / 1024, "1": 81559 / 1024, "2": 24.0}),
    ("", {}),
    ("2,0", {"2": 24.0, "0": 81559 / 1024}),
    (" 1 ", {"1": 81559 / 1024}),
    ("GPU-bbcc3333", {"GPU-bbcc3333": 24.0}),
    ("GPU-bbcc,1", {"GPU-bbcc": 24.0, "1": 81559 / 1024}),
    ("0,-1,1", {"0": 81559 / 1024}),  # CUDA takes none after the first it does not find
    ("7,0", {}),
    ("MIG-0f0f", {"MIG-0f0f": 0.0}),
])
def test_gpus_are_those_the_variable_lets_through(driver, monkeypatch, variable, found):
    if variable is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert visible_gpus() == found
    assert list(visible_gpus()) == list(found)


@pytest.mark.parametrize("text", ["No devices were found", "0, GPU-a, [N/A]", "", "0, GPU-a"])
def test_a_driver_that_answers_otherwise_has_no_gpus(driver, text):
    driver(text)
    assert visible_gpus() == {}


def test_a_driver_that_fails_has_no_gpus(driver):
    driver("NVIDIA-SMI has failed because it couldn't communicate", code=9)
    assert visible_gpus() == {}


def test_without_a_driver_the_variable_names_them(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert visible_gpus() == {"0": 0.0, "1": 0.0}
    packing = Packing(Machine(8, 32.0, visible_gpus()))
    packing.places.append(packing.find(gpu_cell(1, gpu=4.0)))
    packing.places.append(packing.find(gpu_cell(2, gpu=4.0)))
    assert {place.gpus for place in packing.places} == {("0",), ("1",)}
    assert packing.find(gpu_cell(3, gpu=4.0)) is None  # none knows how much is left


# ------------------------------------------------------------------ containers


def groups(tmp_path: Path, cgroup: str, files: dict[str, str]) -> Limits:
    """Limits as read from a made-up system."""
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "cgroup").write_text(cgroup)
    for name, text in files.items():
        path = tmp_path / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return Limits.here(tmp_path / "sys", tmp_path / "proc")


GIB = 2**30


@pytest.mark.parametrize(("cgroup", "files", "cores", "memory"), [
    ("0::/\n", {}, None, None),
    ("", {}, None, None),
    ("0::/\n", {"cpu.max": "max 100000", "memory.max": "max", "memory.current": "7"}, None, None),
    ("0::/\n", {"cpu.max": "250000 100000", "memory.max": str(8 * GIB),
                "memory.current": str(3 * GIB), "memory.stat": f"anon 5\ninactive_file {GIB}"},
     2.5, 6.0),
    # The own group of version 2 lies below others; the tightest limit counts.
    ("0::/slurm/job\n", {"slurm/cpu.max": "400000 100000", "slurm/job/cpu.max": "max 100000",
                         "slurm/memory.max": str(64 * GIB), "slurm/memory.current": "0",
                         "slurm/job/memory.max": str(4 * GIB), "slurm/job/memory.current": "0"},
     4.0, 4.0),
    # Version 1, seen from inside a container that mounts its own group as the root.
    ("4:memory:/docker/0a\n3:cpu,cpuacct:/docker/0a\n",
     {"memory/memory.limit_in_bytes": str(2 * GIB), "memory/memory.usage_in_bytes": str(GIB),
      "cpu,cpuacct/cpu.cfs_quota_us": "50000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
     0.5, 1.0),
    ("3:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
     None, None),
    ("0::/\n", {"memory.max": str(GIB), "memory.current": str(2 * GIB)}, None, 0.0),
])
def test_limits_of_containers_are_read(tmp_path, cgroup, files, cores, memory):
    assert groups(tmp_path, cgroup, files) == Limits(cores, memory)


def test_a_container_is_packed_by_its_share(monkeypatch):
    monkeypatch.setattr(Limits, "here", classmethod(lambda cls: cls(1.5, 2.0)))
    machine = Machine.here()
    assert machine.cores == min(2, len(os.sched_getaffinity(0)))
    assert machine.memory_gib <= 2.0


def test_this_machine_has_cores_and_memory():
    machine = Machine.here()
    assert 1 <= machine.cores <= os.cpu_count()
    assert machine.memory_gib > 0
