"""A process the kernel killed for want of memory is told from one that was killed otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from srbench.engine.outcome import OomWatch, classify, status_of_the_dead

V2 = "0::/user.slice/job\n"
V1 = "9:name=systemd:/\n4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n"


def machine(folder: Path, groups: str, counters: dict[str, int]) -> OomWatch:
    """A machine whose processes are in ``groups`` and whose counters stand as given."""
    process = folder / "proc" / "self"
    process.mkdir(parents=True)
    (process / "cgroup").write_text(groups)
    for name, kills in counters.items():
        count(folder, name, kills)
    return OomWatch(folder / "cgroup", folder / "proc")


def count(folder: Path, name: str, kills: int) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"low 0\nmax 17\noom 9\noom_kill {kills}\noom_group_kill 5\n")


@pytest.mark.parametrize(("groups", "counter", "elsewhere"), [
    (V2, "cgroup/user.slice/job/memory.events", "cgroup/memory.events"),
    (V2, "cgroup/memory.events", "proc/vmstat"),
    (V2, "cgroup/unified/user.slice/job/memory.events", "proc/vmstat"),
    (V1, "cgroup/memory/docker/abc/memory.oom_control", "cgroup/memory/memory.oom_control"),
    (V1, "cgroup/memory/memory.oom_control", "cgroup/memory.events"),
    (V1, "cgroup/memory.events", "proc/vmstat"),
    ("", "proc/vmstat", "cgroup/memory.events")])
def test_the_counter_of_the_own_group_decides(tmp_path, groups, counter, elsewhere):
    watch = machine(tmp_path, groups, {counter: 3, elsewhere: 3})
    assert not watch.hit()
    count(tmp_path, elsewhere, 8)  # somebody else's process
    assert not watch.hit()
    count(tmp_path, counter, 4)
    assert watch.hit()


def test_a_machine_that_tells_nothing_hits_nothing(tmp_path):
    watch = OomWatch(tmp_path / "nowhere", tmp_path / "nowhere")
    assert not watch.hit()
    gone = machine(tmp_path, V2, {"cgroup/user.slice/job/memory.events": 0})
    (tmp_path / "cgroup/user.slice/job/memory.events").unlink()
    assert not gone.hit()


def test_this_machine_can_be_asked():
    assert OomWatch().hit() in (False, True)


@pytest.mark.parametrize(("code", "tail", "hit", "status", "reason"), [
    (-9, [], True, "oom", "killed by SIGKILL: the kernel ran out of memory"),
    (-9, [], False, "crashed", "killed by SIGKILL"),
    (-11, [], True, "crashed", "killed by SIGSEGV"),  # the kernel's killer sends no SIGSEGV
    (-6, ["terminate called", "  what():  std::bad_alloc", "Fatal Python error: Aborted", ""],
     False, "oom", "killed by SIGABRT: what():  std::bad_alloc"),
    (-6, ["an assertion failed"], True, "crashed", "killed by SIGABRT"),
    (1, ["RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"],
     False, "oom", "exit code 1 without a record: RuntimeError: [enforce"),
    (1, ["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"], False, "oom",
     "CUDA out of memory"),
    (1, ["MemoryError"], False, "oom", "MemoryError"),
    (1, ["the MemoryErrors of others"], False, "crashed", "exit code 1 without a record"),
    (-11, ["CUDA out of memory", *["a later line"] * 40], False, "crashed", "killed by SIGSEGV"),
    (0, ["std::bad_alloc"], True, "crashed", "exit code 0 without a record")])
def test_last_words_and_signals_decide_the_status(code, tail, hit, status, reason):
    found, words = status_of_the_dead(code, tail, hit)
    assert found == status
    assert reason in words


@pytest.mark.parametrize(("statement", "status", "reason"), [
    ("import toyland_absent", "missing-dependency",
     "the package 'toyland_absent' is not installed (pip install toyland_absent)"),
    ("import toyland_absent.deep.inside", "missing-dependency", "pip install toyland_absent"),
    ("raise ImportError(\"No module named 'toyland_absent'\")", "missing-dependency",
     "pip install toyland_absent"),
    ("import json.nothing", "failed", "No module named 'json.nothing'"),
    ("from json import nothing", "failed", "cannot import name 'nothing'"),
    ("raise ImportError('DLL load failed')", "failed", "DLL load failed")])
def test_an_absent_package_is_a_missing_dependency(statement, status, reason):
    with pytest.raises(ImportError) as caught:
        exec(statement)
    found, words = classify(caught.value)
    assert found == status
    assert reason in words
