"""Clocks on the wall that go back, stand still or change their zone decide nothing."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
import torch

from srbench.engine import cell as module
from srbench.engine.cell import run_cell
from srbench.plan import Request, make_plan
from srbench.registry.catalog import discover
from srbench.results.record import Status
from srbench.results.store import Store
from srbench.spec import parse_specs
from srbench.training.checkpoint import CheckpointStore

PLUGIN = Path(__file__).resolve().parents[1] / "toy_plugin.py"
ZONES = ("Pacific/Kiritimati", "Etc/GMT+12", "UTC")


@pytest.fixture
def folder(tmp_path):
    """A cell of the toy, ready to run."""
    request = Request(methods=parse_specs(["toy-shift[iterations=40]"]),
                      datasets=parse_specs(["toy"]), seeds=[0], preset="quick", precision="fp32",
                      device="cpu", threads=torch.get_num_threads(), metrics=["l2-uvp"],
                      checkpoint_seconds=0.0)
    cell, = make_plan(request, discover([PLUGIN]), "plan")
    found = Store(tmp_path / "runs").cell_folder(cell.key)
    found.mkdir(parents=True)
    (found / "cell.json").write_text(cell.model_dump_json())
    return found


@pytest.fixture
def wall(monkeypatch):
    """A clock that goes an hour back whenever it is looked at, in another zone each time."""
    looks = [0]

    def now():
        looks[0] += 1
        return 1.9e9 - 3600 * looks[0]

    class Dates(datetime):
        @classmethod
        def now(cls, tz=None):
            monkeypatch.setenv("TZ", ZONES[looks[0] % len(ZONES)])
            time.tzset()
            return datetime.fromtimestamp(now(), tz)

    monkeypatch.setattr(time, "time", now)
    monkeypatch.setattr(module, "datetime", Dates)
    yield looks
    monkeypatch.undo()
    time.tzset()


def test_durations_and_results_do_not_follow_the_clock_on_the_wall(folder, wall):
    record = run_cell(folder, lambda event: None)
    assert record.outcome.status is Status.OK
    started, finished = (datetime.fromisoformat(text) for text in (
        record.outcome.started, record.outcome.finished))
    assert started.utcoffset() == finished.utcoffset() == timedelta(0)
    assert finished < started < datetime.fromtimestamp(1.9e9, UTC)  # what the clock said
    cost = record.cost
    for seconds in (cost.seconds_fit, cost.seconds_prepare, cost.seconds_restore,
                    cost.seconds_measure):
        assert 0 <= seconds < 60
    history = pd.read_parquet(folder / "history.parquet")
    assert history["seconds"].is_monotonic_increasing
    assert record.values.final["l2-uvp"].value < 100


def test_the_newest_checkpoint_is_the_last_one_whatever_the_clock_says(folder, wall):
    run_cell(folder, lambda event: None)
    newest, older = CheckpointStore(folder / "checkpoint").newest_first()
    assert int(newest.name) == int(older.name) + 1 > 40
    assert run_cell(folder, lambda event: None).cost.resumes == 1
