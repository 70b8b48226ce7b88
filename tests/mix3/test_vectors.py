"""Perceptrons for vectors: shapes, sizes and the residual form."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from srbench.networks import VectorMap, VectorPotential
from srbench.networks.vectors import ACTIVATIONS, perceptron


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("dim", "hidden", "depth"), [(2, 64, 3), (16, 128, 3), (5, 7, 1)])
def test_shapes_and_sizes(dim: int, hidden: int, depth: int):
    inner = dim * hidden + hidden + (depth - 1) * (hidden**2 + hidden)
    x = torch.zeros(11, dim)
    assert VectorMap(dim, hidden, depth)(x).shape == (11, dim)
    assert parameters(VectorMap(dim, hidden, depth)) == inner + hidden * dim + dim
    assert VectorPotential(dim, hidden, depth)(x).shape == (11,)
    assert parameters(VectorPotential(dim, hidden, depth)) == inner + hidden + 1


def test_the_documented_size():
    assert parameters(VectorMap(16, 128, 3)) == 37_264


def test_depth_zero_is_linear():
    net = VectorPotential(3, 8, 0)
    x, y = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(net(x + y) + net(0 * x), net(x) + net(y))


def test_residual_adds_the_input():
    plain, residual = VectorMap(4, residual=False), VectorMap(4, residual=True)
    residual.load_state_dict(plain.state_dict())
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(residual(x), x + plain(x))


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_the_activation_is_the_one_asked_for(activation: str):
    net = VectorMap(1, 1, 1, residual=False, activation=activation)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.ones_like(p) if p.ndim == 2 else torch.zeros_like(p))
    x = torch.tensor([[-1.5], [2.0]])
    function = {"celu": nn.functional.celu, "relu": torch.relu, "silu": nn.functional.silu}
    torch.testing.assert_close(net(x), function[activation](x))


@pytest.mark.parametrize(
    "wrong",
    [
        {"dim": 0, "hidden": 4, "depth": 1, "activation": "relu"},
        {"dim": 2, "hidden": 0, "depth": 1, "activation": "relu"},
        {"dim": 2, "hidden": 4, "depth": -1, "activation": "relu"},
        {"dim": 2, "hidden": 4, "depth": 1, "activation": "sine"},
    ],
)
def test_impossible_networks_are_refused(wrong: dict[str, object]):
    with pytest.raises(ValueError, match=r"must be (>=|one of)"):
        perceptron(outputs=1, **wrong)
