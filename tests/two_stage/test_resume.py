"""A training of several stages ends with the same bits wherever and however it was stopped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from srbench.errors import Interrupted
from srbench.imagestore.layout import LOG, RAW
from srbench.training import Budget
from srbench.training.scratch import FOLDER
from srbench_dasr.method import DASR
from srbench_fssr.method import FSSR
from srbench_two_stage.pairs import Pairs
from tests.methods.photographs import Waves
from tests.two_stage.toy import costs, fit, rows, same, steps_of, weights_of

pytestmark = pytest.mark.usefixtures("narrow")
LOG_EVERY = 2
CASES = {  # name: (method, settings, steps of degradation, pairs and restoration)
    "tdsr": (FSSR, {}, (3, 5, 4)),
    "sdsr": (FSSR, {"artifacts": "sdsr", "dsgan_filter": "gau", "residual": False}, (3, 5, 4)),
    "dasr": (DASR, {}, (3, 3, 4)),
    "dasr-avg": (DASR, {"separation": "avg", "architecture": "nld_s1", "residual": False},
                 (3, 3, 4)),
}
WHOLE: dict = {}


class Killed(Exception):
    """Stands for a SIGKILL: nothing is saved."""


def run(name, folder=None, stop_at=None, killed=False, seed=0, **options):
    """Train a case; ``stop_at`` counts the steps of this process."""
    kind, given, _ = CASES[name]
    asked = []

    def stop():
        asked.append(None)
        if len(asked) == stop_at and killed:
            raise Killed
        return len(asked) == stop_at

    options = {"checkpoint_seconds": 1e9, **options}
    try:
        method, result = fit(kind, folder, seed=seed, log_every=LOG_EVERY, should_stop=stop,
                             **given, **options)
    except (Interrupted, Killed):
        torch.manual_seed(12345)  # another process has other random numbers behind it
        return None
    return weights_of(method), rows(result), costs(result), result


def whole(name):
    if name not in WHOLE:
        WHOLE[name] = run(name)
    return WHOLE[name]


def agree(found, name, resumes=1):
    expected = whole(name)
    assert found is not None
    assert same(found[0], expected[0])
    assert found[1].equals(expected[1])
    assert found[2] == expected[2]
    assert found[3].resumes == resumes


@pytest.mark.parametrize("name", CASES)
def test_stages_have_the_steps_and_costs_counted_by_hand(name):
    _, history, found, result = whole(name)
    lengths = CASES[name][2]
    assert [(cost["name"], cost["steps"]) for cost in found] == list(
        zip(("degradation", "pairs", "restoration"), lengths, strict=True))
    assert result.steps == sum(lengths)
    first, pairs, last = found
    drawn = 2 if name.startswith("dasr") else 1
    assert first["images"] == 3 * drawn * 2  # batches of 2; FSSR sees source crops alone
    assert pairs["images"] == lengths[1]  # each photograph once
    assert last["images"] == 4 * 2 * (4 if drawn == 2 else 2)
    passes = {"tdsr": 5, "sdsr": 2 + 3 * 2}.get(name, 3)  # like-source HR is one more pass
    assert pairs["calls"]["degradation"] == passes
    assert first["calls"]["degradation"] == 3 * 2
    assert history.groupby("stage")["step"].max().to_dict() == {"degradation": 3, "restoration": 4}


@pytest.mark.parametrize(("name", "stop_at"), [
    *((name, stop_at) for name in ("tdsr", "dasr") for stop_at in steps_of(*CASES[name][2])),
    ("sdsr", 2), ("sdsr", 5), ("sdsr", 10), ("dasr-avg", 2), ("dasr-avg", 4), ("dasr-avg", 8)])
def test_a_stop_leaves_no_trace(name, stop_at, tmp_path):
    assert run(name, tmp_path, stop_at) is None
    assert (tmp_path / FOLDER).exists() is (stop_at > 3)
    agree(run(name, tmp_path), name)
    assert not (tmp_path / FOLDER).exists()
    written = pd.read_parquet(tmp_path / "history.parquet")
    assert not written.duplicated(["stage", "step", "name"]).any()
    assert written["seconds"].is_monotonic_increasing


@pytest.mark.parametrize("name", ["tdsr", "dasr"])
def test_a_stop_after_every_single_step_leaves_no_trace(name, tmp_path):
    total = sum(CASES[name][2])
    for _ in range(total):
        assert run(name, tmp_path, stop_at=1) is None
    agree(run(name, tmp_path), name, resumes=total)


@pytest.mark.parametrize(("name", "stop_at"), [
    ("tdsr", 5), ("tdsr", 8), ("tdsr", 10), ("sdsr", 10), ("dasr", 5), ("dasr", 8)])
def test_a_lost_scratch_folder_is_made_again_and_not_charged_twice(name, stop_at, tmp_path):
    assert run(name, tmp_path, stop_at) is None
    shutil.rmtree(tmp_path / FOLDER)
    agree(run(name, tmp_path), name)


@pytest.mark.parametrize("name", ["tdsr", "dasr"])
def test_making_lost_pairs_again_can_be_stopped(name, tmp_path, monkeypatch):
    """Pair by pair: each time it is stopped after one, and none is made twice."""
    first, pairs, _ = CASES[name][2]
    assert run(name, tmp_path, first + pairs + 1) is None
    shutil.rmtree(tmp_path / FOLDER)
    made: list[int] = []
    real = Pairs._put
    monkeypatch.setattr(Pairs, "_put", lambda self, job: made.append(job) or real(self, job))
    for index in range(pairs):
        assert run(name, tmp_path, stop_at=1) is None
        assert made == list(range(index + 1))
    agree(run(name, tmp_path), name)
    assert made == list(range(pairs))


def tear_log(store: Path) -> None:
    text = (store / LOG).read_bytes()
    (store / LOG).write_bytes(text[:-30])


def damage_pixels(store: Path) -> None:
    content = bytearray((store / RAW).read_bytes())
    content[7] ^= 255
    (store / RAW).write_bytes(content)


def cut_short(store: Path) -> None:
    (store / RAW).write_bytes((store / RAW).read_bytes()[:100])


def lose(store: Path) -> None:
    shutil.rmtree(store)


@pytest.mark.parametrize("harm", [tear_log, damage_pixels, cut_short, lose])
@pytest.mark.parametrize(("name", "stop_at", "store"), [
    ("tdsr", 5, "lr"), ("tdsr", 9, "hr"), ("dasr", 7, "weights")])
def test_a_half_written_store_is_completed(name, stop_at, store, harm, tmp_path):
    assert run(name, tmp_path, stop_at) is None
    harm(tmp_path / FOLDER / "pairs" / store)
    agree(run(name, tmp_path), name)


@pytest.mark.parametrize(("name", "saved", "killed"), [
    ("tdsr", 2, 3), ("tdsr", 3, 4), ("tdsr", 2, 6), ("tdsr", 4, 7), ("tdsr", 7, 10),
    ("tdsr", 1, 11), ("sdsr", 5, 9), ("dasr", 2, 5), ("dasr", 4, 6), ("dasr", 5, 9)])
def test_a_killed_process_is_taken_up_from_an_older_checkpoint(name, saved, killed, tmp_path):
    """The store of pairs is then ahead of the checkpoint, or of a stage not yet begun in it."""
    seen, cell, copy = [], tmp_path / "cell", tmp_path / "copy"
    cell.mkdir()

    def watch(event):
        if event["event"] == "checkpoint":
            seen.append(event["step"])
            if len(seen) == saved:
                shutil.copytree(cell / "checkpoint", copy)

    assert run(name, cell, killed, killed=True, checkpoint_seconds=0.0, on_event=watch) is None
    assert len(seen) == killed - 1
    shutil.rmtree(cell / "checkpoint")
    shutil.copytree(copy, cell / "checkpoint")
    agree(run(name, cell), name)


def test_a_kill_before_the_first_checkpoint_starts_anew(tmp_path):
    assert run("tdsr", tmp_path, 6, killed=True) is None
    assert not (tmp_path / "checkpoint").exists()
    assert (tmp_path / FOLDER).exists()
    agree(run("tdsr", tmp_path), "tdsr", resumes=0)


@pytest.mark.parametrize("name", ["tdsr", "dasr"])
def test_a_finished_training_is_taken_from_its_checkpoint_without_its_pairs(name, tmp_path,
                                                                            monkeypatch):
    run(name, tmp_path)
    monkeypatch.setattr("srbench_two_stage.pairs.Pairs._put", lambda *given: pytest.fail("made"))
    agree(run(name, tmp_path, stop_at=1), name)  # would stop if it took a step


@pytest.mark.parametrize(("steps", "stop_at"), [(10, 4), (10, 5), (10, 6), (10, 9)])
def test_a_stop_within_a_budget_leaves_no_trace(steps, stop_at, tmp_path):
    """Four steps for the degradation, one pair, five steps of restoration."""
    given = {"budget": Budget(steps=steps), "dsgan_iterations": 20, "iterations": 20}
    weights, history, cost, result = run("tdsr", **given)
    assert [item["steps"] for item in cost] == [4, 1, 5]
    assert run("tdsr", tmp_path, stop_at, **given) is None
    found = run("tdsr", tmp_path, **given)
    assert same(found[0], weights)
    assert found[1].equals(history)
    assert (found[2], found[3].resumes) == (cost, result.resumes + 1)


@pytest.mark.parametrize("lost", [False, True])
def test_the_only_pair_of_a_tiny_budget_is_charged_once(lost, tmp_path):
    """Shares that leave the pairs no step: the one pair is made in the first step that needs it."""
    given = {"budget": Budget(steps=6), "degradation_share": 0.5, "pairs_share": 0.5}
    weights, _, cost, _ = run("tdsr", **given)
    assert [(item["name"], item["steps"], item["images"]) for item in cost] == [
        ("degradation", 3, 6), ("pairs", 0, 0), ("restoration", 3, 1 + 3 * 4)]
    assert run("tdsr", tmp_path, 5, **given) is None
    if lost:
        shutil.rmtree(tmp_path / FOLDER)
    found = run("tdsr", tmp_path, **given)
    assert same(found[0], weights)
    assert found[2] == cost


def test_the_seed_decides_every_bit():
    agree(run("sdsr"), "sdsr", resumes=0)
    assert not same(run("sdsr", seed=1)[0], whole("sdsr")[0])


def test_a_store_of_other_photographs_is_refused(tmp_path):
    """The harness refuses a changed dataset; a folder mixed up by hand is named here."""
    from srbench.errors import DataError

    assert run("tdsr", tmp_path, 9) is None

    class Other(Waves):
        def __init__(self):
            super().__init__(lr_size=(200, 200))

    with pytest.raises(DataError, match="holds a store of other images"):
        fit(FSSR, tmp_path, Other(), log_every=LOG_EVERY)


@pytest.mark.parametrize(("stop_at", "again"), [(6, [3, 4]), (8, []), (10, [])])
def test_pairs_that_are_there_are_not_made_again(stop_at, again, tmp_path, monkeypatch):
    assert run("tdsr", tmp_path, stop_at) is None
    made: list = []
    real = Pairs._put
    monkeypatch.setattr(Pairs, "_put", lambda self, job: made.append(job) or real(self, job))
    agree(run("tdsr", tmp_path), "tdsr")
    assert made == again
