"""The affine map between Gaussians against POT, SciPy and closed forms."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from scipy.linalg import sqrtm

from srbench.errors import DataError
from srbench.evaluation.moments import affine_transport, sample_moments, symmetric_power


def spd(dim: int, seed: int, rank: int | None = None) -> torch.Tensor:
    factor = torch.randn(
        dim, rank or dim + 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    return factor @ factor.T


def means(dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(9)
    return tuple(torch.randn(2, dim, dtype=torch.float64, generator=generator))


@pytest.mark.parametrize("dim", [1, 2, 5, 20])
def test_agrees_with_pot(dim: int):
    (m1, m2), c1, c2 = means(dim), spd(dim, 1), spd(dim, 2)
    weight, bias = affine_transport(m1, c1, m2, c2)
    theirs, shift = ot.gaussian.bures_wasserstein_mapping(*(t.numpy() for t in (m1, m2, c1, c2)))
    np.testing.assert_allclose(weight.numpy(), theirs, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(bias.numpy(), shift.reshape(-1), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dim", [3, 12])
def test_is_symmetric_monotone_and_carries_one_gaussian_to_the_other(dim: int):
    (m1, m2), c1, c2 = means(dim), spd(dim, 3), spd(dim, 4)
    weight, bias = affine_transport(m1, c1, m2, c2)
    torch.testing.assert_close(weight, weight.T)
    assert torch.linalg.eigvalsh(weight).min() > 0
    torch.testing.assert_close(weight @ c1 @ weight.T, c2)
    torch.testing.assert_close(weight @ m1 + bias, m2)


def test_diagonal_case_in_closed_form():
    variances1, variances2 = torch.tensor([1.0, 4.0, 9.0]), torch.tensor([4.0, 1.0, 9.0])
    weight, bias = affine_transport(
        torch.zeros(3), variances1.diag(), torch.ones(3), variances2.diag()
    )
    expected = torch.tensor([2.0, 0.5, 1.0], dtype=torch.float64).diag()
    torch.testing.assert_close(weight, expected)
    torch.testing.assert_close(bias, torch.ones(3, dtype=torch.float64))


def test_directions_without_variance_go_to_the_targets_mean():
    c1 = torch.diag(torch.tensor([1.0, 0.0]))
    weight, bias = affine_transport(torch.zeros(2), c1, torch.tensor([0.0, 5.0]), torch.eye(2))
    torch.testing.assert_close(weight, c1.double())
    torch.testing.assert_close(bias, torch.tensor([0.0, 5.0], dtype=torch.float64))


def test_singular_covariances_give_finite_maps():
    dim = 30
    (m1, m2), c1, c2 = means(dim), spd(dim, 5, rank=4), spd(dim, 6, rank=3)
    weight, bias = affine_transport(m1, c1, m2, c2)
    assert weight.isfinite().all()
    assert bias.isfinite().all()
    assert torch.linalg.matrix_norm(weight, 2) < 1e3


def test_equal_moments_give_the_identity():
    (m1, _), c1 = means(6), spd(6, 7)
    weight, bias = affine_transport(m1, c1, m1, c1)
    torch.testing.assert_close(weight, torch.eye(6, dtype=torch.float64))
    torch.testing.assert_close(bias, torch.zeros(6, dtype=torch.float64), atol=1e-9, rtol=0)


@pytest.mark.parametrize("exponent", [0.5, -0.5, -1.0, 2.0])
def test_powers_agree_with_scipy(exponent: float):
    matrix = spd(7, 8)
    root = np.real(sqrtm(matrix.numpy()))
    expected = {0.5: root, -0.5: np.linalg.inv(root), -1.0: np.linalg.inv(matrix.numpy()),
                2.0: (matrix @ matrix).numpy()}[exponent]
    np.testing.assert_allclose(symmetric_power(matrix, exponent).numpy(), expected, rtol=1e-7)


def test_power_of_zero_is_zero():
    zero = torch.zeros(3, 3, dtype=torch.float64)
    assert torch.equal(symmetric_power(zero, -0.5), zero)


def test_moments_agree_with_numpy_and_are_double():
    samples = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) + 1000
    mean, covariance = sample_moments(samples)
    assert mean.dtype == covariance.dtype == torch.float64
    np.testing.assert_allclose(mean.numpy(), samples.double().numpy().mean(0), rtol=1e-12)
    np.testing.assert_allclose(
        covariance.numpy(), np.cov(samples.double().numpy(), rowvar=False), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("shape", [(1, 3), (5,), (2, 3, 4)])
def test_moments_need_a_matrix(shape: tuple[int, ...]):
    with pytest.raises(DataError, match=r"shape \(N, d\)"):
        sample_moments(torch.zeros(shape))


def test_moments_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"\(2,\)"):
        affine_transport(torch.zeros(3), torch.eye(3), torch.zeros(2), torch.eye(2))
    with pytest.raises(DataError, match=r"\(3, 4\)"):
        affine_transport(torch.zeros(3), torch.zeros(3, 4), torch.zeros(3), torch.eye(3))
