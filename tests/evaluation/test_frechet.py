"""The Fréchet distance against closed forms and against pytorch-fid's own function."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from srbench.errors import DataError
from srbench.evaluation.frechet import (
    frechet_distance,
    frechet_of_features,
    frechet_of_few,
    frechet_of_moments,
)
from srbench.evaluation.reducers import joint_moments, merge_all


def by_sqrtm(m1, c1, m2, c2):
    """The definition, with the root of the product that is not symmetric."""
    root = linalg.sqrtm(c1 @ c2)
    return float(np.square(m1 - m2).sum() + np.trace(c1 + c2 - 2 * root.real))


def gaussian(seed, n, d):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / np.sqrt(d) + rng.normal(size=d)


def test_commuting_covariances_have_a_closed_form():
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 1.0, 0.25])
    found = frechet_distance(np.zeros(3), np.diag(a), np.full(3, 2.0), np.diag(b))
    assert found.distance == pytest.approx(12 + np.square(np.sqrt(a) - np.sqrt(b)).sum(), rel=1e-12)
    assert (found.rank, found.way) == (3, "cholesky")
    assert found.smallest == pytest.approx((a * b).min())


@pytest.mark.parametrize("n", [400, 30])
def test_it_agrees_with_pytorch_fid(n):
    package = pytest.importorskip("pytorch_fid.fid_score")
    x, y = gaussian(1, n, 24), gaussian(2, n + 7, 24)
    stats = x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False)
    try:
        wanted = package.calculate_frechet_distance(*stats)
    except TypeError:  # SciPy 1.18 dropped the argument that pytorch-fid 0.3 passes
        wanted = by_sqrtm(*stats)
    found = frechet_of_features([torch.from_numpy(x)], [torch.from_numpy(y)])
    assert found.distance == pytest.approx(wanted, rel=1e-9)


def test_few_images_give_the_exact_distance():
    x, y = gaussian(3, 12, 40), gaussian(4, 15, 40)
    few = frechet_of_few(x, y)
    # the same in the 27-dimensional span of both sets, where no covariance is cut off
    basis = np.linalg.svd(np.concatenate([x, y]), full_matrices=False)[2]
    projected = [s @ basis.T for s in (x, y)]
    stats = [part for s in projected for part in (s.mean(0), np.cov(s, rowvar=False))]
    assert few.distance == pytest.approx(by_sqrtm(*stats), rel=1e-6)
    assert few.rank == 11
    assert few.way == "svd"


def test_singular_covariance_falls_back_to_eigenvalues():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 8))  # rank 3 of 8
    y = gaussian(5, 500, 8)
    c1 = np.cov(x, rowvar=False) - 1e-12 * np.eye(8)
    stats = x.mean(0), c1, y.mean(0), np.cov(y, rowvar=False)
    found = frechet_distance(*stats)
    assert found.way == "eigh"
    assert found.distance == pytest.approx(by_sqrtm(*stats), rel=1e-4)
    assert found.distance == pytest.approx(frechet_of_few(x, y).distance, rel=1e-6)
    assert abs(found.smallest) < 1e-6


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 60), st.integers(1, 12), st.integers(0, 2**31))
def test_a_set_is_at_distance_zero_from_itself_and_the_distance_is_symmetric(n, d, seed):
    x = torch.from_numpy(gaussian(seed, n, d))
    y = torch.from_numpy(gaussian(seed + 1, n, d))
    scale = 1 + float(x.var(0).sum())
    assert abs(frechet_of_features([x], [x]).distance) < 1e-6 * scale
    there, back = frechet_of_features([x], [y]).distance, frechet_of_features([y], [x]).distance
    assert there == pytest.approx(back, rel=1e-6, abs=1e-6 * scale)
    assert there > -1e-6 * scale


@pytest.mark.parametrize("n", [3000, 20])
def test_shards_do_not_matter(n):
    x, y = (torch.from_numpy(gaussian(seed, n, 32)) for seed in (6, 7))
    whole = frechet_of_features([x], [y]).distance
    two = frechet_of_features([x[: n // 3], x[n // 3 :]], [y]).distance
    shuffled = frechet_of_features(list(x.flip(0).split(5)), list(y.split(7))[::-1]).distance
    assert two == pytest.approx(whole, rel=1e-10)
    assert shuffled == pytest.approx(whole, rel=1e-10)


def test_wrong_moments_are_named():
    eye = np.eye(3)
    with pytest.raises(DataError, match=r"got \[\(3,\), \(3, 3\), \(2,\), \(3, 3\)\]"):
        frechet_distance(np.zeros(3), eye, np.zeros(2), eye)
    with pytest.raises(DataError, match="not finite"):
        frechet_distance(np.zeros(3), eye * np.nan, np.zeros(3), eye)
    with pytest.raises(DataError, match="two images a side, got 1 and 5"):
        frechet_of_features([torch.zeros(1, 3)], [torch.zeros(5, 3)])
    with pytest.raises(DataError, match="not finite"):
        frechet_of_features([torch.full((4, 3), torch.inf)], [torch.zeros(5, 3)])


def moments_of(x, size=17):
    """Joint moments, merged of shards."""
    return merge_all(joint_moments(part) for part in torch.from_numpy(x).split(size))


@pytest.mark.parametrize(("n", "m"), [(400, 300), (12, 15), (24, 400), (25, 25), (2, 2)])
def test_moments_give_the_distance_of_the_features(n, m):
    x, y = gaussian(8, n, 24), gaussian(9, m, 24)
    found = frechet_of_moments(moments_of(x), moments_of(y))
    wanted = frechet_of_features([torch.from_numpy(x)], [torch.from_numpy(y)])
    assert found.distance == pytest.approx(wanted.distance, rel=1e-9)
    assert found.rank == wanted.rank
    assert found.way == ("roots" if min(n, m) <= 24 else "cholesky")


def test_few_features_that_are_not_negative_lose_no_digits():
    """As Inception's: means far from zero, spectra over many orders of size."""
    rng = np.random.default_rng(3)
    scale = 10.0 ** rng.uniform(-3, 1, 200)
    x, y = (np.abs(rng.normal(size=(n, 200))) * scale for n in (90, 110))
    found = frechet_of_moments(moments_of(x), moments_of(1.1 * y))
    assert found.distance == pytest.approx(frechet_of_few(x, 1.1 * y).distance, rel=1e-9)


def test_moments_without_variance_have_the_distance_of_their_means():
    flat = np.ones((5, 8))
    found = frechet_of_moments(moments_of(flat), moments_of(flat + 2))
    assert found.distance == pytest.approx(32)
    assert found.rank == 0


def test_wrong_joint_moments_are_named():
    x = gaussian(1, 30, 4)
    with pytest.raises(DataError, match="two images a side, got 1 and 30"):
        frechet_of_moments(moments_of(x[:1]), moments_of(x))
    for rows in (x, x[:3]):
        with pytest.raises(DataError, match="not finite"):
            frechet_of_moments(moments_of(rows), moments_of(rows * np.inf))
