"""Regularised WGAN-GP through the real Training: its bias, its limits, its sweep."""

from __future__ import annotations

import pytest
import torch

from srbench.errors import ParameterError
from srbench_minimax.game import Players
from srbench_wgan_gp import PUBLISHED_LAMBDAS, srbench_methods
from srbench_wgan_gp.method import WGANGP, WGANGPParams
from tests.methods.toy import GaussianPair, Noise, TwoPoints, train

FAST = {"critic_steps": 3, "batch_size": 64, "hidden": 32, "depth": 2}
TINY = {"iterations": 2, "critic_steps": 3, "batch_size": 4, "unet_base": 2,
        "potential_filters": 2}


@pytest.mark.parametrize("lam", [1.0, 2.0])
def test_is_biased_on_the_papers_example_1_as_predicted(lam):
    # The map moves both points by t; lam t^2 + W1 = lam t^2 + 1 - t is least at t = 1 / (2 lam),
    # where the true map has t = 1.
    method, _ = train(WGANGP, TwoPoints(), iterations=200, lam=lam, **FAST)
    moved = method(torch.tensor([[0.0], [2.0]])).flatten().tolist()
    assert moved == pytest.approx([1 / (2 * lam), 2 + 1 / (2 * lam)], abs=0.06)


def test_a_large_lambda_pins_the_map_to_the_identity():
    dataset = GaussianPair()
    method, _ = train(WGANGP, dataset, iterations=40, lam=1e5, **FAST)
    x = dataset.sample_lr(1000, torch.Generator().manual_seed(1))
    assert (method(x) - x).square().mean() < 1e-6
    assert (dataset.true_map(x) - x).square().mean() > 0.5


def test_a_plain_map_is_drawn_to_the_identity_by_a_large_lambda():
    dataset = GaussianPair()
    x = dataset.sample_lr(1000, torch.Generator().manual_seed(1))
    method, _ = train(WGANGP, dataset, iterations=200, lam=1e5, residual=False,
                      **{**FAST, "critic_steps": 1})
    assert (method(x) - x).square().mean() < 0.02


def test_without_lambda_the_map_does_not_look_at_its_input():
    losses = []

    class Step:
        def minimize(self, loss, optimizer):
            losses.append(loss)

        def log(self, **values):
            pass

    class Fixed:
        def lr(self, n):
            return torch.linspace(-1, 1, 2 * n).view(n, 2)

    method = WGANGP(WGANGPParams.resolve("quick", "vector", {"lambda": 0, "batch_size": 8}),
                    GaussianPair().problem)
    f = method.build_potential()
    players = Players(f, method.adam(method, 1e-3), method.adam(f, 1e-3), [])
    method.descend_map(Fixed(), Step(), players)
    assert losses[0].item() == pytest.approx(-f(method(Fixed().lr(8))).mean().item(), rel=1e-6)


def test_critic_comes_first_and_costs_are_those_of_one_to_ten(monkeypatch):
    moves = []
    for name in ("ascend_critic", "descend_map"):
        original = getattr(WGANGP, name)

        def watched(self, *given, original=original, name=name):
            moves.append(name)
            original(self, *given)

        monkeypatch.setattr(WGANGP, name, watched)
    method, result = train(WGANGP, Noise(), precision="bf16", **TINY)
    assert moves == (["ascend_critic"] * 3 + ["descend_map"]) * 2
    # critic: T(x); f on [T(x); y] and once more at the interpolated points
    assert result.stages[0].calls == {"map": 2 * 4 * 4, "potential": 2 * (3 * 3 + 1) * 4}
    assert not method.training
    assert "penalty" in result.history["name"]


def test_presets_hold_the_papers_and_the_codes_values():
    def values(preset):
        p = WGANGPParams.resolve(preset, "image", {})
        return (p.iterations, p.critic_steps, p.batch_size, p.lr_map, p.lr_potential, p.beta1,
                p.beta2, p.gp_weight, p.unet_base, p.potential_filters, p.residual)

    assert values("paper") == (15_000, 10, 64, 1e-4, 1e-4, 0, 0.9, 10, 64, 64, False)
    assert values("code") == (25_000, 10, 64, 1e-4, 1e-4, 0, 0.9, 10, 32, 64, False)


def test_the_bare_name_stands_for_the_published_sweep():
    info, = srbench_methods()
    assert info.sweep == {"lambda": (0, 0.1, 1, 10, 100, 1000, 10_000, 100_000)}
    for lam in PUBLISHED_LAMBDAS:
        assert WGANGPParams.resolve("quick", "image", {"lambda": lam}).lam == lam
    with pytest.raises(ParameterError, match=r"lam(bda)?=-1"):
        WGANGPParams.resolve("quick", "image", {"lambda": -1})
