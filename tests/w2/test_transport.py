"""Formulas of the benchmark against NumPy, exact transport and cases whose answer is known."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch

from srbench.evaluation.transport import (
    cosine,
    cosine_terms,
    l2_uvp,
    total_variance,
    transport_cost,
)

IMAGES = torch.randn(50, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 2 + 1


def test_total_variance_is_the_sum_of_numpys_variances():
    expected = np.var(IMAGES.numpy().astype(np.float64), axis=0, ddof=0).sum()
    assert float(total_variance(IMAGES)) == pytest.approx(expected, rel=1e-12)


def test_total_variance_survives_a_large_mean_in_float32():
    shifted = IMAGES.double() + 1000
    assert float(total_variance(shifted)) == pytest.approx(float(total_variance(IMAGES)), rel=1e-9)


def test_constant_map_scores_100_and_the_true_map_0():
    variance = float(total_variance(IMAGES))
    mean = IMAGES.double().mean(0).expand(len(IMAGES), -1, -1, -1)
    assert float(l2_uvp(mean, IMAGES, variance).mean()) == pytest.approx(100, rel=1e-9)
    assert float(l2_uvp(IMAGES, IMAGES, variance).max()) == 0


def test_cost_of_a_monotone_map_is_half_the_exact_squared_distance():
    """A gradient of a convex function is optimal, so no plan between the samples is cheaper."""
    x = IMAGES.flatten(1)[:, :4].double()
    y = torch.tanh(x) + 0.5 * x
    exact = ot.emd2([], [], ot.dist(x.numpy(), y.numpy()))
    assert float(transport_cost(x, y)) == pytest.approx(exact / 2, rel=1e-9)


def test_cosine_of_half_the_way_is_one_and_of_the_way_back_minus_one():
    x, y = IMAGES, IMAGES.flip(0)
    assert cosine(*cosine_terms((x + y) / 2, y, x).tolist()) == pytest.approx(1, abs=1e-6)
    assert cosine(*cosine_terms(2 * x - y, y, x).tolist()) == pytest.approx(-1, abs=1e-6)
    assert cosine(*cosine_terms(x, y, x).tolist()) == 0
