"""Files a method makes for itself while it trains, such as generated pairs."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from srbench.atomic import told_as_store_error
from srbench.training.ranks import ALONE, Ranks

FOLDER = ".scratch"  # hidden: not listed among the artefacts of the record
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


class Scratch:
    """Folders that outlive an interrupted training and go with a finished one.

    Parameters
    ----------
    folder : Path or None
        The cell's folder; without one the files live as long as the training.
    ranks : Ranks
        Who use the folders; rank 0 removes them.
    """

    def __init__(self, folder: Path | None, ranks: Ranks = ALONE) -> None:
        self._ranks = ranks
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._root = None if folder is None else folder / FOLDER

    def folder(self, name: str) -> Path:
        """Return the folder ``name``, made when it is first asked for.

        Raises
        ------
        ValueError
            If the name is not one of small letters, digits, ``-`` and ``_``, or there is no
            folder that several processes could share.
        StoreError
            If the disk refuses.
        """
        if not NAME.fullmatch(name):
            raise ValueError(f"scratch folder {name!r}: use small letters, digits, - and _")
        if self._root is None and self._ranks.world > 1:
            raise ValueError("several processes share scratch files in the cell's folder only, and "
                             "this training has none")
        if self._root is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="srbench-")
            self._root = Path(self._temporary.name)
        path = self._root / name
        with told_as_store_error(path):
            path.mkdir(parents=True, exist_ok=True)
        return path

    def clear(self) -> None:
        """Remove every folder."""
        if self._temporary is not None:
            self._temporary.cleanup()
        elif self._root is not None and self._ranks.is_first:
            shutil.rmtree(self._root, ignore_errors=True)
