"""Cells and commands for the executors, small enough to leave torch alone."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from tests.executors import fake_slurm

PATIENCE = 40.0
STOPPABLE = """
import os, signal, sys, time
def stop(*_):
    with open(sys.argv[2] + "/stopped", "a") as file:
        file.write("x")
    os._exit(75)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, stop)
open(sys.argv[2] + "/starting", "w").write(str(os.getpid()))
os.rename(sys.argv[2] + "/starting", sys.argv[2] + "/started")
time.sleep(60)
"""


def command(folder: Path, code: str) -> list[str]:
    """A job that runs Python code in place of a cell; its arguments are those of a real one."""
    folder.mkdir(parents=True, exist_ok=True)
    return [sys.executable, "-SEc", code, "srbench.engine.job", str(folder)]


def wait_for_code(executor, handle, seconds: float = PATIENCE) -> int:
    """Poll until a job has ended."""
    deadline = time.monotonic() + seconds
    while (code := executor.poll(handle)) is None:
        assert time.monotonic() < deadline, "the job does not end"
        time.sleep(0.05)
    return code


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> fake_slurm.FakeSlurm:
    """Slurm's commands on PATH."""
    fake = fake_slurm.install(tmp_path / "slurm")
    monkeypatch.setenv("FAKE_SLURM", str(fake.folder))
    monkeypatch.setenv("PATH", f"{tmp_path / 'slurm' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    yield fake
    fake.wait()
