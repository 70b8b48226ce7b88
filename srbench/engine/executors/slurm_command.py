"""The part of the Slurm executor that runs in the Slurm job.

submitit pickles what it runs. This class is all there is in that pickle, and it holds words only:
the job that is requeued weeks later runs the code that is installed then, on the cell its folder
describes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Any

POLL = 0.1
INTERRUPTED = 75  # `srbench.engine.job.JobExit`, which is not imported: this must start quickly
NOT_STARTED = 127
REQUEUES = 100
"""How often a job is requeued, whether it was preempted or reached its time limit."""


class Command:
    """Runs the job of a cell as a process of its own, and requeues itself when it must go.

    Slurm sends USR2, ahead of a time limit or a preemption, to every process of a job. The cell's
    processes must not see it, since it would end them; this one has the cell write its checkpoint
    and asks Slurm for another turn.

    Parameters
    ----------
    words : sequence of str
        The command line of the job.
    requeues : int
        How often it was requeued.
    """

    def __init__(self, words: Sequence[str], requeues: int = 0) -> None:
        self.words = list(words)
        self.requeues = requeues

    def __getstate__(self) -> dict[str, Any]:
        return {"words": self.words, "requeues": self.requeues}

    def __call__(self) -> int:
        """Run the job and return its exit code."""
        from submitit.core.utils import UncompletedJobError

        try:
            process = self._start()
        except OSError as error:
            os.write(2, f"the job cannot be started on {os.uname().nodename}: {error}\n".encode())
            return NOT_STARTED
        try:
            while (code := self._code()) is None:
                time.sleep(POLL)
            return code
        except UncompletedJobError:  # it is not requeued; how the cell ended is known all the same
            code = self._code()
            if code is None:
                raise
            return code
        finally:
            if self._code() is not None:
                process.wait()

    def checkpoint(self) -> Any:
        """Have the cell write its checkpoint; called by submitit when USR2 arrives.

        Returns
        -------
        submitit.helpers.DelayedSubmission or None
            What the requeued job runs; None if the cell has ended, or has had its turns.
        """
        from submitit.helpers import DelayedSubmission

        pid = getattr(self, "_pid", None)
        if pid is not None:
            if not getattr(self, "_asked", False):  # a second signal would end it at once
                self._asked = True
                if self._code() is None:
                    os.kill(pid, signal.SIGTERM)
            while self._code() is None:
                time.sleep(POLL)
        if self.requeues >= REQUEUES or (pid is not None and self._code() != INTERRUPTED):
            return None
        return DelayedSubmission(Command(self.words, self.requeues + 1))

    def _start(self) -> subprocess.Popen[bytes]:
        # A process inherits which signals are blocked: USR2 for the cell's, whatever they run.
        before = signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR2})
        try:
            process = subprocess.Popen(
                [*self.words, "--parent", str(os.getpid())], stdin=subprocess.DEVNULL,
                # In this process of the user's own, Ctrl-C shall reach the job.
                start_new_session="SUBMITIT_DEBUG_JOB_ID" not in os.environ)
            self._pid = process.pid
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return process

    def _code(self) -> int | None:
        """Exit code of the job as `subprocess` gives it, None while it runs.

        The process stays to be waited for, so that a signal's handler may ask as well, at any
        moment, and nothing it interrupts is upset.
        """
        ended = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
