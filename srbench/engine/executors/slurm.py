"""Jobs on a Slurm cluster, through submitit: one Slurm job for each cell.

No job depends on another and none is part of an array, so that whatever happens to one is its own
affair. A job that is preempted or reaches its time limit writes its checkpoint, is requeued and
goes on; see `srbench.engine.executors.slurm_command`.
"""

from __future__ import annotations

import logging
import re
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from srbench.engine.executors import LOST
from srbench.engine.executors.commands import WAIT, leave_words, timeout_of
from srbench.engine.executors.slurm_clusters import CLUSTERS, Cluster, SlurmJob, errors_of
from srbench.engine.executors.slurm_command import REQUEUES, Command
from srbench.engine.executors.slurm_options import SlurmOptions, parameters
from srbench.engine.job import JobExit
from srbench.errors import MissingDependency, UsageError
from srbench.plan import Cell

logger = logging.getLogger(__name__)
LOOK = 1.0  # seconds between two looks at one job
BACK_OFF = 30.0  # seconds before Slurm is asked again that had no room for another job
NEEDED = ("sbatch", "srun", "squeue", "scancel")
# What sbatch says when a job may be taken later.
_FULL = re.compile(r"submit job limit|job submit limit|MaxSubmit|QOSMaxSubmit|temporarily un|"
                   r"Socket timed out|Unable to contact slurm controller")


class SlurmExecutor:
    """Submits each job to Slurm; see `srbench.engine.executors.Executor`.

    The runs folder must be on a file system that the nodes share, as must be the interpreter and
    srbench.

    Parameters
    ----------
    folder : Path
        Where submitit keeps scripts and logs of jobs, one folder each.
    jobs : int or None
        Most jobs in Slurm's queue at a time; all of them by default.
    options : sequence of str
        ``KEY=VALUE``: what `srbench.engine.executors.slurm_options.SlurmOptions` takes.

    Raises
    ------
    MissingDependency
        If submitit is not installed.
    UsageError
        If an option is wrong, or there is no Slurm here.
    """

    name = "slurm"

    def __init__(self, folder: Path, jobs: int | None, options: Sequence[str]) -> None:
        self._options = SlurmOptions.parse(options)
        self._submitit = load_submitit()
        if self._options.cluster == "slurm":
            look_for_slurm()
        self._folder, self._jobs = folder.absolute(), jobs
        self._cluster: Cluster = CLUSTERS[self._options.cluster]()
        self._running: list[SlurmJob] = []
        self._not_before = float("-inf")

    def submit(self, cell: Cell, command: Sequence[str], *,
               alone: bool = False) -> SlurmJob | None:
        """Submit a job, unless there are enough."""
        if self._jobs is not None and len(self._running) >= self._jobs:
            return None
        if time.monotonic() < self._not_before:
            return None
        if cell.device.startswith("cuda:"):
            raise UsageError(f"--device {cell.device}: Slurm chooses the GPU",
                             hint="--device cuda")
        words = [*command, *WAIT]
        # An executor for each: parameters of one job would stay for the next.
        executor = self._submitit.AutoExecutor(
            self._folder / "%j", cluster=self._options.cluster, slurm_max_num_timeout=REQUEUES,
            local_max_num_timeout=REQUEUES)
        executor.update_parameters(
            **parameters(cell, self._options, timeout_of(command), alone=alone))
        submitted = time.monotonic()
        try:
            with deaf_to_the_terminal():
                job = executor.submit(Command(words))
        except (self._submitit.core.utils.FailedJobError,
                self._submitit.core.utils.FailedSubmissionError, OSError) as error:
            self._refused(str(error))
            return None
        handle = SlurmJob(job, words, submitted)
        self._running.append(handle)
        return handle

    def poll(self, handle: SlurmJob) -> int | None:
        """Exit code of a job, `LOST`, or None while it runs or waits."""
        now = time.monotonic()
        if handle not in self._running or now < handle.next_look:
            return None
        handle.next_look = now + LOOK
        code = self._cluster.code(handle)
        if code is None:
            return None
        self._running.remove(handle)
        if code not in (LOST, *JobExit):
            leave_words(handle.command, errors_of(handle))
        if handle.asked:
            return -signal.SIGTERM if code == LOST else code
        # Nobody here asked for it: Slurm did, or whoever cancelled the job.
        return LOST if code == JobExit.INTERRUPTED else code

    def cancel(self, handle: SlurmJob, *, now: bool) -> None:
        """Ask one job to write its checkpoint and end; ``now`` cancels it."""
        handle.asked, handle.next_look = True, 0.0
        if handle in self._running:
            if now:
                self._cluster.end(handle)
            else:
                self._cluster.ask(handle)

    def close(self) -> None:
        """Cancel the jobs of this run that are left, and no others.

        Cancelled without having been asked before, a job still has the time Slurm leaves it (30 s
        by default) to write its checkpoint.
        """
        for handle in self._running:
            self._cluster.end(handle)
        self._running.clear()

    def _refused(self, words: str) -> None:
        """Wait where there is no room for another job now.

        Raises
        ------
        UsageError
            If Slurm will not take the job later either.
        """
        if not _FULL.search(words):
            first = next((line for line in words.splitlines() if line.strip()), "no reason given")
            raise UsageError(f"Slurm does not take the job: {first.strip()}",
                             hint="--slurm KEY=VALUE sets partition, account, time, ...")
        logger.warning("Slurm takes no job now, trying again in %g s: %s", BACK_OFF, words.strip())
        self._not_before = time.monotonic() + BACK_OFF


def load_submitit() -> ModuleType:
    """Import submitit, which is an extra.

    Raises
    ------
    MissingDependency
        If it is not installed.
    """
    try:
        import submitit
    except ImportError as error:
        raise MissingDependency(
            "the package 'submitit' is not installed, and --executor slurm needs it",
            hint="pip install 'srbench[slurm]'") from error
    return submitit


def look_for_slurm() -> None:
    """Check that Slurm's commands are there.

    Raises
    ------
    UsageError
        If one is not.
    """
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        raise UsageError(f"--executor slurm: there is no {' and no '.join(absent)} on this machine",
                         hint="run srbench where jobs are submitted, or try it out with "
                              "--slurm cluster=local")


@contextmanager
def deaf_to_the_terminal() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach; for this one it waits until they are started."""
    before: Any = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
