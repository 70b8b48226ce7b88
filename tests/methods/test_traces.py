"""The real ``fit`` of ots and wgan-gp, update by update, against the original implementations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from srbench import Problem
from srbench_ots.method import OTS, OTSParams
from srbench_wgan_gp import method as wgan_gp
from srbench_wgan_gp.method import WGANGP, WGANGPParams
from tests.fill import arr, fill

SHAPE = (4, 3, 64, 64)
PROBLEM = Problem(domain="image", lr_shape=SHAPE[1:], hr_shape=SHAPE[1:])
# Adam with beta1 = 0 makes full steps of entries whose gradient is rounding alone (the biases in
# front of BatchNorm). Losses stay within 1e-4 of the original all the same on one and two threads;
# the eval statistics of the map after the last update move by up to 3e-3 with the arithmetic.
LOSS, FINAL = 1e-4, 5e-3
SMALL = {"iterations": 3, "batch_size": 4, "unet_base": 8, "potential_filters": 8}


class Scripted:
    """Stands in for Training: batch i is arr(1000 + i), arr(2000 + i), whichever side is asked.

    An update draws x first; y belongs to the same batch. Every loss is recorded before its update.
    """

    def __init__(self) -> None:
        self.batch = -1
        self.tracked: dict[str, Any] = {}
        self.trace: list[tuple[str, float]] = []
        self.logged: list[dict[str, float]] = []

    def lr(self, n: int) -> torch.Tensor:
        self.batch += 1
        return arr(1000 + self.batch, SHAPE)

    def hr(self, n: int) -> torch.Tensor:
        return arr(2000 + self.batch, SHAPE)

    def share(self, values: torch.Tensor) -> torch.Tensor:
        return values

    def track(self, **objects: Any) -> Any:
        for name, value in objects.items():
            assert name not in self.tracked
            self.tracked[name] = fill(value) if isinstance(value, torch.nn.Module) else value
        return next(iter(objects.values()))

    def steps(self, n: int) -> Iterator[Scripted]:
        for self.index in range(n):
            yield self

    def minimize(self, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=parameters)
        who = next(name for name, value in self.tracked.items() if value is optimizer)
        self.trace.append((who, loss.item()))
        self.moved(who)
        optimizer.step()

    def moved(self, who: str) -> None:
        """Record what else a subclass needs, before the update."""

    def log(self, **values: torch.Tensor) -> None:
        self.logged.append({name: value.item() for name, value in values.items()})


class ScriptedOTS(Scripted):
    """Adds to each loss the terms without effect that the released code computes along with it."""

    device = torch.device("cpu")

    def __init__(self, method: OTS) -> None:
        super().__init__()
        self.method = method
        self.extra: list[float] = []

    @torch.no_grad()
    def moved(self, who: str) -> None:
        x, y = arr(1000 + self.batch, SHAPE), arr(2000 + self.batch, SHAPE)
        if who == "map_optimizer":
            self.extra.append(self.tracked["potential"](y).mean().item())
        else:
            assert not self.method.training
            self.extra.append(-(x - self.method(x)).square().mean().item())


def trace_of(fixtures, name: str) -> dict[str, Any]:
    return json.loads((fixtures / f"trace_{name}.json").read_text())


def same_as_final(method: torch.nn.Module, expected: dict[str, Any]) -> None:
    assert not method.training
    with torch.no_grad():
        final = method(arr(1099, SHAPE))
    assert final.mean().item() == pytest.approx(expected["final_eval_T_on_batch99_mean"], rel=FINAL)
    assert final.std().item() == pytest.approx(expected["final_eval_T_on_batch99_std"], rel=FINAL)


def trained_ots(**given: Any) -> tuple[OTS, ScriptedOTS, list[float]]:
    params = OTSParams.resolve("code", "image", {**SMALL, "inner_steps": 3, **given})
    method = OTS(params, PROBLEM)
    fill(method.network)
    training = ScriptedOTS(method)
    method.fit(training)
    terms = zip(training.trace, training.extra, strict=True)
    return method, training, [loss + extra for (_, loss), extra in terms]


def test_ots_repeats_the_released_codes_updates(fixtures):
    expected = trace_of(fixtures, "ots_w2")
    method, training, values = trained_ots()
    who = {"f": "potential_optimizer", "T": "map_optimizer"}
    assert [name for name, _ in training.trace] == [who[name] for name, *_ in expected["trace"]]
    published = [value for *_, value in expected["trace"]]
    assert values == pytest.approx(published, rel=LOSS)
    same_as_final(method, expected)


@pytest.mark.parametrize("given", [{"beta1": 0.5}, {"beta2": 0.999}, {"lr_map": 1.2e-4},
                                   {"lr_potential": 1.2e-4}])
def test_the_ots_trace_tells_other_settings_apart(fixtures, given):
    published = [value for *_, value in trace_of(fixtures, "ots_w2")["trace"]]
    assert trained_ots(**given)[2] != pytest.approx(published, rel=LOSS)


def test_the_ots_trace_tells_the_mode_of_the_map_apart(fixtures, monkeypatch):
    published = [value for *_, value in trace_of(fixtures, "ots_w2")["trace"]]
    monkeypatch.setattr(OTS, "train", lambda self, mode=True: super(OTS, self).train(False))
    assert trained_ots()[2] != pytest.approx(published, rel=LOSS)


@pytest.mark.parametrize("lam", [0, 100])
def test_wgan_gp_repeats_the_released_codes_updates(fixtures, monkeypatch, lam):
    expected = trace_of(fixtures, f"wgan_gp_lambda{lam}")
    given = {**SMALL, "critic_steps": 3, "lambda": lam}
    method = WGANGP(WGANGPParams.resolve("code", "image", given), PROBLEM)
    fill(method.network)
    training = Scripted()
    monkeypatch.setattr(wgan_gp, "interpolation_weights",
                        lambda y: arr(3000 + training.batch, (len(y), 1, 1, 1), 0, 1))
    method.fit(training)
    who = {"D": "potential_optimizer", "T": "map_optimizer"}
    assert [name for name, _ in training.trace] == [who[row[0]] for row in expected["trace"]]
    assert [loss for _, loss in training.trace] == pytest.approx(
        [row[2] for row in expected["trace"]], rel=LOSS)
    penalties = [row["penalty"] for row in training.logged if "penalty" in row]
    assert penalties == pytest.approx(
        [row[3] for row in expected["trace"] if row[0] == "D"], rel=LOSS)
    same_as_final(method, expected)
