"""The worker processes of one cell: one, or as many as its training is spread over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srbench.engine.events import ENVIRONMENT, EventReader
from srbench.engine.processes import kill_group
from srbench.paths import CWD

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
PARENT = "SRBENCH_PARENT"
RANK, WORLD, RENDEZVOUS = "SRBENCH_RANK", "SRBENCH_WORLD", "SRBENCH_RENDEZVOUS"
RANK_TIMEOUT = "SRBENCH_RANK_TIMEOUT"


@dataclass
class Worker:
    """One process of a cell and the pipe its events come through."""

    rank: int
    process: subprocess.Popen[bytes]
    pipe: int
    reader: EventReader = field(default_factory=EventReader)
    seen: float = field(default_factory=time.monotonic)
    fitting: bool = False

    def events(self) -> list[dict[str, Any]] | None:
        """Events that arrived since the last call; None when the pipe is closed."""
        try:
            data = os.read(self.pipe, 1 << 16)
        except BlockingIOError:
            return []
        if not data:
            return None
        self.seen = time.monotonic()
        return self.reader.feed(data)

    def ask_to_stop(self) -> None:
        """Let the cell write a checkpoint and end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the process and its group."""
        kill_group(self.process.pid)


def start_workers(cell: dict[str, Any], folder: Path, output: int,
                  rank_timeout: float) -> list[Worker]:
    """Start the processes of a cell.

    Parameters
    ----------
    cell : dict
        What ``cell.json`` holds.
    folder : Path
        The cell's folder, absolute.
    output : int
        File descriptor that takes what they print.
    rank_timeout : float
        Seconds in which every rank must answer the others.
    """
    world = int(cell.get("ranks", 1))
    common = {**os.environ, "PYTHONUNBUFFERED": "1", PARENT: str(os.getpid()),
              CWD: str(cell.get("cwd") or Path.cwd()),
              **dict.fromkeys(THREADS, str(cell["identity"]["threads"]))}
    if world > 1:
        meeting = Path(tempfile.mkdtemp(prefix="srbench-ranks-")) / "rendezvous"
        common |= {WORLD: str(world), RENDEZVOUS: str(meeting), RANK_TIMEOUT: f"{rank_timeout:g}"}
    return [_start(rank, folder, output, common if world == 1 else {**common, RANK: str(rank)})
            for rank in range(world)]


def _start(rank: int, folder: Path, output: int, environment: dict[str, str]) -> Worker:
    pipe, child_end = os.pipe()
    os.set_blocking(pipe, False)
    process = subprocess.Popen(
        [sys.executable, "-m", "srbench.engine.worker", str(folder)], stdin=subprocess.DEVNULL,
        stdout=output, stderr=output, pass_fds=(child_end,), start_new_session=True,
        env={**environment, ENVIRONMENT: str(child_end)})
    os.close(child_end)
    return Worker(rank, process, pipe)
