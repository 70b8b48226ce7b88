"""Jobs on this machine, packed by declared threads, memory and GPUs."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from srbench.engine.executors.gpus import VARIABLE
from srbench.engine.executors.machine import Machine, Packing, Place
from srbench.engine.processes import MARK, adopt_orphans, adopts_orphans, kill_descendants
from srbench.plan import Cell

LAST_CHANCE = 10.0  # seconds in which a job that must end now writes its cell's record


@dataclass
class LocalJob:
    """A job that was started on this machine."""

    cell: Cell
    process: subprocess.Popen[bytes]
    place: Place
    mark: str


class LocalExecutor:
    """Runs jobs as processes of this machine; see `srbench.engine.executors.Executor`.

    Parameters
    ----------
    jobs : int or None
        Most jobs at a time; as many as fit by default.
    machine : Machine, optional
        What jobs are packed on; this machine by default.
    """

    name = "local"

    def __init__(self, *, jobs: int | None = None, machine: Machine | None = None) -> None:
        self._packing = Packing(machine or Machine.here(), jobs)
        self._running: list[LocalJob] = []
        self._ran_on: dict[str, tuple[str, ...]] = {}
        self._adopted_before = adopts_orphans()

    def submit(self, cell: Cell, command: Sequence[str], *,
               alone: bool = False) -> LocalJob | None:
        """Start a job if there is room for it."""
        place = self._packing.find(cell, alone=alone,
                                   avoid=self._ran_on.get(cell.key, ()))
        if place is None:
            return None
        adopt_orphans()  # those of a job that is killed come to us
        mark = secrets.token_hex(8)
        environment = {**os.environ, MARK: mark}
        if place.gpus and ":" not in cell.device:  # one that names its GPU finds it among all
            if VARIABLE not in environment:  # then the names are the driver's numbers
                environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
            environment[VARIABLE] = ",".join(place.gpus)
        process = subprocess.Popen([*command, "--parent", str(os.getpid())],
                                   stdin=subprocess.DEVNULL, env=environment,
                                   stdout=subprocess.DEVNULL, start_new_session=True)
        job = LocalJob(cell, process, place, mark)
        self._packing.places.append(place)
        self._running.append(job)
        self._ran_on[cell.key] = place.gpus
        return job

    def poll(self, handle: LocalJob) -> int | None:
        """Exit code of a job, None while it runs."""
        code = handle.process.poll()
        if code is not None and handle in self._running:
            self._running.remove(handle)
            self._packing.places.remove(handle.place)
            if code < 0:  # it could not clean up
                kill_descendants(handle.mark)
        return code

    def cancel(self, handle: LocalJob, *, now: bool) -> None:
        """Ask a job to end; a job that was asked before ends its cell at once."""
        if handle.process.poll() is None:
            handle.process.terminate()
            if now:  # of another number: two alike that wait to be delivered become one
                handle.process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """End what runs: first by asking, then by force."""
        for job in self._running:
            self.cancel(job, now=True)
        for job in self._running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                job.process.wait(LAST_CHANCE)
            job.process.kill()
            job.process.wait()
            kill_descendants(job.mark)
        self._running.clear()
        self._packing.places.clear()
        adopt_orphans(self._adopted_before)  # this process may be a notebook's, which goes on
