"""Sliced transport against closed forms, and against transport solved by other people's code."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from srbench.errors import DataError
from srbench.evaluation.sliced import (
    sliced_w2,
    sliced_w2_of_projections,
    step_w2,
    unit_directions,
)


def normal(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gaussians(n, m, d=3):
    """Samples of two Gaussians, their means and covariances."""
    a, b = normal(1, d, d), normal(2, d, d) * 0.5 + torch.eye(d)
    shift = torch.arange(1.0, d + 1).double() / d
    x, y = normal(3, n, d) @ a.T, normal(4, m, d) @ b.T + shift
    return x, y, (torch.zeros(d).double(), a @ a.T), (shift, b @ b.T)


@pytest.mark.parametrize(("n", "m"), [(60_000, 60_000), (60_000, 45_001)])
def test_gaussians_have_a_closed_form(n, m):
    """Mean over theta of (theta.D)^2 + (sqrt(theta S1 theta) - sqrt(theta S2 theta))^2."""
    x, y, (m1, c1), (m2, c2) = gaussians(n, m)
    theta = unit_directions(64, 3, 0).double()
    spread = [((theta @ c) * theta).sum(1).sqrt() for c in (c1, c2)]
    wanted = (theta @ (m1 - m2)).square() + (spread[0] - spread[1]).square()
    assert sliced_w2(x, y, theta) ** 2 == pytest.approx(float(wanted.mean()), rel=0.02)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 7), (5, 5), (6, 4), (12, 18), (31, 7)])
def test_on_the_line_it_is_the_optimal_transport_of_pot(n, m):
    x, y = normal(n, n, 3), normal(m + 100, m, 3) * 2 + 1
    found = step_w2(x.T.contiguous(), y.T.contiguous())
    for k in range(3):
        wanted = ot.emd2_1d(x[:, k].numpy(), y[:, k].numpy(), metric="sqeuclidean")
        assert float(found[k]) == pytest.approx(wanted, rel=1e-9)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**31))
def test_unequal_numbers_are_integrated_exactly(n, m, seed):
    """Repeating every sample m times and every other n times makes both sides n m long."""
    x, y = normal(seed, 1, n), normal(seed + 1, 1, m)
    wanted = np.square(np.sort(np.repeat(x.numpy(), m)) - np.sort(np.repeat(y.numpy(), n))).mean()
    assert float(step_w2(x, y)[0]) == pytest.approx(wanted, rel=1e-9)
    assert float(step_w2(y, x)[0]) == pytest.approx(wanted, rel=1e-9)
    assert wanted >= wasserstein_distance(x.numpy()[0], y.numpy()[0]) ** 2 - 1e-9  # W2 >= W1


def test_a_shift_and_a_scaling():
    x = normal(0, 500, 4)
    theta = unit_directions(200, 4, 1).double()
    shift = torch.tensor([1.0, 2, 3, 4]).double()
    wanted = (theta @ shift).square().mean().sqrt()
    assert sliced_w2(x, x + shift, theta) == pytest.approx(float(wanted), rel=1e-9)
    wanted = (x @ theta.T).square().mean().sqrt()
    assert sliced_w2(x, 3 * x, theta) == pytest.approx(2 * float(wanted), rel=1e-9)
    assert sliced_w2(x, x.flip(0), theta) == 0


def test_it_does_not_depend_on_order_or_on_how_many_directions_are_sorted_at_a_time(monkeypatch):
    x, y, *_ = gaussians(300, 211)
    theta = unit_directions(50, 3, 2)
    whole = sliced_w2(x, y, theta)
    monkeypatch.setattr("srbench.evaluation.sliced.AT_A_TIME", 7)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    assert sliced_w2(x[order], y.flip(0), theta) == pytest.approx(whole, rel=1e-12)


def test_directions_are_fixed_unit_vectors_spread_over_the_sphere():
    theta = unit_directions(4000, 5, 7)
    assert torch.equal(theta, unit_directions(4000, 5, 7))
    assert not torch.equal(theta, unit_directions(4000, 5, 8))
    torch.testing.assert_close(theta.norm(dim=1), torch.ones(4000))
    torch.testing.assert_close(theta.T @ theta / 4000, torch.eye(5) / 5, rtol=0, atol=0.02)
    before = torch.get_rng_state()
    unit_directions(3, 3, 0)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("x", "y", "said"), [
    (torch.zeros(0, 2), torch.zeros(3, 2), r"both sides.*\(0, 2\)"),
    (torch.zeros(3, 2), torch.zeros(3, 4), r"the same directions.*\(3, 4\)"),
    (torch.full((3, 2), torch.nan), torch.zeros(3, 2), "finite"),
    (torch.zeros(3, 2), torch.full((3, 2), torch.inf), "finite"),
])
def test_what_cannot_be_compared_is_named(x, y, said):
    with pytest.raises(DataError, match=said):
        sliced_w2_of_projections(x, y)
