"""Runs the cells of a plan through an executor until each has a record."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from srbench.atomic import atomic_write
from srbench.engine.executors import LOST, Executor
from srbench.engine.job import JobExit
from srbench.engine.live import read_live
from srbench.engine.lock import is_locked
from srbench.engine.tasks import JobOptions, Running, Waiting
from srbench.engine.verdict import End, Stamp, bare_record, conclude
from srbench.plan import Cell
from srbench.results.record import Record, Status
from srbench.results.store import Store

POLL = 0.05
LOOK = 0.3  # seconds between two looks at what running cells tell
ELSEWHERE = 2.0  # seconds between two looks at cells that another run is working on
BACK_OFF = 5.0  # seconds before a cell that ran out of memory is tried again
LOSSES = 3  # how often a job may lose its machine

OnEvent = Callable[[Cell, dict[str, Any]], None]


class Scheduler:
    """Keeps an executor busy.

    Parameters
    ----------
    store : Store
        Where cells and records lie.
    executor : Executor
        Where jobs run.
    options : JobOptions
        What each job is told.
    on_event : callable
        Receives ``(cell, event)``: started, phase, progress, stopping, elsewhere, retry, finished.
    """

    def __init__(self, store: Store, executor: Executor, *, options: JobOptions | None = None,
                 on_event: OnEvent) -> None:
        self._store, self._executor, self._on_event = store, executor, on_event
        self._options = options or JobOptions()
        self._waiting: deque[Waiting] = deque()
        self._running: list[Running] = []
        self._elsewhere: list[Waiting] = []
        self._records: dict[str, Record] = {}
        self._signals = self._obeyed = 0
        self._looked = 0.0

    @property
    def interrupted(self) -> bool:
        """Whether the user asked to stop."""
        return self._obeyed > 0

    def run(self, cells: Sequence[Cell]) -> list[Record]:
        """Run the cells and return their records in the order of ``cells``.

        The first interrupt asks running cells to write a checkpoint, the second ends them; cells
        not started are recorded as interrupted, so that nothing of the plan vanishes.
        """
        self._waiting = deque(Waiting(cell) for cell in cells)
        with self._signals_counted(), self._none_left_behind():
            while self._waiting or self._running or self._elsewhere:
                self._obey()
                if self.interrupted:
                    self._give_up_waiting()
                else:
                    self._start_what_fits()
                for running in list(self._running):
                    code = self._executor.poll(running.handle)
                    if code is not None:
                        self._running.remove(running)
                        self._collect(running, code)
                self._look()
                if self._running or self._waiting or self._elsewhere:
                    time.sleep(POLL)
        return [self._records[cell.key] for cell in cells]

    @contextmanager
    def _none_left_behind(self) -> Iterator[None]:
        """End what runs when this process cannot go on (a full disk, say); checkpoints stay."""
        try:
            yield
        finally:
            self._executor.close()

    @contextmanager
    def _signals_counted(self) -> Iterator[None]:
        """Count SIGINT and SIGTERM: an exception between two statements could lose a record."""
        def count(*_: object) -> None:
            self._signals += 1

        if threading.current_thread() is not threading.main_thread():
            yield  # signals never reach other threads
            return
        before = {number: signal.signal(number, count)
                  for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start_what_fits(self) -> None:
        """Submit waiting cells in order; a cell that must wait for its time is passed over."""
        for waiting in list(self._waiting):
            if waiting.not_before > time.monotonic():
                continue
            folder = waiting.folder = waiting.folder or describe(waiting.cell, self._store)
            waiting.seen = Stamp.of(folder)
            handle = self._executor.submit(
                waiting.cell, self._options.command(folder, self._executor.name),
                alone=waiting.alone)
            if handle is None:
                return
            self._waiting.remove(waiting)
            self._running.append(Running(waiting, handle, folder))
            self._on_event(waiting.cell, {"event": "started"})
            if self._signals > self._obeyed:
                return

    def _obey(self) -> None:
        """First signal: ask running cells to stop. Second: end them."""
        while self._signals > self._obeyed:
            self._obeyed += 1
            for running in self._running:
                self._executor.cancel(running.handle, now=self._obeyed > 1)
                if self._obeyed == 1:
                    self._on_event(running.cell, {"event": "stopping"})

    def _give_up_waiting(self) -> None:
        """Record what was not started; a record of an earlier run says more and stays.

        What another run works on is left to that run.
        """
        for waiting in [*self._waiting, *self._elsewhere]:
            record = self._store.read(waiting.cell.key)
            if record is None:
                elsewhere = is_locked(self._store.cell_folder(waiting.cell.key))
                record = bare_record(
                    waiting.cell, Status.INTERRUPTED, "another run is working on it" if elsewhere
                    else "not started: the run was interrupted")
                if not elsewhere:
                    describe(waiting.cell, self._store, durable=False)
                    self._store.commit(record, durable=False)
            self._finish(waiting.cell, record)
        self._waiting.clear()
        self._elsewhere.clear()

    def _collect(self, running: Running, code: int) -> None:
        """Take the record of a job that ended, or see to it that the cell runs again."""
        waiting = running.waiting
        if code == JobExit.LOCKED:
            self._elsewhere.append(waiting)
            self._on_event(waiting.cell, {"event": "elsewhere", **_holder(running.folder)})
            return
        if code == LOST and waiting.losses < LOSSES and not self.interrupted:
            waiting.losses += 1
            self._again(waiting, "its machine was lost")
            return
        if code in (JobExit.ENDED, JobExit.INTERRUPTED):
            record = self._store.read(waiting.cell.key)
        else:  # the job itself was killed
            record = conclude(running.folder, End(code=code, who="its job: ",
                                                  stopped=self.interrupted), waiting.seen)
        if record is None:
            record = bare_record(waiting.cell, Status.CRASHED, "the record vanished")
        if record.outcome.status is Status.OOM and not waiting.alone and not self.interrupted:
            waiting.alone, waiting.not_before = True, time.monotonic() + BACK_OFF
            self._again(waiting, "it ran out of memory; next time it runs alone")
            return
        if waiting.notes:
            record.outcome.notes += [f"tried again: {note}" for note in waiting.notes]
            self._store.commit(record)
        self._finish(waiting.cell, record)

    def _again(self, waiting: Waiting, why: str) -> None:
        """Put a cell back in front; it goes on from its checkpoint."""
        waiting.notes.append(why)
        self._waiting.appendleft(waiting)
        self._on_event(waiting.cell, {"event": "retry", "why": why})

    def _finish(self, cell: Cell, record: Record) -> None:
        self._records[cell.key] = record
        self._on_event(cell, {"event": "finished", "record": record})

    def _look(self) -> None:
        """Tell what running cells are doing, and look after those that another run works on."""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        for running in self._running:
            self._tell(running)
        for waiting in list(self._elsewhere):
            if waiting.not_before <= now:
                waiting.not_before = now + ELSEWHERE
                self._look_elsewhere(waiting)

    def _tell(self, running: Running) -> None:
        live = read_live(running.folder)
        place = tuple(live.get(name) for name in ("started", "phase", "stage", "step"))
        if place == running.told or live.get("state") not in ("running", "stopping"):
            return
        if live.get("step") is not None and place[2:] != running.told[2:]:
            self._on_event(running.cell, {**live, "event": "progress"})
        elif live.get("phase"):
            self._on_event(running.cell, {**live, "event": "phase"})
        running.told = place

    def _look_elsewhere(self, waiting: Waiting) -> None:
        """Take the record another run has made, or the cell if that run let go of it."""
        folder = self._store.cell_folder(waiting.cell.key)
        if is_locked(folder):
            return
        self._elsewhere.remove(waiting)
        record = self._store.read(waiting.cell.key)
        if (record is not None and Stamp.of(folder) != waiting.seen
                and record.outcome.status is not Status.INTERRUPTED):
            self._finish(waiting.cell, record)
        else:
            waiting.folder = None  # described anew: that run wrote it last
            self._waiting.append(waiting)


def _holder(folder: Path) -> dict[str, Any]:
    """Process and host of the job that holds a cell, as far as it said."""
    live = read_live(folder)
    return {name: live.get(name, "unknown") for name in ("pid", "host")}


def describe(cell: Cell, store: Store, *, durable: bool = True) -> Path:
    """Write ``cell.json`` and return the cell's folder.

    Where another run is working on the cell its file stays.
    """
    folder = store.cell_folder(cell.key)
    folder.mkdir(parents=True, exist_ok=True)
    if not is_locked(folder):
        atomic_write(folder / "cell.json", cell.model_dump_json(indent=1).encode(),
                     durable=durable)
    return folder
