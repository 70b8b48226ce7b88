"""Budgets, the three clocks, validations, the oracle, events and the history file."""

from __future__ import annotations

import json
import time

import pandas as pd
import pytest
import torch
from torch import nn

from srbench.errors import StoreError, UsageError
from srbench.results.record import StageCost
from srbench.training import Budget
from srbench.training.progress import Progress, Schedule


@pytest.mark.parametrize(("text", "budget"), [
    ("600s", Budget(seconds=600)), ("10m", Budget(seconds=600)), ("1.5h", Budget(seconds=5400)),
    ("0.5s", Budget(seconds=0.5)), ("500", Budget(steps=500)), ("500it", Budget(steps=500)),
    (" 10M ", Budget(seconds=600)), ("3min", Budget(seconds=180))])
def test_budget_is_read(text, budget):
    assert Budget.parse(text) == budget
    assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize("text", ["", "ten", "-5", "0", "0s", "5d", "1.5", "1.5it", "5s5", "inf"])
def test_budget_of_another_form_is_refused(text):
    with pytest.raises(UsageError, match="budget") as error:
        Budget.parse(text)
    assert "600s" in error.value.hint


def run(toy, *stages, work=lambda training: None, **options):
    _, training = toy.cell(options.pop("folder", None), **options)
    for name, steps in stages:
        for _ in training.stage(name).steps(steps):
            work(training)
    return training.finish()


def test_budget_of_steps_counts_all_stages(toy):
    result = run(toy, ("a", 6), ("b", 20), ("c", 5), budget=Budget(steps=10))
    assert [(cost.name, cost.steps) for cost in result.stages] == [("a", 6), ("b", 4), ("c", 0)]


def test_budget_of_time_stops_at_the_next_step(toy):
    result = run(toy, ("a", 3), ("b", 10**6), budget=Budget(seconds=0.3),
                 work=lambda training: time.sleep(0.02))
    assert result.stages[0].steps == 3
    assert 0.3 <= result.seconds < 0.6
    assert 5 <= result.steps <= 15
    assert result.history["step"][-1] == result.stages[1].steps


def test_budget_of_time_goes_on_after_a_resume(toy, tmp_path):
    stops = iter([False] * 4 + [True])
    _, training = toy.cell(tmp_path, budget=Budget(seconds=0.4), validate=None,
                           should_stop=lambda: next(stops))
    with pytest.raises(toy.Interrupted):
        toy.exhaust(training.steps(10**6), lambda step: time.sleep(0.06))
    _, training = toy.cell(tmp_path, budget=Budget(seconds=0.4), validate=None)
    more = sum(1 for _ in training.steps(10**6) if time.sleep(0.06) is None)
    assert 1 <= more <= 2


def test_validation_and_checkpoints_are_not_charged(toy, tmp_path):
    def slow(method):
        time.sleep(0.1)
        return {"error": 0.0}

    result = run(toy, ("main", 6), validate=slow, validations=6, folder=tmp_path,
                 checkpoint_seconds=0.0, work=lambda training: time.sleep(0.01))
    assert 0.06 <= result.seconds < 0.4
    assert result.oracle_looks == 6


def test_every_image_and_call_is_charged_to_its_stage(toy):
    method, training = toy.cell(None, validations=2)
    f = training.track(f=nn.Sequential(nn.Flatten(), nn.Linear(108, 1)))
    training.lr(3)
    for _ in training.stage("a").steps(2):
        f(method(training.lr(4)))
    for _ in training.stage("b").steps(3):
        method.T(training.hr(5))
        f(training.lr(1))
    result = training.finish()
    assert [cost.model_dump(exclude={"seconds"}) for cost in result.stages] == [
        {"name": "outside stages", "steps": 0, "images": 3, "calls": {}},
        {"name": "a", "steps": 2, "images": 8, "calls": {"map": 8, "f": 8}},
        {"name": "b", "steps": 3, "images": 18, "calls": {"map.T": 15, "f": 3}}]
    assert all(isinstance(cost, StageCost) for cost in result.stages)
    assert result.parameters == sum(p.numel() for p in method.parameters())
    assert result.parameters_beside == 109
    method(torch.zeros(2, 3, 6, 6))
    assert result.stages[1].calls["map"] == 8


def test_a_network_tracked_twice_is_counted_once_in_parameters(toy):
    method, training = toy.cell(None)
    f = nn.Linear(3, 1)
    training.track(f=f, same=nn.Sequential(f), own=method.T)
    assert training.finish().parameters_beside == 4


def test_validation_leaves_no_trace(toy):
    def disturb(method):
        assert not method.training
        assert not torch.is_grad_enabled()
        method.train()
        torch.manual_seed(0)
        method(torch.randn(8, 3, 6, 6) * 100)
        method.T[1].running_mean.fill_(5)
        return toy.score(method)

    states = []
    for validate in (None, disturb):
        method, training = toy.cell(None, validate=validate, validations=30)
        method.T[2].eval()
        method.fit(training)
        assert method.training
        assert not method.T[2].training
        states.append(method.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_oracle_keeps_the_best_map_and_counts_its_looks(toy):
    values = iter([5.0, 2.0, float("nan"), 3.0])
    for direction, best in (("lower", 2), ("higher", 1)):
        values = iter([5.0, 2.0, float("nan"), 3.0])
        seen = []

        def validate(method, values=values, seen=seen):
            seen.append({name: value.clone() for name, value in method.state_dict().items()})
            return {"error": next(values), "other": -1.0}

        method, training = toy.cell(None, validate=validate, validations=4,
                                    oracle_direction=direction)
        optimizer = training.track(optimizer=torch.optim.SGD(method.parameters(), 0.1))
        for step in training.steps(8):
            step.minimize(method(training.lr(2)).square().mean(), optimizer)
        result = training.finish()
        assert (result.oracle_step, result.oracle_looks) == (2 * best, 4)
        assert result.oracle_value == (2.0 if direction == "lower" else 5.0)
        for name, value in seen[best - 1].items():
            assert torch.equal(result.oracle_state[name], value)


def test_validations_are_even_and_the_last_is_at_the_end(toy):
    steps = []
    run(toy, ("main", 25), validations=4,
        on_event=lambda event: event["event"] == "validation" and steps.append(event["step"]))
    assert steps == [7, 13, 19, 25]
    steps.clear()
    run(toy, ("main", 3), validations=10,
        on_event=lambda event: event["event"] == "validation" and steps.append(event["step"]))
    assert steps == [1, 2, 3]
    steps.clear()
    run(toy, ("main", 3), validations=0,
        on_event=lambda event: event["event"] == "validation" and steps.append(event["step"]))
    assert steps == [3]


def test_schedule_follows_a_budget_of_time():
    schedule = Schedule(4, 10**6, Budget(seconds=100), 0, 0.0)
    due = [second for second in range(1, 101) if schedule.due(second, float(second))]
    assert due == [25, 50, 75, 100]


def test_progress_is_told_at_most_five_times_a_second(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    events = []
    progress = Progress(events.append, "main", 1000, 0)
    for step in range(1, 1001):
        now[0] += 0.01
        progress.tell(step, None, {"loss": 1.5})
    assert 45 <= len(events) <= 51
    assert events[-1]["step"] == 1000
    assert events[20]["rate"] == pytest.approx(100)
    assert events[20]["eta"] == pytest.approx((1000 - events[20]["step"]) / 100)
    progress = Progress(events.append, "main", 1000, 0)
    now[0] += 1.0
    progress.tell(1, 7.5, {})
    assert events[-1]["eta"] == 7.5


def test_events_are_json(toy, tmp_path):
    events = []
    run(toy, ("main", 5), validations=1, folder=tmp_path, checkpoint_seconds=0.0,
        on_event=events.append, work=lambda training: time.sleep(0.05))
    assert {event["event"] for event in events} == {
        "progress", "validation", "scalars", "checkpoint"}
    assert json.loads(json.dumps(events)) == events
    progress = [event for event in events if event["event"] == "progress"]
    assert set(progress[-1]) == {"event", "stage", "step", "steps", "rate", "eta", "values"}


def test_history_has_means_over_the_interval_on_three_clocks(toy, tmp_path):
    _, training = toy.cell(tmp_path, log_every=4, validations=1)
    for step in training.steps(10):
        training.lr(3)
        step.log(index=torch.tensor(float(step.index)))
        if step.index < 4 and step.index % 2:
            step.log(odd=step.index)
    result = training.finish()
    rows = pd.read_parquet(tmp_path / "history.parquet")
    assert list(rows) == ["stage", "step", "seconds", "images", "calls", "name", "value"]
    assert rows.drop(columns="seconds").iloc[:5].to_numpy().tolist() == [
        ["main", 4, 12, 0, "index", 1.5], ["main", 4, 12, 0, "odd", 2.0],
        ["main", 8, 24, 0, "index", 5.5], ["main", 10, 30, 0, "index", 8.5],
        ["main", 10, 30, 0, "validation/error", rows["value"][4]]]
    assert rows["seconds"].is_monotonic_increasing
    assert rows["seconds"].iloc[-1] == pytest.approx(result.seconds, abs=0.01)
    assert {str(kind) for kind in rows.dtypes} == {"str", "int64", "float64"}


def test_logged_values_are_taken_when_they_are_logged(toy):
    """A weight that is updated in place later keeps the value it had."""
    _, training = toy.cell(None, log_every=2, validate=None)
    weight = torch.zeros(())
    for step in training.steps(2):
        step.log(weight=weight)
        weight += 1
    assert training.finish().history["value"] == [0.5]


def test_history_that_cannot_be_written_is_named(toy, tmp_path):
    _, training = toy.cell(tmp_path, validate=None)
    for step in training.steps(1):
        step.log(value=1.0)
    (tmp_path / "history.parquet").mkdir()
    with pytest.raises(StoreError, match=r"cannot write .*history\.parquet"):
        training.finish()


def test_a_method_without_steps_costs_nothing_and_saves_nothing(toy, tmp_path):
    _, training = toy.cell(tmp_path)
    result = training.finish()
    assert (result.steps, result.stages, result.oracle_state) == (0, [], None)
    assert list(tmp_path.iterdir()) == []
