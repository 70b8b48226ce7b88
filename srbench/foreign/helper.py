"""The process that reads files of others, started when the first is to be read.

It imports torch once and forks for each file, so a second file costs hundredths of a second; some
seconds after the last one it ends. It never looks at a file itself.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress

from srbench.errors import SrbenchError
from srbench.foreign import reader

STARTING = 120.0  # seconds an import of torch may take


class Helper:
    """One such process, which belongs to the process that started it."""

    def __init__(self) -> None:
        variables = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "",
                     "PYTHONWARNINGS": "ignore"}
        self.owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-P", reader.__file__], stdin=subprocess.PIPE, bufsize=0,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=variables,
            start_new_session=True)

    def answer(self, line: bytes, seconds: float) -> int | None:
        """How the process that read one file ended; None where the helper is gone.

        Raises
        ------
        TimeoutError
            If no answer came in that time; the helper is ended then.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        source, words = self._process.stdout.fileno(), b""
        deadline = time.monotonic() + seconds
        try:
            self._process.stdin.write(line)
            while not words.endswith(b"\n"):
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([source], [], [], left)[0]:
                    raise TimeoutError
                read = os.read(source, 64)
                if not read:
                    return None
                words += read
            return int(words)
        except BrokenPipeError:
            return None

    def end(self) -> None:
        """End it and what it started, and wait for that."""
        with suppress(OSError):
            os.killpg(self._process.pid, 9)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


_helper: Helper | None = None
_lock = threading.Lock()


def run_reader(request: reader.Request, seconds: float) -> int:
    """Have one file read and return how its process ended, as `subprocess` counts.

    Parameters
    ----------
    request : Request
        What to read.
    seconds : float
        Time on the clock, beside that of starting.

    Raises
    ------
    TimeoutError
        If it takes longer.
    SrbenchError
        If the helper does not start.
    """
    global _helper
    line = json.dumps(request._asdict()).encode() + b"\n"
    with _lock:
        for _ in range(2):  # one that was just about to end is not there any more
            if _helper is None or _helper.owner != os.getpid():
                _helper = Helper()
            try:
                code = _helper.answer(line, STARTING + seconds)
            except BaseException:
                _helper.end()
                _helper = None
                raise
            if code is not None:
                return code
            _helper.end()
            _helper = None
    raise SrbenchError("the process that reads checkpoints of others does not start",
                       hint=f"see what it says: {sys.executable} {reader.__file__} < /dev/null")
