"""``scalars.jsonl`` beside a record: the scalars of a training for those who track the run.

The job of a cell appends what its process tells, several times a second at most; trackers read the
file on, wherever the job runs. A training that goes on from a checkpoint repeats the steps since
then: what an earlier attempt has told is not told again.
"""

from __future__ import annotations

import json
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from srbench.registry.events import Scalars

FILE = "scalars.jsonl"
LARGEST = 1 << 26  # bytes of the file: some 300,000 lines
LONGEST = 1 << 20  # bytes of a line
PART = 2 * LONGEST  # bytes that are read at once
INTERVAL = 0.3  # seconds between two writes
FULL = {"full": True}


class ScalarsFile:
    """The job's end.

    Parameters
    ----------
    folder : Path
        The cell's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lines: list[bytes] = []
        self._written = float("-inf")
        self._told: set[tuple[str, str, int]] = set()
        self._rows = 0
        content = _read_from(self._path, 0, LARGEST + LONGEST)
        self._size = len(content)
        for line in content.split(b"\n"):
            event = _event(line)
            found = as_scalars(event)
            if found is not None:
                self._told.add((found.kind, found.stage, found.step))
                self._rows = max(self._rows, _row(event) + len(found.values))
        if content and not content.endswith(b"\n"):  # the job died in the middle of a line
            self._lines.append(b"\n")

    def add(self, event: dict[str, Any]) -> None:
        """Keep what a cell's process tells, unless it is no such event or was told before."""
        found = as_scalars(event)
        if found is None or self._size > LARGEST:
            return
        # A row of the history may be another one where a limit of time moved the validations.
        if _row(event) < self._rows and (found.kind, found.stage, found.step) in self._told:
            return
        line = json.dumps({**vars(found), "row": _row(event)}).encode() + b"\n"
        self._size += len(line)
        self._lines.append(line if self._size <= LARGEST else json.dumps(FULL).encode() + b"\n")
        self.keep_up()

    def keep_up(self) -> None:
        """Write what waits, if the last write was long enough ago; call it now and then."""
        if self._lines and time.monotonic() - self._written >= INTERVAL:
            self.flush()

    def flush(self) -> None:
        """Write what waits; a disk that refuses does not stop the cell."""
        lines, self._lines = self._lines, []
        if lines:
            with suppress(OSError):
                # The folder is the cell's, so that a link may lie there.
                target = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT
                                 | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
                try:
                    os.write(target, b"".join(lines))
                finally:
                    os.close(target)
        self._written = time.monotonic()


class ScalarsReader:
    """Reads the file of a cell from its beginning, and on as it grows.

    Parameters
    ----------
    folder : Path
        The cell's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._at = folder / FILE, 0
        self.full = False

    def read(self) -> list[Scalars]:
        """Return the next scalars, in order; empty where there are none by now."""
        found: list[Scalars] = []
        while not found:
            data = _read_from(self._path, self._at, PART)
            whole = data.rfind(b"\n") + 1
            if not whole:
                # Too long for a line of ours: passed over, or the rest would never be seen.
                self._at += len(data) if len(data) == PART else 0
                return found
            self._at += whole
            events = [_event(line) for line in data[:whole].split(b"\n")]
            self.full = self.full or FULL in events
            found = [one for one in map(as_scalars, events) if one is not None]
        return found


def as_scalars(event: object) -> Scalars | None:
    """Scalars of an event; None for what is none, since a cell is foreign code."""
    if not isinstance(event, dict):
        return None
    try:
        values = {str(name): float(value) for name, value in event["values"].items()}
        kind = event["kind"]
        if kind not in ("train", "validation") or not values:
            return None
        return Scalars(kind=kind, stage=str(event["stage"]), step=int(event["step"]),
                       seconds=float(event["seconds"]), images=int(event["images"]),
                       calls=int(event["calls"]), values=values)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def forget_scalars(folder: Path) -> None:
    """Remove the file of a cell that is trained again from its first step."""
    with suppress(OSError):
        (folder / FILE).unlink()


def _event(line: bytes) -> Any:
    """Parse a line; None for a damaged one."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _row(event: dict[str, Any]) -> int:
    """Row of the history at which the values stand."""
    row = event.get("row")
    return row if type(row) is int else 0


def _read_from(path: Path, offset: int, size: int) -> bytes:
    """Read a part of a file; empty where it is none, or no plain file."""
    try:
        source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            return b""
        return os.pread(source, size, offset)
    except OSError:
        return b""
    finally:
        os.close(source)
