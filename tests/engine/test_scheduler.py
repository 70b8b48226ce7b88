"""The scheduler and jobs of this machine with real processes that end in every way (no torch)."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from srbench.engine import scheduler
from srbench.engine.executors.local import LocalExecutor
from srbench.engine.live import read_live
from srbench.engine.logfile import log_tail
from srbench.engine.scheduler import Scheduler
from srbench.engine.tasks import JobOptions
from srbench.errors import StoreError
from srbench.results.record import Status
from srbench.results.store import Store
from tests.engine.cells import is_alive, make_cell, stand_in

PROCFS = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


class Watcher:
    """Collects events; may do something at one of them."""

    def __init__(self, at=None, action=None) -> None:
        self.at, self.action, self.events = at, action, []

    def __call__(self, cell, event) -> None:
        self.events.append((cell.identity.method, event))
        if self.at and self.at == (cell.identity.method, event["event"]):
            self.action()

    def kinds(self, method):
        return [event["event"] for name, event in self.events if name == method]


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    path = [str(stand_in(tmp_path / "first")), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
    monkeypatch.setattr(scheduler, "BACK_OFF", 0.1)
    return Store(tmp_path / "runs")


def run(store, *cells, watcher=None, jobs=1, **options):
    return Scheduler(store, LocalExecutor(jobs=jobs), options=JobOptions(**options),
                     on_event=watcher or Watcher()).run(cells)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def child_of(store, cell) -> int:
    return int((store.cell_folder(cell.key) / "child").read_text())


def wait_for_child(store, cell) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if (store.cell_folder(cell.key) / "child").exists():
            return child_of(store, cell)
        time.sleep(0.02)
    raise AssertionError("the cell never started its child")


def test_records_come_in_the_order_of_the_plan_not_of_the_finish(store):
    watcher = Watcher()
    cells = [make_cell("late"), make_cell("ok", seed=1), make_cell("ok", seed=2)]
    records = run(store, *cells, jobs=2, watcher=watcher)
    assert [record.identity.key for record in records] == [cell.key for cell in cells]
    assert {record.outcome.status for record in records} == {Status.OK}
    finished = [name for name, event in watcher.events if event["event"] == "finished"]
    assert finished[0] == "ok"


def test_as_many_cells_at_a_time_as_jobs(store):
    cells = [make_cell("pair", seed=0), make_cell("pair", seed=1)]
    assert [record.outcome.status for record in run(store, *cells, jobs=2)] == ["ok", "ok"]


def test_one_job_finishes_a_cell_before_the_next_starts(store):
    watcher = Watcher()
    run(store, make_cell("late"), make_cell("ok"), watcher=watcher)
    assert [(name, event["event"]) for name, event in watcher.events] == [
        ("late", "started"), ("late", "finished"), ("ok", "started"), ("ok", "finished")]


def test_no_cells_are_no_records(store):
    assert run(store) == []
    assert not store.runs.exists()


def test_the_threads_of_a_cell_reach_its_process(store):
    record, = run(store, make_cell("environment", threads=3))
    assert record.outcome.reason == "3 3 1"


@pytest.mark.parametrize(("way", "words"), [("killed", "killed by SIGKILL"),
                                            ("exit", "exit code 7 without a record")])
def test_a_process_that_dies_gets_a_record(store, way, words):
    cell = make_cell(way)
    record, = run(store, cell)
    assert record.outcome.status == Status.CRASHED
    assert record.outcome.reason == words
    assert record.outcome.exit_detail == words.removesuffix(" without a record")
    assert record.identity == cell.identity
    assert store.read(cell.key) == record
    assert record.outcome.log_tail == (["the last words"] if way == "exit" else [])


@PROCFS
def test_a_child_killed_from_outside_is_a_crash_and_the_next_cell_runs(store):
    cell = make_cell("family")

    def kill_parent() -> None:
        process = wait_for_child(store, cell)
        leader = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(leader, signal.SIGKILL)

    killer = threading.Thread(target=kill_parent)
    killer.start()
    crashed, after = run(store, cell, make_cell("ok"))
    killer.join()
    assert (crashed.outcome.status, after.outcome.status) == (Status.CRASHED, Status.OK)
    assert not is_alive(child_of(store, cell))


@PROCFS
def test_the_time_limit_kills_the_children_too(store):
    cell = make_cell("family")
    started = time.monotonic()
    record, other = run(store, cell, make_cell("ok"), timeout=1.5)
    assert time.monotonic() - started < 30
    assert record.outcome.status == Status.TIMEOUT
    assert record.outcome.reason == "ended after 1.5 s, the time limit"
    assert record.outcome.exit_detail == "killed by SIGTERM"
    assert other.outcome.status == Status.OK
    assert not is_alive(child_of(store, cell))


@PROCFS
def test_what_a_finished_cell_leaves_running_is_killed(store):
    cell = make_cell("orphan")
    record, = run(store, cell)
    assert record.outcome.status == Status.OK
    assert not is_alive(child_of(store, cell))


def test_the_record_of_an_earlier_attempt_is_not_taken_for_this_one(store):
    cell = make_cell("exit")
    run(store, make_cell("ok"))
    old = store.read(make_cell("ok").key)
    store.commit(old.model_copy(update={"identity": cell.identity}))
    record, = run(store, cell, rerun=True)
    assert record.outcome.status == Status.CRASHED


def test_a_finished_cell_is_not_run_again_behind_a_lock(store):
    """Between planning and starting another run may have finished it."""
    cell = make_cell("exit")
    run(store, make_cell("ok"))
    old = store.read(make_cell("ok").key)
    store.commit(old.model_copy(update={"identity": cell.identity}))
    record, = run(store, cell)
    assert record.outcome.status == Status.OK


def test_an_interrupted_rerun_keeps_the_record_that_was_there(store):
    cell = make_cell("stubborn")
    run(store, make_cell("ok"))
    old = store.read(make_cell("ok").key)
    store.commit(old.model_copy(update={"identity": cell.identity}))
    watcher = Watcher(("stubborn", "phase"), interrupt)
    record, = run(store, cell, watcher=watcher, grace=0.3, rerun=True)
    assert record.outcome.status == Status.OK
    assert store.read(cell.key).outcome.status == Status.OK


def test_a_log_goes_on_over_attempts(store):
    cell = make_cell("exit")
    run(store, cell)
    run(store, cell)
    log = (store.cell_folder(cell.key) / "log.txt").read_text()
    assert log == "the last words\nthe last words\n"


def test_the_tail_of_a_huge_log_that_is_no_utf8(store):
    record, = run(store, make_cell("log"))
    assert record.outcome.status == Status.FAILED
    tail = record.outcome.log_tail
    assert len(tail) == 20
    assert tail[-2:] == ["line 39999", "caf\N{REPLACEMENT CHARACTER}"]
    assert store.read(record.identity.key).outcome.log_tail == tail


def test_log_tail_of_small_empty_and_absent_files(tmp_path):
    path = tmp_path / "log.txt"
    assert log_tail(path) == []
    path.write_bytes(b"")
    assert log_tail(path) == []
    path.write_text("one\ntwo\nthree")
    assert log_tail(path) == ["one", "two", "three"]
    assert log_tail(path, 2) == ["two", "three"]
    path.write_bytes(b"x" * 100_000)
    assert [len(line) for line in log_tail(path)] == [8192]


def test_garbage_in_the_pipe_harms_nothing(store):
    watcher = Watcher()
    record, = run(store, make_cell("garbage"), watcher=watcher)
    assert record.outcome.status == Status.OK
    assert watcher.kinds("garbage") == ["started", "phase", "finished"]
    assert watcher.events[1][1]["phase"] == "fit"


def test_a_flood_of_events_leaves_the_last_one(store):
    watcher = Watcher()
    record, = run(store, make_cell("flood"), watcher=watcher)
    assert record.outcome.status == Status.OK
    steps = [event["step"] for _, event in watcher.events if event["event"] == "progress"]
    assert steps == sorted(steps)
    assert read_live(store.cell_folder(record.identity.key))["step"] == 3999


def test_a_line_without_end_is_not_kept_in_memory(store):
    watcher = Watcher()
    record, = run(store, make_cell("endless"), watcher=watcher)
    assert record.outcome.status == Status.OK
    assert watcher.events[1][1]["phase"] == "after"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_interrupt_asks_and_the_rest_of_the_plan_is_recorded(store, number):
    watcher = Watcher(("polite", "phase"), lambda: os.kill(os.getpid(), number))
    cells = [make_cell("polite"), make_cell("ok", seed=1), make_cell("ok", seed=2)]
    before = signal.getsignal(number)
    records = run(store, *cells, watcher=watcher)
    assert signal.getsignal(number) is before
    assert [record.outcome.status for record in records] == [Status.INTERRUPTED] * 3
    assert records[0].outcome.reason == "asked to stop"
    assert records[2].outcome.reason == "not started: the run was interrupted"
    assert watcher.kinds("polite") == ["started", "phase", "stopping", "finished"]
    assert watcher.kinds("ok") == ["finished", "finished"]
    for cell in cells:
        assert store.read(cell.key).outcome.status == Status.INTERRUPTED
        stored = json.loads((store.cell_folder(cell.key) / "cell.json").read_text())
        assert stored["identity"]["key"] == cell.key


def test_the_second_interrupt_kills(store):
    watcher = Watcher(("stubborn", "phase"), interrupt)
    inner = watcher.__call__

    def again(cell, event):
        inner(cell, event)
        if event["event"] == "stopping":
            interrupt()

    record, = run(store, make_cell("stubborn"), watcher=again)
    assert record.outcome.status == Status.INTERRUPTED
    assert record.outcome.reason == "stopped by the user: killed by SIGKILL"


def test_a_cell_that_does_not_stop_in_time_is_killed(store):
    watcher = Watcher(("stubborn", "phase"), interrupt)
    started = time.monotonic()
    record, = run(store, make_cell("stubborn"), watcher=watcher, grace=0.3)
    assert 0.3 <= time.monotonic() - started < 30
    assert record.outcome.status == Status.INTERRUPTED


@pytest.mark.parametrize("moment", ["started", "finished"])
def test_an_interrupt_at_any_moment_loses_no_record(store, moment):
    watcher = Watcher(("ok", moment), interrupt)
    first, second = run(store, make_cell("ok"), make_cell("late"), watcher=watcher)
    # A process may end by the signal before its first statement, or commit before it sees it.
    expected = {Status.OK} if moment == "finished" else {Status.OK, Status.INTERRUPTED}
    assert first.outcome.status in expected
    assert second.outcome.reason == "not started: the run was interrupted"


def test_outside_the_main_thread_cells_run_as_well(store):
    found = []
    thread = threading.Thread(target=lambda: found.extend(run(store, make_cell("ok"))))
    thread.start()
    thread.join(30)
    assert [record.outcome.status for record in found] == ["ok"]


def test_the_cell_is_described_before_its_process_starts(store):
    cell = make_cell("exit")
    run(store, cell)
    text = (store.cell_folder(cell.key) / "cell.json").read_text()
    assert type(cell).model_validate_json(text) == cell


@PROCFS
def test_children_that_left_the_session_are_found(store):
    stray, emigrants = make_cell("stray"), make_cell("emigrants")
    started = time.monotonic()
    first, second = run(store, stray, emigrants, timeout=2.0, jobs=2)
    assert time.monotonic() - started < 2.0 + 5.0 + 3.0  # limit, promise, starting and collecting
    assert (first.outcome.status, second.outcome.status) == (Status.OK, Status.TIMEOUT)
    assert not is_alive(child_of(store, stray))
    assert not is_alive(child_of(store, emigrants))


@PROCFS
def test_a_job_that_is_killed_leaves_a_record_and_no_process(store):
    cell = make_cell("emigrants")

    def kill_job() -> None:
        wait_for_child(store, cell)
        os.kill(read_live(store.cell_folder(cell.key))["pid"], signal.SIGKILL)

    killer = threading.Thread(target=kill_job)
    killer.start()
    record, after = run(store, cell, make_cell("ok"))
    killer.join()
    assert record.outcome.status == Status.CRASHED
    assert record.outcome.reason == "its job: killed by SIGKILL"
    assert after.outcome.status == Status.OK
    assert not is_alive(child_of(store, cell))


def test_what_killed_writes_left_is_swept_away(store):
    cell = make_cell("ok")
    folder = store.cell_folder(cell.key)
    folder.mkdir(parents=True)
    left = [".tmp-history.parquet", ".record.json.7.ab12.tmp", ".live.json.7.tmp"]
    kept = [".cell.json.7.ab12.tmp", "history.parquet"]
    for name in [*left, *kept]:
        (folder / name).write_bytes(b"half")
    run(store, cell)
    names = {path.name for path in folder.iterdir()}
    assert names.isdisjoint(left)
    assert names.issuperset(kept)


def test_a_cell_works_in_a_folder_of_its_own(store, tmp_path):
    cell = make_cell("where")
    record, = run(store, cell)
    work = store.cell_folder(cell.key).absolute() / "work"
    assert record.outcome.reason == f"{work} {Path.cwd()}"
    assert [path.name for path in work.iterdir()] == ["left.txt"]
    run(store, make_cell("ok"))
    assert not (store.cell_folder(make_cell("ok").key) / "work").exists()


def test_out_of_memory_is_tried_once_more_alone(store):
    watcher = Watcher()
    fed, not_fed, other = run(store, make_cell("hungry"), make_cell("insatiable"),
                              make_cell("ok"), jobs=2, watcher=watcher)
    assert [fed.outcome.status, not_fed.outcome.status, other.outcome.status] == [
        Status.OK, Status.OOM, Status.OK]
    assert watcher.kinds("insatiable").count("started") == 2
    assert "it ran out of memory" in not_fed.outcome.notes[0]
    assert "it ran out of memory" in fed.outcome.notes[0]
    assert store.read(not_fed.identity.key) == not_fed


@PROCFS
def test_a_parent_that_cannot_go_on_leaves_no_cell_running(store, monkeypatch):
    family, fine = make_cell("family"), make_cell("ok")
    cells = Scheduler(store, LocalExecutor(jobs=2), on_event=Watcher())
    children = []

    def broken(key):
        children.append(wait_for_child(store, family))
        raise StoreError("cannot read record.json: Input/output error")

    monkeypatch.setattr(store, "read", broken)
    with pytest.raises(StoreError, match="Input/output"):
        cells.run([family, fine])
    assert not is_alive(children[0])
    assert Store(store.runs).read(family.key).outcome.status == Status.INTERRUPTED
