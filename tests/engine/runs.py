"""Runs of the real command line, to be watched, killed and compared."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pandas as pd
import psutil
import pytest
from filelock import FileLock

PLUGIN = Path(__file__).resolve().parents[1] / "toy_plugin.py"
MARK = "SRBENCH_TEST_RUN"  # environment variable that all processes of a run inherit
TOY = ("run", "--plugin", str(PLUGIN), "--dataset", "toy", "--metrics", "l2-uvp")
PATIENCE = 90.0


class Run:
    """One ``srbench ...`` process and everything that it starts.

    Parameters
    ----------
    words : str
        The command line without ``srbench``.
    cwd : Path
        Where it runs; ``runs/`` is made there.
    environment : str
        Variables added to those of the tests.
    """

    def __init__(self, *words: str, cwd: Path, **environment: str) -> None:
        self.cells = cwd / "runs" / "cells"
        self._mark, self._began = secrets.token_hex(8), time.time()
        # Files: a pipe would stay open as long as anything the run left behind lives.
        self._out, self._err = cwd / f"out-{self._mark}", cwd / f"err-{self._mark}"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "srbench", *words], cwd=cwd, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env={**os.environ, "OMP_NUM_THREADS": "1", **environment, MARK: self._mark})

    @property
    def said(self) -> str:
        """What it wrote to stderr so far."""
        return self._err.read_text()

    def processes(self) -> list[psutil.Process]:
        """Every living process of this run, wherever it ended up."""
        found = []
        for process in psutil.process_iter():
            try:
                if (process.environ().get(MARK) == self._mark
                        and process.status() != psutil.STATUS_ZOMBIE):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def module(self, name: str) -> list[psutil.Process]:
        """Living processes of this run that run ``srbench.engine.<name>``."""
        found = []
        for process in self.processes():
            try:
                if f"srbench.engine.{name}" in process.cmdline():
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def end(self, timeout: float = PATIENCE) -> tuple[int, str, str]:
        """Wait for the end; exit code, stdout, stderr."""
        code = self.process.wait(timeout)
        return code, self._out.read_text(), self.said

    def kill_all(self, *first: str) -> None:
        """Kill everything, the modules ``first`` named before the rest."""
        victims = [process for name in first for process in self.module(name)]
        for process in [*victims, *self.processes()]:
            with suppress(psutil.Error):
                process.kill()
        self.process.wait()
        for process in victims:  # ours by now, if a test made this process adopt orphans
            with suppress(ChildProcessError):
                os.waitpid(process.pid, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_all()

    def trains(self) -> bool:
        """Whether a cell of this run is in its training."""
        return any(live.get("phase") == "fit" for live in self._running())

    def step(self) -> int:
        """Steps the cells' trainings have told of, summed."""
        return sum(live.get("step") or 0 for live in self._running()
                   if live.get("phase") == "fit")

    def _running(self) -> list[dict[str, Any]]:
        """``live.json`` of cells that this run, not an earlier one, is working on."""
        return [live for live in lives(self.cells, since=self._began).values()
                if live.get("state") == "running"]


def srbench(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    with Run(*words, cwd=cwd, **environment) as run:
        code, said, told = run.end()
    return subprocess.CompletedProcess(words, code, said, told)


def wait_until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait until ``condition`` holds and return what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"after {seconds:g} s still not: {what}"
        time.sleep(0.02)
    return found


def wait_for_training(run: Run, steps: int = 3) -> None:
    """Wait until cells of a run that goes on are in their training."""
    def condition() -> bool:
        assert run.process.poll() is None, run.said
        return run.step() >= steps

    wait_until(condition, "a cell trains")


def lives(cells: Path, *, since: float = 0.0) -> dict[str, dict[str, Any]]:
    """``live.json`` of each cell, by its key, where it was written ``since`` then."""
    return {path.parent.name: json.loads(path.read_bytes()) for path in cells.glob("*/live.json")
            if path.stat().st_mtime >= since}


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """Records below ``folder/runs``, by label and seed."""
    found = {}
    for path in folder.glob("runs/cells/*/record.json"):
        record = json.loads(path.read_bytes())
        found[f"{record['identity']['label']} {record['identity']['seed']}"] = record
    return found


def essence(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what may differ between two runs of a cell: times, plan, machine."""
    stages = [{name: value for name, value in stage.items() if name != "seconds"}
              for stage in record["cost"]["stages"]]
    outcome = {name: record["outcome"][name] for name in ("status", "reason", "flags")}
    identity = {name: value for name, value in record["identity"].items() if name != "plan"}
    return {"identity": identity, "origin": record["origin"], "outcome": outcome,
            "values": record["values"], "stages": stages, "facts": record["facts"],
            "parameters": record["cost"]["parameters"]}


def history(folder: Path, record: dict[str, Any]) -> pd.DataFrame:
    """History of a cell without its seconds."""
    path = folder / "runs" / "cells" / record["identity"]["key"] / "history.parquet"
    return pd.read_parquet(path).drop(columns="seconds")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Folder that the first of several test processes fills, for all of them to read."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, whole = root / name, root / f"{name}-is-whole"
    with FileLock(root / f"{name}.lock"):
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            whole.touch()
    return folder


def with_site(folder: Path, text: str) -> dict[str, str]:
    """Environment in which every Python process runs ``text`` when it starts."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(text)
    path = [str(folder), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, path))}
