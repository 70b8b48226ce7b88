"""From an exception or an exit code to the status of a cell."""

from __future__ import annotations

import signal

from srbench.errors import Diverged, Interrupted, MissingDependency, Skipped, SrbenchError
from srbench.results.record import Status

_BY_TYPE: tuple[tuple[type[BaseException], Status], ...] = (
    (Diverged, Status.DIVERGED),
    (Interrupted, Status.INTERRUPTED),
    (KeyboardInterrupt, Status.INTERRUPTED),
    (Skipped, Status.SKIPPED),
    (MissingDependency, Status.MISSING_DEPENDENCY),
    (MemoryError, Status.OOM),
)


def classify(error: BaseException) -> tuple[Status, str]:
    """Status and one-line reason for whatever ended a cell.

    torch's out-of-memory errors are recognised by name and text, since the class differs between
    the CPU allocator (RuntimeError) and CUDA (OutOfMemoryError).
    """
    reason = str(error) if isinstance(error, SrbenchError) else f"{type(error).__name__}: {error}"
    first_line = reason.strip().splitlines()[0] if reason.strip() else type(error).__name__
    for kind, status in _BY_TYPE:
        if isinstance(error, kind):
            return status, first_line
    if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in reason:
        return Status.OOM, first_line
    return Status.FAILED, first_line


def describe_exit(code: int) -> str:
    """Words for an exit code as `subprocess.Popen.returncode` gives it."""
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exit code {code} without a record"
