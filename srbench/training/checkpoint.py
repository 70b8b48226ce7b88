"""Checkpoints: safetensors and JSON under a manifest of SHA-256, the last two kept.

A checkpoint is written into a hidden folder, flushed to the disk and renamed, manifest last, so a
visible one is whole; one that was torn or altered later is noticed on reading and passed over.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError

from srbench.atomic import sync, told_as_store_error
from srbench.errors import CorruptFile
from srbench.training.codec import decode, encode
from srbench.training.ranks import ALONE, Ranks

FORMAT = 1
KEPT = 2
STATE, TENSORS, MANIFEST = "state.json", "tensors.safetensors", "manifest.json"
TEMPORARY = ".tmp-"

logger = logging.getLogger(__name__)


class CheckpointStore:
    """The checkpoints of one cell.

    Parameters
    ----------
    folder : Path
        Holds one folder for each checkpoint, named by a running number; made when needed.
    ranks : Ranks
        Who reads them; all of them read the same one.
    """

    def __init__(self, folder: Path, ranks: Ranks = ALONE) -> None:
        self._folder, self._ranks = folder, ranks

    def newest_first(self) -> list[Path]:
        """Return the folders of the visible checkpoints."""
        if not self._folder.is_dir():
            return []
        return sorted((path for path in self._folder.iterdir()
                       if path.is_dir() and path.name.isdigit()), reverse=True)

    def write(self, state: dict[str, Any]) -> Path:
        """Write ``state`` as the newest checkpoint and drop all but the last two.

        Parameters
        ----------
        state : dict
            Nested dictionaries, lists and tuples of tensors and scalars.

        Raises
        ------
        StoreError
            If it cannot be written; earlier checkpoints are as they were.
        """
        tensors: dict[str, Any] = {}
        data = encode(state, "state", tensors)
        present = self.newest_first()
        number = int(present[0].name) + 1 if present else 1
        target = self._folder / f"{number:08d}"
        temporary = self._folder / f"{TEMPORARY}{target.name}"
        try:
            with told_as_store_error(target):
                self._folder.mkdir(parents=True, exist_ok=True)
                self._sweep()
                temporary.mkdir()
                _write_files(temporary, json.dumps(data).encode(), safetensors.torch.save(tensors))
                temporary.rename(target)
                sync(self._folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        for old in [target, *present][KEPT:]:
            shutil.rmtree(old, ignore_errors=True)
        return target

    def read(self) -> dict[str, Any] | None:
        """Return the newest checkpoint that is whole for everybody, or None where there is none.

        One that is torn or altered is passed over with a warning.
        """
        for name in self._ranks.follow([path.name for path in self.newest_first()]):
            state = None
            try:
                state = read_checkpoint(self._folder / name)
            except (CorruptFile, OSError) as error:
                logger.warning("checkpoint passed over: %s", error)
            if self._ranks.everywhere(state is not None):
                return state
        return None

    def _sweep(self) -> None:
        """Remove what an interrupted writing left."""
        for path in self._folder.glob(f"{TEMPORARY}*"):
            shutil.rmtree(path, ignore_errors=True)


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """Read and verify one checkpoint.

    Raises
    ------
    CorruptFile
        If a file is missing, torn, altered, or of another format.
    """
    manifest = _json(folder / MANIFEST, _bytes(folder / MANIFEST))
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise CorruptFile(f"{folder / MANIFEST} is not of checkpoint format {FORMAT}")
    contents = {}
    for name in (STATE, TENSORS):
        contents[name] = _bytes(folder / name)
        if hashlib.sha256(contents[name]).hexdigest() != manifest.get("sha256", {}).get(name):
            raise CorruptFile(f"{folder / name} is torn or altered: its SHA-256 is not that of "
                              f"the manifest")
    try:
        tensors = safetensors.torch.load(contents[TENSORS])
    except SafetensorError as error:
        raise CorruptFile(f"{folder / TENSORS} cannot be read: {error}") from error
    state = decode(_json(folder / STATE, contents[STATE]), tensors)
    assert isinstance(state, dict)
    return state


def _write_files(folder: Path, state: bytes, tensors: bytes) -> None:
    """Write the two files and, when they are on the disk, their manifest."""
    digests = {}
    for name, content in ((STATE, state), (TENSORS, tensors)):
        digests[name] = hashlib.sha256(content).hexdigest()
        _write(folder / name, content)
    _write(folder / MANIFEST, json.dumps({"format": FORMAT, "sha256": digests}).encode())
    sync(folder)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    sync(path)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CorruptFile(f"{path} is missing") from error


def _json(path: Path, content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise CorruptFile(f"{path} is not JSON: {error}") from error
