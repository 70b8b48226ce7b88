"""From an exception, an exit code or the last words of a process to the status of a cell."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from importlib.util import find_spec

from srbench.engine.executors import LOST
from srbench.engine.oom import OomWatch
from srbench.errors import Diverged, Interrupted, MissingDependency, Skipped, SrbenchError
from srbench.registry.implementation import PIP_NAMES
from srbench.results.record import Status

__all__ = ["OomWatch", "classify", "describe_exit", "status_of_the_dead"]

_BY_TYPE: tuple[tuple[type[BaseException], Status], ...] = (
    (Diverged, Status.DIVERGED),
    (Interrupted, Status.INTERRUPTED),
    (KeyboardInterrupt, Status.INTERRUPTED),
    (Skipped, Status.SKIPPED),
    (MissingDependency, Status.MISSING_DEPENDENCY),
    (MemoryError, Status.OOM),
)
# What allocators print or raise: C++, torch on the CPU, torch and the driver on CUDA, Python.
_NO_MEMORY = re.compile(r"std::bad_alloc|can't allocate memory|not enough memory: you tried|"
                        r"CUDA out of memory|CUDA error: out of memory|cudaErrorMemoryAllocation|"
                        r"\bOutOfMemoryError\b|^MemoryError\b|Cannot allocate memory")
_ABSENT = re.compile(r"No module named '?([\w.]+)")
LAST_WORDS = 40  # lines of the log in which a dead process may have said what it lacked


def classify(error: BaseException) -> tuple[Status, str]:
    """Status and one-line reason for whatever ended a cell.

    torch's out-of-memory errors are recognised by name and text, since the class differs between
    the CPU allocator (RuntimeError) and CUDA (OutOfMemoryError).
    """
    reason = str(error)
    if not isinstance(error, SrbenchError):
        reason = f"{type(error).__name__}: {error}" if reason else type(error).__name__
    first_line = reason.strip().splitlines()[0] if reason.strip() else type(error).__name__
    for kind, status in _BY_TYPE:
        if isinstance(error, kind):
            return status, first_line
    if isinstance(error, ImportError) and (missing := _absent(error)):
        return Status.MISSING_DEPENDENCY, missing
    if type(error).__name__ == "OutOfMemoryError" or _NO_MEMORY.search(reason):
        return Status.OOM, first_line
    return Status.FAILED, first_line


def _absent(error: ImportError) -> str:
    """Name the package whose absence raised ``error``, and what installs it; empty for another."""
    found = _ABSENT.search(str(error))
    top = (error.name or (found[1] if found else "")).partition(".")[0]
    try:
        if not top or find_spec(top) is not None:
            return ""
    except (ImportError, ValueError):  # what is there but broken is no missing dependency
        return ""
    return f"the package {top!r} is not installed (pip install {PIP_NAMES.get(top, top)})"


def describe_exit(code: int) -> str:
    """Words for an exit code as `subprocess.Popen.returncode` gives it."""
    if code == LOST:
        return "lost with its machine"
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exit code {code} without a record"


def status_of_the_dead(code: int, log_tail: Sequence[str], oom_hit: bool) -> tuple[Status, str]:
    """Status and reason of a process that ended without a record.

    Parameters
    ----------
    code : int
        As `subprocess.Popen.returncode` gives it.
    log_tail : sequence of str
        Last lines of what it printed.
    oom_hit : bool
        Whether the kernel killed a process for want of memory meanwhile (`OomWatch.hit`).

    Returns
    -------
    tuple of Status and str
        ``oom`` where memory ran out, ``crashed`` otherwise.
    """
    how = describe_exit(code)
    if code == -signal.SIGKILL and oom_hit:
        return Status.OOM, f"{how}: the kernel ran out of memory"
    if code != 0:
        for line in reversed(log_tail[-LAST_WORDS:]):
            if _NO_MEMORY.search(line):
                return Status.OOM, f"{how}: {line.strip()[:300]}"
    return Status.CRASHED, how
