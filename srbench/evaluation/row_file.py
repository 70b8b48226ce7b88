"""Rows of float32 kept on disk as they come, and read back without loading them.

A file of rows counts only with the note beside it, written last, that says how many there are and
what their hash is. Rows are written with ordinary writes: a mapped file would end the process where
the disk is full.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING
from weakref import finalize

import numpy as np

from srbench.errors import StoreError
from srbench.files import atomic_write, sha256

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

_LOG = logging.getLogger(__name__)


def read_rows(path: Path) -> Rows | None:
    """Map the rows that an earlier `RowWriter` finished; None where they are not whole.

    Parameters
    ----------
    path : Path
        As the writer was given it.

    Returns
    -------
    array or None
        Shape (N, d), read-only, not loaded into memory.
    """
    try:
        note = json.loads(_note(path).read_text(encoding="utf-8"))
        shape = (int(note["rows"]), int(note["width"]))
        if path.stat().st_size != 4 * shape[0] * shape[1] or sha256(path) != note["sha256"]:
            return None
        rows: Rows = np.memmap(path, dtype="<f4", mode="r", shape=shape)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return rows


class RowWriter:
    """Writes rows to a temporary file until all are there, then gives it its name.

    A disk that refuses ends the writing with a warning: what is kept here saves time and nothing
    else.

    Parameters
    ----------
    path : Path
        Where the rows shall be; its folder is created.
    total : int
        How many rows make it whole, at least 1.
    """

    def __init__(self, path: Path, total: int) -> None:
        self.path, self.total, self.written, self.failed = path, total, 0, False
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
        self._hash = hashlib.sha256()
        self._file: IO[bytes] | None = None
        self._forget = finalize(self, _unlink, self._temporary)

    @property
    def complete(self) -> bool:
        """Whether all rows are on disk under their name."""
        return self.written == self.total and not self.failed

    def add(self, rows: Rows, first: int) -> None:
        """Take the rows that start at row ``first``; rows that are there already are passed over.

        Rows must come in order: a gap ends the writing.
        """
        if self.failed or first + len(rows) <= self.written:
            return
        if first != self.written or first + len(rows) > self.total:
            self._fail(f"row {first} came where {self.written} of {self.total} are there")
            return
        try:
            self._append(np.ascontiguousarray(rows, dtype="<f4"))
        except (OSError, StoreError) as error:
            self._fail(str(error))

    def _append(self, rows: Rows) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._temporary.open("wb")
        content = rows.tobytes()
        self._file.write(content)
        self._hash.update(content)
        self.written += len(rows)
        if self.written == self.total:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.replace(self.path)
            note = {"rows": self.total, "width": rows.shape[1], "sha256": self._hash.hexdigest()}
            atomic_write(_note(self.path), json.dumps(note).encode())

    def _fail(self, reason: str) -> None:
        self.failed = True
        _LOG.warning("%s is not kept: %s", self.path.name, reason)
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        self._forget()


def _note(path: Path) -> Path:
    return path.with_suffix(".json")


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
