"""`srbench status` and `srbench resume`: while a run goes on, after it, and after every bad end."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from srbench.cli import main
from srbench.engine.job import PARENT_DIED, JobExit
from srbench.engine.live import Live
from srbench.results.store import Store
from srbench.training.checkpoint import CheckpointStore
from tests.engine.runs import (
    PLUGIN,
    TOY,
    Run,
    essence,
    history,
    made_once,
    records,
    srbench,
    wait_for_training,
    wait_until,
)
from tests.results.factory import make_record

GATE = (*TOY, "--plugin", str(Path(__file__).with_name("gate_plugin.py")), "--checkpoint-every",
        "0", "-j", "1")
LONG = (*TOY, "--methods", "toy-slow[iterations=100000,sleep=0.02]")
SHORT = (*TOY, "--methods", "toy-slow[iterations=150,sleep=0.03]")


@pytest.fixture
def status(tmp_path, capsys):
    """`srbench status` in this process: exit code and what it said."""
    def ask(*words: str, folder: Path = tmp_path) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["status", "--runs", str(folder / "runs"), *words])
        return code, capsys.readouterr().out

    return ask


def states(text: str) -> dict[str, str]:
    return {cell["name"].split()[0]: cell["state"] for cell in json.loads(text)["cells"]}


# ------------------------------------------------------------------ one run's whole life


@pytest.mark.ci
def test_a_run_from_its_first_steps_over_a_crash_to_its_end(tmp_path, status):
    gate = tmp_path / "gate"
    with Run(*GATE, "--methods", "toy-raise,toy-gate,toy-shift", cwd=tmp_path,
             GATE=str(gate)) as run:
        wait_until(lambda: at_the_gate(run), "the second cell trains")
        while_it_runs(run, status)
        run.kill_all("job", "worker")
        wait_until(lambda: not run.processes(), "all of it is gone")
    after_a_crash(status)
    gate.touch()
    resumed = srbench("resume", cwd=tmp_path, GATE=str(gate))
    assert resumed.returncode == 3, resumed.stderr
    assert records(tmp_path)["toy-gate 0"]["cost"]["resumes"] == 1
    code, said = status()
    assert code == 3
    assert "3 cells: 2 ok, 1 failed" in said
    failed = records(tmp_path)["toy-raise 0"]
    assert main(["resume", "--runs", str(tmp_path / "runs")]) == 4
    again = srbench("resume", "--retry-failed", cwd=tmp_path, GATE=str(gate))
    assert again.returncode == 3, again.stderr
    assert "2 already done" in again.stderr
    assert records(tmp_path)["toy-raise 0"]["outcome"]["finished"] > failed["outcome"]["finished"]


def at_the_gate(run: Run) -> bool:
    """Whether a cell has trained the 20 steps before it waits; each writes a checkpoint."""
    return run.step() > 0 and bool(list(run.cells.glob("*/checkpoint/*20")))


def while_it_runs(run: Run, status) -> None:
    code, said = status("--json")
    document = json.loads(said)
    assert code == 3
    assert document["counts"] == {"failed": 1, "running": 1, "waiting": 1}
    assert states(said) == {"toy-raise": "failed", "toy-gate": "running", "toy-shift": "waiting"}
    failed, running, waiting = document["cells"]
    assert "the toy is broken" in failed["reason"]
    live = running["live"]
    assert (live["phase"], live["stage"], live["steps"]) == ("fit", "main", 40)
    assert 0 < live["step"] <= 21
    assert live["rate"] > 0
    assert live["eta"] >= 0
    assert [live["pid"]] == [job.pid for job in run.module("job")]
    assert "live" not in waiting
    code, said = status()
    assert code == 3
    assert "3 cells: 1 running, 1 waiting, 1 failed" in said
    for words in (f"{live['step']}/40", "step/s", "left", f"{live['pid']}@", "toy is broken"):
        assert words in said


def after_a_crash(status) -> None:
    """``live.json`` still says that it runs; its lock says that nobody does."""
    code, said = status("--json")
    assert code == 3
    assert states(said) == {"toy-raise": "failed", "toy-gate": "interrupted",
                            "toy-shift": "waiting"}
    reason = json.loads(said)["cells"][1]["reason"]
    assert "srbench resume" in reason
    assert "1 interrupted" in status()[1]



# ------------------------------------------------------------------ interrupted, then resumed


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    def run(folder: Path) -> None:
        done = srbench(*SHORT, cwd=folder)
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "undisturbed", run)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_asked_to_stop_and_resumed_gives_the_same_bits(
        tmp_path, undisturbed, number):
    with Run(*SHORT, cwd=tmp_path) as run:
        wait_for_training(run, steps=5)
        run.process.send_signal(number)
        code, _, said = run.end()
    assert code == 130, said
    plan = Store(tmp_path / "runs").latest_plan()
    assert f"srbench resume {plan}" in said
    record, = records(tmp_path).values()
    assert record["outcome"]["status"] == "interrupted"
    resumed = srbench("resume", plan, cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    (record,), (straight,) = records(tmp_path).values(), records(undisturbed).values()
    assert record["cost"]["resumes"] == 1
    assert record["outcome"]["notes"] == straight["outcome"]["notes"]
    assert essence(record) == essence(straight)
    pd.testing.assert_frame_equal(history(tmp_path, record), history(undisturbed, straight),
                                  check_exact=True)


def test_a_run_that_is_killed_leaves_checkpoints_and_no_process(tmp_path, status):
    with Run(*LONG, "--seeds", "0,1", "-j", "2", cwd=tmp_path) as run:
        wait_for_training(run, steps=10)
        run.process.kill()
        wait_until(lambda: not run.processes(), "jobs end with their run", 30)
    found = records(tmp_path)
    assert {record["outcome"]["status"] for record in found.values()} == {"interrupted"}
    trained = [record for record in found.values()
               if "everything is saved" in record["outcome"]["reason"]]
    assert trained
    for record in trained:
        folder = tmp_path / "runs" / "cells" / record["identity"]["key"]
        assert CheckpointStore(folder / "checkpoint").read() is not None
    assert set(states(status("--json")[1]).values()) == {"interrupted"}


# ------------------------------------------------------------------ signals to a job


@pytest.fixture(scope="module")
def long_cell(tmp_path_factory) -> Path:
    """Folder of a cell that trains for an hour, with its first checkpoint."""
    folder = tmp_path_factory.mktemp("long")
    with Run(*LONG, cwd=folder) as run:
        wait_for_training(run)
        run.process.send_signal(signal.SIGINT)
        assert run.end()[0] == 130, run.said
    cell, = (folder / "runs" / "cells").iterdir()
    return cell


def trained(cell: Path) -> int:
    """Steps in the newest checkpoint of a cell."""
    state = CheckpointStore(cell / "checkpoint").read()
    return sum(stage["steps"] for stage in state["stages"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2, signal.SIGINT])
def test_a_job_that_is_asked_to_stop_saves_and_asks_to_be_started_again(long_cell, number):
    before = trained(long_cell)
    job = subprocess.Popen([sys.executable, "-m", "srbench.engine.job", str(long_cell)])
    try:
        wait_until(lambda: is_past(long_cell, before), "it trains")
        asked = time.monotonic()
        job.send_signal(number)
        assert job.wait(30) == JobExit.INTERRUPTED == 75
        assert time.monotonic() - asked < 30
    finally:
        job.kill()
    assert trained(long_cell) > before
    record = json.loads((long_cell / "record.json").read_text())
    assert record["outcome"]["status"] == "interrupted"
    assert "everything is saved" in record["outcome"]["reason"]
    live = json.loads((long_cell / "live.json").read_text())
    assert live["state"] == "interrupted"


def test_the_death_of_the_parent_is_one_request_however_often_it_is_told(long_cell):
    before = trained(long_cell)
    job = subprocess.Popen([sys.executable, "-m", "srbench.engine.job", str(long_cell)])
    try:
        wait_until(lambda: is_past(long_cell, before), "it trains")
        for _ in range(20):  # a killed parent of twenty threads sends as many
            job.send_signal(PARENT_DIED)
            time.sleep(0.01)
        assert job.wait(30) == JobExit.INTERRUPTED
    finally:
        job.kill()
    record = json.loads((long_cell / "record.json").read_text())
    assert "everything is saved" in record["outcome"]["reason"]


def is_past(cell: Path, step: int) -> bool:
    live = json.loads((cell / "live.json").read_text())
    return live.get("state") == "running" and (live.get("step") or 0) > step


def test_the_second_signal_ends_a_cell_that_does_not_stop(tmp_path):
    with Run(*GATE, "--methods", "toy-gate", cwd=tmp_path, GATE=str(tmp_path / "gate")) as run:
        wait_until(lambda: at_the_gate(run), "it waits at its gate")
        job, = run.module("job")
        job.send_signal(signal.SIGINT)
        wait_until(lambda: "stopping" in next(run.cells.glob("*/live.json")).read_text(), "asked")
        with pytest.raises(psutil.TimeoutExpired):
            job.wait(1.0)
        job.send_signal(signal.SIGINT)
        asked = time.monotonic()
        wait_until(lambda: not run.module("worker"), "the cell is ended", 10)
        assert time.monotonic() - asked < 10
        code, _, said = run.end()
    assert code == 130, said
    record, = records(tmp_path).values()
    assert record["outcome"]["status"] == "interrupted"
    assert "SIGKILL" in record["outcome"]["reason"]


# ------------------------------------------------------------------ what cannot be resumed


def test_there_is_nothing_to_resume_and_nothing_to_show(tmp_path, capsys):
    runs = ["--runs", str(tmp_path / "runs")]
    assert main(["resume", *runs]) == 4
    assert "nothing to resume" in capsys.readouterr().err
    assert main(["status", *runs]) == 4
    assert "no plan" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_plan_of_an_older_version_is_refused_with_the_command_that_made_it(tmp_path, capsys):
    store, record = Store(tmp_path / "runs"), make_record()
    store.write_plan("old", {"id": "old", "command": "srbench run --methods ots --dataset x",
                             "cells": [record.identity.key]})
    assert main(["resume", "--runs", str(store.runs)]) == 2
    said = capsys.readouterr().err
    assert "older srbench" in said
    assert "srbench run --methods ots --dataset x" in said
    assert main(["status", "--runs", str(store.runs)]) == 0  # it can still be shown
    assert "1 waiting" in capsys.readouterr().out


def test_an_unknown_plan_is_named_with_those_there_are(tmp_path, capsys):
    store = Store(tmp_path / "runs")
    store.write_plan("one", {"id": "one", "cells": []})
    for verb in ("resume", "status"):
        assert main([verb, "two", "--runs", str(store.runs)]) != 0
        said = capsys.readouterr().err
        assert "'two'" in said
        assert "one" in said


def test_code_that_changed_since_is_told_and_its_cells_start_afresh(tmp_path):
    plugin = tmp_path / "changing.py"
    shutil.copy(PLUGIN, plugin)
    first = srbench("run", "--plugin", str(plugin), "--dataset", "toy", "--methods", "toy-raise",
                    "--metrics", "l2-uvp", cwd=tmp_path)
    assert first.returncode == 3, first.stderr
    plugin.write_text(plugin.read_text().replace("the toy is broken", "the toy broke again"))
    second = srbench("resume", "--retry-failed", cwd=tmp_path)
    assert second.returncode == 3, second.stderr
    assert "warning: 1 of 1 cells are not those of the plan any more" in second.stderr
    assert "srbench explain" in second.stderr
    store = Store(tmp_path / "runs")
    (plan,), (good, _) = store.plans(), store.records()
    assert sorted(record.outcome.reason for record in good) == [
        "RuntimeError: the toy broke again", "RuntimeError: the toy is broken"]
    new, = (record for record in good if "again" in record.outcome.reason)
    assert store.read_plan(plan)["cells"] == [new.identity.key]


# ------------------------------------------------------------------ damaged and odd stores


def write_plan(store: Store, *members) -> None:
    store.write_plan("plan", {"id": "plan", "cells": [record.identity.key for record in members],
                              "names": [record.identity.label for record in members]})


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000,
                                     b'{"state": "running", "phase": 7}'])
def test_a_damaged_live_file_does_not_matter_where_a_record_is(tmp_path, status, content):
    store, record = Store(tmp_path / "runs"), make_record("done")
    path = store.commit(record)
    (path.parent / "live.json").write_bytes(content)
    write_plan(store, record)
    assert states(status("--json")[1]) == {"done": "ok"}


def test_a_damaged_record_is_waiting_and_says_so(tmp_path, status):
    store, record = Store(tmp_path / "runs"), make_record("torn")
    path = store.commit(record)
    path.write_bytes(path.read_bytes()[:100])
    write_plan(store, record)
    code, said = status("--json")
    cell, = json.loads(said)["cells"]
    assert (code, cell["state"], cell["reason"]) == (0, "waiting", "its record is damaged")


def test_a_record_newer_than_its_live_file_is_what_counts(tmp_path, status):
    store, record = Store(tmp_path / "runs"), make_record("cell", status="failed", reason="why")
    folder = store.cell_folder(record.identity.key)
    folder.mkdir(parents=True)
    Live(folder, {}).end("ok", "")
    time.sleep(0.02)
    store.commit(record)
    write_plan(store, record)
    code, said = status("--json")
    cell, = json.loads(said)["cells"]
    assert (code, cell["state"], cell["reason"]) == (3, "failed", "why")


def test_to_watch_ends_with_the_last_cell_or_when_nobody_runs_what_waits(
        tmp_path, status, monkeypatch):
    store, record = Store(tmp_path / "runs"), make_record("done")
    store.commit(record)
    write_plan(store, record)
    assert status("--watch")[0] == 0
    write_plan(store, record, make_record("waits"))
    monkeypatch.setattr("srbench.cli.status.EVERY", 0.05)
    monkeypatch.setattr("srbench.cli.status.IDLE", 0.2)
    code, said = status("--watch")
    assert code == 0
    assert said.count("2 cells: 1 ok, 1 waiting") >= 3


def test_every_state_is_counted_and_many_are_not_all_named(tmp_path, status):
    store = Store(tmp_path / "runs")
    members = [make_record(f"cell-{number}", status="crashed", reason="killed by SIGKILL")
               for number in range(30)]
    for record in members:
        store.commit(record)
    waiting = make_record("cell-30")
    write_plan(store, *members, waiting)
    code, said = status()
    assert code == 3
    assert "31 cells: 1 waiting, 30 crashed" in said
    assert said.count("killed by SIGKILL") == 20
    assert "10 more" in said
