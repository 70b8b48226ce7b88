"""The job of one cell: ``python -m srbench.engine.job CELL_FOLDER``, on whatever machine.

A job is this command line, the cell's file and its folder; whatever starts it may kill it and start
it again at any time. It holds the cell's lock, runs the cell in processes of its own, keeps what
they print, enforces the time limit, and sees to it that a record is there in the end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import selectors
import signal
import sys
import time
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from types import FrameType
from typing import Any

from srbench.engine.live import Live
from srbench.engine.lock import Locked, locked
from srbench.engine.logfile import CappedLog
from srbench.engine.oom import OomWatch
from srbench.engine.processes import adopt_orphans, die_with_parent, kill_descendants
from srbench.engine.ranks import Worker, start_workers
from srbench.engine.scalars import ScalarsFile
from srbench.engine.verdict import End, Stamp, conclude
from srbench.engine.worker import WORK

POLL = 0.2
READ = 1 << 20
# A cell that was asked to stop may take this long to end its step and write its checkpoint: a step
# of a paper's preset takes minutes on a CPU.
GRACE = 900.0
LAST_CHANCE = 3.0  # seconds between the time limit and the end, for a checkpoint
PARENT_DIED = signal.SIGHUP  # none that a user or a batch system asks with
OTHER_RANKS = 10.0  # seconds in which ranks follow one that ended


class JobExit(IntEnum):
    """What a job tells the executor that started it."""

    ENDED = 0
    """The cell has a record."""
    INTERRUPTED = 75
    """Stopped before its end; starting the job again goes on from the last checkpoint."""
    LOCKED = 76
    """Another process is running this cell."""


class Job:
    """Runs the processes of one cell to their end.

    Parameters
    ----------
    folder : Path
        The cell's folder, absolute; this process holds its lock.
    options : argparse.Namespace
        ``timeout``, ``grace``, ``rank_timeout`` (s), ``executor`` and ``scalars``.
    """

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self._folder, self._options = folder, options
        self._started, self._clock = datetime.now(UTC), time.monotonic()
        self._before, self._oom = Stamp.of(folder), OomWatch()
        self._signals = self._obeyed = 0
        self._orphaned = False
        self._asked: float | None = None
        self._kill_at = float("inf")
        self._limit = ""
        self._first: Worker | None = None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            signal.signal(number, self._signalled)
        signal.signal(PARENT_DIED, self._lost_parent)

    def run(self) -> JobExit:
        """Start the cell, watch it, and leave its record."""
        cell = json.loads((self._folder / "cell.json").read_bytes())
        sweep(self._folder)
        (self._folder / WORK).mkdir(exist_ok=True)
        self._log = CappedLog(self._folder / "log.txt")
        self._live = Live(self._folder, {
            "key": self._folder.name, "executor": self._options.executor,
            "gpus": os.environ.get("CUDA_VISIBLE_DEVICES", "")})
        self._scalars = ScalarsFile(self._folder) if self._options.scalars else None
        self._output, child_end = os.pipe()
        os.set_blocking(self._output, False)
        self._workers = start_workers(cell, self._folder, child_end, self._options.rank_timeout)
        os.close(child_end)
        try:
            self._watch()
        finally:
            for worker in self._workers:
                worker.kill()
            kill_descendants()
        self._read_out()
        return self._conclude()

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    def _lost_parent(self, number: int, frame: FrameType | None) -> None:
        # Linux sends one for each thread of a killed parent: all of them are one request.
        self._signals += not self._orphaned
        self._orphaned = True

    def _watch(self) -> None:
        """Pass on what the processes say until all have ended."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ, None)
            for worker in self._workers:
                selector.register(worker.pipe, selectors.EVENT_READ, worker)
            while not self._ended():
                for key, _ in selector.select(POLL):
                    if not self._take(key.data):
                        selector.unregister(key.fd)
                self._obey()
                self._enforce()
                self._live.keep_up()
                if self._scalars is not None:
                    self._scalars.keep_up()

    def _take(self, worker: Worker | None) -> bool:
        """Take output, or events of a worker; False when nothing more can come."""
        if worker is None:
            data = os.read(self._output, READ)
            self._log.write(data)
            return bool(data)
        events = worker.events()
        for event in events or ():
            self._tell(worker, event)
        return events is not None

    def _tell(self, worker: Worker, event: dict[str, Any]) -> None:
        """Show an event to those who watch the cell."""
        if event["event"] == "phase":
            worker.fitting = event.get("phase") == "fit"
        if worker.rank == 0 and event["event"] in ("phase", "progress"):
            self._live.update(**{name: value for name, value in event.items()
                                 if name in ("phase", "stage", "step", "steps", "rate", "eta")})
        if self._scalars is not None and worker.rank == 0 and event["event"] == "scalars":
            self._scalars.add(event)

    def _obey(self) -> None:
        """First signal: ask the cell to stop. Second: end it."""
        while self._signals > self._obeyed:
            self._obeyed += 1
            self._live.update(state="stopping")
            if self._asked is None:
                self._asked = time.monotonic()
                self._kill_at = min(self._kill_at, self._asked + self._options.grace)
                for worker in self._workers:
                    worker.ask_to_stop()
            else:
                self._kill_at = 0.0

    def _enforce(self) -> None:
        """End the cell at its limits."""
        now, timeout = time.monotonic(), self._options.timeout
        if timeout is not None and not self._limit and now - self._clock > timeout:
            self._limit = f"ended after {timeout:g} s, the time limit"
            self._kill_at = min(self._kill_at, now + LAST_CHANCE)
            for worker in self._workers:
                worker.ask_to_stop()
        if len(self._workers) > 1:
            self._enforce_ranks(now)
        if now >= self._kill_at:
            for worker in self._workers:
                worker.kill()

    def _enforce_ranks(self, now: float) -> None:
        """End all ranks when rank 0 ended, another failed, or one does not answer."""
        silent = [worker for worker in self._workers
                  if worker.fitting and now - worker.seen > self._options.rank_timeout]
        if silent and not self._limit:
            self._limit = (f"rank {silent[0].rank} did not answer for "
                           f"{self._options.rank_timeout:g} s, the time limit of ranks")
            self._kill_at = 0.0
        if self._first is not None:
            patience = 0.0 if self._first.process.returncode < 0 else OTHER_RANKS
            self._kill_at = min(self._kill_at, now + patience)

    def _ended(self) -> bool:
        """Whether all processes ended; notes which one was the first."""
        running = []
        for worker in self._workers:
            if worker.process.poll() is None:
                running.append(worker)
            elif worker.rank and worker.process.returncode == 0:
                continue  # its part was to train; rank 0 goes on and evaluates
            elif self._first is None or (worker.process.returncode != 0
                                         and self._first.process.returncode == 0):
                self._first = worker
        return not running

    def _read_out(self) -> None:
        """Take what is left in the pipes; nobody can write any more."""
        with contextlib.suppress(BlockingIOError):
            while self._take(None):
                pass
        for worker in self._workers:
            while events := worker.events():
                for event in events:
                    self._tell(worker, event)
        self._log.close()
        if self._scalars is not None:
            self._scalars.flush()

    def _conclude(self) -> JobExit:
        """Leave the record and say how the cell ended."""
        first = self._first or self._workers[0]
        record = conclude(self._folder, End(
            code=first.process.returncode, limit=self._limit, stopped=self._asked is not None,
            who=f"rank {first.rank}: " if len(self._workers) > 1 else "",
            oom=self._oom.hit(), started=self._started), self._before)
        with contextlib.suppress(OSError):
            (self._folder / WORK).rmdir()  # stays if the plugin wrote something
        self._live.end(str(record.outcome.status), record.outcome.reason)
        return (JobExit.INTERRUPTED if record.outcome.status == "interrupted" else JobExit.ENDED)


def sweep(folder: Path) -> None:
    """Remove hidden files that killed writes left in a cell's folder; its lock is ours.

    Those of ``cell.json`` stay: another run may be writing it at this moment.
    """
    for path in [*folder.glob(".tmp-*"), *folder.glob(".*.tmp")]:
        if path.is_file() and not path.name.startswith(".cell.json"):
            path.unlink(missing_ok=True)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line of a job."""
    parser = argparse.ArgumentParser("srbench.engine.job", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--timeout", type=float, help="seconds the cell may take")
    parser.add_argument("--grace", type=float, default=GRACE,
                        help="seconds a cell that is asked to stop may take")
    parser.add_argument("--rank-timeout", type=float, default=600.0,
                        help="seconds in which every rank must answer")
    parser.add_argument("--wait", type=float, default=0.0,
                        help="seconds to wait for another process that runs the cell")
    parser.add_argument("--rerun", action="store_true", help="run it though it is done")
    parser.add_argument("--scalars", action="store_true",
                        help="keep scalars.jsonl for those who track the run")
    parser.add_argument("--executor", default="local", help="who started it, for srbench status")
    parser.add_argument("--parent", type=int, help="stop when this process, the parent, dies")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the job and return its exit code."""
    options = parse(arguments)
    folder = options.folder.absolute()
    if options.parent is not None:
        die_with_parent(PARENT_DIED, options.parent)
    adopt_orphans()
    try:
        with locked(folder, wait=options.wait):
            return JobExit.ENDED if not options.rerun and _is_done(folder) else (
                Job(folder, options).run())
    except Locked as error:
        sys.stderr.write(f"{error}\n")
        return JobExit.LOCKED


def _is_done(folder: Path) -> bool:
    """Whether somebody finished the cell before the lock was ours."""
    from srbench.results.store import RECORD, Store

    if not (folder / RECORD).is_file():
        return False
    record = Store.of_cell(folder).read(folder.name)
    return record is not None and record.outcome.status == "ok"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
