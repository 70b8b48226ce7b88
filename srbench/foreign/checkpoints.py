"""Checkpoints of others, by the kind of file and by what is known of it."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from srbench.errors import CorruptFile, MissingWeights
from srbench.files import RemoteFile, check
from srbench.foreign.torchfile import LARGEST_FILE, SAVE_ALONE, read_torch_file

LARGEST_HEADER = 16 * 2**20  # bytes; a hundred for each tensor is usual
MOST_TENSORS = 50_000
_UNREADABLE = (  # what the readers raise on bytes that are no checkpoint
    pickle.UnpicklingError,
    SafetensorError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    struct.error,
    OSError,
)


def read_checkpoint(path: Path, *, published: RemoteFile | None = None) -> Any:
    """Content of a checkpoint file, on the CPU, without running code it may hold.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file, or anything ``torch.save`` wrote.
    published : RemoteFile, optional
        The file it must be. One whose whole hash srbench carries is read in this process; any
        other torch file in a process of its own, under limits, which takes two seconds more.

    Returns
    -------
    Any
        What the file holds: for ``.safetensors`` a dict of names to tensors, otherwise whatever
        tensors and plain containers were saved.

    Raises
    ------
    MissingWeights
        If there is no such file.
    CorruptFile
        If the file is truncated, is not a checkpoint, holds pickled code or more than the limits
        allow, or is not the published one.
    MissingDependency
        If torch is too old to read torch files safely.
    """
    if not path.is_file():
        raise MissingWeights(f"no checkpoint at {path}", hint="check the path")
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    if published is not None:
        check(path, published)
        if published.sha256 or published.git_blob_sha1:
            return _read_here(path)
    return read_torch_file(path)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file of unknown origin, by name.

    The format holds numbers and nothing else, and its reader refuses offsets that overlap, leave
    gaps or leave the file; so it is read in this process, once the header has a sane size.

    Raises
    ------
    CorruptFile
        If it is not such a file or too large.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
    header = int.from_bytes(head, "little") if len(head) == 8 else 0
    if size > LARGEST_FILE or LARGEST_HEADER < header <= size:
        raise CorruptFile(f"{path} has {size:,} bytes, of which {header:,} are names; checkpoints "
                          f"are read up to {LARGEST_FILE:,} and {LARGEST_HEADER:,}",
                          hint=SAVE_ALONE)
    try:
        tensors: dict[str, Tensor] = load_file(path, device="cpu")
    except _UNREADABLE as error:
        raise _unreadable(path) from error
    if len(tensors) > MOST_TENSORS:
        raise CorruptFile(f"{path} holds {len(tensors):,} tensors; checkpoints are read up to "
                          f"{MOST_TENSORS:,}", hint=SAVE_ALONE)
    return tensors


def _read_here(path: Path) -> Any:
    """Read a torch file whose hash is known."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> CorruptFile:
    return CorruptFile(f"{path} ({path.stat().st_size:,} bytes) is not a readable checkpoint",
                       hint="it may be cut short: fetch it again")
