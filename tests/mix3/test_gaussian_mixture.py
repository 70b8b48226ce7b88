"""The official mixture, number by number, and what its samples are distributed as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from srbench_w2.gaussian_mixture import GaussianMixture, official_mixture

DIMS = [2, 4, 8, 16, 32, 64, 128]


def analytic_covariance(mixture: GaussianMixture) -> torch.Tensor:
    centres, maps = mixture.centres.double(), mixture.maps.double()
    centred = centres - centres.mean(0)
    between = centred.T @ centred / len(centres)
    return between + mixture.std**2 * (maps @ maps.mT).mean(0)


def test_golden_draws_in_two_dimensions():
    random = np.random.RandomState(0)
    mixture = official_mixture(2, random)
    expected = torch.tensor([[1.099853, 1.099853], [0, -1.099853], [-1.099853, 0]])
    torch.testing.assert_close(mixture.centres, expected, rtol=0, atol=1e-6)
    expected = torch.tensor([[0.440218, 1.007912], [0.974492, -0.509944]])
    torch.testing.assert_close(mixture.maps[0], expected, rtol=0, atol=1e-6)
    assert random.randint(0, 3, size=10).tolist() == [1, 0, 1, 0, 0, 1, 2, 0, 2, 0]


def test_golden_draws_in_four_dimensions():
    expected = torch.tensor([0.994151, -0.158377, -0.108006, 0.429641])
    torch.testing.assert_close(official_mixture(4).maps[0, 0], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dim", DIMS)
def test_centres_and_maps_are_those_of_the_original(fixtures: Path, dim: int):
    mixture = official_mixture(dim)
    with np.load(fixtures / f"mix3tomix10/{dim}.npz") as arrays:
        np.testing.assert_allclose(mixture.centres, arrays["centers"], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(mixture.maps, arrays["maps"], rtol=1e-5, atol=1e-7)
        assert mixture.std == arrays["std"]


@pytest.mark.parametrize("dim", [*DIMS, 256])
def test_mean_is_zero_and_total_variance_is_the_dimension(dim: int):
    mixture = official_mixture(dim)
    torch.testing.assert_close(mixture.centres.mean(0), torch.zeros(dim), atol=1e-6, rtol=0)
    assert analytic_covariance(mixture).trace().item() == pytest.approx(dim, rel=1e-5)


def test_global_generators_are_left_alone():
    np.random.seed(7)
    torch.manual_seed(7)
    before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    official_mixture(8).sample(10, torch.Generator().manual_seed(0))
    assert (np.random.get_state()[1] == before).all()
    assert torch.equal(torch.get_rng_state(), torch_before)


def test_samples_have_the_analytic_moments():
    mixture = official_mixture(8)
    samples = mixture.sample(2**17, torch.Generator().manual_seed(3)).double()
    assert samples.mean(0).abs().max() < 0.012  # about four standard errors
    difference = samples.T.cov() - analytic_covariance(mixture)
    assert difference.abs().max() < 0.015


def test_each_component_is_its_gaussian():
    """Far-apart centres show which component a sample is of; undo its map and test normality."""
    centres = torch.tensor([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
    mixture = GaussianMixture(centres, official_mixture(2).maps)
    samples = mixture.sample(9000, torch.Generator().manual_seed(5))
    component = torch.cdist(samples, centres).argmin(1)
    counts = component.bincount(minlength=3).tolist()
    assert stats.chisquare(counts).pvalue > 1e-3
    for k in range(3):
        own = (samples[component == k] - centres[k]) / mixture.std
        z = torch.linalg.solve(mixture.maps[k], own.T)
        for coordinate in z:
            assert stats.kstest(coordinate.numpy(), "norm").pvalue > 1e-3


def test_a_generator_decides_the_samples():
    mixture = official_mixture(4)
    one, two, three = (mixture.sample(50, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, three)
    generator = torch.Generator().manual_seed(1)
    assert not torch.equal(mixture.sample(50, generator), mixture.sample(50, generator))
