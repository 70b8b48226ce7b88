"""Tells trackers of a run, each from a thread of its own: a bad one hurts neither run nor others.

A tracker reads the scalars of running cells from their files when it has time to: a slow one lags
behind and loses nothing. Nobody waits for one but the beginning and the end of a run, for a while.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, Queue
from typing import Any, NamedTuple

import pluggy

from srbench.engine.scalars import ScalarsReader
from srbench.errors import MissingDependency, SrbenchError
from srbench.plan import Cell
from srbench.registry import hookspecs
from srbench.registry.events import TrackedCell, TrackedRun
from srbench.registry.inspection import sentence
from srbench.registry.tracker import Tracker
from srbench.results.record import Record
from srbench.results.store import finite

LOOK = 0.3  # seconds between two looks at the scalars of running cells
FAILURES = 5  # times in a row that one hook may raise
START = 60.0  # seconds the beginning waits for a tracker: it may import large packages
CLOSE = 30.0  # seconds the end waits for one
SILENCE = 2.0  # seconds of waiting before a word is said

Warn = Callable[[str, BaseException | None], None]
"""Shows a warning; the error it is about, if any, for those who want to see a traceback."""

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
        self._listeners = [_Listener(tracker, run, warn) for tracker in trackers]
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
            self._tell(_Call("srbench_cell_started", tracked))
        elif kind == "finished" and cell.key in self._started:
            self._tell(_Call("srbench_cell_finished", tracked, event["record"]))

    def close(self) -> None:
        """Tell that the run is over, wait for a while, and say what was not delivered."""
        self._tell(_Call("srbench_run_finished"))
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

    def _tell(self, call: _Call) -> None:
        for listener in self._listeners:
            listener.inbox.put(call)


class _Call(NamedTuple):
    """One call of a hook that is to be made."""

    hook: str
    cell: TrackedCell | None = None
    record: Record | None = None

    def __str__(self) -> str:
        return self.hook + (f" of {self.cell.name}" if self.cell else "")


class _Listener(threading.Thread):
    """Calls the hooks of one tracker, one after the other.

    Parameters
    ----------
    tracker : Tracker
        Whose hooks.
    run : TrackedRun
        What they are told about.
    warn : callable
        As of `Trackers`.

    Attributes
    ----------
    inbox : Queue
        Calls to be made: at most two for a cell, and the last.
    ready : Event
        Set when the tracker has answered the first call.
    refusal : SrbenchError or None
        Why the run is not to begin.
    """

    def __init__(self, tracker: Tracker, run: TrackedRun, warn: Warn) -> None:
        super().__init__(name=f"tracker {tracker.name}", daemon=True)
        self.tracker, self._run, self._warn = tracker, run, warn
        self.inbox: Queue[_Call] = Queue(maxsize=2 * len(run.cells) + 1)
        self.ready = threading.Event()
        self.refusal: SrbenchError | None = None
        self._hooks = pluggy.PluginManager(hookspecs.PROJECT)
        self._hooks.add_hookspecs(hookspecs)
        self._hooks.register(tracker.module, name=tracker.name)
        self._readers: dict[str, tuple[TrackedCell, ScalarsReader]] = {}
        self._failures: Counter[str] = Counter()
        self._doing = _Call("srbench_run_started")
        self._off = False

    def run(self) -> None:
        """Make calls until the last one."""
        self._make(self._doing)
        self.ready.set()
        while self._doing.hook != "srbench_run_finished":
            try:
                call = self.inbox.get(timeout=LOOK if self._readers else None)
            except Empty:
                for cell, reader in self._readers.values():
                    self._follow(cell, reader)
                continue
            if call.cell and call.hook == "srbench_cell_finished":
                self._follow(*self._readers.pop(call.cell.key))
            self._make(call)
            if call.cell and call.hook == "srbench_cell_started":
                self._readers[call.cell.key] = call.cell, ScalarsReader(call.cell.folder)

    def undelivered(self) -> str:
        """Sentence on what the tracker has not taken."""
        waiting = list(self.inbox.queue)
        named = ", ".join(map(str, waiting[:3])) + (f" and {len(waiting) - 3} more calls"
                                                    if len(waiting) > 3 else "")
        return (f"tracker {self.tracker.name!r} is still in {self._doing}"
                + (f"; not delivered: {named}" if waiting else ""))

    def _follow(self, cell: TrackedCell, reader: ScalarsReader) -> None:
        """Deliver the scalars that a cell has told since the last look."""
        if self._off or "srbench_scalars" not in self.tracker.events:
            return
        full = reader.full
        while found := reader.read():
            for scalars in found:
                self._make(_Call("srbench_scalars", cell), scalars=scalars)
        if reader.full and not full:
            self._warn(f"{cell.name} has told more scalars than are kept; tracker "
                       f"{self.tracker.name!r} sees no more of them", None)

    def _make(self, call: _Call, **more: Any) -> None:
        """Call a hook; whatever it raises ends here."""
        self._doing = call
        if self._off or call.hook not in self.tracker.events:
            return
        if call.cell is not None:
            more["cell"] = call.cell
        if call.record is not None:
            more["record"] = finite(call.record).model_dump(mode="json")
        try:
            getattr(self._hooks.hook, call.hook)(run=self._run, **more)
            self._failures[call.hook] = 0
        except BaseException as error:  # arbitrary code, and it may call sys.exit
            self._failed(call, error)

    def _failed(self, call: _Call, error: BaseException) -> None:
        """Warn of what a hook raised; a deliberate error at the beginning ends the run."""
        if call.hook == "srbench_run_started":
            self.refusal = _deliberate(error, self.tracker)
            if self.refusal is not None:
                self._off = True
                return
        self._failures[call.hook] += 1
        self._warn(f"tracker {self.tracker.name!r}: {call} raised {sentence(error)}", error)
        if self._failures[call.hook] == FAILURES:
            self._off = True
            self._warn(f"tracker {self.tracker.name!r} is switched off: {call.hook} raised "
                       f"{FAILURES} times in a row", None)


def _deliberate(error: BaseException, tracker: Tracker) -> SrbenchError | None:
    """The error to end a run with before its first cell; None for a fault of the tracker."""
    if isinstance(error, SrbenchError):
        return error
    if not isinstance(error, ModuleNotFoundError):
        return None
    package = (error.name or "").partition(".")[0]
    if package in {tracker.module.__name__.partition(".")[0], "srbench", ""}:
        return None
    return MissingDependency(f"tracker {tracker.name!r} ({tracker.origin}) needs the package "
                             f"{package!r}, which is not installed",
                             hint=f"pip install {package}, or run without --track {tracker.name}")


class _Stdout:
    """stdout of the process, but stderr for trackers: what they print is not the answer."""

    def __init__(self, stdout: Any) -> None:
        self._stdout = stdout

    def __getattr__(self, name: str) -> Any:
        tracker = isinstance(threading.current_thread(), _Listener)
        return getattr(sys.stderr if tracker else self._stdout, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stdout)
