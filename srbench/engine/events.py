"""Events a cell's process sends to its parent: one JSON object per line through a pipe."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

ENVIRONMENT = "SRBENCH_EVENTS_FD"
OF_CELLS = ("phase", "progress", "validation", "scalars", "checkpoint", "done")
LONGEST = 1 << 20  # bytes of a line; no event comes near it


class EventWriter:
    """The child's end. Without a pipe (a worker started by hand) events are dropped.

    Parameters
    ----------
    descriptor : int or None
        File descriptor of the pipe's writing end.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    @classmethod
    def from_environment(cls) -> EventWriter:
        """Open the pipe the parent announced."""
        text = os.environ.pop(ENVIRONMENT, "")
        return cls(int(text) if text else None)

    def __call__(self, event: dict[str, Any]) -> None:
        """Send one event; a parent that is gone does not stop the cell."""
        if self._descriptor is None:
            return
        line = json.dumps(event, default=str) + "\n"
        try:
            os.write(self._descriptor, line.encode())
        except OSError:
            self._descriptor = None


class EventReader:
    """The parent's end: collects bytes and gives back whole events."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take bytes from the pipe; a line that is no event of a cell is dropped.

        A cell is foreign code and may write to any descriptor, so nothing is assumed.
        """
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > LONGEST:
            self._buffer = b""
        events: list[dict[str, Any]] = []
        for line in lines:
            with contextlib.suppress(ValueError, RecursionError):  # the latter: "[[[[..."
                event = json.loads(line)
                if isinstance(event, dict) and event.get("event") in OF_CELLS:
                    events.append(event)
        return events
