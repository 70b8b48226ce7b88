"""Whether the kernel killed a process for want of memory: its own counters tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


class OomWatch:
    """Counts the kills of the kernel's out-of-memory killer since it was made.

    The counter is that of the control group of the asking process, in which a cell's process is
    too; where the system shows none, that of the whole machine.

    Parameters
    ----------
    root : Path
        Where control groups are mounted, version 1, 2 or both.
    proc : Path
        Where the kernel shows processes.
    """

    def __init__(self, root: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc")) -> None:
        self._root, self._proc = root, proc
        self._counter, self._before = self._find()

    def hit(self) -> bool:
        """Whether anything was killed for want of memory since this watch was made."""
        if self._counter is None:
            return False
        now = _read(self._counter)
        return now is not None and now > self._before

    def _find(self) -> tuple[Path | None, int]:
        """The nearest counter that can be read, and its value."""
        for path in self._places():
            value = _read(path)
            if value is not None:
                return path, value
        return None, 0

    def _places(self) -> Iterator[Path]:
        """Where counters may be, the nearest first.

        In a container the own group may be mounted as the root, whatever it is called outside.
        """
        for line in _text(self._proc / "self" / "cgroup").splitlines():
            number, _, rest = line.partition(":")
            controllers, _, group = rest.partition(":")
            inside = group.strip("/")
            if "memory" in controllers.split(","):
                for folder in (self._root / "memory" / inside, self._root / "memory"):
                    yield folder / "memory.oom_control"
            elif number == "0":
                for mount in (self._root, self._root / "unified"):
                    for folder in (mount / inside, mount):
                        yield folder / "memory.events"
        yield self._proc / "vmstat"


def _read(path: Path) -> int | None:
    found = _KILLS.search(_text(path))
    return int(found[1]) if found else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
