"""Asking the system's commands."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SECONDS = 5.0  # limit of each command that is asked


def ask(command: list[str], folder: Path | None = None) -> str | None:
    """Output of a command, or None if it is absent, fails or takes longer than `SECONDS`."""
    # Optional locks off: looking at a repository must not write to its index.
    variables = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(command, cwd=folder, env=variables, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", errors="replace").strip()
