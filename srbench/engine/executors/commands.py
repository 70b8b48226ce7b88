"""What executors read off the command line of a job, and what they leave in its cell's log."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

MODULE = "srbench.engine.job"
WAIT = ("--wait", "60")
"""A job that is started again waits for the one it replaces, which may still be ending."""

FOLDERS = ("SRBENCH_CACHE", "SRBENCH_DATA", "SRBENCH_WEIGHTS")


def folder_of(command: Sequence[str]) -> Path:
    """Folder of the cell that a job runs."""
    return Path(command[command.index(MODULE) + 1])


def timeout_of(command: Sequence[str]) -> float | None:
    """Seconds a job allows its cell; None without a limit."""
    if "--timeout" not in command:
        return None
    return float(command[command.index("--timeout") + 1])


def leave_words(command: Sequence[str], words: str) -> None:
    """Append to the cell's log what its job could not write itself: its record quotes the end."""
    if words.strip():
        with contextlib.suppress(OSError), (folder_of(command) / "log.txt").open("a") as file:
            file.write(words.rstrip() + "\n")


def carried(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment variables of this process that a job on another machine needs as well.

    Paths become absolute: a job's working directory is another one.
    """
    given = os.environ if environment is None else environment
    found = {name: value for name, value in given.items() if name.startswith("SRBENCH_")}
    for name in FOLDERS:
        if found.get(name):
            found[name] = str(Path(found[name]).absolute())
    if "PYTHONPATH" in given:
        found["PYTHONPATH"] = os.pathsep.join(str(Path(part).absolute())
                                              for part in given["PYTHONPATH"].split(os.pathsep))
    return found
