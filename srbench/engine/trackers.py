"""Tells trackers of a run, each from a thread of its own: a bad one hurts neither run nor others.

A tracker reads the scalars of running cells from their files when it has time to: a slow one lags
behind and loses nothing. Nobody waits for one but the beginning and the end of a run, for a while.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from srbench.engine.listener import Call, Listener, Warn
from srbench.plan import Cell
from srbench.registry.events import TrackedRun
from srbench.registry.tracker import Tracker

START = 60.0  # seconds the beginning waits for a tracker: it may import large packages
CLOSE = 30.0  # seconds the end waits for one
SILENCE = 2.0  # seconds of waiting before a word is said

logger = logging.getLogger(__name__)


def log(text: str, error: BaseException | None) -> None:
    """Log a warning, with the traceback where the log is of the level DEBUG."""
    logger.warning("%s", text, exc_info=error if logger.isEnabledFor(logging.DEBUG) else None)


class Trackers:
    """The trackers of one run.

    Parameters
    ----------
    trackers : sequence of Tracker
        Those that were asked for.
    run : TrackedRun
        What they are told about.
    warn : callable
        Takes what users should know, from any thread.
    """

    def __init__(self, trackers: Sequence[Tracker], run: TrackedRun, warn: Warn = log) -> None:
        self._warn = warn
        self._cells = {cell.key: cell for cell in run.cells}
        self._started: set[str] = set()
        self._listeners = [Listener(tracker, run, warn) for tracker in trackers]
        self._stdout: Any = None

    @property
    def want_scalars(self) -> bool:
        """Whether cells are to keep their scalars."""
        return any("srbench_scalars" in listener.tracker.events for listener in self._listeners)

    def start(self) -> None:
        """Tell that the run starts, and wait for the answers.

        Raises
        ------
        SrbenchError
            That a tracker raised, a missing package above all: the run is not to begin.
        """
        if self._listeners:
            self._stdout, sys.stdout = sys.stdout, _Stdout(sys.stdout)
        deadline = time.monotonic() + START
        for listener in self._listeners:
            listener.start()
        for listener in self._listeners:
            if not listener.ready.wait(deadline - time.monotonic()):
                self._warn(f"tracker {listener.tracker.name!r} has not begun within {START:g} s; "
                           "the run begins without it, and tells it later", None)
        for listener in self._listeners:
            if listener.refusal is not None:
                self.close()
                raise listener.refusal

    def on_event(self, cell: Cell, event: dict[str, Any]) -> None:
        """Take an event of the scheduler; returns at once."""
        tracked, kind = self._cells.get(cell.key), event["event"]
        if tracked is None:
            return
        if kind == "started" and cell.key not in self._started:
            self._started.add(cell.key)
            self._tell(Call("srbench_cell_started", tracked))
        elif kind == "finished" and cell.key in self._started:
            self._tell(Call("srbench_cell_finished", tracked, event["record"]))

    def close(self) -> None:
        """Tell that the run is over, wait for a while, and say what was not delivered."""
        self._tell(Call("srbench_run_finished"))
        started = time.monotonic()
        with suppress(KeyboardInterrupt):  # the user does not want to wait
            for listener in self._listeners:
                listener.join(SILENCE - (time.monotonic() - started))
                if listener.is_alive():
                    self._warn(f"waiting up to {CLOSE:g} s for tracker {listener.tracker.name!r}; "
                               "Ctrl-C goes on without it", None)
                    listener.join(CLOSE - (time.monotonic() - started))
        stuck = [listener for listener in self._listeners if listener.is_alive()]
        for listener in stuck:
            self._warn(listener.undelivered(), None)
        # What a stuck tracker may yet print is still no answer.
        if not stuck and isinstance(sys.stdout, _Stdout):
            sys.stdout = self._stdout

    def _tell(self, call: Call) -> None:
        for listener in self._listeners:
            listener.inbox.put(call)


class _Stdout:
    """stdout of the process, but stderr for trackers: what they print is not the answer."""

    def __init__(self, stdout: Any) -> None:
        self._stdout = stdout

    def __getattr__(self, name: str) -> Any:
        tracker = isinstance(threading.current_thread(), Listener)
        return getattr(sys.stderr if tracker else self._stdout, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stdout)
