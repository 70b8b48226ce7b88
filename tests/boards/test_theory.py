"""What docs/theory.md states, with exact transport from POT and no formula of ours inside."""

from __future__ import annotations

import itertools
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from srbench.boards.theory import interpolation_l2_uvp, w1_l2_uvp_bound
from srbench.evaluation.l2_uvp import l2_uvp

ot = pytest.importorskip("ot")
P, Q = np.array([0.0, 2.0]), np.array([1.0, 3.0])  # Example 1 of arXiv 2202.01116
DOCS = Path(__file__).parents[2] / "docs" / "theory.md"


def half(count):
    return np.full(count, 1 / count)


def transport(cost):
    """Exact transport cost between uniform clouds."""
    return float(ot.emd2(half(len(cost)), half(cost.shape[1]), cost))


def plan(cost):
    """For each row the column that the exact plan gives it."""
    found = ot.emd(half(len(cost)), half(cost.shape[1]), cost) * len(cost)
    assert np.allclose(np.sort(found, 1)[:, :-1], 0, atol=1e-9)  # uniform clouds: a permutation
    return found.argmax(1)


def squared(x, y):
    return ot.dist(x, y, metric="sqeuclidean")


def clouds(seed, count=6, dim=3):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(count, dim)), draw.normal(0.5, 1.5, size=(count, dim))


# --- Example 1


def example_1(t_0, t_2, lam):
    """Objective (2) of the paper at T(0) = t_0, T(2) = t_2."""
    mapped = np.array([[t_0], [t_2]])
    return transport(squared(mapped, Q[:, None])) + lam * np.abs(P - [t_0, t_2]).mean()


@cache
def grid_minimum(lam):
    grid = np.arange(-0.5, 3.75, 0.125)
    values = {(a, b): example_1(a, b, lam) for a, b in itertools.product(grid, grid)}
    least = min(values.values())
    return least, {place for place, value in values.items() if value < least + 1e-9}


@pytest.mark.parametrize("lam", [0.25, 0.5, 1, 1.5, 2])
def test_example_1_has_the_papers_unique_biased_optimum(lam):
    least, places = grid_minimum(lam)
    assert places == {(1 - lam / 2, 3 - lam / 2)}
    assert least == pytest.approx(lam - lam**2 / 4)


def test_example_1_without_a_content_loss_has_two_unbiased_optima():
    least, places = grid_minimum(0)
    assert places == {(1, 3), (3, 1)}
    assert least == pytest.approx(0)


def test_example_1_beyond_2_is_the_identity_which_the_paper_does_not_say():
    least, places = grid_minimum(3)
    assert places == {(0, 2)}
    assert least == pytest.approx(1)


@pytest.mark.parametrize("lam", [0.5, 1, 2, 3])
def test_example_1_by_exact_transport_for_the_soft_threshold(lam):
    ends = np.sign(Q - P[:, None]) * np.minimum(np.abs(Q - P[:, None]), lam / 2)
    y = Q[None, :] - ends  # the minimum over y of |y - z|^2 + lam |x - y|
    h = (y - Q)**2 + lam * np.abs(P[:, None] - y)
    partner = plan(h)
    mapped = y[np.arange(2), partner]
    assert mapped == pytest.approx([max(1 - lam / 2, 0), max(3 - lam / 2, 2)])
    assert transport(h) == pytest.approx(example_1(*mapped, lam))


def test_the_table_of_the_docs_is_what_the_search_finds():
    rows = [line.strip("| ").split(" | ") for line in DOCS.read_text().splitlines()
            if line.startswith("| ") and line[2].isdigit()]
    assert len(rows) == 5
    for lam, t_0, t_2, objective in rows:
        least, places = grid_minimum(float(lam))
        assert least == pytest.approx(float(objective))
        told = zip(*([float(value) for value in text.split(" or ")] for text in (t_0, t_2)),
                   strict=True)
        assert set(told) == places


# --- Squared W2


def objective(mapped, x, z, lam):
    return transport(squared(mapped, z)) + lam * np.square(x - mapped).sum(1).mean()


def descend(start, x, z, lam, steps=400):
    """Gradient descent on the objective; each step asks POT for the plan."""
    mapped = start
    for _ in range(steps):
        pull = (mapped - z[plan(squared(mapped, z))]) + lam * (mapped - x)
        mapped = mapped - 0.5 / (1 + lam) * pull
    return mapped


@pytest.mark.parametrize("lam", [0.2, 1.0, 5.0])
def test_descent_from_many_starts_finds_the_displacement_interpolation(lam):
    x, z = clouds(1)
    draw = np.random.default_rng(2)
    starts = [x, z, *(draw.normal(0, 2, x.shape) for _ in range(12))]
    ends = [descend(start, x, z, lam, 60) for start in starts]
    best = min(ends, key=lambda mapped: objective(mapped, x, z, lam))
    true = z[plan(squared(x, z))]
    assert best == pytest.approx((true + lam * x) / (1 + lam), abs=1e-6)
    assert objective(best, x, z, lam) == pytest.approx(lam / (1 + lam) * transport(squared(x, z)))


@pytest.mark.parametrize("lam", [0.3, 2.0])
def test_no_pairing_gives_less_than_the_interpolation(lam):
    x, z = clouds(3, count=5)
    true = z[plan(squared(x, z))]
    least = objective((true + lam * x) / (1 + lam), x, z, lam)
    for order in itertools.permutations(range(5)):
        # The best maps for a plan that is held fixed; the global optimum is one of them.
        assert objective((z[list(order)] + lam * x) / (1 + lam), x, z, lam) >= least - 1e-12


@pytest.mark.parametrize("lam", [0, 0.1, 1, 10, 1e5])
def test_bias_is_the_share_of_the_way_that_is_left(lam):
    x, z = clouds(4, count=40)
    true = z[plan(squared(x, z))]
    mapped = (true + lam * x) / (1 + lam)
    left = lam / (1 + lam)
    assert transport(squared(mapped, z)) == pytest.approx(left**2 * transport(squared(x, z)),
                                                          abs=1e-9)
    assert plan(squared(x, mapped)).tolist() == list(range(40))  # lemma 1


@pytest.mark.parametrize("lam", [0, 0.5, 1, 100])
def test_the_metric_of_the_interpolation_is_the_formulas(lam):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 4, generator=draw, dtype=torch.float64)
    root = torch.randn(4, 4, generator=draw, dtype=torch.float64)
    true = x @ (root @ root.T) + 1  # the gradient of a convex function: an optimal map
    variance = float(true.var(0, correction=0).sum())
    identity = float(l2_uvp(x, true, variance).mean())
    measured = float(l2_uvp((true + lam * x) / (1 + lam), true, variance).mean())
    assert interpolation_l2_uvp(lam, identity) == pytest.approx(measured, rel=1e-12)


def test_the_curve_runs_from_nothing_to_the_identity():
    assert interpolation_l2_uvp(0, 30.6) == 0
    assert interpolation_l2_uvp(1, 30.6) == pytest.approx(30.6 / 4)
    assert interpolation_l2_uvp(math.inf, 30.6) == 30.6
    values = [interpolation_l2_uvp(10.0**power, 30.6) for power in range(-3, 6)]
    assert values == sorted(values)


@pytest.mark.parametrize("lam", [-1, math.nan])
def test_a_weight_that_is_none_is_refused(lam):
    with pytest.raises(ValueError, match="is no weight"):
        interpolation_l2_uvp(lam, 30)


# --- W1


def w1_objective(mapped, x, z, lam):
    dim = x.shape[1]
    return (transport(ot.dist(mapped, z, metric="euclidean"))
            + lam * np.square(x - mapped).sum(1).mean() / dim)


def huber_solution(x, z, lam):
    """The optimum by the lemma: exact transport for Huber's cost, then the point on the way."""
    reach = x.shape[1] / (2 * lam)
    far = ot.dist(x, z, metric="euclidean")
    cost = np.where(far <= reach, far**2 / (2 * reach), far - reach / 2)
    partner = z[plan(cost)]
    way = np.linalg.norm(partner - x, axis=1, keepdims=True)
    return x + np.minimum(1, reach / way) * (partner - x), transport(cost)


@pytest.mark.parametrize("lam", [0.1, 0.7, 3.0])
def test_the_optimum_for_exact_w1_is_transport_for_hubers_cost(lam):
    x, z = clouds(5)
    mapped, least = huber_solution(x, z, lam)
    assert w1_objective(mapped, x, z, lam) == pytest.approx(least)
    draw = np.random.default_rng(6)
    for size in (0.01, 0.1, 1.0):
        for _ in range(60):
            other = mapped + draw.normal(0, size, x.shape)
            assert w1_objective(other, x, z, lam) >= least - 1e-9


@pytest.mark.parametrize("lam", [0.3, 0.8, 2.0, 50.0])
def test_the_optimum_for_exact_w1_keeps_the_bound(lam):
    x, z = clouds(7, count=30)
    true = z[plan(squared(x, z))]
    variance = float(z.var(0).sum())
    identity = 100 * float(np.square(x - true).sum(1).mean()) / variance
    mapped, _ = huber_solution(x, z, lam)
    moved = np.linalg.norm(mapped - x, axis=1)
    measured = 100 * float(np.square(mapped - true).sum(1).mean()) / variance
    bound = w1_l2_uvp_bound(lam, identity, hr_variance=variance, values=3)
    assert moved.max() <= 3 / (2 * lam) + 1e-9
    assert 0 <= bound <= measured + 1e-9
    if lam == 50:
        assert bound == pytest.approx(measured, rel=0.05)  # near the identity it is tight


def test_the_bound_is_met_where_all_samples_move_alike():
    x = np.random.default_rng(8).normal(size=(20, 2))
    true = x + np.array([3.0, 4.0])
    variance = float(true.var(0).sum())
    mapped, _ = huber_solution(x, true, lam=0.5)  # reach 2 of 5
    measured = 100 * float(np.square(mapped - true).sum(1).mean()) / variance
    bound = w1_l2_uvp_bound(0.5, 100 * 25 / variance, hr_variance=variance, values=2)
    assert bound == pytest.approx(measured) == pytest.approx(100 * 9 / variance)


def test_a_small_weight_costs_nothing_with_exact_w1():
    x, z = clouds(9, count=20)
    lam = x.shape[1] / (2 * 1.001 * ot.dist(x, z, metric="euclidean").max())
    mapped, _ = huber_solution(x, z, lam)
    assert mapped == pytest.approx(z[plan(squared(x, z))])


@pytest.mark.parametrize(("lam", "value"), [(0, 0), (100, 0), (185, 0), (1e3, 20.3), (1e4, 29.4),
                                            (1e5, 30.5)])
def test_the_bound_at_the_papers_weights(lam, value):
    # D = 3 * 64 * 64, Var(Q) about 3,600, the identity's L2-UVP 30.6 %
    bound = w1_l2_uvp_bound(lam, 30.6, hr_variance=3600, values=12_288)
    assert bound == pytest.approx(value, abs=0.15)


def test_the_bound_refuses_what_makes_no_sense():
    for wrong in ({"hr_variance": 0, "values": 3}, {"hr_variance": 1, "values": 0}):
        with pytest.raises(ValueError, match="give a weight"):
            w1_l2_uvp_bound(1, 30, **wrong)
