"""Process trees: nothing outlives the run that started it.

On Linux a job adopts whatever its cell leaves behind and dies with its run; elsewhere the process
group is what can be killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time

import psutil

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_GET_CHILD_SUBREAPER = 37
PATIENCE = 3.0  # seconds in which killed processes must have vanished
MARK = "SRBENCH_JOB"  # environment variable every process of a job inherits


def die_with_parent(number: signal.Signals, parent: int | None = None) -> None:
    """Have the system send ``number`` to this process when its parent dies.

    Parameters
    ----------
    number : signal
        What is sent.
    parent : int, optional
        Process that started this one; where it is dead already the signal is sent at once.
    """
    if _prctl(PR_SET_PDEATHSIG, int(number)) and parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), number)


def adopt_orphans(adopt: bool = True) -> bool:
    """Become the parent of descendants whose own parent ends; False where there is no such thing.

    A child that called ``setsid`` and was abandoned stays a descendant then, and can be found.

    Parameters
    ----------
    adopt : bool
        False leaves orphans to the system again.
    """
    return _prctl(PR_SET_CHILD_SUBREAPER, int(adopt))


def adopts_orphans() -> bool:
    """Whether this process is the parent of its descendants' orphans."""
    answer = ctypes.c_int()
    return _prctl(PR_GET_CHILD_SUBREAPER, ctypes.addressof(answer)) and answer.value == 1


def _prctl(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) == 0)


def kill_group(leader: int) -> None:
    """Kill the process group of ``leader`` at once."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def kill_descendants(mark: str | None = None) -> int:
    """Kill every descendant of this process and wait until they are gone.

    Parameters
    ----------
    mark : str, optional
        Only those whose environment variable `MARK` has this value.

    Returns
    -------
    int
        How many there were.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + PATIENCE
    while victims := _living(mark):
        for process in victims:
            with contextlib.suppress(psutil.Error):
                process.kill()
                killed.add(process.pid)
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    _reap(killed, time.monotonic() + PATIENCE)  # killing may have taken long on a busy machine
    return len(killed)


def _living(mark: str | None) -> list[psutil.Process]:
    """Descendants that still run."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and (
                    mark is None or process.environ().get(MARK) == mark):
                found.append(process)
    return found


def _reap(killed: set[int], deadline: float) -> None:
    """Collect killed processes, adopted ones too, so that no zombies stay."""
    left = set(killed)
    while left and time.monotonic() <= deadline:
        for number in list(left):
            try:
                gone = os.waitpid(number, os.WNOHANG)[0] == number
            except ChildProcessError:  # not ours (yet), or collected already
                gone = not psutil.pid_exists(number)
            if gone:
                left.discard(number)
        if left:
            time.sleep(0.005)
