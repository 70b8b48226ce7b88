"""What a method changes in its process besides itself: found, put back, and said in the record.

A cell has a process of its own, so nothing of this reaches another cell. It could reach the
evaluation, whose numbers must not depend on what a method left behind.
"""

from __future__ import annotations

import builtins
import contextlib
import gc
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

# Where functions that numbers depend on may be replaced.
OWNERS: tuple[Any, ...] = (builtins, random, time, np, np.linalg, np.random, torch, torch.Tensor,
                           torch.linalg, functional)
# They replace functions of their own and keep threads, e.g. when compiling.
LIBRARIES = ("torch", "numpy", "concurrent")
# Variables that libraries set by themselves on first use.
THEIR_VARIABLES = ("CUDA_MODULE_LOADING", "KMP_", "TORCH", "_TORCH", "TRITON_", "NCCL_", "PYTORCH_")
NAMED = 5  # of each kind, in a sentence
BACK = "put back before the evaluation"


@dataclass(frozen=True)
class Setting:
    """One setting of the process.

    Attributes
    ----------
    name : str
        In words.
    get, put : callable
        Read it, and set it to what was read.
    shown : bool
        Whether its values may stand in a record, which holds no paths.
    """

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], object]
    shown: bool = True


def _of(owner: Any, attribute: str) -> tuple[Callable[[], Any], Callable[[Any], object]]:
    return lambda: getattr(owner, attribute), lambda value: setattr(owner, attribute, value)


def _settings() -> Iterator[Setting]:
    """Every setting that is looked at."""
    backends: Any = torch.backends
    yield Setting("the working directory", os.getcwd, os.chdir, shown=False)
    yield Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype)
    yield Setting("torch's default device", torch.get_default_device,
                  lambda value: torch.set_default_device(None if value.type == "cpu" else value))
    yield Setting("the number of torch's threads", torch.get_num_threads, torch.set_num_threads)
    yield Setting("whether gradients are recorded", torch.is_grad_enabled, torch.set_grad_enabled)
    yield Setting("torch's anomaly detection", torch.is_anomaly_enabled,
                  torch.autograd.set_detect_anomaly)
    yield Setting("torch's deterministic algorithms", _deterministic, _set_deterministic)
    for kind in ("cpu", "cuda"):
        yield Setting(f"autocast on {kind}", partial(torch.is_autocast_enabled, kind),
                      partial(torch.set_autocast_enabled, kind))
    for name, owner, attribute in (
            ("cuDNN", backends.cudnn, "enabled"),
            ("cuDNN's deterministic mode", backends.cudnn, "deterministic"),
            ("cuDNN's benchmark mode", backends.cudnn, "benchmark"),
            ("the precision of matrix products", backends.cuda.matmul, "fp32_precision"),
            ("the precision of convolutions", backends.cudnn.conv, "fp32_precision")):
        yield Setting(name, *_of(owner, attribute))
    yield Setting("NumPy's handling of errors", np.geterr, lambda value: np.seterr(**value))
    yield Setting("garbage collection", gc.isenabled,
                  lambda value: gc.enable() if value else gc.disable())
    for number in (signal.SIGTERM, signal.SIGINT):
        yield Setting(f"the handler of {number.name}", partial(signal.getsignal, number),
                      partial(signal.signal, number), shown=False)
    # Cannot be taken back: a reader must know that it was not the cell's seed that decided.
    yield Setting("the seed of torch's generator", torch.initial_seed, lambda value: None)


def _deterministic() -> tuple[bool, bool]:
    return (torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled())


def _set_deterministic(value: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])


class Footprint:
    """The state of this process before a method's code runs.

    Parameters
    ----------
    work : Path, optional
        Working directory of the cell, in which whatever lies was written by it.
    """

    def __init__(self, work: Path | None = None) -> None:
        self._work = work
        self._settings = list(_settings())
        self._values = [_read(setting) for setting in self._settings]
        self._environment = dict(os.environ)
        self._functions = [dict(vars(owner)) for owner in OWNERS]
        self._threads = set(threading.enumerate())

    def undo(self) -> list[str]:
        """Put back what was changed since, where that can be done.

        Returns
        -------
        list of str
            A sentence for each kind of change; empty where there was none.
        """
        return [*self._undo_functions(), *self._undo_settings(), *self._undo_environment(),
                *self._left_behind()]

    def _undo_settings(self) -> Iterator[str]:
        for setting, before in zip(self._settings, self._values, strict=True):
            after = _read(setting)
            if after == before:
                continue
            with contextlib.suppress(Exception):  # said all the same
                setting.put(before)
            values = f" from {before} to {after}" if setting.shown else ""
            back = f"; {BACK}" if _read(setting) == before else ""
            yield f"the method changed {setting.name}{values}{back}"

    def _undo_environment(self) -> Iterator[str]:
        before, after = self._environment, dict(os.environ)
        names = sorted(name for name in before.keys() | after.keys()
                       if before.get(name) != after.get(name)
                       and not name.startswith(THEIR_VARIABLES))
        for name in names:
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]
        if names:
            yield f"the method changed environment variables: {_listed(names)}; {BACK}"

    def _undo_functions(self) -> Iterator[str]:
        names = []
        for owner, before in zip(OWNERS, self._functions, strict=True):
            for name, now in list(vars(owner).items()):
                was = before.get(name, _inherited(owner, name, now))
                if was is now or isinstance(was, type) or not callable(was) or _by_library(now):
                    continue
                if name in before:
                    setattr(owner, name, was)
                else:
                    delattr(owner, name)
                names.append(f"{owner.__name__}.{name}")
        if names:
            yield f"the method replaced functions: {_listed(names)}; {BACK}"

    def _left_behind(self) -> Iterator[str]:
        """What cannot be taken back."""
        threads = [thread for thread in threading.enumerate()
                   if thread not in self._threads and not thread.daemon
                   and not _by_library(getattr(thread, "_target", None))]
        if threads:
            yield f"the method left {len(threads)} threads running"
        if self._work is not None and self._work.is_dir():
            names = sorted(path.name for path in self._work.iterdir())
            if names:
                yield (f"the method wrote to its working directory, kept as "
                       f"{self._work.name}/: {_listed(names)}")


def _read(setting: Setting) -> Any:
    """Value of a setting; None where it cannot be told, as that of a folder that is gone."""
    try:
        return setting.get()
    except Exception:
        return None


def _inherited(owner: Any, name: str, otherwise: Any) -> Any:
    """What a class has from its bases; ``otherwise`` where that is nothing, or of a module."""
    bases = owner.__mro__[1:] if isinstance(owner, type) else ()
    return next((vars(base)[name] for base in bases if name in vars(base)), otherwise)


def _by_library(function: Any) -> bool:
    """Whether a library's own module put a function in its place.

    Names and modules are copied by decorators, so the code's globals decide.
    """
    function = getattr(function, "__func__", function)
    home = getattr(function, "__globals__", {}).get("__name__", "")
    return str(home).partition(".")[0] in LIBRARIES


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
