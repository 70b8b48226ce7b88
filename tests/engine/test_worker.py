"""One cell in this process: what its record says and what lies beside it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from srbench.engine import cell as cell_module
from srbench.engine.cell import run_cell
from srbench.engine.events import ENVIRONMENT, EventReader
from srbench.engine.worker import main
from srbench.plan import Cell, Request, make_plan
from srbench.registry.catalog import discover
from srbench.results.record import Status
from srbench.results.store import Store
from srbench.spec import parse_specs

PLUGIN = Path(__file__).resolve().parents[1] / "toy_plugin.py"


@pytest.fixture(autouse=True)
def same_process():
    """Put back what a worker changes in its process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    threads = torch.get_num_threads()
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    torch.set_num_threads(threads)


@pytest.fixture
def prepared(tmp_path):
    """Return a function that plans one cell of the toy and writes its ``cell.json``."""
    def prepare(spec="toy-shift[iterations=20]", change=lambda cell: cell, **changes):
        request = Request(methods=parse_specs([spec]), datasets=parse_specs(["toy"]), seeds=[0],
                          preset="quick", precision="fp32", device="cpu", threads=1,
                          metrics=["l2-uvp", "cosine"])
        cell, = make_plan(replace(request, **changes), discover([PLUGIN]), "plan")
        folder = Store(tmp_path / "runs").cell_folder(cell.key)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cell.json").write_text(change(cell).model_dump_json())
        return folder
    return prepare


class Events(list):
    """Collects events; sends this process a signal at the first of one kind."""

    def __init__(self, at=None) -> None:
        self.at = at

    def __call__(self, event) -> None:
        self.append(event)
        if event["event"] == self.at:
            self.at = None
            os.kill(os.getpid(), signal.SIGTERM)

    def kinds(self):
        return [event["event"] for event in self]


def test_a_record_holds_values_costs_facts_and_identity(prepared):
    folder = prepared("toy-shift[iterations=150]")
    cell = Cell.model_validate_json((folder / "cell.json").read_text())
    record = run_cell(folder, Events())
    assert record.outcome.status == Status.OK
    assert (record.identity, record.origin) == (cell.identity, cell.origin)
    assert Store.of_cell(folder).read(cell.key) == record
    assert list(record.values.final) == ["l2-uvp", "cosine"]
    assert record.values.final["l2-uvp"].value < 5
    assert record.values.final["cosine"].value > 0.95
    assert record.facts == {"hr_variance": 4.0, "transport_cost": 2.0, "test_size": 64}
    assert record.cost.parameters == 4
    assert record.cost.stages[0].calls["map"] == 150 * 64
    assert record.cost.peak_memory_bytes > 50e6
    assert record.cost.peak_device_memory_bytes is None
    assert record.environment["device"] == "cpu"
    assert record.environment["cpu"]["threads"] == 1


def test_scores_are_those_of_the_trained_map(prepared):
    events = Events()
    record = run_cell(prepared(), events)
    # The map adds b to x, the truth adds 1: L2-UVP is 100 |b - 1|^2 / 4 for every x, so the last
    # validation, on other pairs, must agree with the test.
    value = record.values.final["l2-uvp"]
    assert value.count == 64
    last = [event for event in events if event["event"] == "validation"][-1]
    assert last["values"]["l2-uvp"] == pytest.approx(value.value, rel=1e-4)
    assert value.interval[0] == pytest.approx(value.value, rel=1e-4)
    assert value.interval[1] == pytest.approx(value.value, rel=1e-4)


def test_artefacts_are_every_file_with_its_true_hash(prepared):
    folder = prepared()
    (folder / "log.txt").write_text("not an artefact: it still grows")
    record = run_cell(folder, Events())
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")
             if path.is_file()}
    assert set(found) - set(record.artefacts) == {"cell.json", "record.json", "log.txt"}
    assert {"per_image.parquet", "history.parquet"} <= set(record.artefacts)
    for name, artefact in record.artefacts.items():
        content = found[name].read_bytes()
        assert artefact.path == name
        assert artefact.size == len(content)
        assert artefact.sha256 == hashlib.sha256(content).hexdigest()


def test_per_image_values_are_where_the_record_says(prepared):
    folder = prepared()
    record = run_cell(folder, Events())
    file, _, column = record.values.final["l2-uvp"].per_image.partition("#")
    values = pd.read_parquet(folder / file)[column]
    assert len(values) == 64
    assert values.mean() == pytest.approx(record.values.final["l2-uvp"].value, rel=1e-6)


def test_the_oracle_is_an_earlier_and_better_iterate(prepared):
    # Adam with a step of 1 is near the answer after one step and overshoots at the next ones.
    record = run_cell(prepared("toy-shift[iterations=10,lr=1]"), Events())
    values = record.values
    assert values.oracle_looks == 10
    assert values.oracle_step < 10
    assert values.oracle["l2-uvp"].value < 0.5 * values.final["l2-uvp"].value
    assert values.oracle["l2-uvp"].protocol == values.final["l2-uvp"].protocol
    assert record.cost.stages[0].steps == 10


def test_events_tell_the_phases_in_order(prepared):
    events = Events()
    run_cell(prepared(), events)
    assert [event["phase"] for event in events if event["event"] == "phase"] == [
        "prepare", "fit", "evaluate"]
    assert events.kinds().count("validation") == 10
    evaluated = [event for event in events if event.get("stage") == "evaluate"]
    assert evaluated[0] == {"event": "progress", "stage": "evaluate", "step": 64, "steps": 64}


def test_two_runs_of_a_cell_give_the_same_numbers(prepared):
    first = run_cell(prepared(), Events())
    folder = prepared()
    for path in (folder / "checkpoint").rglob("*.json"):
        path.unlink()  # a damaged checkpoint: the training starts again
    again = run_cell(folder, Events())
    assert again.values == first.values
    assert again.cost.stages[0].images == first.cost.stages[0].images


def test_data_that_changed_since_the_plan_is_refused(prepared):
    def change(cell):
        origin = cell.origin.model_copy(update={"dataset_fingerprint": "0" * 64})
        return cell.model_copy(update={"origin": origin})

    record = run_cell(prepared(change=change), Events())
    assert record.outcome.status == Status.FAILED
    assert "toy changed since the plan was made" in record.outcome.reason
    assert "000000000000" in record.outcome.reason
    assert "start the run again" in record.outcome.reason
    assert record.values.final == {}


@pytest.mark.parametrize(("way", "status", "reason", "phases"), [
    ("raise", "failed", "RuntimeError: the toy is broken", 2),
    ("skip", "skipped", "this toy makes no sense here", 1),
    ("missing", "missing-dependency",
     "the package 'toyland' is not installed (pip install toyland)", 2),
    ("oom", "oom", "MemoryError: the toy wants more", 2),
    ("nan", "diverged", "loss of 'optimizer' is nan at step 8", 2)])
def test_however_a_cell_ends_it_commits_a_record(prepared, capfd, way, status, reason, phases):
    folder, events = prepared(f"toy-{way}"), Events()
    record = run_cell(folder, events)
    assert record.outcome.status == status
    assert reason in record.outcome.reason
    assert Store.of_cell(folder).read(record.identity.key) == record
    assert record.environment["packages"]["torch"]
    assert record.cost.peak_memory_bytes > 50e6
    assert "Traceback" in capfd.readouterr().err
    assert events.kinds().count("phase") == phases


def test_an_infinite_parameter_reaches_the_method(prepared):
    record = run_cell(prepared("toy-shift[lr=inf,iterations=1]"), Events())
    assert record.outcome.status in (Status.DIVERGED, Status.FAILED)
    assert "lr=None" not in record.outcome.reason
    assert "validation" not in record.outcome.reason


def test_a_budget_of_steps_ends_the_training(prepared):
    record = run_cell(prepared(budget="7it"), Events())
    assert record.outcome.status == Status.OK
    assert record.cost.budget == "7it"
    assert record.cost.stages[0].steps == 7


def test_sigterm_keeps_a_checkpoint_and_the_cell_goes_on(prepared):
    spec = "toy-shift[iterations=60,lr=0.1,sleep=0.005]"
    folder = prepared(spec)
    stopped = run_cell(folder, Events(at="validation"))
    assert stopped.outcome.status == Status.INTERRUPTED
    assert any(name.startswith("checkpoint/") for name in stopped.artefacts)
    resumed = run_cell(folder, Events())
    assert resumed.outcome.status == Status.OK
    assert (resumed.cost.resumes, resumed.cost.stages[0].steps) == (1, 60)
    (folder / "record.json").unlink()
    for path in sorted((folder / "checkpoint").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    straight = run_cell(folder, Events())
    assert straight.cost.resumes == 0
    assert straight.values == resumed.values


def test_the_entry_point_sends_its_events_through_the_pipe(prepared, monkeypatch):
    folder = prepared("toy-shift[iterations=2]")
    reading, writing = os.pipe()
    monkeypatch.setenv(ENVIRONMENT, str(writing))
    assert main([str(folder)]) == 0
    os.close(writing)
    events = EventReader().feed(os.read(reading, 1 << 16))
    os.close(reading)
    assert events[0] == {"event": "phase", "phase": "prepare"}
    assert events[-1] == {"event": "done", "status": "ok"}


def test_a_cell_folder_without_description_is_an_error_exit(tmp_path):
    done = subprocess.run([sys.executable, "-m", "srbench.engine.worker", str(tmp_path)],
                          capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "cell.json" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_description_of_a_cell_is_strict(prepared):
    folder = prepared()
    document = json.loads((folder / "cell.json").read_text())
    (folder / "cell.json").write_text(json.dumps({**document, "sead": 1}))
    with pytest.raises(ValueError, match="sead"):
        run_cell(folder, Events())


def test_an_interrupted_rerun_keeps_the_record_of_the_finished_cell(prepared, monkeypatch):
    folder = prepared()
    store = Store.of_cell(folder)
    first = run_cell(folder, Events())
    assert first.outcome.status == "ok"
    shutil.rmtree(folder / "checkpoint")  # as --rerun does: it trains again
    monkeypatch.setattr(cell_module.StopFlag, "__call__", lambda self: True)
    again = run_cell(folder, Events())
    assert again.outcome.status == "interrupted"
    assert store.read(folder.name) == first
