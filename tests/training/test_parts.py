"""The parts below `Training`, where the whole would not tell which of them failed."""

from __future__ import annotations

import random
import time

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from srbench import PoolSettings
from srbench.errors import CorruptFile
from srbench.training import Training, seed_everything
from srbench.training.checkpoint import CheckpointStore, read_checkpoint
from srbench.training.clocks import Ledger
from srbench.training.precision import Precision
from srbench.training.seeding import undisturbed_rng

CUDA = torch.device("cuda")  # only named: nothing is put there


def three_numbers():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_one_seed_seeds_every_generator():
    draws = []
    for seed in (1, 1, 2):
        seed_everything(seed)
        draws.append(three_numbers())
    assert draws[0] == draws[1]
    assert all(left != right for left, right in zip(draws[1], draws[2], strict=True))
    seed_everything(-(2**40))
    seed_everything(2**80)


def test_generators_come_back_even_after_an_error(toy):
    seed_everything(1)
    expected = three_numbers()
    seed_everything(1)
    with pytest.raises(ZeroDivisionError), undisturbed_rng(toy.CPU):
        three_numbers()[0] / 0
    assert three_numbers() == expected


def flags():
    return torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision


def test_tf32_is_allowed_in_steps_only_and_not_in_validations():
    before = flags()
    precision = Precision("fp32", CUDA)
    with precision.tf32():
        assert flags() == ("tf32", "tf32")
        with precision.plain():
            assert flags() == before
        assert flags() == ("tf32", "tf32")
    assert flags() == before
    with pytest.raises(KeyError), precision.tf32():
        raise KeyError
    assert flags() == before


def test_tf32_flags_are_left_alone_on_a_cpu(toy):
    before = flags()
    with Precision("fp32", toy.CPU).tf32():
        assert flags() == before


def test_the_clock_waits_for_a_gpu_where_it_is_read(monkeypatch):
    waits = []
    monkeypatch.setattr(torch.cuda, "synchronize", waits.append)
    ledger = Ledger(CUDA)
    counts = ledger.open("a")
    assert waits == []
    ledger.read()
    with ledger.paused():
        pass
    ledger.close()
    assert waits == [CUDA] * 4
    assert counts.seconds > 0


def test_the_clock_stands_still_outside_stages_and_in_pauses(toy, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    ledger = Ledger(toy.CPU)

    def wait(seconds):
        now[0] += seconds

    wait(100)
    ledger.open("a")
    wait(1)
    with ledger.paused():
        wait(10)
        with ledger.paused():
            wait(10)
        ledger.count_calls("f", 5)
        wait(10)
    wait(2)
    assert ledger.seconds == 3
    ledger.close()
    wait(50)
    ledger.open("b")
    wait(4)
    ledger.count_calls("f", 6)
    ledger.close()
    assert {name: counts.seconds for name, counts in ledger.stages.items()} == {"a": 3, "b": 4}
    assert (ledger.seconds, ledger.calls) == (7, 6)

    other = Ledger(toy.CPU)
    other.load(ledger.state())
    assert other.stages == ledger.stages


def test_filling_a_pool_is_not_charged_but_its_refresh_is(toy, monkeypatch):
    class Slow(toy.Toy):
        def sample_lr(self, n, generator):
            time.sleep(0.1)
            return super().sample_lr(n, generator)

    method = toy.Map(toy.Parameters(), toy.PROBLEM)
    dataset = Slow(PoolSettings(size=8, block=2, refresh_every=1))
    training = Training(method, dataset, seed=0, device=toy.CPU)
    for _ in training.steps(3):
        training.lr(2)
    result = training.finish()
    assert 0.2 <= result.seconds < 0.35
    assert result.stages[0].images == 6


def test_datasets_compute_in_float32_within_bf16_steps(toy):
    seen = []

    class Computing(toy.Toy):
        def sample_lr(self, n, generator):
            x = super().sample_lr(n, generator)
            seen.append((x.flatten(1) @ torch.ones(108, 1)).dtype)
            return x

    method = toy.Map(toy.Parameters(), toy.PROBLEM)
    training = Training(method, Computing(), seed=0, device=toy.CPU, precision="bf16")
    for _ in training.steps(1):
        training.lr(2)
    assert seen == [torch.float32]


def test_left_overs_of_a_killed_writing_are_removed_and_never_read(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoint")
    store.write({"a": torch.arange(3)})
    torn = tmp_path / "checkpoint" / ".tmp-00000002"
    torn.mkdir()
    (torn / "state.json").write_text("{")
    assert store.read()["a"].tolist() == [0, 1, 2]
    store.write({"a": torch.arange(4)})
    assert sorted(path.name for path in (tmp_path / "checkpoint").iterdir()) == \
        ["00000001", "00000002"]
    assert store.read()["a"].tolist() == [0, 1, 2, 3]


def test_checkpoint_of_another_format_is_refused(tmp_path):
    path = CheckpointStore(tmp_path).write({"a": 1})
    manifest = path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(CorruptFile, match="not of checkpoint format 1"):
        read_checkpoint(path)


def test_numbers_of_checkpoints_grow_past_a_torn_one(tmp_path):
    store = CheckpointStore(tmp_path)
    for value in range(12):
        assert store.write({"value": value}).name == f"{value + 1:08d}"
    assert [path.name for path in store.newest_first()] == ["00000012", "00000011"]


class Tied(nn.Module):
    """Two names for one weight, and a state of its own beside tensors."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.seen = 0

    def get_extra_state(self):
        return {"seen": self.seen}

    def set_extra_state(self, state):
        self.seen = state["seen"]


def test_tied_weights_averages_and_extra_state_resume(toy, tmp_path):
    def begin():
        _, training = toy.cell(tmp_path, validate=None)
        tied = training.track(tied=Tied())
        average = training.track(average=torch.optim.swa_utils.AveragedModel(tied))
        return training, tied, average

    training, tied, average = begin()
    for _ in training.steps(2):
        tied.seen += 1
        with torch.no_grad():
            tied.first.weight.add_(1)
        average.update_parameters(tied)
    training.finish()
    restored, again, mean = begin()
    assert list(restored.steps(2)) == []
    assert again.seen == 2
    assert again.second.weight is again.first.weight
    assert torch.equal(again.first.weight, tied.first.weight)
    assert torch.equal(mean.module.first.weight, average.module.first.weight)
    assert int(mean.n_averaged) == 2


def test_objects_tracked_after_a_finished_stage_are_restored(toy, tmp_path):
    def fit(training, late):
        list(training.stage("a").steps(1))
        training.track(late=late)
        for _ in training.stage("b").steps(2):
            with torch.no_grad():
                late.bias.add_(1)
        return float(late.bias.detach()[0])

    stops = iter([False, True])
    _, training = toy.cell(tmp_path, validate=None, should_stop=lambda: next(stops))
    with pytest.raises(toy.Interrupted):
        fit(training, nn.Linear(1, 1))
    _, training = toy.cell(tmp_path, validate=None)
    seed_everything(123)
    value = fit(training, nn.Linear(1, 1))
    seed_everything(7)
    toy.Map(toy.Parameters(), toy.PROBLEM)
    assert value == pytest.approx(float(nn.Linear(1, 1).bias.detach()[0]) + 2)


def test_history_file_is_replaced_at_every_checkpoint(toy, tmp_path):
    lengths = []

    def watch(event):
        if event["event"] == "checkpoint":
            lengths.append(len(pd.read_parquet(tmp_path / "history.parquet")))

    _, training = toy.cell(tmp_path, validate=None, log_every=1, checkpoint_seconds=0.0,
                           on_event=watch)
    for step in training.steps(4):
        step.log(value=1.0)
    assert lengths == [1, 2, 3, 4]
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint", "history.parquet"}


@pytest.mark.parametrize("options", [{"log_every": 0}, {"validations": -1}])
def test_settings_out_of_bounds_are_named(toy, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        toy.cell(None, **options)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_no_step_waits_for_a_gpu(toy, precision):
    method = toy.Map(toy.Parameters(), toy.PROBLEM)
    training = Training(method, toy.Toy(toy.small_pool()), seed=0, device=torch.device("cuda", 0),
                        precision=precision, log_every=4)
    optimizer = training.track(optimizer=torch.optim.Adam(method.parameters()))
    for step in training.steps(8):
        torch.cuda.set_sync_debug_mode("error" if step.index % 4 in (1, 2) else "default")
        loss = method(training.lr(4)).square().mean()
        step.minimize(loss, optimizer)
        step.log(loss=loss, rate=1.0)
        if step.index % 4 == 3:
            torch.cuda.set_sync_debug_mode("default")
    assert training.finish().steps == 8
