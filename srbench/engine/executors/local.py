"""Cells on this machine, each in a process group of its own, at most ``jobs`` at a time."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from srbench.engine.events import ENVIRONMENT, EventReader
from srbench.engine.outcome import describe_exit
from srbench.files import atomic_write
from srbench.plan import Cell
from srbench.results.record import Outcome, Record, Status
from srbench.results.store import Store

POLL_SECONDS = 0.2
# A cell that was asked to stop may take this long to end its step and write its checkpoint: a step
# of a paper's preset takes minutes on a CPU. A second interrupt kills it at once.
GRACE_SECONDS = 900.0
LOG_TAIL = 20

OnEvent = Callable[[Cell, dict[str, Any]], None]


class Running:
    """One cell's process and the pipe its events come through."""

    def __init__(self, cell: Cell, store: Store) -> None:
        self.cell = cell
        self.folder = _describe(cell, store)
        (self.folder / "record.json").unlink(missing_ok=True)
        self.started = datetime.now(UTC)
        self.clock = time.monotonic()
        self.reader = EventReader()
        self.timed_out = False
        self.pipe, child_end = os.pipe()
        os.set_blocking(self.pipe, False)
        environment = {**os.environ, ENVIRONMENT: str(child_end), "PYTHONUNBUFFERED": "1",
                       "OMP_NUM_THREADS": str(cell.identity.threads)}
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "srbench.engine.worker", str(self.folder)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(child_end,),
                env=environment, start_new_session=True)
        os.close(child_end)

    def events(self) -> list[dict[str, Any]]:
        """Events that arrived since the last call."""
        try:
            return self.reader.feed(os.read(self.pipe, 1 << 16))
        except BlockingIOError:
            return []

    def ask_to_stop(self) -> None:
        """Let the cell write a checkpoint and end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the whole process group at once, children included."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def close(self) -> int:
        """Wait for the process, release the pipe, return the exit code."""
        code = self.process.wait()
        self.kill()  # children the cell left behind
        os.close(self.pipe)
        return code


class LocalExecutor:
    """Runs cells as processes of this machine.

    Parameters
    ----------
    store : Store
        Where records go.
    jobs : int
        Cells at a time.
    timeout : float or None
        Seconds a cell may take before its process group is killed.
    on_event : callable
        Receives ``(cell, event)``: started, progress, validation, finished.
    """

    def __init__(self, store: Store, *, jobs: int = 1, timeout: float | None = None,
                 on_event: OnEvent) -> None:
        self._store, self._jobs, self._timeout, self._on_event = store, jobs, timeout, on_event
        self._running: list[Running] = []
        self._stopping_since: float | None = None
        self._interrupts = 0

    def run(self, cells: Sequence[Cell]) -> list[Record]:
        """Run the cells and return their records in the order of ``cells``.

        The first interrupt asks running cells to write a checkpoint, the second kills them; cells
        not started are recorded as interrupted, so that nothing of the plan vanishes.
        """
        waiting = deque(cells)
        records: dict[str, Record] = {}
        with self._interrupts_counted(), self._none_left_behind():
            while waiting or self._running:
                while self._interrupts:
                    self._interrupts -= 1
                    self._interrupt()
                while waiting and len(self._running) < self._jobs and not self._interrupts \
                        and not self.interrupted:
                    self._start(waiting.popleft())
                if self.interrupted and waiting:
                    cell = waiting.popleft()
                    records[cell.key] = self._not_started(cell)
                    continue
                self._watch()
                for done in [running for running in self._running if self._ended(running)]:
                    self._running.remove(done)
                    records[done.cell.key] = self._collect(done)
        return [records[cell.key] for cell in cells]

    @property
    def interrupted(self) -> bool:
        """Whether the user asked to stop."""
        return self._stopping_since is not None

    @contextmanager
    def _none_left_behind(self) -> Iterator[None]:
        """Kill what runs when the parent cannot go on (a full disk, say); checkpoints stay."""
        try:
            yield
        finally:
            for running in self._running:
                running.kill()
                running.close()
            self._running.clear()

    @contextmanager
    def _interrupts_counted(self) -> Iterator[None]:
        """Count SIGINT and SIGTERM: an exception between two statements could lose a record."""
        def count(*_: object) -> None:
            self._interrupts += 1

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

    def _start(self, cell: Cell) -> None:
        self._running.append(Running(cell, self._store))
        self._on_event(cell, {"event": "started"})

    def _watch(self) -> None:
        """Pass on events until one arrives or the poll time is over."""
        with selectors.DefaultSelector() as selector:
            for running in self._running:
                selector.register(running.pipe, selectors.EVENT_READ, running)
            ready = selector.select(POLL_SECONDS)
        for key, _ in ready:
            events = key.data.events()
            for event in events:
                self._on_event(key.data.cell, event)
        if ready and not any(running.process.poll() is None for running in self._running):
            return
        if ready:
            time.sleep(0.02)  # a closed pipe is always ready; do not spin on it

    def _ended(self, running: Running) -> bool:
        """Whether the process ended; enforces the time limits."""
        now = time.monotonic()
        if self._timeout is not None and now - running.clock > self._timeout:
            running.timed_out = True
            running.kill()
        if self._stopping_since is not None and now - self._stopping_since > GRACE_SECONDS:
            running.kill()
        return running.process.poll() is not None

    def _collect(self, running: Running) -> Record:
        """The record the cell committed, or the one we write in its place."""
        for event in running.events():
            self._on_event(running.cell, event)
        code = running.close()
        record = self._store.read(running.cell.key)
        if record is None:
            record = self._record_for_the_dead(running, code)
        elif record.outcome.status is not Status.OK:
            record.outcome.log_tail = log_tail(running.folder / "log.txt")
            self._store.commit(record)
        self._on_event(running.cell, {"event": "finished", "record": record})
        return record

    def _record_for_the_dead(self, running: Running, code: int) -> Record:
        status, reason = Status.CRASHED, describe_exit(code)
        if running.timed_out:
            status, reason = Status.TIMEOUT, f"killed after {self._timeout:g} s, the time limit"
        elif self.interrupted:
            status, reason = Status.INTERRUPTED, f"stopped by the user: {reason}"
        record = _bare_record(running.cell, status, reason, running.started)
        record.outcome.exit_detail = describe_exit(code)
        record.outcome.log_tail = log_tail(running.folder / "log.txt")
        self._store.commit(record)
        return record

    def _not_started(self, cell: Cell) -> Record:
        _describe(cell, self._store)
        record = _bare_record(cell, Status.INTERRUPTED, "not started: the run was interrupted",
                              datetime.now(UTC))
        self._store.commit(record)
        self._on_event(cell, {"event": "finished", "record": record})
        return record

    def _interrupt(self) -> None:
        """First time: ask; second time: kill."""
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
            for running in self._running:
                running.ask_to_stop()
                self._on_event(running.cell, {"event": "stopping"})
        else:
            for running in self._running:
                running.kill()


def _describe(cell: Cell, store: Store) -> Path:
    """Write ``cell.json`` and return the cell's folder."""
    folder = store.cell_folder(cell.key)
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / "cell.json", cell.model_dump_json(indent=1).encode())
    return folder


def _bare_record(cell: Cell, status: Status, reason: str, started: datetime) -> Record:
    """A record for a cell whose own process could not write one."""
    outcome = Outcome(status=status, reason=reason,
                      started=started.isoformat(timespec="seconds"),
                      finished=datetime.now(UTC).isoformat(timespec="seconds"))
    return Record(identity=cell.identity, origin=cell.origin, outcome=outcome)


def log_tail(path: Path, lines: int = LOG_TAIL) -> list[str]:
    """Last lines of a log of any size."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 8192))
        return file.read().decode("utf-8", errors="replace").splitlines()[-lines:]
