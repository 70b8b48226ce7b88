"""Runs are killed at random moments, over and over; the store stays whole and loses nothing.

A chain is one ``runs/`` folder: every round starts the same command on it and kills the run, a job
or a worker with SIGKILL, then looks at every file. A chain ends when all its cells are ok; they
must equal those of a run that nobody disturbed.
"""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from time import sleep

import pandas as pd
import psutil
import pytest

from srbench.engine.lock import is_locked
from srbench.results.reading import load
from srbench.results.store import Store
from srbench.training.checkpoint import CheckpointStore, read_checkpoint
from tests.engine.runs import TOY, Run, essence, history, records, srbench, wait_until

# Two cells of about two seconds each, a checkpoint every few steps.
COMMAND = (*TOY, "--methods", "toy-slow[iterations=80,sleep=0.015]", "--seeds", "0,1",
           "--checkpoint-every", "0.05", "-j", "2")
CELLS = 2
VANISH = 30.0  # seconds: a job whose run died writes a checkpoint first
END_WITH_JOB = 10.0


class Chain:
    """Rounds on ``runs/`` folders of its own.

    Parameters
    ----------
    folder : Path
        Where it works.
    seed : int
        Decides what is killed, and when.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._root, self._random = folder, Random(seed)
        self.seen: Counter[str] = Counter()
        self.finished: list[Path] = []
        self._begin()

    def _begin(self) -> None:
        self.folder = self._root / f"chain-{len(self.finished)}"
        self.folder.mkdir(parents=True)
        self._ok: dict[Path, bytes] = {}

    def round(self) -> None:
        """Start the command, kill something, look at the store."""
        with Run(*COMMAND, cwd=self.folder) as run:
            self._wait(run)
            self._kill(run)
            code, _, said = run.end()
            assert code in (0, 3, -9), said
            assert "Traceback" not in said, said
            wait_until(lambda: not run.processes(), "no process of the run is left", VANISH)
        self.check()
        if len(self._ok) == CELLS:
            self.finished.append(self.folder)
            self._begin()

    def _wait(self, run: Run) -> None:
        """Wait for a random moment: of the start, or of a training."""
        if self._random.random() < 0.35:
            sleep(self._random.uniform(0, 5))
            return
        wait_until(lambda: run.step() or run.process.poll() is not None, "a cell trains")
        sleep(self._random.uniform(0, 2))

    def _kill(self, run: Run) -> None:
        """Kill the run or something it started; then, at random, the run too."""
        target = self._random.choice(["run", "job", "job", "worker", "worker"])
        again = self._random.choice([None, 0.0, self._random.uniform(0, 1.5)])
        training = run.trains()
        found = [] if target == "run" else sorted(run.module(target), key=lambda p: p.pid)
        if found:
            self._kill_child(self._random.choice(found))
            if again is None:
                self._count(target, training)
                return
            sleep(again)
        if run.process.poll() is None:
            run.process.kill()
        self._count(target if found else "run", training)

    def _kill_child(self, child: psutil.Process) -> None:
        """Kill a job or a worker; what it started goes with it."""
        try:
            family = child.children(recursive=True)
            child.kill()
        except psutil.NoSuchProcess:
            return
        _, alive = psutil.wait_procs([child, *family], END_WITH_JOB)
        alive = [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        assert not alive, f"outlived their job: {alive}"

    def _count(self, target: str, training: bool) -> None:
        self.seen[target] += 1
        self.seen["training"] += training

    def check(self) -> None:
        """Every visible file is whole, and nothing that was ok is gone or different."""
        check_store(self.folder / "runs")
        for path, content in self._ok.items():
            assert path.read_bytes() == content, f"{path} was committed and changed"
        for path in self.folder.glob("runs/cells/*/record.json"):
            if load(path).outcome.status == "ok":
                self._ok[path] = path.read_bytes()


def check_store(runs: Path) -> None:
    """Read every file of a store of which nothing runs."""
    for path in [*runs.glob("plans/*"), *runs.glob("cells/*/cell.json"),
                 *runs.glob("cells/*/live.json")]:
        json.loads(path.read_bytes())
    for path in runs.glob("cells/*/[!.]*.parquet"):  # a killed write leaves its hidden file
        pd.read_parquet(path)
    good, bad = Store(runs).records()
    assert not bad, bad
    for cell in runs.glob("cells/*"):
        assert not is_locked(cell)
        visible = CheckpointStore(cell / "checkpoint").newest_first()
        if visible:
            read_checkpoint(visible[0])
        if (cell / "record.json").exists():
            assert cell.name in {record.identity.key for record in good}


def assert_equal(folder: Path, clean: Path) -> int:
    """Assert that the cells of two folders are equal; returns how often they were resumed."""
    found, wanted = records(folder), records(clean)
    assert sorted(found) == sorted(wanted)
    assert len(found) == CELLS
    for name, record in found.items():
        assert essence(record) == essence(wanted[name])
        pd.testing.assert_frame_equal(history(folder, record), history(clean, wanted[name]),
                                      check_exact=True)
    return sum(record["cost"]["resumes"] for record in found.values())


def fuzz(tmp_path: Path, rounds: int) -> None:
    """Two chains side by side, then a last run of each that nobody disturbs."""
    undisturbed = tmp_path / "clean"
    undisturbed.mkdir()
    chains = [Chain(tmp_path / "a", seed=1), Chain(tmp_path / "b", seed=2)]

    def work(chain: Chain) -> None:
        for _ in range(rounds // len(chains)):
            chain.round()

    def finish(folder: Path) -> None:
        done = srbench(*COMMAND, cwd=folder)
        assert done.returncode == 0, done.stderr

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, chains))
        begun = [chain.folder for chain in chains if any(chain.folder.iterdir())]
        list(pool.map(finish, [undisturbed, *begun]))
    for chain in chains:
        chain.check()
    resumes = sum(assert_equal(folder, undisturbed)
                  for folder in [*begun, *(path for chain in chains for path in chain.finished)])
    seen = sum((chain.seen for chain in chains), Counter())
    # Else the rounds would prove little.
    assert min(seen[name] for name in ("run", "job", "worker")) > 0, seen
    assert seen["training"] >= rounds // 4, seen
    assert resumes >= rounds // 10


@pytest.mark.ci
@pytest.mark.timeout(900)
def test_twenty_rounds(tmp_path):
    fuzz(tmp_path, 20)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_hundred_rounds(tmp_path):
    fuzz(tmp_path, 200)
