"""The cost of OTS on photographs: its two distances, and a reference that moves every k_c steps."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from srbench_ots import cost as cost_module
from srbench_ots.cost import TransportCost
from srbench_ots.method import OTS
from tests.fill import arr
from tests.methods.photographs import Waves
from tests.methods.toy import train
from tests.two_stage.toy import TINY_OTS, build, same, weights_of

X, MAPPED = arr(1, (2, 3, 5, 4)), arr(2, (2, 3, 20, 16))


def up(x):
    return F.interpolate(x, scale_factor=4, mode="bicubic", align_corners=False)


def doubled(network, x):
    """Stands for `MinimaxMethod.mapped_by`."""
    return up(x) + network(up(x))


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Conv2d(3, 3, 1)


def test_mse_is_the_mean_over_everything():
    expected = ((up(X) - MAPPED) ** 2).sum() / (2 * 3 * 20 * 16)
    found = TransportCost(up, doubled, None)(X, MAPPED)
    torch.testing.assert_close(found, expected)


def test_vgg_is_mse_and_a_third_of_mae_and_a_fiftieth_of_the_features():
    """Stub features whose distances are known: x, and twice its mean over pixels."""
    def features(image):
        return [image, 2 * image.mean((2, 3), keepdim=True), image[:, :1], 0 * image]

    gap = MAPPED - up(X)
    of_features = (gap**2).mean() + (4 * gap.mean((2, 3)) ** 2).mean() + (gap[:, :1] ** 2).mean()
    expected = (gap**2).mean() + gap.abs().mean() / 3 + of_features / 50
    torch.testing.assert_close(TransportCost(up, doubled, features)(X, MAPPED), expected)


@pytest.mark.parametrize("features", [None, lambda image: [image**2]])
def test_gradients_reach_the_map_alone(features):
    x = X.clone().requires_grad_()
    mapped = MAPPED.clone().requires_grad_()
    cost = TransportCost(up, doubled, features)
    cost.keep(network())
    cost.refresh(3, 3, network(1))
    cost(x, mapped).backward()
    assert x.grad is None
    assert mapped.grad.abs().sum() > 0
    assert all(p.grad is None and not p.requires_grad for p in cost.reference.parameters())


def test_the_reference_is_up_until_k_and_then_a_copy_renewed_every_k_steps():
    cost, t = TransportCost(up, doubled, None), network()
    kept = cost.keep(t)
    assert kept is not t
    assert not kept.training
    copies = []
    for index in range(9):
        with torch.no_grad():
            t.weight.add_(1)
        cost.refresh(index, 3, t)
        if index % 3 == 0:
            copies.append(deepcopy(t))
        near = up(X) if index < 3 else doubled(copies[-1], X)  # T', with Up where residual
        assert float(cost(X, MAPPED)) == pytest.approx(float((near - MAPPED).square().mean()),
                                                       rel=1e-6), index


@pytest.mark.parametrize("every", [0, 100])
def test_the_reference_stays_up_without_or_before_a_refresh(every):
    cost, t = TransportCost(up, doubled, None), network()
    if every:
        cost.keep(t)
    for index in range(9):
        cost.refresh(index, every, t)
        assert torch.equal(cost(X, up(X)), torch.zeros(()))


@pytest.mark.parametrize("order", ["f-first", "T-first"])
@pytest.mark.parametrize("residual", [True, False])
def test_in_training_the_reference_is_the_map_as_it_was_at_the_last_multiple(
        monkeypatch, order, residual):
    """Seven steps with k_c = 3: Up in 0-2, T after three steps in 3-5, after six in 6."""
    seen, index = [], [0]
    refresh = TransportCost.refresh

    def watched(self, at, every, t):
        index[0] = at
        if at % 3 == 0:
            index[1:] = [weights_of(t)]
        refresh(self, at, every, t)

    def look(near, mapped):
        seen.append((index[0], index[1], near))
        return (near - mapped).square().mean()

    monkeypatch.setattr(TransportCost, "refresh", watched)
    monkeypatch.setattr(cost_module, "mse_cost", look)
    torch.manual_seed(0)
    drawn = []
    method = build(OTS, residual=residual)
    real = OTS.descend_map

    def descend(self, training, step, players):
        draw = training.lr
        training.lr = lambda n: drawn.append(draw(n)) or drawn[-1]
        real(self, training, step, players)
        training.lr = draw

    monkeypatch.setattr(OTS, "descend_map", descend)
    _, result = train(OTS, Waves(), **TINY_OTS, order=order, residual=residual, cost_refresh=3)
    assert len(seen) == len(drawn) == 14  # two steps of T in each of seven
    for (at, weights, near), x in zip(seen, drawn, strict=True):
        if at < 3:
            expected = up(x)
        else:
            copy = deepcopy(method.network).eval()
            copy.load_state_dict(weights)
            with torch.no_grad():
                expected = copy(x) + up(x) if residual else copy(x)
        torch.testing.assert_close(near, expected, rtol=1e-5, atol=1e-6)
        assert not near.requires_grad
    stage, = result.stages
    assert stage.calls["reference"] == 4 * 2 * 2  # steps 3 to 6, two of T each, batches of 2
    assert result.parameters_beside == sum(
        p.numel() for p in method.build_potential().parameters())  # the reference learns nothing


def test_mse_of_a_residual_map_at_its_start_is_zero():
    _, result = train(OTS, Waves(), **{**TINY_OTS, "iterations": 1, "inner_steps": 1}, log_every=1)
    values = dict(zip(result.history["name"], result.history["value"], strict=True))
    assert values["cost"] == 0


@pytest.mark.usefixtures("narrow_vgg")
def test_features_and_reference_are_no_part_of_the_map():
    method, result = train(OTS, Waves(), **TINY_OTS, cost="vgg", cost_refresh=2, map_average=0)
    assert set(method.state_dict()) == {f"network.{key}" for key in method.network.state_dict()}
    assert same(weights_of(method), weights_of(method))
    assert result.parameters == sum(p.numel() for p in method.parameters())
    assert not method.training
    assert method(torch.zeros(1, 3, 7, 9)).shape == (1, 3, 28, 36)
