"""How the jobs of submitit's clusters are watched and told to end."""

from __future__ import annotations

import contextlib
import getpass
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil

from srbench.engine.executors import LOST
from srbench.engine.executors.commands import MODULE, leave_words

LOOK = 10.0  # seconds between two looks at Slurm's queue, for all jobs together
SETTLE = 15.0  # seconds in which what an ended job wrote becomes visible on a shared file system
PATIENCE = 30.0  # seconds for an answer of Slurm
LAST_WORDS = 4000  # characters of a job's stderr that are worth telling
OUT_OF_MEMORY = "OUT_OF_MEMORY"
BY_ITSELF = ("FAILED", "COMPLETED")


@dataclass(eq=False)
class SlurmJob:
    """A job that was submitted."""

    job: Any
    command: list[str]
    submitted: float
    asked: bool = False
    next_look: float = 0.0
    gone: float | None = None
    """When it was first missed in the queue."""


class Cluster(Protocol):
    """What the executor asks of each of submitit's clusters."""

    def code(self, handle: SlurmJob) -> int | None:
        """Exit code of the job, `LOST`, or None while it runs or waits."""
        ...

    def ask(self, handle: SlurmJob) -> None:
        """Have the job write its checkpoint and end; one that waits leaves the queue."""
        ...

    def end(self, handle: SlurmJob) -> None:
        """End the job; told a second time it does not write a checkpoint."""
        ...


class Slurm:
    """A real Slurm, asked through its commands; accounting is used where there is any."""

    def __init__(self) -> None:
        self._queue: set[str] | None = None
        self._looked = float("-inf")

    def code(self, handle: SlurmJob) -> int | None:
        """Exit code of a job: its own, or one for the state in which Slurm left it."""
        if has_result(handle):
            return result(handle)
        now = time.monotonic()
        if self._is_queued(handle, now):
            handle.gone = None  # a job that was requeued comes back
            return None
        handle.gone = handle.gone or now
        if now - handle.gone < SETTLE:
            return None
        return self._left_in(handle, self._state(handle))

    def ask(self, handle: SlurmJob) -> None:
        """Send SIGTERM to the steps; a job that is still pending has none and is cancelled."""
        scancel("--state=PENDING", handle.job.job_id)
        scancel("--signal=TERM", handle.job.job_id)

    def end(self, handle: SlurmJob) -> None:
        """Cancel the job: SIGTERM at once and SIGKILL half a minute later."""
        scancel(handle.job.job_id)

    def _is_queued(self, handle: SlurmJob, now: float) -> bool:
        if now - self._looked >= LOOK:
            self._looked = now
            answer = answer_of("squeue", "--noheader", "--user", getpass.getuser(),
                               "--format=%i")
            self._queue = None if answer is None else set(answer.split())
        # Where Slurm gave no answer, or one of before the job was there, nothing is known.
        return (self._queue is None or handle.submitted >= self._looked
                or handle.job.job_id in self._queue)

    @staticmethod
    def _state(handle: SlurmJob) -> str:
        answer = answer_of("sacct", "--jobs", handle.job.job_id, "--allocations", "--noheader",
                           "--parsable2", "--format=State")
        words = (answer or "").split()
        return words[0] if words else ""

    @staticmethod
    def _left_in(handle: SlurmJob, state: str) -> int:
        words = f"Slurm job {handle.job.job_id} ended in state {state or 'unknown'}"
        if state == OUT_OF_MEMORY:
            leave_words(handle.command, f"{words}: Cannot allocate memory beyond what it asked for")
            return -signal.SIGKILL
        if state in BY_ITSELF:
            leave_words(handle.command, f"{words} and left no result in {handle.job.paths.folder}: "
                                        "do its nodes see this folder?\n" + errors_of(handle))
            return 1
        leave_words(handle.command, words)
        return LOST


class Local:
    """Jobs as processes of this machine, started by submitit as Slurm would."""

    def code(self, handle: SlurmJob) -> int | None:
        """Exit code of a job whose controller has ended."""
        if not handle.job.done():
            return None
        return result(handle) if has_result(handle) else LOST

    def ask(self, handle: SlurmJob) -> None:
        """Send SIGTERM to the job itself; one that has not got so far is ended."""
        for process in descendants(handle):
            with contextlib.suppress(psutil.Error):
                if MODULE in process.cmdline():
                    process.terminate()
                    return
        self._kill(handle)

    def end(self, handle: SlurmJob) -> None:
        """Send another signal than the first: two alike that wait to be delivered become one."""
        for process in descendants(handle):
            with contextlib.suppress(psutil.Error):
                if MODULE in process.cmdline():
                    process.terminate()
                    process.send_signal(signal.SIGINT)
                    return
        self._kill(handle)

    @staticmethod
    def _kill(handle: SlurmJob) -> None:
        """Kill submitit's processes from above, so that none is started anew."""
        for process in descendants(handle):
            with contextlib.suppress(psutil.Error):
                process.kill()


class Debug:
    """Jobs that run while they are asked whether they have ended, one after the other."""

    def code(self, handle: SlurmJob) -> int | None:
        """Run the job, or say that it is not to run any more."""
        return -signal.SIGTERM if handle.asked else int(handle.job.result())

    def ask(self, handle: SlurmJob) -> None:
        """Do nothing: it has not begun, or has ended."""

    def end(self, handle: SlurmJob) -> None:
        """Do nothing either."""


CLUSTERS: dict[str, type[Cluster]] = {"slurm": Slurm, "local": Local, "debug": Debug}


def has_result(handle: SlurmJob) -> bool:
    """Whether a job left its result."""
    paths = handle.job.paths
    with contextlib.suppress(OSError):  # a network file system then looks anew
        paths.folder.chmod(paths.folder.stat().st_mode)
    return bool(paths.result_pickle.exists())


def result(handle: SlurmJob) -> int:
    """Exit code that a job left; 1 where it left an error."""
    error = handle.job.exception()
    if error is None:
        return int(handle.job.result())
    leave_words(handle.command, str(error)[-LAST_WORDS:])
    return 1


def errors_of(handle: SlurmJob) -> str:
    """End of what a job wrote to stderr."""
    path: Path = handle.job.paths.stderr
    try:
        return path.read_text(encoding="utf-8", errors="replace")[-LAST_WORDS:]
    except OSError:
        return ""


def descendants(handle: SlurmJob) -> list[psutil.Process]:
    """Processes of a local job, those above first."""
    with contextlib.suppress(psutil.Error):
        controller = psutil.Process(int(handle.job.job_id))
        return [controller, *controller.children(recursive=True)]
    return []


def scancel(*words: str) -> None:
    """Run scancel; a job that has ended meanwhile is no error."""
    answer_of("scancel", *words)


def answer_of(*command: str) -> str | None:
    """What a command of Slurm prints, None where it fails."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
