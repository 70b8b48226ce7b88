"""Two runs on one ``runs/`` folder: every cell is trained once, and nobody waits for the dead."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from srbench.engine.lock import locked
from srbench.engine.scheduler import Scheduler
from srbench.results.record import Status
from srbench.results.store import Store
from tests.engine.cells import make_cell
from tests.engine.runs import (
    TOY,
    Run,
    essence,
    made_once,
    records,
    srbench,
    wait_until,
    with_site,
)

GATE = (*TOY, "--plugin", str(Path(__file__).with_name("gate_plugin.py")), "--methods", "toy-gate",
        "--checkpoint-every", "0", "-j", "2")
# Each start of a cell's process leaves a line.
COUNT = """
import os, sys
if "srbench.engine.worker" in sys.orig_argv:
    with open(os.environ["STARTS"], "a") as file:
        file.write(sys.argv[-1].rpartition("/")[2] + "\\n")
"""
NO_FLOCK = """
import errno, fcntl
def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = refuse
"""
WAITS = re.compile(r"^wait   toy-gate on toy, seed (\d): process (\d+) on (\S+) is running it$",
                   re.MULTILINE)


class Place:
    """A folder with a gate and a count of started cells.

    Parameters
    ----------
    folder : Path
        Where the runs run.
    site : str
        What every Python process does when it starts.
    """

    def __init__(self, folder: Path, site: str = "") -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.gate, self._starts = folder / "gate", folder / "starts"
        self._environment = {**with_site(folder / "site", COUNT + site), "GATE": str(self.gate),
                             "STARTS": str(self._starts)}

    def run(self, *words: str) -> Run:
        return Run(*GATE, *words, cwd=self.folder, **self._environment)

    def starts(self) -> Counter[str]:
        return Counter(self._starts.read_text().split())


def saved(run: Run) -> list[int]:
    """Number of the newest checkpoint of each cell that has one; each step writes one."""
    newest = {path.parent: int(path.name) for path in sorted(run.cells.glob("*/checkpoint/0*"))}
    return list(newest.values())


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """Records of three cells that one run made alone."""
    def run(folder: Path) -> None:
        (folder / "gate").touch()
        done = srbench(*GATE, "--seeds", "0-2", cwd=folder, GATE=str(folder / "gate"))
        assert done.returncode == 0, done.stderr

    folder = made_once(tmp_path_factory, "single", run)
    return {name: essence(record) for name, record in records(folder).items()}


def test_overlapping_plans_train_every_cell_once_and_say_whom_they_wait_for(tmp_path, single):
    place = Place(tmp_path)
    with place.run("--seeds", "0,1") as first:
        wait_until(lambda: len(saved(first)) == 2, "both train")
        jobs = {process.pid for process in first.module("job")}
        with place.run("--seeds", "0-2") as second:
            wait_until(lambda: len(WAITS.findall(second.said)) == 2, "the second run waits")
            wait_until(lambda: len(saved(second)) == 3, "it trains the third cell")
            place.gate.touch()
            assert first.end()[0] == 0, first.said
            assert second.end()[0] == 0, second.said
            waits = WAITS.findall(second.said)
    assert {seed for seed, _, _ in waits} == {"0", "1"}
    assert {int(process) for _, process, _ in waits} == jobs
    assert {host for *_, host in waits} == {socket.gethostname()}
    assert sorted(place.starts().values()) == [1, 1, 1]
    found = records(tmp_path)
    assert {record["cost"]["resumes"] for record in found.values()} == {0}
    assert {name: essence(record) for name, record in found.items()} == single


def test_two_runs_of_one_plan_started_at_once_without_locks_of_the_system(tmp_path, single):
    place = Place(tmp_path, NO_FLOCK)
    place.gate.touch()
    with place.run("--seeds", "0-2") as first, place.run("--seeds", "0-2") as second:
        assert first.end()[0] == 0, first.said
        assert second.end()[0] == 0, second.said
    assert sorted(place.starts().values()) == [1, 1, 1]
    assert {name: essence(record) for name, record in records(tmp_path).items()} == single


@pytest.mark.parametrize("site", ["", NO_FLOCK], ids=["flock", "no-flock"])
def test_nobody_waits_for_the_dead(tmp_path, single, site):
    place = Place(tmp_path, site)
    with place.run("--seeds", "0") as first, place.run("--seeds", "0") as second:
        wait_until(lambda: WAITS.findall(first.said + second.said), "one waits for the other")
        owner, other = (second, first) if WAITS.findall(first.said) else (first, second)
        wait_until(lambda: max(saved(owner), default=0) >= 15, "the other trains")
        owner.kill_all("job", "worker")  # the job first: it would leave a record
        place.gate.touch()
        assert other.end()[0] == 0, other.said
    record, = records(tmp_path).values()
    assert record["cost"]["resumes"] == 1
    assert list(place.starts().values()) == [2]
    assert essence(record) == single["toy-gate 0"]


def test_a_cell_of_another_host_is_left_alone(tmp_path):
    place = Place(tmp_path, NO_FLOCK)
    with place.run("--seeds", "0") as first:
        wait_until(lambda: saved(first), "it trains")
        cell, = first.cells.iterdir()
        first.kill_all("job", "worker")
    marker = cell / ".lock.soft"
    gone = subprocess.Popen(["true"])
    gone.wait()  # such a process lives on no host
    marker.write_text(f"{gone.pid}\n{socket.gethostname()}-other\n")
    with place.run("--seeds", "0") as second:
        wait_until(lambda: WAITS.findall(second.said), "it waits")
        second.process.send_signal(signal.SIGINT)
        assert second.end()[0] == 130, second.said
    assert marker.read_text().startswith(f"{gone.pid}\n")
    assert list(place.starts().values()) == [1]
    assert not (cell / "record.json").exists()


def test_an_interrupted_run_writes_nothing_into_a_cell_of_another(tmp_path):
    """It would be taken for what the other run found out."""
    class Full:
        name = "full"

        def submit(self, cell, command, *, alone=False):
            scheduler._signals += 1
            return None

        def close(self):
            pass

    store, cells = Store(tmp_path / "runs"), [make_cell("ok"), make_cell("ok", seed=1)]
    folder = store.cell_folder(cells[0].key)
    folder.mkdir(parents=True)
    scheduler = Scheduler(store, Full(), on_event=lambda cell, event: None)
    with locked(folder):
        mine, free = scheduler.run(cells)
    assert mine.outcome.status == free.outcome.status == Status.INTERRUPTED
    assert "another run" in mine.outcome.reason
    assert store.read(cells[0].key) is None
    assert store.read(cells[1].key) == free
