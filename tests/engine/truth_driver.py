"""Runs `srbench` many times, each in a fork of one process that has imported torch already.

Reads jobs from stdin, one JSON object a line, and answers each with one line. srbench itself and
the plugins are imported by the fork, from whatever ``PYTHONPATH`` holds at that moment.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

HEAVY = ("torch", "torchvision", "numpy", "scipy.linalg", "scipy.stats", "skimage.metrics", "piq",
         "PIL.Image", "pydantic", "click", "rich.console", "rich.table", "rich.progress", "pluggy",
         "safetensors.torch", "pandas", "pyarrow.parquet", "filelock", "psutil", "tomllib")

START = "##### command"


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """Fork, run the job there, and say how it ended and what it printed."""
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            code = 99
            try:
                code = run(job)
            except SystemExit as end:
                code = int(end.code or 0)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                with contextlib.suppress(Exception):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        said.seek(0)
        return {"code": os.waitstatus_to_exitcode(status), "said": said.read().decode()}


def run(job: dict[str, Any]) -> int:
    """Run the commands of a job in this process; each starts with a line of its own."""
    os.chdir(job["cwd"])
    sys.path[:0] = job["path"]
    importlib.invalidate_caches()
    real, pretended = metadata.version, job["versions"]
    # What is asked here is what the installed metadata of another environment would say.
    metadata.version = lambda name: pretended.get(name) or real(name)
    from srbench.cli import main

    worst = 0
    for argv in job["commands"]:
        sys.stdout.flush()
        print(START, file=sys.stderr, flush=True)  # noqa: T201
        worst = max(worst, int(main(argv)))
    return worst


if __name__ == "__main__":
    for name in HEAVY:
        importlib.import_module(name)
    assert "srbench" not in sys.modules
    # A collection in a fork would write to, and so copy, every page of what is imported here.
    gc.freeze()
    gc.disable()
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [place for place in sys.path if place != here]
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)  # noqa: T201
