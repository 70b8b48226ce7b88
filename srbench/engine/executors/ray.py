"""Jobs on a Ray cluster, or on this machine as a cluster of one.

Each cell gets an actor of its own with the resources the cell declares. An actor rather than a
task, since a task can be told nothing while it runs. Ray starts nothing again by itself: a job that
is gone with its node is reported as lost, and the scheduler starts it elsewhere.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srbench.engine.executors import LOST
from srbench.engine.executors.commands import WAIT, carried, leave_words
from srbench.engine.executors.ray_connection import connect, load_ray
from srbench.engine.executors.ray_resources import Resources
from srbench.engine.executors.ray_runner import Runner
from srbench.engine.job import JobExit
from srbench.plan import Cell

QUEUED = 32  # jobs Ray may hold that have no place yet: enough for an autoscaler to see the need
LOOK = 0.1  # seconds between two questions to Ray
LAST_CHANCE = 10.0  # seconds in which jobs that must end now write their cells' records
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(eq=False)
class RayJob:
    """A job that was given to Ray."""

    key: str
    command: list[str]
    actor: Any
    placed: Any
    result: Any
    has_place: bool = False
    asked: bool = False
    dropped: bool = False


class RayExecutor:
    """Runs each job as an actor of a Ray cluster; see `srbench.engine.executors.Executor`.

    Every node must see the runs folder under the same path and have the driver's interpreter and
    srbench in the same place.

    Parameters
    ----------
    jobs : int or None
        Most jobs at a time; as many as Ray finds room for by default.
    address : str or None
        Cluster to connect to, as `ray.init` takes it. None takes ``RAY_ADDRESS``, and without it
        starts Ray on this machine for as long as the run lasts.

    Raises
    ------
    MissingDependency
        If Ray is not installed.
    UsageError
        If the cluster cannot be reached.
    """

    name = "ray"

    def __init__(self, jobs: int | None, address: str | None) -> None:
        self._ray = load_ray()
        self._jobs = jobs
        self._running: list[RayJob] = []
        self._ran_on: dict[str, str] = {}
        self._ended: set[Any] = set()
        self._looked = float("-inf")
        self._own = not self._ray.is_initialized()
        if self._own:
            connect(self._ray, address or os.environ.get("RAY_ADDRESS") or "local")
        self._actors = self._ray.remote(Runner)
        self._resources = Resources(self._ray)

    def submit(self, cell: Cell, command: Sequence[str], *,
               alone: bool = False) -> RayJob | None:
        """Hand a job to Ray, unless enough are waiting there already."""
        if self._jobs is not None and len(self._running) >= self._jobs:
            return None
        if sum(not self._has_place(job) for job in self._running) >= QUEUED:
            return None
        wanted = self._resources.of(cell, alone=alone, avoid=self._ran_on.get(cell.key, ""))
        actor = self._actors.options(max_restarts=0, max_task_retries=0, max_concurrency=2,
                                     **wanted).remote()
        words = [*command, *WAIT]
        job = RayJob(cell.key, words, actor, actor.node.remote(),
                     actor.run.remote(words, carried(), str(Path.cwd())))
        self._running.append(job)
        return job

    def poll(self, handle: RayJob) -> int | None:
        """Exit code of a job, `LOST`, or None while it runs or waits."""
        if handle.dropped:
            self._forget(handle)
            return -signal.SIGTERM
        if handle not in self._running or handle.result not in self._look():
            return None
        if self._has_place(handle):
            self._note_place(handle)
        code, words = self._outcome(handle)
        self._forget(handle)
        if code not in tuple(JobExit):
            leave_words(handle.command, words)
        if handle.asked:
            return -signal.SIGKILL if code == LOST else code
        # Nobody here asked for it: its node did, or whoever looks after the node.
        return LOST if code == JobExit.INTERRUPTED else code

    def cancel(self, handle: RayJob, *, now: bool) -> None:
        """Ask one job to write its checkpoint and end; one without a place leaves the queue."""
        handle.asked = True
        if handle not in self._running:
            return
        if self._has_place(handle):
            handle.actor.stop.remote(now=now)
        else:
            handle.dropped = True
            self._ray.kill(handle.actor)

    def close(self) -> None:
        """End what runs: first by asking, then by force; leave the cluster."""
        running = list(self._running)
        if not self._ray.is_initialized():
            self._running.clear()
            return
        for job in running:
            self.cancel(job, now=True)
        results = [job.result for job in running if not job.dropped]
        if results:
            self._ray.wait(results, num_returns=len(results), timeout=LAST_CHANCE)
        for job in running:
            self._forget(job)
        if self._own:
            self._ray.shutdown()

    def _outcome(self, job: RayJob) -> tuple[int, str]:
        """Exit code and last words of a job whose result is there, whatever it is."""
        errors = self._ray.exceptions
        try:
            code, words = self._ray.get(job.result)
        except errors.RayActorError as error:
            # What ends an actor while it starts ends it on every node: srbench is missing, say.
            return (1, plain(error)) if error.actor_init_failed else (LOST, plain(error))
        except errors.RayTaskError as error:
            return 1, plain(error)
        except errors.RayError as error:
            return LOST, plain(error)
        return int(code), str(words)

    def _look(self) -> set[Any]:
        """Results that are there: all are asked for at once, and not for every job anew."""
        now = time.monotonic()
        if now - self._looked >= LOOK:
            self._looked = now
            results = [job.result for job in self._running]
            ready = self._ray.wait(results, num_returns=len(results), timeout=0)[0]
            self._ended = set(ready)
        return self._ended

    def _has_place(self, job: RayJob) -> bool:
        """Whether Ray found a place for a job; where the answer was yes Ray is not asked again."""
        job.has_place = job.has_place or bool(self._ray.wait([job.placed], timeout=0)[0])
        return job.has_place

    def _note_place(self, job: RayJob) -> None:
        try:
            self._ran_on[job.key] = self._ray.get(job.placed)
        except self._ray.exceptions.RayError:  # the actor died before it said
            self._ran_on.pop(job.key, None)

    def _forget(self, job: RayJob) -> None:
        """Give back what a job held; where it still runs, it is told by the death of its actor."""
        if job in self._running:
            self._running.remove(job)
            self._ray.kill(job.actor)


def plain(error: Exception) -> str:
    """What an error of Ray says, without colours."""
    return _COLOUR.sub("", str(error))
