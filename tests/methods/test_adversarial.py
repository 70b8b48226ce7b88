"""Loss formulas against closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from srbench.networks import ResNetPotential
from srbench.networks.adversarial import (
    gradient_penalty,
    interpolate,
    interpolation_weights,
    mse_cost,
    potential_gap,
)
from tests.fill import arr


def test_the_cost_is_the_squared_distance_divided_by_the_dimension():
    x, mapped = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    mapped[0] = 2  # ||x - T(x)||^2 = 4 * 48 for the first sample, 0 for the second
    assert mse_cost(x, mapped).item() == pytest.approx(4 * 48 / 48 / 2)


@pytest.mark.parametrize("sizes", [(4, 4), (5, 2)])
def test_one_pass_of_the_potential_equals_two(sizes):
    f = ResNetPotential(16, 4, filters_max=8).double()
    mapped, y = (arr(seed, (n, 3, 16, 16)).double() for seed, n in enumerate(sizes))
    two = f(y).mean() - f(mapped).mean()
    assert potential_gap(f, mapped, y).item() == pytest.approx(two.item(), rel=1e-12)


@pytest.mark.parametrize(("slope", "expected"), [((3.0, 4.0), 16.0), ((0.6, 0.8), 0.0)])
def test_the_penalty_of_a_linear_potential_is_its_slopes_distance_from_one(slope, expected):
    weight = torch.tensor(slope)
    value = gradient_penalty(lambda z: z @ weight, torch.randn(8, 2))
    assert value.item() == pytest.approx(expected, abs=1e-6)


def test_the_penalty_averages_over_samples_and_takes_the_norm_over_all_values():
    points = torch.stack((torch.full((3, 2, 2), 1.0), torch.full((3, 2, 2), 2.0)))
    # f = sum of squares: gradient 2 z, norms 2 sqrt(12) and 4 sqrt(12)
    value = gradient_penalty(lambda z: z.square().flatten(1).sum(1), points)
    norms = 2 * 12**0.5, 4 * 12**0.5
    assert value.item() == pytest.approx(sum((n - 1) ** 2 for n in norms) / 2, rel=1e-6)


def test_a_potential_without_slope_gets_finite_gradients():
    f = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        f[0].bias.fill_(-100)  # every unit is off: the gradient is exactly zero
    penalty = gradient_penalty(f, torch.randn(5, 3))
    penalty.backward()
    assert penalty.item() == pytest.approx(1, abs=1e-5)
    assert all(p.grad is None or p.grad.isfinite().all() for p in f.parameters())


def test_the_penalty_reaches_the_potentials_weights_as_finite_differences_do():
    weight = torch.tensor([0.5, -1.5], dtype=torch.float64, requires_grad=True)
    points = torch.randn(6, 2, dtype=torch.float64)

    def penalty(w):
        return gradient_penalty(lambda z: (z.square() @ w).sin(), points).double()

    gradient, = torch.autograd.grad(penalty(weight), weight)
    for i in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[i] = 1e-3
        slope = (penalty(weight + step) - penalty(weight - step)) / 2e-3
        assert gradient[i].item() == pytest.approx(slope.item(), rel=1e-2)


def test_interpolation_weights_are_one_uniform_number_a_sample():
    torch.manual_seed(0)
    eta = interpolation_weights(torch.zeros(4096, 3, 2, 2))
    assert eta.shape == (4096, 1, 1, 1)
    assert 0 <= eta.min() < 0.01
    assert 0.99 < eta.max() < 1
    assert eta.var().item() == pytest.approx(1 / 12, rel=0.05)
    mapped, y = torch.zeros(2, 2), torch.ones(2, 2)
    ends = interpolate(mapped, y, torch.tensor([[0.0], [1.0]]))
    assert torch.equal(ends, torch.tensor([[0.0, 0.0], [1.0, 1.0]]))  # eta y + (1 - eta) T(x)
