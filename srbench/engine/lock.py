"""The lock of a cell: whoever holds it runs the cell, and nobody else does."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, SoftFileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from filelock import BaseFileLock

LOCK = ".lock"
# What file systems without locks answer, some network ones among them.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
# Whoever asks holds the lock for an instant; these are the seconds in which that has passed.
INSTANT, ASKING = 0.3, 0.02
EVERY = 0.005


class Locked(Exception):
    """The cell is locked by another process."""


@contextmanager
def locked(folder: Path, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of the cell in ``folder``.

    The system's lock goes with the process that holds it, however that ends. On a file system
    without locks a marker file with process, host and start time takes its place: one of a dead
    process of this host is broken, one of another host never.

    Parameters
    ----------
    folder : Path
        The cell's folder.
    wait : float
        Seconds to wait for another holder.

    Raises
    ------
    Locked
        If somebody else holds it.
    """
    lock = _acquire(folder, max(wait, INSTANT))
    try:
        yield
    finally:
        lock.release()


def is_locked(folder: Path) -> bool:
    """Whether a living process holds the cell's lock; takes it for a moment to find out."""
    if not (folder / LOCK).exists() and not (folder / f"{LOCK}.soft").exists():
        return False
    try:
        _acquire(folder, ASKING).release()
    except Locked:
        return True
    return False


def _acquire(folder: Path, wait: float) -> BaseFileLock:
    """Take the system's lock, or the marker file where the system has none."""
    lock: BaseFileLock = FileLock(folder / LOCK, timeout=wait, poll_interval=EVERY)
    try:
        try:
            lock.acquire()
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            lock = SoftFileLock(folder / f"{LOCK}.soft", timeout=wait, poll_interval=EVERY)
            lock.acquire()
    except Timeout as error:
        raise Locked(f"{folder.name[:12]} is run by another process") from error
    return lock
