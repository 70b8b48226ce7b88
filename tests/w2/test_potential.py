"""The embedded potential: convex, its gradient exact, its blur the one it says it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dctn, idctn

from srbench_w2.potential import BlurPotential, BlurSettings, blur_matrix, dct_matrix, log_cosh

SETTINGS = BlurSettings()
SIZE = 16


def images(seed: int, n: int = 4, size: int = SIZE, spread: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(n, 3, size, size, dtype=torch.float64, generator=generator)


def potential(strength: float = 1.0, size: int = SIZE) -> BlurPotential:
    return BlurPotential(size, SETTINGS, strength, dtype=torch.float64)


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_gradient_is_that_of_the_value(strength):
    psi = potential(strength)
    y = images(0).requires_grad_()
    (expected,) = torch.autograd.grad(psi.value(y).sum(), y)
    torch.testing.assert_close(psi.gradient(y.detach()), expected, rtol=1e-10, atol=1e-12)


def test_gradient_against_finite_differences():
    psi, y, direction = potential(), images(1, n=1), images(2, n=1)
    step = 1e-5
    slope = (psi.value(y + step * direction) - psi.value(y - step * direction)) / (2 * step)
    torch.testing.assert_close((psi.gradient(y) * direction).sum((1, 2, 3)), slope,
                               rtol=1e-7, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), spread=st.sampled_from([0.01, 1.0, 10.0]),
       strength=st.floats(0.01, 1.0))
def test_map_is_strongly_monotone_and_contracts(seed, spread, strength):
    """m |a - b|^2 <= <grad(a) - grad(b), a - b> <= slope |a - b|^2 with slope < 1."""
    psi = potential(strength)
    a, b = images(seed, spread=spread), images(seed + 1, spread=spread)
    product = ((psi.gradient(a) - psi.gradient(b)) * (a - b)).sum((1, 2, 3))
    square = (a - b).square().sum((1, 2, 3))
    slope = 1 - strength + strength * (SETTINGS.gain + SETTINGS.weight / SETTINGS.scale)
    assert slope < 1
    assert psi.convexity == pytest.approx(1 - strength + strength * SETTINGS.floor)
    assert (product >= psi.convexity * square * (1 - 1e-9)).all()
    assert (product <= slope * square * (1 + 1e-9)).all()


def test_map_is_inverted_by_minimising_the_dual():
    """T*(x) = argmin psi(y) - <x, y>: Newton-free proof that x determines y."""
    psi, y = potential(size=8), images(3, n=1, size=8)
    x = psi.gradient(y)
    found = torch.zeros_like(y)
    for _ in range(250):
        found = found - (psi.gradient(found) - x)
    torch.testing.assert_close(found, y, rtol=0, atol=1e-8)


def test_tone_curve_bends():
    """Mid-tones keep their contrast, the extremes lose half of theirs: the map is not affine."""
    tones = torch.linspace(-1, 1, 21, dtype=torch.float64)[:, None, None, None]
    mapped = potential().gradient(tones.expand(-1, 3, SIZE, SIZE)).mean((1, 2, 3))
    slopes = mapped.diff() / 0.1
    assert slopes[9:11].mean() > 0.8
    assert slopes[[0, -1]].max() < 0.7


def test_each_image_is_mapped_alone():
    psi, y = potential(), images(6)
    torch.testing.assert_close(psi.gradient(y)[2:3], psi.gradient(y[2:3]))


def test_dct_is_scipys():
    y = images(7)
    matrix = dct_matrix(SIZE)
    expected = dctn(y.numpy(), type=2, norm="ortho", axes=(2, 3))
    np.testing.assert_allclose((matrix @ y @ matrix.T).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("size", [8, 32])
def test_blur_is_a_gaussian_response_in_scipys_dct(size):
    psi, y = potential(size=size), images(8, size=size)
    k = np.arange(size)
    response = np.exp(-(k[:, None] ** 2 + k**2) / (2 * SETTINGS.cutoff**2))
    expected = idctn(response * dctn(y.numpy(), norm="ortho", axes=(2, 3)), norm="ortho",
                     axes=(2, 3))
    np.testing.assert_allclose(psi.blur(y).numpy(), expected, atol=1e-12)


def test_quadratic_part_is_symmetric_with_eigenvalues_between_floor_and_gain():
    line = blur_matrix(8, SETTINGS.cutoff)
    blur = torch.kron(line, line)
    matrix = (SETTINGS.floor * torch.eye(64) + (SETTINGS.gain - SETTINGS.floor) * blur)
    assert (matrix - matrix.T).abs().max() < 1e-15
    eigenvalues = torch.linalg.eigvalsh(matrix)
    assert SETTINGS.floor < eigenvalues[0] < 1.001 * SETTINGS.floor
    assert eigenvalues[-1] == pytest.approx(SETTINGS.gain)


def test_weak_pairs_lie_between_the_identity_and_the_strong_one():
    y = images(9)
    expected = 0.7 * y + 0.3 * potential(1.0).gradient(y)
    torch.testing.assert_close(potential(0.3).gradient(y), expected)


def test_colours_keep_their_weight():
    features = potential().features
    torch.testing.assert_close(features.T @ features, torch.eye(3, dtype=torch.float64))


def test_log_cosh_does_not_overflow():
    values = torch.tensor([-2000.0, -1.0, 0.0, 0.5, 2000.0], dtype=torch.float64)
    expected = [2000 - math.log(2), math.log(math.cosh(1)), 0, math.log(math.cosh(0.5)),
                2000 - math.log(2)]
    np.testing.assert_allclose(log_cosh(values).numpy(), expected, atol=1e-15)
