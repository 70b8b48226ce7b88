"""Files of ``torch.save`` that others wrote, read in a process that can do nothing else.

``weights_only=True`` runs no code of the file, but torch's reader was broken twice (CVE-2025-32434
before torch 2.6, CVE-2026-24747 before 2.10). So old versions read nothing, and the reader works in
`srbench.foreign.reader`, under limits; only numbers and plain containers come back.
"""

from __future__ import annotations

import json
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from srbench.errors import CorruptFile, MissingDependency, StoreError
from srbench.foreign import reader
from srbench.foreign.helper import run_reader
from srbench.foreign.text import printable

OLDEST = (2, 10)  # of torch
LARGEST_FILE = 8 * 2**30
LONGEST_REPORT = 4096
SAVE_ALONE = "save its state dict alone, with torch.save or as .safetensors"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the reader of one file may use, and what the file may hold.

    Parameters
    ----------
    memory : int
        Bytes beyond what torch takes when it is imported.
    seconds : int
        Of processor time; three times as much may pass on the clock.
    written : int
        Bytes of the hand-over file.
    content : int
        Bytes of all tensors together.
    tensors, entries, depth, text : int
        Tensors, values of any kind, containers inside each other, characters of all names.
    """

    memory: int
    seconds: int
    written: int
    content: int
    tensors: int = 50_000
    entries: int = 500_000
    depth: int = 16
    text: int = 4 * 2**20

    @classmethod
    def of(cls, size: int) -> Limits:
        """For a file of that many bytes."""
        return cls(memory=4 * size + 512 * 2**20, seconds=60 + size // 2**24,
                   written=2 * size + 96 * 2**20, content=2 * size + 64 * 2**20)


def read_torch_file(path: Path, *, limits: Limits | None = None) -> Any:
    """Content of a torch file of unknown origin.

    Parameters
    ----------
    path : Path
        An existing file.
    limits : Limits, optional
        `Limits.of` the file's size by default.

    Returns
    -------
    Any
        Dicts, lists, tuples, numbers, strings and tensors on the CPU. Parameters come back as
        tensors, dtypes and devices as their names.

    Raises
    ------
    CorruptFile
        If it is not whole, holds code, or more than the limits allow.
    MissingDependency
        If torch is too old to read files of others.
    StoreError
        If the hand-over file cannot be written.
    """
    check_version(str(torch.__version__))
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise CorruptFile(f"{path} has {size:,} bytes; checkpoints are read up to "
                          f"{LARGEST_FILE:,}", hint=SAVE_ALONE)
    limits = limits or Limits.of(size)
    with tempfile.TemporaryDirectory(prefix="srbench-") as folder:
        target = Path(folder, "tensors.safetensors")
        request = reader.Request(source=str(path.absolute()), target=str(target),
                                 report=str(Path(folder, "report")), **vars(limits))
        report = _reported(request, path)
        if report["kind"] != "ok":
            raise _error(path, size, report)
        return _handed_over(target, path)


def check_version(version: str) -> None:
    """Raise `MissingDependency` where torch's own reader is known to be unsafe."""
    numbers = tuple(int("".join(filter(str.isdigit, part)) or 0)
                    for part in version.partition("+")[0].split(".")[:2])
    if numbers < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise MissingDependency(
            f"torch {version} can be made to run code by a checkpoint (CVE-2025-32434, "
            f"CVE-2026-24747), so it reads none of others; at least torch {wanted} is needed",
            hint=f"pip install 'torch>={wanted}', or convert the file to .safetensors")


def _reported(request: reader.Request, path: Path) -> dict[str, str]:
    """Have the file read and return what its reader says."""
    try:
        code = run_reader(request, 3 * request.seconds)
    except TimeoutError as error:
        raise CorruptFile(f"reading {path} took more than {3 * request.seconds} s",
                          hint=SAVE_ALONE) from error
    if code == -signal.SIGXCPU:
        raise CorruptFile(f"reading {path} took more than {request.seconds} s of processor time",
                          hint=SAVE_ALONE)
    try:
        with Path(request.report).open("rb") as said:
            report = json.loads(said.read(LONGEST_REPORT))
        return {"kind": str(report["kind"]), "words": str(report["words"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        how = signal.strsignal(-code) if code < 0 else f"exit code {code}"
        raise CorruptFile(f"the reader of {path} broke down: {how}",
                          hint="the file may be malicious: do not use it, or convert it to "
                               ".safetensors on a machine you can lose") from error


def _error(path: Path, size: int, report: dict[str, str]) -> CorruptFile | StoreError:
    """What a report of failure is raised as."""
    words = printable(report["words"])
    if report["kind"] == "code":
        return CorruptFile(f"{path} holds pickled code, which is not run: {words}",
                           hint=SAVE_ALONE)
    if report["kind"] == "refused":
        return CorruptFile(f"{path} is not read: {words}", hint=SAVE_ALONE)
    if report["kind"] == "memory":
        return CorruptFile(f"{path} ({size:,} bytes) claims more memory than its size explains",
                           hint=SAVE_ALONE)
    if report["kind"] == "system":
        return StoreError(f"{path} cannot be read through {tempfile.gettempdir()}: {words}",
                          hint="free space there, or name another folder with TMPDIR")
    return CorruptFile(f"{path} ({size:,} bytes) is not a readable checkpoint: {words}",
                       hint="it may be cut short: fetch it again")


def _handed_over(target: Path, path: Path) -> Any:
    """Rebuild the containers; the hand-over file is trusted no more than the other."""
    try:
        with safe_open(target, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            tree = json.loads((file.metadata() or {})[reader.TREE])
        return rebuild(tree, tensors)
    except (SafetensorError, OSError, LookupError, ValueError, TypeError, RecursionError) as error:
        raise CorruptFile(f"the reader of {path} handed over nothing that can be used",
                          hint="the file may be malicious: do not use it") from error


def rebuild(tree: Any, tensors: dict[str, Tensor], depth: int = 0) -> Any:
    """Value that `srbench.foreign.reader.Flattener` took apart.

    Raises
    ------
    ValueError, LookupError, TypeError
        If it did not.
    """
    kind, content = tree
    if depth > Limits.depth:
        raise ValueError("too deep")
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: rebuild(inner, tensors, depth + 1) for key, inner in content}
    if kind in ("list", "tuple"):
        items = [rebuild(inner, tensors, depth + 1) for inner in content]
        return items if kind == "list" else tuple(items)
    if kind != "value" or isinstance(content, list | dict):
        raise ValueError(f"{kind!r} is no kind of value")
    return content
