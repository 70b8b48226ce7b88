"""Where a plugin's doings can be seen: functions that are replaced for a while, audit events."""

from __future__ import annotations

import os
import random
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from srbench.files import cache_dir

# Each waits for the device, because its value comes to the host; what is said of it.
SYNCHRONISING = {
    "item": ".item()", "tolist": ".tolist()", "numpy": ".numpy()", "cpu": ".cpu()",
    "nonzero": ".nonzero()", "__float__": "float()", "__int__": "int()",
    "__bool__": "bool() or if", "__index__": "use as an index", "__array__": "conversion to NumPy",
    "__format__": "formatting", "__repr__": "printing"}
SEEDS: tuple[tuple[Any, str], ...] = ((random, "seed"), (np.random, "seed"))
# They write in native code, which no audit hook sees.
WRITERS: tuple[tuple[Any, str, int], ...] = (
    (torch, "save", 1), (safetensors.torch, "save_file", 1))
WRITES = {"open": 0, "os.mkdir": 0, "os.rename": 1, "os.remove": 0, "os.rmdir": 0, "os.link": 1,
          "os.symlink": 1, "os.truncate": 0, "shutil.rmtree": 0}
CACHES = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")


def at(filename: str, line: int) -> str:
    """Return a place in a file, with the name of the package it lies in."""
    path = Path(filename)
    packaged = (path.parent / "__init__.py").is_file()
    return f"{'/'.join(path.parts[-2:]) if packaged else path.name}:{line}"


def allowed_folders() -> tuple[Path, ...]:
    """Where a method may write: its own folder, and caches."""
    home = Path.home()
    # Torch names its cache in the environment, so a process that has a temporary folder of its own
    # still writes into that of the process that started it.
    told = [Path(os.environ[name]) for name in CACHES if os.environ.get(name)]
    folders = (Path.cwd(), Path(tempfile.gettempdir()), cache_dir(), home / ".cache",
               home / ".triton", home / ".nv", Path("/dev"), Path("/proc"), *told)
    return tuple(Path(os.path.realpath(folder)) for folder in folders)


@contextmanager
def patched(owner: Any, name: str,
             around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Replace a function for the body by what ``around`` makes of it."""
    own, original = vars(owner).get(name), getattr(owner, name)
    setattr(owner, name, around(original))
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


def writes(args: tuple[Any, ...]) -> bool:
    """Whether an ``open`` event is for writing."""
    _, mode, flags = args
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def is_local(args: tuple[Any, ...]) -> bool:
    """Whether a socket stays on this machine."""
    local = getattr(socket, "AF_UNIX", None)
    return isinstance(args[0], socket.socket) and args[0].family == local
