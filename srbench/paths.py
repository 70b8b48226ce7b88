"""Paths a user typed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CWD = "SRBENCH_CWD"
"""Folder the command was typed in; a cell works in a folder of its own."""


def user_path(text: str | Path) -> Path:
    """Return the absolute path a user means.

    ``~`` is known, and a relative one starts where the user typed it, also in a cell's process.

    Parameters
    ----------
    text : str or Path
        As typed, in a parameter or an environment variable.
    """
    return Path(os.environ.get(CWD, "")).absolute() / Path(text).expanduser()


@contextmanager
def typed_in(folder: str) -> Iterator[None]:
    """Read relative paths as if they had been typed in ``folder``."""
    before = os.environ.get(CWD)
    os.environ[CWD] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ[CWD]
        else:
            os.environ[CWD] = before
