"""A training that was stopped, killed or damaged goes on as if nothing had happened."""

from __future__ import annotations

import json
import logging
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from srbench.errors import Interrupted, StoreError
from srbench.training.checkpoint import CheckpointStore, read_checkpoint

TOY = Path(__file__).with_name("toy.py")


def run(*lives):
    """Run the toy cell once for each (folder, step to die at, fsync to die at)."""
    done = subprocess.run([sys.executable, TOY, json.dumps(lives)], text=True, capture_output=True,
                          timeout=200, env={"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def history(folder):
    return pd.read_parquet(folder / "history.parquet").drop(columns="seconds")


def assert_same_weights(left, right):
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name


def finish(toy, folder, **options):
    """Run the toy cell to its end in this process; return its weights, result and history."""
    method, training = toy.cell(folder, **options)
    method.fit(training)
    result = training.finish()
    return method.state_dict(), result, pd.DataFrame(result.history).drop(columns="seconds")


def interrupt(toy, folder, at, **options):
    """Run the toy cell until ``at`` steps are done."""
    begun = [0]

    def stop():
        begun[0] += 1
        return begun[0] == at

    method, training = toy.cell(folder, should_stop=stop, **options)
    with pytest.raises(Interrupted, match="everything is saved"):
        method.fit(training)


@pytest.fixture(scope="module")
def undisturbed(toy):
    return finish(toy, None)


def test_killed_cell_resumes_to_the_same_bits(toy, tmp_path):
    """SIGKILL while a checkpoint is written, at a random step, while another is written."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    step, early, late = random.randrange(1, toy.STEPS), random.randrange(6), random.randrange(6)
    lives = [[str(whole), -1, -1], [str(broken), -1, early], [str(broken), step, -1],
             [str(broken), -1, late], [str(broken), -1, -1]]
    for folder in (whole, broken):
        folder.mkdir()
    ends = run(*lives)
    assert ends[0] == ends[4] == 0, lives
    assert ends[1] == ends[3] == -signal.SIGKILL, lives
    assert ends[2] in (0, -signal.SIGKILL), lives  # 0: the first checkpoint was behind the step
    assert (broken / "weights.safetensors").read_bytes() == \
        (whole / "weights.safetensors").read_bytes(), lives
    pd.testing.assert_frame_equal(history(broken), history(whole))
    assert not list(broken.rglob(".tmp*")), lives


@pytest.mark.parametrize("at", [1, 3, 4, 12, 13, 14, 22, 29, 30])
def test_stopped_cell_resumes_to_the_same_bits(toy, tmp_path, undisturbed, at):
    interrupt(toy, tmp_path, at)
    weights, result, rows = finish(toy, tmp_path)
    assert_same_weights(weights, undisturbed[0])
    pd.testing.assert_frame_equal(rows, undisturbed[2])
    assert_same_weights(result.oracle_state, undisturbed[1].oracle_state)
    assert (result.oracle_step, result.oracle_looks) == \
        (undisturbed[1].oracle_step, undisturbed[1].oracle_looks)
    assert result.resumes == 1
    for stage, other in zip(result.stages, undisturbed[1].stages, strict=True):
        assert stage.model_dump(exclude={"seconds"}) == other.model_dump(exclude={"seconds"})


def test_many_stops_resume_to_the_same_bits(toy, tmp_path, undisturbed):
    for _ in range(5):
        interrupt(toy, tmp_path, 5)
    weights, result, rows = finish(toy, tmp_path)
    assert_same_weights(weights, undisturbed[0])
    pd.testing.assert_frame_equal(rows, undisturbed[2])
    assert result.resumes == 5


def test_the_toy_depends_on_what_a_checkpoint_holds(toy, tmp_path, undisturbed, monkeypatch):
    """Losing the generators' states changes the result: the tests above can fail."""
    interrupt(toy, tmp_path, 10)
    monkeypatch.setattr("srbench.training.state.restore_rng_state", lambda state, device: None)
    weights, _, _ = finish(toy, tmp_path)
    assert any(not torch.equal(weights[name], undisturbed[0][name]) for name in weights)


def test_finished_cell_is_not_trained_again(toy, tmp_path, undisturbed):
    finish(toy, tmp_path)
    method, training = toy.cell(tmp_path)
    assert list(method.steps(training)) == []
    result = training.finish()
    assert_same_weights(method.state_dict(), undisturbed[0])
    assert result.steps == toy.STEPS
    pd.testing.assert_frame_equal(pd.DataFrame(result.history).drop(columns="seconds"),
                                  undisturbed[2])


def test_finished_stage_is_not_run_again(toy, tmp_path):
    interrupt(toy, tmp_path, toy.FIRST + 2)
    method, training = toy.cell(tmp_path)
    assert list(method.steps(training)) == list(range(toy.FIRST + 2, toy.STEPS))


def two_checkpoints(toy, folder):
    interrupt(toy, folder, 10, checkpoint_seconds=0.0)
    return CheckpointStore(folder / "checkpoint").newest_first()


def test_last_two_checkpoints_are_kept_without_pickle(toy, tmp_path):
    newest, older = two_checkpoints(toy, tmp_path)
    assert read_checkpoint(newest)["stages"][-1]["steps"] == 10
    assert read_checkpoint(older)["stages"][-1]["steps"] == 9
    for folder in (newest, older):
        assert {path.name for path in folder.iterdir()} == \
            {"state.json", "tensors.safetensors", "manifest.json"}


def flip(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize(("name", "damage"), [
    ("tensors.safetensors", flip), ("tensors.safetensors", cut), ("tensors.safetensors", empty),
    ("state.json", flip), ("state.json", cut), ("state.json", Path.unlink),
    ("manifest.json", flip), ("manifest.json", cut), ("manifest.json", Path.unlink)])
def test_damaged_checkpoint_is_passed_over(toy, tmp_path, undisturbed, caplog, name, damage):
    newest, _ = two_checkpoints(toy, tmp_path)
    damage(newest / name)
    with caplog.at_level(logging.WARNING):
        weights, result, rows = finish(toy, tmp_path)
    assert str(newest) in caplog.text
    assert_same_weights(weights, undisturbed[0])
    pd.testing.assert_frame_equal(rows, undisturbed[2])
    assert result.resumes == 1


def test_without_a_whole_checkpoint_the_cell_starts_again(toy, tmp_path, undisturbed):
    for folder in two_checkpoints(toy, tmp_path):
        flip(folder / "tensors.safetensors")
    weights, result, _ = finish(toy, tmp_path)
    assert_same_weights(weights, undisturbed[0])
    assert result.resumes == 0


def test_full_disk_is_named_and_old_checkpoints_stay(toy, tmp_path, undisturbed):
    two_checkpoints(toy, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    method, training = toy.cell(tmp_path, checkpoint_seconds=0.0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(StoreError, match=r"cannot write .*checkpoint.*: File too large") as e:
            method.fit(training)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "free space" in e.value.hint
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    weights, _, _ = finish(toy, tmp_path)
    assert_same_weights(weights, undisturbed[0])


def test_other_tracked_names_are_named(toy, tmp_path):
    interrupt(toy, tmp_path, 5)
    _, training = toy.cell(tmp_path)
    training.track(extra=nn.Linear(1, 1))
    with pytest.raises(StoreError, match=r"extra not in the checkpoint; f, optimizer_T.*not track"):
        next(training.stage("first").steps(5))


def test_other_shapes_are_named(toy, tmp_path):
    interrupt(toy, tmp_path, 5)
    _, training = toy.cell(tmp_path)
    training.track(f=nn.Linear(2, 2))
    with pytest.raises(StoreError, match="does not fit 'f'"):
        next(training.stage("first").steps(5))


def test_other_seed_is_refused(toy, tmp_path):
    interrupt(toy, tmp_path, 5)
    training = toy.Training(toy.Map(toy.Parameters(), toy.PROBLEM), toy.Toy(), seed=8,
                            device=toy.CPU, folder=tmp_path)
    with pytest.raises(StoreError, match="of seed 7, not 8"):
        next(training.steps(5))


def test_optimizer_comes_back_with_the_same_structure_and_layout(toy, tmp_path):
    method, training = toy.cell(tmp_path)
    optimizer = training.track(optimizer=torch.optim.Adam(method.parameters(), fused=True))
    for step in training.steps(3):
        step.minimize(method(training.lr(2)).square().mean(), optimizer)
    training.finish()
    before = optimizer.state_dict()

    method, training = toy.cell(tmp_path)
    optimizer = training.track(optimizer=torch.optim.Adam(method.parameters(), fused=True))
    assert list(training.steps(3)) == []
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert list(after["state"]) == list(before["state"]) == list(range(6))
    for index, parameter in enumerate(method.parameters()):
        for name, value in before["state"][index].items():
            restored = after["state"][index][name]
            assert torch.equal(restored, value)
            assert restored.dtype == value.dtype
            if parameter.dim() == 4:
                assert name == "step" or restored.stride() == parameter.stride()


def test_without_a_folder_an_interruption_says_that_nothing_is_saved(toy):
    method, training = toy.cell(None, should_stop=lambda: True)
    with pytest.raises(Interrupted, match=r"stopped at step 1 of 13 .*nothing is saved"):
        method.fit(training)


def test_numpy_is_restored_too(toy, tmp_path):
    """The legacy generator's cached normal is part of its state."""
    from srbench.training.seeding import restore_rng_state, rng_state

    np.random.seed(3)
    np.random.normal()
    state = rng_state(toy.CPU)
    expected = [np.random.normal(), random.gauss(0, 1), float(torch.rand(()))]
    restore_rng_state(state, toy.CPU)
    assert [np.random.normal(), random.gauss(0, 1), float(torch.rand(()))] == expected
