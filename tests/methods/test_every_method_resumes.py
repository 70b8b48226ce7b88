"""Every built-in method that trains is stopped at an arbitrary step and ends with the same bits."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from srbench.errors import Interrupted
from srbench_anchors.method import Constant, Linear
from srbench_bicubic.method import Bicubic
from srbench_ots.method import OTS
from srbench_wgan_gp.method import WGANGP
from tests.methods.photographs import Waves
from tests.methods.toy import GaussianPair, Noise, train

STEPS = 6
IMAGE = {"iterations": STEPS, "batch_size": 2, "unet_base": 2, "potential_filters": 2}
VECTOR = {"iterations": STEPS, "batch_size": 16, "hidden": 8, "depth": 1}
PHOTOGRAPHS = {"iterations": STEPS, "batch_size": 1, "blocks": 1, "features": 4,
               "potential_filters": 1, "inner_steps": 2}
LOG_EVERY = 4  # so that some stops fall between two rows of the history

CASES = {
    "ots-image": (OTS, lambda: Noise(32), {**IMAGE, "inner_steps": 2}),
    "ots-image-averaged": (OTS, lambda: Noise(32), {
        **IMAGE, "inner_steps": 2, "map_average": 0.6, "residual": True}),
    "ots-vector": (OTS, GaussianPair, {
        **VECTOR, "inner_steps": 3, "lr_decay": "linear", "map_average": 0.9}),
    "ots-vector-cosine": (OTS, GaussianPair, {
        **VECTOR, "inner_steps": 1, "lr_decay": "cosine", "order": "T-first"}),
    # The reference of the cost is replaced at steps 2 and 4, or 3, counted from 0.
    "ots-sr": (OTS, Waves, {**PHOTOGRAPHS, "cost_refresh": 2, "map_average": 0.7}),
    "ots-sr-vgg": (OTS, Waves, {**PHOTOGRAPHS, "cost": "vgg", "cost_refresh": 3,
                                "order": "T-first", "residual": False, "beta1": 0.9}),
    "wgan-gp-image": (WGANGP, lambda: Noise(32), {**IMAGE, "critic_steps": 2}),
    "wgan-gp-vector": (WGANGP, GaussianPair, {
        **VECTOR, "critic_steps": 3, "lr_decay": "cosine", "map_average": 0.5}),
    "linear": (Linear, GaussianPair, {"samples": 600, "batch_size": 100}),
    "linear-image": (Linear, lambda: Noise(4), {"samples": 384, "batch_size": 64}),
    "constant": (Constant, GaussianPair, {"samples": 600, "batch_size": 100}),
    "constant-image": (Constant, lambda: Noise(8), {"samples": 48, "batch_size": 8}),
}
MINIMAX = [name for name in CASES if name.startswith(("ots", "wgan"))]
SLOW = [name for name in MINIMAX if "image" in name]
STOPS = {False: [1, LOG_EVERY, STEPS - 1, STEPS], True: [LOG_EVERY - 1, STEPS]}
ON_PHOTOGRAPHS = {"ots-sr": range(1, STEPS + 1), "ots-sr-vgg": (2, 3, 4)}
pytestmark = pytest.mark.usefixtures("narrow_vgg")
# Samples through each network in one step: (map, potential), by hand from Algorithm 1.
CALLS = {
    "ots-image": (2 + 2 * 2, 2 * 2 + 2 * 2),  # f: T(x), f(T(x)) and f(y); T twice: T(x), f(T(x))
    "ots-vector": (16 + 3 * 16, 2 * 16 + 3 * 16),
    "wgan-gp-image": (2 * 2 + 2, 2 * 3 * 2 + 2),  # critic twice: T(x), f at T(x), y and between
    "wgan-gp-vector": (3 * 16 + 16, 3 * 3 * 16 + 16),
}


def run(name, folder=None, stop_at=None, seed=0):
    """Train a case as the harness does; None where it was stopped."""
    method_class, dataset, given = CASES[name]
    asked = []

    def stop():
        asked.append(None)
        return len(asked) == stop_at

    try:
        method, result = train(method_class, dataset(), seed=seed, folder=folder, **given,
                               log_every=LOG_EVERY, should_stop=stop, checkpoint_seconds=1e9)
    except Interrupted:
        assert len(asked) == stop_at
        return None
    return {key: value.clone() for key, value in method.state_dict().items()}, result


def rows(result) -> pd.DataFrame:
    return pd.DataFrame(result.history).drop(columns="seconds")


def costs(result) -> list:
    return [cost.model_dump(exclude={"seconds"}) for cost in result.stages]


@pytest.fixture(scope="module")
def whole():
    """Undisturbed runs by name, each made once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = run(name)
        return made[name]

    return get


@pytest.mark.parametrize(("name", "stop_at"), [
    (name, stop_at) for name in CASES
    for stop_at in ON_PHOTOGRAPHS.get(name, STOPS[name in SLOW])])
def test_a_stop_leaves_no_trace(name, stop_at, whole, tmp_path):
    weights, expected = whole(name)
    assert run(name, tmp_path, stop_at) is None
    torch.manual_seed(12345)  # another process has other random numbers behind it
    found, result = run(name, tmp_path)
    assert found.keys() == weights.keys()
    for key, value in weights.items():
        assert torch.equal(found[key], value), key
    assert (result.steps, result.resumes) == (STEPS, 1)
    assert costs(result) == costs(expected)
    assert rows(result).equals(rows(expected))
    written = pd.read_parquet(tmp_path / "history.parquet")
    assert not written.duplicated(["stage", "step", "name"]).any()
    assert written["seconds"].is_monotonic_increasing


@pytest.mark.parametrize("name", ["ots-vector", "wgan-gp-vector", "linear"])
def test_a_stop_after_every_single_step_leaves_no_trace(name, whole, tmp_path):
    weights, expected = whole(name)
    for done in range(1, STEPS + 1):
        assert run_from(name, tmp_path, done) is None
    found, result = run(name, tmp_path)
    assert all(torch.equal(found[key], value) for key, value in weights.items())
    assert result.resumes == STEPS
    assert costs(result) == costs(expected)
    assert rows(result).equals(rows(expected))


def run_from(name, folder, done):
    """Go one step further, to ``done`` steps in all."""
    method_class, dataset, given = CASES[name]
    with pytest.raises(Interrupted, match=f"step {done} of {STEPS}"):
        train(method_class, dataset(), folder=folder, **given, log_every=LOG_EVERY,
              should_stop=lambda: True, checkpoint_seconds=1e9)


@pytest.mark.parametrize("name", CASES)
def test_the_seed_decides_every_bit(name, whole):
    weights, expected = whole(name)
    same, again = run(name)
    assert all(torch.equal(same[key], value) for key, value in weights.items())
    assert rows(again).equals(rows(expected))
    other, _ = run(name, seed=1)
    assert any(not torch.equal(other[key], value) for key, value in weights.items())


@pytest.mark.parametrize("name", MINIMAX)
def test_history_has_one_row_for_each_value_and_interval(name, whole):
    _, result = whole(name)
    table = rows(result)
    logged = {"loss_f", "gap", "loss_map", "cost"} | ({"penalty"} if "wgan" in name else set())
    assert table.groupby("step")["name"].apply(set).to_dict() == {
        LOG_EVERY: logged, STEPS: logged}
    assert len(table) == 2 * len(logged)


@pytest.mark.parametrize("name", CALLS)
def test_costs_are_those_counted_by_hand(name, whole):
    _, result = whole(name)
    stage, = result.stages
    through_map, through_f = CALLS[name]
    assert stage.calls == {"map": STEPS * through_map, "potential": STEPS * through_f}
    n, given = CASES[name][2]["batch_size"], CASES[name][2]
    draws = 2 + given["inner_steps"] if "ots" in name else 2 * given["critic_steps"] + 1
    assert stage.images == STEPS * n * draws


def test_parameters_are_counted_by_network(whole):
    """T: 2 -> 8 -> 2 units; f: 2 -> 8 -> 1 unit; the average is no parameter of its own."""
    _, result = whole("ots-vector")
    assert result.parameters == (2 * 8 + 8) + (8 * 2 + 2)
    assert result.parameters_beside == (2 * 8 + 8) + (8 + 1)


def test_a_finished_training_is_taken_from_its_checkpoint(whole, tmp_path):
    weights, expected = whole("wgan-gp-vector")
    run("wgan-gp-vector", tmp_path)
    found, result = run("wgan-gp-vector", tmp_path, stop_at=1)  # would stop if it took a step
    assert all(torch.equal(found[key], value) for key, value in weights.items())
    assert costs(result) == costs(expected)


def test_what_learns_nothing_leaves_no_folder_behind(tmp_path):
    _, result = train(Bicubic, Noise(16), folder=tmp_path)
    assert (result.steps, result.stages, list(tmp_path.iterdir())) == (0, [], [])
