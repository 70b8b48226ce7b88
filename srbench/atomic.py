"""Writes that survive a crash: to a temporary file, flushed, then renamed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from srbench.errors import StoreError


def atomic_write(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file so that after a crash the old or the new content is there, never a part.

    Parameters
    ----------
    path : Path
        Its folder must exist.
    data : bytes
        The whole content.
    durable : bool
        Wait until it is on the disk. Without, a crash of the machine may leave the old content.

    Raises
    ------
    StoreError
        If it cannot be written (disk full, no permission); the old file stays.
    """
    with write_atomically(path, durable=durable) as temporary:
        temporary.write_bytes(data)


def replace_quickly(path: Path, data: bytes) -> None:
    """Replace a file in one step without waiting for the disk; nothing happens if it refuses.

    For what only serves to look at: readers see the old or the new content, never a part.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with suppress(OSError):
        temporary.write_bytes(data)
        temporary.replace(path)


@contextmanager
def write_atomically(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary path in the same folder; it takes the place of ``path`` at the end.

    Raises
    ------
    StoreError
        As `atomic_write`. Where the body raises, ``path`` stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with told_as_store_error(path):
            yield temporary
            if durable:
                sync(temporary)
            temporary.replace(path)
            if durable:
                sync(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def told_as_store_error(path: Path) -> Iterator[None]:
    """Turn the system's errors into `StoreError`."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}",
                         hint="free space, or choose another folder: --runs for results, "
                              "SRBENCH_CACHE for the cache") from error


def sync(path: Path) -> None:
    """Have the system write a file or folder through to the disk."""
    if path.is_dir() and os.name != "posix":
        return  # folders cannot be opened there
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
