"""What a cell prints, kept in ``log.txt`` up to a size: the beginning and the end."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from pathlib import Path

HEAD = 4 << 20  # bytes kept from the beginning of an attempt
TAIL = 256 << 10  # bytes kept from its end
LINES = 20


class CappedLog:
    """Appends to a log; what goes beyond the head is held back but for its tail.

    A disk that is full stops the log, not the cell.

    Parameters
    ----------
    path : Path
        The log. Earlier attempts stay in it, up to their own tail.
    head, tail : int
        Bytes kept from the beginning and the end of this attempt.
    """

    def __init__(self, path: Path, *, head: int = HEAD, tail: int = TAIL) -> None:
        self._path, self._head, self._tail = path, head, tail
        self._room, self._left_out = head, 0
        self._held: deque[bytes] = deque()
        self._held_size = 0
        with suppress(OSError):
            path.touch()
            self._shorten_earlier()

    def write(self, data: bytes) -> None:
        """Take what the cell printed."""
        if self._room > 0:
            now, data = data[:self._room], data[self._room:]
            self._room -= len(now)
            self._append(now)
        if not data:
            return
        self._held.append(data)
        self._held_size += len(data)
        while self._held_size - len(self._held[0]) >= self._tail:
            gone = len(self._held.popleft())
            self._held_size -= gone
            self._left_out += gone

    def close(self) -> None:
        """Append the tail that was held back."""
        held = b"".join(self._held)
        cut = max(0, len(held) - self._tail)
        self._left_out += cut
        if self._left_out:
            self._append(f"\n[... {self._left_out:,} bytes left out ...]\n".encode())
        self._append(held[cut:])
        self._held.clear()
        self._held_size = 0

    def _append(self, data: bytes) -> None:
        if data:
            with suppress(OSError), self._path.open("ab") as file:
                file.write(data)

    def _shorten_earlier(self) -> None:
        """Keep only the end of earlier attempts that filled their share."""
        if self._path.is_file() and self._path.stat().st_size > self._head:
            with self._path.open("rb") as file:
                file.seek(-self._tail, 2)
                end = file.read()
            self._path.write_bytes(b"[... earlier attempts left out ...]\n" + end)


def log_tail(path: Path, lines: int = LINES) -> list[str]:
    """Last lines of a log of any size."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 8192))
        return file.read().decode("utf-8", errors="replace").splitlines()[-lines:]
