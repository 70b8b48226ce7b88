"""Trackers that raise, hang, print or exit: neither the run nor other trackers notice."""

from __future__ import annotations

import sys
import threading
import time
import types
from pathlib import Path

import pytest

from srbench import Scalars, TrackedRun, hookimpl
from srbench.engine import listener
from srbench.engine import trackers as module
from srbench.engine.scalars import ScalarsFile
from srbench.engine.trackers import Trackers
from srbench.errors import MissingDependency, SrbenchError, UsageError
from srbench.registry.events import TrackedCell
from srbench.registry.inspection import EVENTS
from srbench.registry.tracker import Tracker
from srbench.results.store import Store
from srbench.running.track import tracked_cell
from tests.engine.cells import make_cell
from tests.results.factory import make_record
from tests.trackers.test_scalars import event


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(listener, "LOOK", 0.02)
    monkeypatch.setattr(module, "CLOSE", 0.6)
    monkeypatch.setattr(module, "SILENCE", 0.2)


def tracker(name: str, **hooks) -> Tracker:
    """A plugin of these functions."""
    plugin = types.ModuleType(f"{name}_plugin")
    for hook, function in hooks.items():
        setattr(plugin, f"srbench_{hook}", hookimpl(function))
    return Tracker(name, name, "third", "1.0", plugin, tuple(f"srbench_{hook}" for hook in hooks))


def diary(name: str = "diary") -> tuple[Tracker, list]:
    """A tracker that keeps what it is told."""
    told: list = []
    return tracker(
        name, run_started=lambda run: told.append(("run", run.id)),
        cell_started=lambda run, cell: told.append(("cell", cell.method)),
        scalars=lambda cell, scalars: told.append((cell.method, scalars.step)),
        cell_finished=lambda cell, record: told.append(
            (cell.method, record["outcome"]["status"])),
        run_finished=lambda: told.append("end")), told


class Lab:
    """A run of two cells, ``one`` and ``two``, whose events are made up."""

    def __init__(self, folder: Path, *trackers: Tracker) -> None:
        self.store, self.warnings = Store(folder / "runs"), []
        self.cells = {way: make_cell(way) for way in ("one", "two")}
        self.files = {}
        for way, cell in self.cells.items():
            self.store.cell_folder(cell.key).mkdir(parents=True)
            self.files[way] = ScalarsFile(self.store.cell_folder(cell.key))
        run = TrackedRun(id="plan", folder=self.store.runs, command="srbench run", created="now",
                         cells=tuple(tracked_cell(cell, self.store)
                                     for cell in self.cells.values()))
        self.trackers = Trackers(trackers, run, lambda text, error: self.warnings.append(text))

    def tell(self, way: str, kind: str) -> None:
        more = {"record": make_record(way)} if kind == "finished" else {}
        self.trackers.on_event(self.cells[way], {"event": kind, **more})

    def trains(self, way: str, *steps: int) -> None:
        for step in steps:
            self.files[way].add(event(step, row=step))
        self.files[way].flush()

    def whole(self) -> None:
        """A run from its beginning to its end."""
        self.trackers.start()
        for way in self.cells:
            self.tell(way, "started")
            self.trains(way, 1, 2, 3)
            self.tell(way, "finished")
        self.trackers.close()


WHOLE = [("run", "plan"), ("cell", "one"), ("one", 1), ("one", 2), ("one", 3), ("one", "ok"),
         ("cell", "two"), ("two", 1), ("two", 2), ("two", 3), ("two", "ok"), "end"]


def test_everything_is_told_once_in_order(tmp_path):
    plugin, told = diary()
    lab = Lab(tmp_path, plugin)
    assert lab.trackers.want_scalars
    lab.whole()
    assert told == WHOLE
    assert lab.warnings == []


def test_scalars_are_told_while_a_cell_trains_and_a_retry_begins_nothing_anew(tmp_path):
    plugin, told = diary()
    lab = Lab(tmp_path, plugin)
    lab.trackers.start()
    lab.tell("one", "started")
    lab.trains("one", 1)
    wait_for(lambda: told[-1] == ("one", 1))
    lab.tell("one", "retry")
    lab.tell("one", "started")
    lab.files["one"] = ScalarsFile(lab.store.cell_folder(lab.cells["one"].key))
    lab.trains("one", 1, 2)
    lab.tell("one", "finished")
    lab.tell("two", "finished")  # never started: the run was stopped
    lab.trackers.close()
    assert told == [*WHOLE[:4], ("one", "ok"), "end"]


def test_what_is_told_is_plain_and_frozen(tmp_path):
    seen = []
    lab = Lab(tmp_path, tracker("a", scalars=lambda run, cell, scalars: seen.append(
        (run, cell, scalars)), cell_finished=lambda record: seen.append(record)))
    lab.whole()
    run, cell, scalars = seen[0]
    assert (run.command, run.created, run.folder) == ("srbench run", "now", lab.store.runs)
    assert run.cells[0] == cell
    assert isinstance(cell, TrackedCell)
    assert cell.folder == lab.store.cell_folder(cell.key).absolute()
    assert (cell.method, cell.seed, cell.parameters) == ("one", 0, {"iterations": 500})
    assert scalars == Scalars(kind="train", stage="main", step=1, seconds=0.1, images=2, calls=1,
                              values={"a": 1.0})
    for one in (run, cell, scalars):
        with pytest.raises(AttributeError):
            one.step = 3
    assert seen[3] == make_record("one").model_dump(mode="json")


def test_each_tracker_has_a_record_of_its_own(tmp_path):
    kept = []
    lab = Lab(tmp_path, tracker("vandal", cell_finished=lambda record: record.clear()),
              tracker("late", cell_finished=lambda record: (time.sleep(0.05),
                                                            kept.append(dict(record)))))
    lab.whole()
    assert [record["outcome"]["status"] for record in kept] == ["ok", "ok"]


@pytest.mark.parametrize("error", [RuntimeError("no luck"), SystemExit(3), KeyboardInterrupt(),
                                   GeneratorExit()])
def test_a_tracker_that_raises_is_named_and_others_do_not_notice(tmp_path, error):
    def fail(**_):
        raise error

    plugin, told = diary()
    bad = tracker("bad", cell_started=lambda run, cell: fail())
    lab = Lab(tmp_path, bad, plugin)
    lab.whole()
    assert told == WHOLE
    assert len(lab.warnings) == 2
    assert lab.warnings[0].startswith("tracker 'bad': srbench_cell_started of one on ")
    assert type(error).__name__ in lab.warnings[0]


def test_one_that_raises_five_times_in_a_row_is_switched_off(tmp_path):
    calls = []

    def scalars(scalars):
        calls.append(scalars.step)
        if scalars.step not in (4, 6):
            raise ValueError(f"step {scalars.step}")

    lab = Lab(tmp_path, tracker("bad", scalars=scalars, run_finished=lambda: calls.append("end")))
    lab.trackers.start()
    lab.tell("one", "started")
    lab.trains("one", *range(1, 20))
    lab.tell("one", "finished")
    lab.trackers.close()
    assert calls == list(range(1, 12))  # 7 to 11 raised in a row; it hears no more of the run
    assert lab.warnings[-1] == ("tracker 'bad' is switched off: srbench_scalars raised 5 times "
                                "in a row")
    assert len(lab.warnings) == 3 + 1 + 5 + 1
    assert lab.warnings[0].endswith("srbench_scalars of one on "
                                    f"{lab.cells['one'].identity.title}, seed 0 raised "
                                    "ValueError: step 1")


def test_a_tracker_that_hangs_costs_the_end_its_patience_and_no_more(tmp_path):
    stop = threading.Event()
    plugin, told = diary()
    stuck = tracker("stuck", scalars=lambda scalars: stop.wait(20),
                    cell_finished=lambda record: None)
    lab = Lab(tmp_path, stuck, plugin)
    started = time.monotonic()
    lab.trackers.start()
    for way in lab.cells:
        lab.tell(way, "started")
        lab.trains(way, 1, 2, 3)
        lab.tell(way, "finished")
    assert time.monotonic() - started < 0.4  # nobody waited
    lab.trackers.close()
    assert 0.5 < time.monotonic() - started < 3
    stop.set()
    assert told == WHOLE
    waiting, missing = lab.warnings
    assert waiting == ("waiting up to 0.6 s for tracker 'stuck'; Ctrl-C goes on without it")
    name = lab.cells["one"].name
    assert missing.startswith(f"tracker 'stuck' is still in srbench_scalars of {name}; not "
                              "delivered: srbench_cell_started of two")
    assert "srbench_run_finished" in missing


def test_a_slow_tracker_lags_and_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CLOSE", 20.0)
    seen = []
    slow = tracker("slow", scalars=lambda scalars: (time.sleep(0.002), seen.append(scalars.step)))
    lab = Lab(tmp_path, slow)
    lab.trackers.start()
    lab.tell("one", "started")
    started = time.monotonic()
    lab.trains("one", *range(300))
    lab.tell("one", "finished")
    assert time.monotonic() - started < 0.3
    lab.trackers.close()
    assert seen == list(range(300))


def test_ctrl_c_ends_the_waiting(tmp_path, monkeypatch):
    inside, stop = threading.Event(), threading.Event()
    lab = Lab(tmp_path, tracker("stuck", run_finished=lambda: (inside.set(), stop.wait(20))))
    lab.trackers.start()

    def join(self, timeout=None):
        assert inside.wait(10)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "join", join)
        lab.trackers.close()
    stop.set()
    assert lab.warnings == ["tracker 'stuck' is still in srbench_run_finished"]


def test_what_a_tracker_prints_is_not_the_answer(tmp_path, capsys):
    stop = threading.Event()
    lab = Lab(tmp_path, tracker("loud", cell_started=lambda run, cell: print("hello"),  # noqa: T201
                                run_finished=lambda: stop.wait(20)))
    before = sys.stdout
    lab.trackers.start()
    print("the answer")  # noqa: T201
    lab.tell("one", "started")
    lab.trackers.close()
    assert sys.stdout is not before  # what the stuck one may yet print is no answer either
    sys.stdout = before
    stop.set()
    captured = capsys.readouterr()
    assert captured.out == "the answer\n"
    assert captured.err == "hello\n"
    other = Lab(tmp_path / "other", tracker("quiet", run_finished=lambda: None))
    other.whole()
    assert sys.stdout is before


@pytest.mark.parametrize(("error", "words", "hint"), [
    (MissingDependency("it needs x", hint="pip install y"), "it needs x", "pip install y"),
    (UsageError("no server"), "no server", ""),
    (ModuleNotFoundError("No module named 'wandb.sdk'", name="wandb.sdk"),
     "tracker 'picky' (third:picky) needs the package 'wandb', which is not installed",
     "pip install wandb, or run without --track picky")])
def test_a_deliberate_error_at_the_beginning_ends_the_run_before_its_first_cell(
        tmp_path, error, words, hint):
    def refuse():
        raise error

    plugin, told = diary()
    lab = Lab(tmp_path, tracker("picky", run_started=lambda: refuse()), plugin)
    before = sys.stdout
    with pytest.raises(SrbenchError) as caught:
        lab.trackers.start()
    assert caught.value.message == words
    assert caught.value.hint == hint
    assert told == [("run", "plan"), "end"]  # the others are told that it is over
    assert sys.stdout is before


@pytest.mark.parametrize("error", [RuntimeError("no luck"),
                                   ModuleNotFoundError("no part of it", name="bad_plugin.part")])
def test_a_fault_at_the_beginning_is_a_warning(tmp_path, error):
    def fail():
        raise error

    plugin, told = diary()
    lab = Lab(tmp_path, tracker("bad", run_started=lambda: fail()), plugin)
    lab.whole()
    assert told == WHOLE
    assert lab.warnings == [f"tracker 'bad': srbench_run_started raised {text}" for text in (
        "no part of it" if "part" in str(error) else "RuntimeError: no luck",)]


def test_one_that_takes_long_to_begin_is_told_later(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "START", 0.1)
    monkeypatch.setattr(module, "CLOSE", 20.0)
    plugin, told = diary()
    plugin.module.srbench_run_started = hookimpl(
        lambda run: (time.sleep(0.4), told.append(("run", run.id))))
    lab = Lab(tmp_path, plugin)
    lab.whole()
    assert told == WHOLE
    assert lab.warnings[0].startswith("tracker 'diary' has not begun within 0.1 s")


def test_without_a_tracker_nothing_happens(tmp_path):
    lab, before = Lab(tmp_path), sys.stdout
    threads = threading.active_count()
    assert not lab.trackers.want_scalars
    lab.trackers.start()
    assert (sys.stdout, threading.active_count()) == (before, threads)
    lab.tell("one", "started")
    lab.trackers.close()


def test_scalars_are_kept_only_for_who_listens_to_them(tmp_path):
    lab = Lab(tmp_path, tracker("deaf", cell_started=lambda run, cell: None))
    assert not lab.trackers.want_scalars
    lab.whole()
    assert lab.warnings == []


def test_by_default_warnings_are_logged_with_a_traceback_where_it_is_asked_for(tmp_path, caplog):
    run = TrackedRun(id="plan", folder=tmp_path, command="", created="", cells=())
    plugin = tracker("bad", run_finished=lambda: 1 / 0)
    for level, traceback in (("WARNING", False), ("DEBUG", True)):
        caplog.clear()
        with caplog.at_level(level, logger=module.__name__):
            trackers = Trackers([plugin], run)
            trackers.start()
            trackers.close()
        assert caplog.records[0].getMessage().startswith("tracker 'bad': srbench_run_finished")
        assert bool(caplog.records[0].exc_info) is traceback


def test_events_are_the_hooks_that_are_called_here():
    assert diary()[0].events == EVENTS


def wait_for(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
