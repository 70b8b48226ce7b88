"""Rows of float32 that wait on disk for the end of an evaluation."""

from __future__ import annotations

import logging
import tempfile
from typing import IO, TYPE_CHECKING

import numpy as np

from srbench.files import cache_dir

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

_LOG = logging.getLogger(__name__)


class Spool:
    """Rows written to a file without a name, which is gone with this object.

    A disk that refuses costs what the rows were wanted for, not the evaluation.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._failed = False
        self._rows, self._width = 0, 0

    def add(self, rows: Rows) -> None:
        """Append rows of shape (n, d)."""
        if self._failed:
            return
        try:
            if self._file is None:
                folder = cache_dir() / "features"
                folder.mkdir(parents=True, exist_ok=True)
                self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - as long as self
            self._file.write(np.ascontiguousarray(rows, "<f4").tobytes())
        except OSError as error:
            _LOG.warning("features cannot be kept until the end: %s", error)
            self._failed = True
            return
        self._rows, self._width = self._rows + len(rows), rows.shape[1]

    def rows(self) -> Rows | None:
        """Map all rows, (N, d), read-only; None where there are none or the disk refused."""
        if self._failed or self._file is None or not self._rows:
            return None
        try:
            self._file.flush()
            mapped: Rows = np.memmap(self._file, "<f4", "r", shape=(self._rows, self._width))
        except (OSError, ValueError) as error:
            _LOG.warning("features cannot be read back: %s", error)
            return None
        return mapped
