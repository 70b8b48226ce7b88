"""``scalars.jsonl``: what a training tells is told once, in order, through crashes and damage."""

from __future__ import annotations

import json
import math
import os
import random
from collections import Counter

import pandas as pd
import pytest
import torch

from srbench.engine import scalars
from srbench.engine.events import EventReader, EventWriter
from srbench.engine.scalars import FILE, ScalarsFile, ScalarsReader, as_scalars, forget_scalars
from srbench.engine.tasks import JobOptions
from srbench.results.artefacts import files_beside
from srbench.results.store import Store
from srbench.running.run import forget_training
from srbench.training.budget import Budget
from tests.training import toy


def event(step: int, row: int = 0, *, kind: str = "train", stage: str = "main", **values: float):
    return {"event": "scalars", "kind": kind, "stage": stage, "step": step, "row": row,
            "seconds": step / 10, "images": 2 * step, "calls": step, "values": values or {"a": 1.0}}


def steps(folder) -> list[int]:
    return [one.step for one in ScalarsReader(folder).read()]


def rows(found) -> list[tuple]:
    """Rows as `history.parquet` has them, without the seconds."""
    return [(one.stage, one.step, one.images, one.calls,
             ("validation/" if one.kind == "validation" else "") + name, value)
            for one in found for name, value in one.values.items()]


class Killed(Exception):
    pass


def life(folder, told: ScalarsFile, *, until: int) -> None:
    """One process of a training: killed when it has told of ``until`` moments."""
    count = 0

    def on_event(sent):
        nonlocal count
        if sent["event"] == "scalars":
            told.add(json.loads(json.dumps(sent)))
            count += 1
            if count == until:
                raise Killed

    method, training = toy.cell(folder, checkpoint_seconds=0.02, log_every=2, on_event=on_event)
    toy.exhaust(method.steps(training), lambda step: None)
    training.finish()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_training_killed_anywhere_is_told_as_its_history_has_it(tmp_path, seed):
    draw = random.Random(seed)
    reader, found = ScalarsReader(tmp_path), []
    for attempt in range(4):
        told = ScalarsFile(tmp_path)
        try:
            life(tmp_path, told, until=draw.randrange(1, 9) if attempt < 3 else -1)
        except Killed:
            assert attempt < 3
        finally:
            told.flush()  # what a job does when its process has died
        if draw.random() < 0.5:
            found += iter(reader.read())
    while more := reader.read():
        found += more
    history = pd.read_parquet(tmp_path / "history.parquet").drop(columns="seconds")
    wanted = [tuple(row) for row in history.itertuples(index=False)]
    assert len(wanted) > 30
    assert rows(found) == wanted
    assert rows(ScalarsReader(tmp_path).read()) == wanted  # a new process sees the whole curve


def test_seconds_are_those_of_the_history(tmp_path):
    seen = []
    method, training = toy.cell(tmp_path, log_every=5, on_event=seen.append)
    toy.exhaust(method.steps(training), lambda step: None)
    training.finish()
    table = pd.read_parquet(tmp_path / "history.parquet")
    told = [sent for sent in seen if sent["event"] == "scalars"]
    assert [sent["seconds"] for sent in told] == [
        table["seconds"][sent["row"]] for sent in told]
    assert sum(len(sent["values"]) for sent in told) == len(table)
    validations = [sent for sent in seen if sent["event"] == "validation"]
    assert [sent["values"] for sent in told if sent["kind"] == "validation"] == [
        sent["values"] for sent in validations]


def transfers(monkeypatch, *, count: int, log_every: int) -> Counter[str]:
    """Calls by which values leave the device in a training of ``count`` steps."""
    calls: Counter[str] = Counter()
    with monkeypatch.context() as patch:
        for name in ("tolist", "item", "numpy", "cpu", "__float__", "__int__", "__bool__",
                     "__index__"):
            real = getattr(torch.Tensor, name)

            def counted(self, *words, _real=real, _name=name):
                calls[_name] += 1
                return _real(self, *words)

            patch.setattr(torch.Tensor, name, counted)
        patch.setattr(toy, "FIRST", count)
        told = []
        method, training = toy.cell(None, log_every=log_every, validate=None, on_event=told.append,
                                    budget=Budget.parse(f"{count}it"))
        toy.exhaust(method.steps(training), lambda step: None)
        training.finish()
    assert len([one for one in told if one["event"] == "scalars"]) == math.ceil(count / log_every)
    return calls


def test_scalars_cost_no_transfer_beyond_that_of_a_flush(monkeypatch):
    """One `tolist` for each flush, as before there were trackers, and nothing for a step."""
    few, many = (transfers(monkeypatch, count=count, log_every=count // 4) for count in (20, 80))
    assert few["tolist"] > 0
    # Draws of the toy between stages and its own `float` are the same in both.
    steady = {name: few[name] for name in few if name not in ("item", "__float__")}
    assert {name: many[name] for name in steady} == steady
    twice = transfers(monkeypatch, count=80, log_every=10)
    assert twice["tolist"] - many["tolist"] == 4
    assert {name: twice[name] for name in twice if name != "tolist"} == {
        name: many[name] for name in many if name != "tolist"}


def test_what_an_earlier_attempt_told_is_not_told_again(tmp_path):
    first = ScalarsFile(tmp_path)
    for step in (10, 20, 30):
        first.add(event(step, row=step // 10 - 1))
    first.flush()
    second = ScalarsFile(tmp_path)
    for step in (20, 30, 40):
        second.add(event(step, row=step // 10 - 1))
    second.flush()
    assert steps(tmp_path) == [10, 20, 30, 40]


def test_a_moment_that_an_earlier_attempt_did_not_reach_is_told_whatever_its_row(tmp_path):
    """Under a limit of time an attempt may validate at other steps than the one before it."""
    first = ScalarsFile(tmp_path)
    first.add(event(20, row=0))
    first.add(event(23, row=1, kind="validation", a=1.0, b=2.0))
    first.flush()
    second = ScalarsFile(tmp_path)
    second.add(event(20, row=0))
    second.add(event(40, row=1))
    second.add(event(40, row=2, kind="validation"))
    second.add(event(40, row=3))  # a loop that was left: a second row of values at one step
    second.flush()
    assert steps(tmp_path) == [20, 23, 40, 40, 40]


def test_a_job_that_died_in_the_middle_of_a_line_loses_that_line_alone(tmp_path):
    first = ScalarsFile(tmp_path)
    first.add(event(1, row=0))
    first.add(event(2, row=1))
    first.flush()
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-7])
    assert steps(tmp_path) == [1]
    second = ScalarsFile(tmp_path)
    second.add(event(2, row=1))
    second.flush()
    assert steps(tmp_path) == [1, 2]


def test_a_reader_goes_on_where_it_was_and_waits_for_the_end_of_a_line(tmp_path):
    reader = ScalarsReader(tmp_path)
    assert reader.read() == []
    line = json.dumps(event(1)).encode()
    (tmp_path / FILE).write_bytes(line[:20])
    assert reader.read() == []
    (tmp_path / FILE).write_bytes(line + b"\n" + json.dumps(event(2)).encode() + b"\n{")
    assert [one.step for one in reader.read()] == [1, 2]
    assert reader.read() == []


@pytest.mark.parametrize("line", [
    b"no json", b"[1]", b"null", b'"text"', b"{}", b"[" * 100_000, b"\xff\xfe",
    *[json.dumps({**event(5), **change}).encode() for change in (
        {"kind": "other"}, {"kind": None}, {"step": "x"}, {"step": None}, {"step": math.inf},
        {"values": {}}, {"values": [1]}, {"values": {"a": "x"}}, {"values": {"a": None}},
        {"seconds": {}}, {"images": math.nan})]])
def test_lines_that_are_none_of_ours_are_passed_over(tmp_path, line):
    whole = json.dumps(event(1)).encode()
    (tmp_path / FILE).write_bytes(whole + b"\n" + line + b"\n" + whole + b"\n")
    assert steps(tmp_path) == [1, 1]
    told = ScalarsFile(tmp_path)  # and a job that goes on is not stopped by them
    told.add(event(7, row=9))
    told.flush()
    assert steps(tmp_path) == [1, 1, 7]


def test_what_is_not_finite_arrives_as_it_is():
    pipe = os.pipe()
    EventWriter(pipe[1])(event(3, nan=math.nan, up=math.inf, down=-math.inf))
    sent, = EventReader().feed(os.read(pipe[0], 1 << 16))
    found = as_scalars(sent)
    assert math.isnan(found.values["nan"])
    assert (found.values["up"], found.values["down"]) == (math.inf, -math.inf)
    assert (found.kind, found.stage, found.step, found.seconds) == ("train", "main", 3, 0.3)
    for end in pipe:
        os.close(end)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_nothing_of_the_cells_making_is_followed_or_waited_for(tmp_path, kind):
    folder, secret = tmp_path / "cell", tmp_path / "secret"
    folder.mkdir()
    secret.write_bytes(json.dumps(event(1)).encode() + b"\n")
    before = secret.read_bytes()
    if kind == "link":
        (folder / FILE).symlink_to(secret)
    elif kind == "pipe":
        os.mkfifo(folder / FILE)
    else:
        (folder / FILE).mkdir()
    told = ScalarsFile(folder)
    told.add(event(2))
    told.flush()
    assert ScalarsReader(folder).read() == []
    assert secret.read_bytes() == before


def test_the_file_has_an_end_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(scalars, "LARGEST", 2000)
    told = ScalarsFile(tmp_path)
    for step in range(100):
        told.add(event(step, row=step))
    told.flush()
    assert (tmp_path / FILE).stat().st_size <= 2000 + 50
    reader = ScalarsReader(tmp_path)
    found = [one.step for one in reader.read()]
    assert found == list(range(len(found)))
    assert 5 < len(found) < 100
    assert reader.full
    again = ScalarsFile(tmp_path)
    again.add(event(100, row=100))
    again.flush()
    assert steps(tmp_path) == found


def test_a_line_longer_than_any_of_ours_does_not_stop_the_reader(tmp_path, monkeypatch):
    monkeypatch.setattr(scalars, "PART", 1000)
    (tmp_path / FILE).write_bytes(b"x" * 5300 + b"\n" + json.dumps(event(4)).encode() + b"\n")
    reader = ScalarsReader(tmp_path)
    found = [one.step for _ in range(9) for one in reader.read()]
    assert found == [4]


def test_it_is_written_a_few_times_a_second_and_only_when_asked_for(tmp_path, monkeypatch):
    writes, real = [], os.write
    monkeypatch.setattr(os, "write", lambda *words: writes.append(words) or real(*words))
    told = ScalarsFile(tmp_path)
    for step in range(1000):
        told.add(event(step, row=step))
    told.flush()
    assert len(writes) <= 4  # 1000 flushes take no second
    assert len(ScalarsReader(tmp_path).read()) == 1000
    assert "--scalars" not in JobOptions().command(tmp_path, "local")
    assert "--scalars" in JobOptions(scalars=True).command(tmp_path, "local")


def test_it_is_no_artefact_and_a_rerun_forgets_it(tmp_path):
    folder = Store(tmp_path).cell_folder("a" * 64)
    folder.mkdir(parents=True)
    told = ScalarsFile(folder)
    told.add(event(1))
    told.flush()
    (folder / "images.png").touch()
    assert files_beside(folder, links=True) == ["images.png"]
    forget_training(Store(tmp_path), ["a" * 64])
    assert not (folder / FILE).exists()
    forget_scalars(folder)  # what is gone already is no fault
