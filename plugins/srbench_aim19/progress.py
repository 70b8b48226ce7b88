"""Progress of long work: a bar where a person looks on, else a line in the log now and then."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LOG = logging.getLogger(__name__)
_SECONDS = 10.0  # between lines of the log


class Reporter:
    """What `srbench_aim19.importing.on_progress` is unless somebody sets another."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._what = ""
        self._started = self._told = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` steps of ``what`` are done."""
        if what != self._what:
            self.stop()
            self._what, self._started = what, time.monotonic()
            self._told = self._started
            if sys.stderr.isatty():
                self._open(what, total)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done)
        elif time.monotonic() - self._told >= _SECONDS:
            self._told = time.monotonic()
            remaining = (self._told - self._started) * (total - done) / max(done, 1)
            _LOG.info("%s: %d of %d, about %.0f s to go", what, done, total, remaining)
        if done >= total:
            self.stop()

    def stop(self) -> None:
        """Take the bar away, whether or not the work was completed."""
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._task, self._what = None, None, ""

    def _open(self, what: str, total: int) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                             TimeRemainingColumn(), console=Console(stderr=True))
        self._task = self._bar.add_task(what, total=total)
        self._bar.start()
