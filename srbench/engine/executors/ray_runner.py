"""The part of the Ray executor that runs on the nodes.

Ray ships the class by name, so what a node runs is the code that is installed there; with it
travel words only: a command line and environment variables.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from srbench.engine.executors.gpus import visible_gpus
from srbench.engine.processes import MARK, adopt_orphans, kill_descendants

NOT_STARTED = 127  # what shells say of a command that cannot be started
LAST_WORDS = 4000  # bytes of a job's stderr that are worth telling


class Runner:
    """An actor that runs one job. It has two threads: one waits for the job, one takes orders."""

    def __init__(self) -> None:
        adopt_orphans()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def node(self) -> str:
        """Id of the node, which is known as soon as the actor has a place."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def run(self, command: Sequence[str], environment: Mapping[str, str],
            cwd: str) -> tuple[int, str]:
        """Run a job to its end.

        Parameters
        ----------
        command : sequence of str
            The job.
        environment : mapping
            Environment variables it gets beside those of this node.
        cwd : str
            Where it starts, if this node has such a folder.

        Returns
        -------
        tuple of int and str
            Exit code, and the end of what it wrote to stderr.
        """
        mark = secrets.token_hex(8)
        with tempfile.TemporaryFile() as errors:
            with self._lock:
                if self._stopped:
                    return -signal.SIGTERM, ""
                try:
                    # Should this actor die, the job is told and writes its checkpoint.
                    self._process = subprocess.Popen(
                        [*command, "--parent", str(os.getpid())], stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True,
                        env={**os.environ, **environment, MARK: mark},
                        cwd=cwd if Path(cwd).is_dir() else None)
                except OSError as error:
                    return NOT_STARTED, f"{os.uname().nodename} cannot start the job: {error}"
            code = self._process.wait()
            if code < 0:  # it could not clean up
                kill_descendants(mark)
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - LAST_WORDS))
            return code, errors.read().decode(errors="replace")

    def stop(self, *, now: bool) -> None:
        """Ask the job to write its checkpoint and end, or end it."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.terminate()
                if now:  # of another number: two alike that wait to be delivered become one
                    self._process.send_signal(signal.SIGINT)


def smallest_gpu() -> float:
    """Memory (GiB) of this node's smallest GPU; 0 where there is none that can be asked."""
    hidden = os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # Ray shows a task without GPUs none
    try:
        return min(visible_gpus().values(), default=0.0)
    finally:
        if hidden is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = hidden
