"""Reads files of ``torch.save`` in processes of their own; started by `srbench.foreign.helper`.

It is run by its path and imports nothing of srbench. Each line of stdin is the JSON form of a
`Request`; for each a process is forked, which opens three files, then gives up the right to open
any more (so no connection and no program either) and to use more memory, time or disk than the
request allows; only then are the bytes looked at. What is found goes to ``target`` as safetensors,
whose metadata hold the containers around the tensors; one line of JSON in ``report`` says what
happened, and a line on stdout how the process ended.
"""

from __future__ import annotations

import io
import json
import os
import re
import resource
import select
import sys
from pathlib import Path
from typing import IO, Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor

TREE = "tree"  # the entry of the metadata
LONGEST = 500  # characters of what is said
PATIENCE = 10.0  # seconds without a request after which the process ends
LARGEST_INTEGER = 1 << 128
Key = tuple[Any, ...]


class Request(NamedTuple):
    """What to read, where to put it, and the limits; see `srbench.foreign.torchfile.Limits`."""

    source: str
    target: str
    report: str
    memory: int
    seconds: int
    written: int
    content: int
    tensors: int
    entries: int
    depth: int
    text: int


class Refused(Exception):
    """Content that no file of weights needs."""


class NotWritten(Exception):
    """The system does not take the hand-over file."""


class Flattener:
    """Takes containers apart: tensors into a flat dict, the rest into JSON.

    Parameters
    ----------
    request : Request
        Its limits hold for all that is taken.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.tensors: dict[str, Tensor] = {}
        self._names: dict[Key, str] = {}
        self._entries = self._text = self._bytes = 0

    def take(self, value: Any, place: str = "", depth: int = 0) -> list[Any]:
        """JSON form of a value found at a place, ``[kind, content]``.

        Raises
        ------
        Refused
            If it is nothing that a file of weights needs, or too much of it.
        """
        self._entries += 1
        _cap("entries", self._entries, self.request.entries)
        _cap("levels of containers", depth, self.request.depth)
        if isinstance(value, Tensor):
            return ["tensor", self._tensor(value, place)]
        if isinstance(value, dict):
            return ["dict", [[self._scalar(key, place),
                              self.take(inner, f"{place}.{key}"[-200:], depth + 1)]
                             for key, inner in value.items()]]
        if isinstance(value, list | tuple):
            return ["list" if isinstance(value, list) else "tuple",
                    [self.take(inner, f"{place}[{index}]"[-200:], depth + 1)
                     for index, inner in enumerate(value)]]
        return ["value", self._scalar(value, place)]

    def _scalar(self, value: Any, place: str) -> Any:
        if isinstance(value, torch.dtype | torch.device):
            value = str(value)
        if isinstance(value, str):
            self._text += len(value)
            _cap("characters of text", self._text, self.request.text)
        plain = value is None or type(value) in (bool, int, float, str)
        if not plain or (type(value) is int and abs(value) >= LARGEST_INTEGER):
            raise Refused(f"it holds a {type(value).__name__} at {place or 'the top'!r}")
        return value

    def _tensor(self, value: Tensor, place: str) -> str:
        if value.layout is not torch.strided or value.is_quantized or value.device.type != "cpu":
            raise Refused(f"it holds a tensor of another kind than plain numbers at {place!r}")
        plain = value.detach()
        key = (plain.data_ptr(), plain.dtype, tuple(plain.shape), plain.stride(), plain.is_conj(),
               plain.is_neg())
        if key not in self._names:
            self._bytes += plain.numel() * plain.element_size()
            _cap("bytes of tensors", self._bytes, self.request.content)
            _cap("tensors", len(self.tensors) + 1, self.request.tensors)
            self._names[key] = str(len(self.tensors))
            self.tensors[self._names[key]] = _own_memory(plain)
        return self._names[key]


def _cap(what: str, found: int, most: int) -> None:
    if found > most:
        raise Refused(f"it holds more than {most:,} {what}")


def _own_memory(tensor: Tensor) -> Tensor:
    """Contiguous values that share memory with no other tensor, as safetensors wants them."""
    values = tensor.resolve_conj().resolve_neg().contiguous()
    shared = values.untyped_storage().nbytes() != values.numel() * values.element_size()
    return values.clone() if shared else values


def give_up_rights(request: Request) -> None:
    """Limit what this process may still do; whoever takes it over has no more than that."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, request.seconds)
    _limit(resource.RLIMIT_FSIZE, request.written)
    used = Path("/proc/self/statm")
    if used.exists():  # elsewhere the system does not say what is taken already
        pages = int(used.read_text(encoding="ascii").split()[0])
        _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + request.memory)
    _limit(resource.RLIMIT_NPROC, 0)  # binds all but root, who cannot start programs either:
    _limit(resource.RLIMIT_NOFILE, 0)  # their files could not be opened


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def warm_up() -> None:
    """Read good and bad files once, so that nothing has to be imported later."""
    for new in (True, False):
        buffer = io.BytesIO()
        torch.save({"a": [torch.zeros(2)]}, buffer, _use_new_zipfile_serialization=new)
        for content in (buffer.getvalue(), buffer.getvalue()[:40]):
            try:
                found = load(io.BytesIO(content))
                safetensors.torch.save({"a": found["a"][0]}, metadata={TREE: json.dumps([])})
            except Exception as error:  # whatever torch says of damaged bytes
                str(error)


def load(file: IO[bytes]) -> Any:
    """What a torch file holds, without running code in it."""
    return torch.load(file, map_location="cpu", weights_only=True)


def read(source: IO[bytes], target: IO[bytes], request: Request) -> None:
    """Read, take apart, hand over."""
    flattener = Flattener(request)
    tree = flattener.take(load(source))
    content = safetensors.torch.save(flattener.tensors, metadata={TREE: json.dumps(tree)})
    try:
        target.write(content)
        target.flush()
    except OSError as error:
        raise NotWritten(error.strerror) from error


def told(error: Exception) -> dict[str, str]:
    """Kind and words of what went wrong; torch's advice to trust the file is left out."""
    words = str(error)
    kind = "unreadable"
    if isinstance(error, Refused):
        kind = "refused"
    elif isinstance(error, MemoryError) or "allocate memory" in words or "bad_alloc" in words:
        kind = "memory"
    elif named := re.search(r"unsupported (?:global: )?GLOBAL (\S+)", words, re.IGNORECASE):
        kind, words = "code", f"it names {named[1]}"
    elif isinstance(error, NotWritten):
        kind = "system"
    lines = [line.rpartition("WeightsUnpickler error: ")[2].strip() for line in words.split("\n")]
    said = [line for line in lines if line and "weights_only" not in line]
    return {"kind": kind, "words": (said or [type(error).__name__])[0][:LONGEST]}


def serve_one(request: Request) -> None:
    """Do what a request says and report it; in a process for this alone."""
    report: dict[str, str] = {"kind": "ok", "words": ""}
    with (Path(request.source).open("rb") as source, Path(request.target).open("wb") as target,
          Path(request.report).open("wb") as said, Path(os.devnull).open("r+b") as nothing):
        os.dup2(nothing.fileno(), 0)
        os.dup2(nothing.fileno(), 1)  # the next request and its answer are not this process's
        give_up_rights(request)
        try:
            read(source, target, request)
        except Exception as error:  # bytes of anybody may raise anything
            report = told(error)
        said.write(json.dumps(report).encode())


def main() -> None:
    """Answer requests until there are none for a while, or nobody is left who could ask."""
    torch.set_num_threads(1)
    warm_up()
    while select.select([0], [], [], PATIENCE)[0]:
        line = sys.stdin.buffer.readline()
        if not line:
            return
        process = os.fork()
        if process == 0:
            code = 1
            try:
                serve_one(Request(**json.loads(line)))
                code = 0
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        sys.stdout.write(f"{code}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
