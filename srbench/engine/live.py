"""``live.json`` beside a record: what a cell is doing now, for anybody who looks."""

from __future__ import annotations

import json
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from srbench.atomic import replace_quickly

LIVE = "live.json"
INTERVAL = 0.3  # seconds between two writes


class Live:
    """Writes what a cell is doing; each write replaces the last one and none is flushed.

    Parameters
    ----------
    folder : Path
        The cell's folder.
    facts : dict
        What stays the same, such as the executor's name.
    """

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self._path = folder / LIVE
        self._values: dict[str, Any] = {
            "state": "running", "pid": os.getpid(), "host": socket.gethostname(),
            "started": now(), **facts}
        self._written = float("-inf")
        self._pending = True
        self.flush()

    def update(self, **values: Any) -> None:
        """Change some values; written at once if the last write was long enough ago."""
        self._values |= values
        self._pending = True
        self.keep_up()

    def keep_up(self) -> None:
        """Write what waits, if the last write was long enough ago; call it now and then."""
        if time.monotonic() - self._written >= INTERVAL:
            self.flush()

    def flush(self) -> None:
        """Write what has not been written."""
        if self._pending:
            self._values["updated"] = now()
            replace_quickly(self._path, json.dumps(self._values, default=str).encode())
            self._written, self._pending = time.monotonic(), False

    def end(self, state: str, reason: str) -> None:
        """Write how the cell ended."""
        self._values |= {"state": state, "reason": reason, "finished": now()}
        self._pending = True
        self.flush()


def read_live(folder: Path) -> dict[str, Any]:
    """What ``live.json`` says; empty where there is none or it is damaged."""
    try:
        values = json.loads((folder / LIVE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def now() -> str:
    """Time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
