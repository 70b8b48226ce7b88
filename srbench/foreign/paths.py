"""Paths that records name: never out of the folder they belong to, never through a link."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from srbench.errors import StoreError


def plain_path(name: str) -> str:
    """Return a relative path as it is, if it cannot leave its folder on any system.

    Raises
    ------
    ValueError
        If it is empty, absolute, climbs, or holds a backslash or what is not printable.
    """
    path = PurePosixPath(name)
    if not name.isprintable() or "\\" in name or name[1:2] == ":":
        raise ValueError(f"{name!r} holds a letter that no path of a record holds")
    if not name or path.is_absolute() or ".." in path.parts or path.as_posix() != name:
        raise ValueError(f"{name!r} is no plain path inside the cell's folder")
    return name


def is_plain_path(name: str) -> bool:
    """Whether `plain_path` takes a name."""
    try:
        return plain_path(name) == name
    except ValueError:
        return False


def plain_file(folder: Path, name: str) -> Path:
    """Path of a regular file below a folder, reached through no link.

    Parameters
    ----------
    folder : Path
        Trusted; may itself be a link.
    name : str
        Of anybody.

    Raises
    ------
    StoreError
        If it is absent, a link or reached through one, no regular file, or outside; the message
        says which, without the folder.
    """
    try:
        path = folder
        for part in PurePosixPath(plain_path(name)).parts:
            path = path / part
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                raise StoreError(f"{path.relative_to(folder)} is a link, which is not followed")
    except ValueError as error:
        raise StoreError(str(error)) from error
    except OSError as error:
        raise StoreError(f"{name}: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise StoreError(f"{name} is no regular file")
    return path


def read_capped(path: Path, most: int) -> bytes:
    """Content of a regular file that is no link and has at most so many bytes.

    Raises
    ------
    StoreError
        If it is none or larger.
    OSError
        If it cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if path.is_symlink():
        raise StoreError(f"{path.name} is a link, which is not followed")
    with os.fdopen(os.open(path, flags), "rb") as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise StoreError(f"{path.name} is no regular file")
        if state.st_size > most:
            raise StoreError(f"{path.name} has {state.st_size:,} bytes; at most {most:,} are read")
        return file.read(most + 1)[:most]
