"""The thread that calls the hooks of one tracker."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from queue import Empty, Queue
from typing import Any, NamedTuple

import pluggy

from srbench.engine.scalars import ScalarsReader
from srbench.errors import MissingDependency, SrbenchError
from srbench.registry import hookspecs
from srbench.registry.events import TrackedCell, TrackedRun
from srbench.registry.inspection import sentence
from srbench.registry.tracker import Tracker
from srbench.results.record import Record
from srbench.results.store import finite

LOOK = 0.3  # seconds between two looks at the scalars of running cells
FAILURES = 5  # times in a row that one hook may raise

Warn = Callable[[str, BaseException | None], None]
"""Shows a warning; the error it is about, if any, for those who want to see a traceback."""


class Call(NamedTuple):
    """One call of a hook that is to be made."""

    hook: str
    cell: TrackedCell | None = None
    record: Record | None = None

    def __str__(self) -> str:
        return self.hook + (f" of {self.cell.name}" if self.cell else "")


class Listener(threading.Thread):
    """Calls the hooks of one tracker, one after the other.

    Parameters
    ----------
    tracker : Tracker
        Whose hooks.
    run : TrackedRun
        What they are told about.
    warn : callable
        Takes what users should know.

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
        self.inbox: Queue[Call] = Queue(maxsize=2 * len(run.cells) + 1)
        self.ready = threading.Event()
        self.refusal: SrbenchError | None = None
        self._hooks = pluggy.PluginManager(hookspecs.PROJECT)
        self._hooks.add_hookspecs(hookspecs)
        self._hooks.register(tracker.module, name=tracker.name)
        self._readers: dict[str, tuple[TrackedCell, ScalarsReader]] = {}
        self._failures: Counter[str] = Counter()
        self._doing = Call("srbench_run_started")
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
                self._make(Call("srbench_scalars", cell), scalars=scalars)
        if reader.full and not full:
            self._warn(f"{cell.name} has told more scalars than are kept; tracker "
                       f"{self.tracker.name!r} sees no more of them", None)

    def _make(self, call: Call, **more: Any) -> None:
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

    def _failed(self, call: Call, error: BaseException) -> None:
        """Warn of what a hook raised; a deliberate error at the beginning ends the run."""
        if call.hook == "srbench_run_started":
            self.refusal = deliberate(error, self.tracker)
            if self.refusal is not None:
                self._off = True
                return
        self._failures[call.hook] += 1
        self._warn(f"tracker {self.tracker.name!r}: {call} raised {sentence(error)}", error)
        if self._failures[call.hook] == FAILURES:
            self._off = True
            self._warn(f"tracker {self.tracker.name!r} is switched off: {call.hook} raised "
                       f"{FAILURES} times in a row", None)


def deliberate(error: BaseException, tracker: Tracker) -> SrbenchError | None:
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
