"""A process that runs checks, as its parent sees it."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from srbench.conformance.child import PARENT
from srbench.engine.processes import kill_group
from srbench.errors import UsageError
from srbench.paths import CWD, user_path

START = 120.0  # seconds a process may take to import torch and the plugins
TAIL = 300  # characters of what a process said before it ended


class Stopped(Exception):
    """The user stopped the checks."""


class Child:
    """One process that runs checks.

    Parameters
    ----------
    plugins : sequence of Path
        One-off plugins.
    stop : Event
        Set when the checks are to end.
    """

    def __init__(self, plugins: Sequence[Path], stop: threading.Event) -> None:
        self.lost = False
        self._stop = stop
        self._folder = tempfile.TemporaryDirectory(prefix="srbench-check-",
                                                   ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        (folder / "tmp").mkdir()
        self._log = folder / "log.txt"
        environment = {**os.environ, "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1",
                       "MKL_NUM_THREADS": "1", PARENT: str(os.getpid()),
                       CWD: str(user_path("."))}  # paths in parameters are those of the user
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "srbench.conformance.child", str(folder / "tmp")],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment,
                start_new_session=True)
        self._words: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        assert self._process.stdout is not None
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
        self.send([str(path) for path in plugins])
        if self.read(time.monotonic() + START) is None:
            message = f"the process that runs checks did not start: {self.tail()}"
            self.end()
            raise UsageError(message)

    def _listen(self, stream: IO[bytes]) -> None:
        for line in stream:
            with suppress(ValueError):  # half a line of a process that was killed
                self._words.put(json.loads(line))
        self._words.put(None)

    @property
    def code(self) -> int | None:
        """Exit code of a process that ended by itself."""
        return self._process.poll()

    def send(self, words: Any) -> None:
        """Write a line to the process; one that is dead is noticed when it is read from."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write((json.dumps(words) + "\n").encode())
            self._process.stdin.flush()

    def read(self, deadline: float) -> dict[str, Any] | None:
        """Return the next report; None where the process is dead or says nothing for too long.

        Raises
        ------
        Stopped
            If the checks are to end.
        """
        while True:
            try:
                word = self._words.get(timeout=0.2)
            except queue.Empty:
                if self._stop.is_set():
                    raise Stopped from None
                if time.monotonic() > deadline:
                    return None
                continue
            if word is None:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(2)
            return word

    def tail(self) -> str:
        """Last line of what the process printed."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:TAIL] if lines else ""

    def end(self) -> None:
        """Kill the process and what it started."""
        kill_group(self._process.pid)
        self._process.wait()
        self._folder.cleanup()


def ended(code: int) -> str:
    """How a process ended, in words."""
    if code < 0:
        return f"by {signal.Signals(-code).name}"
    return f"with exit code {code}"
