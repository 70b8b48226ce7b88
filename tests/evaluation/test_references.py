"""Metrics against other people's code and closed forms, on images no example would hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import nn

from srbench.evaluation import ssim as ssim_module
from srbench.evaluation.cosine import cosine, cosine_terms
from srbench.evaluation.evaluate import evaluate
from srbench.evaluation.frechet import frechet_of_features
from srbench.evaluation.inception import PROTOCOL, InceptionFeatures
from srbench.evaluation.kid import squared_mmd
from srbench.evaluation.l2_uvp import l2_uvp
from srbench.evaluation.mean import mean_interval
from srbench.evaluation.palette import Clouds, NotebookClouds
from srbench.evaluation.psnr import psnr
from srbench.evaluation.ssim import ssim, to_uint8_levels
from srbench.evaluation.transport import total_variance, transport_cost

CPU = torch.device("cpu")
SIZES = [(7, 7), (7, 31), (33, 9), (17, 64)]


def noise(count, height, width, *, seed=0, spread=1.0):
    """Uniform images of any size; a spread above 1 leaves the nominal range."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(count, 3, height, width, generator=generator) * 2 - 1) * spread


# pixel metrics

@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("spread", [0.3, 1.0, 2.5])
def test_psnr_is_skimages_on_clamped_images(size, spread):
    a, b = noise(4, *size, spread=spread), noise(4, *size, seed=1, spread=spread)
    left, right = (((t.clamp(-1, 1).double() + 1) / 2).numpy() for t in (a, b))
    wanted = [peak_signal_noise_ratio(x, y, data_range=1) for x, y in zip(right, left, strict=True)]
    assert psnr(a, b).tolist() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("spread", [0.02, 1.0, 2.5])
def test_ssim_is_skimages_on_any_size_and_range(size, spread):
    a = noise(3, *size, spread=spread)
    b = (a + noise(3, *size, seed=1, spread=0.3 * spread)) * 0.9
    levels = [np.rint(((t.double().numpy() + 1) / 2).clip(0, 1) * 255).astype(np.uint8)
              for t in (a, b)]
    wanted = [structural_similarity(x, y, channel_axis=0)
              for x, y in zip(*levels, strict=True)]
    assert ssim(to_uint8_levels(a), to_uint8_levels(b)).tolist() == pytest.approx(wanted, abs=2e-5)


@pytest.mark.parametrize(("first", "second"), [(-1.0, 1.0), (0.0, 0.0), (-1.0, -0.9), (3.0, 1.0)])
def test_constant_images(first, second):
    a, b = torch.full((2, 3, 9, 11), first), torch.full((2, 3, 9, 11), second)
    x, y = (min(max((value + 1) / 2, 0), 1) for value in (first, second))
    assert psnr(a, b).tolist() == pytest.approx([-10 * math.log10((x - y) ** 2 + 1e-8)] * 2,
                                                abs=1e-4)
    p, q = (float(np.rint(value * 255)) for value in (x, y))
    luminance = (2 * p * q + (0.01 * 255) ** 2) / (p * p + q * q + (0.01 * 255) ** 2)
    assert ssim(to_uint8_levels(a), to_uint8_levels(b)).tolist() == pytest.approx(
        [luminance] * 2, abs=1e-6)


def test_the_size_of_a_working_shard_does_not_change_ssim(monkeypatch):
    a, b = (to_uint8_levels(noise(9, 20, 13, seed=seed)) for seed in (0, 1))
    values = []
    for cached in (1, 2 * a[0].numel(), 2**20):
        monkeypatch.setattr(ssim_module, "CACHED", cached)
        values.append(ssim(a, b))
    assert torch.equal(values[0], values[1])
    assert torch.equal(values[0], values[2])


def test_a_nan_stays_in_its_own_image():
    a, b = noise(4, 16, 16), noise(4, 16, 16, seed=1)
    bad = a.clone()
    bad[2, 1, 8, 8] = torch.nan
    for metric in (psnr, lambda x, y: ssim(to_uint8_levels(x), to_uint8_levels(y)),
                   lambda x, y: l2_uvp(x, y, 3.0)):
        values = metric(bad, b)
        assert values.isnan().tolist() == [False, False, True, False]
        assert torch.equal(values[[0, 1, 3]], metric(a, b)[[0, 1, 3]])


@settings(deadline=None, max_examples=30)
@given(st.integers(7, 24), st.integers(7, 24), st.integers(0, 2**31), st.floats(0.1, 3))
def test_pixel_metrics_are_symmetric_and_bounded(height, width, seed, spread):
    a = noise(2, height, width, seed=seed, spread=spread)
    b = noise(2, height, width, seed=seed + 1, spread=spread)
    assert torch.equal(psnr(a, b), psnr(b, a))
    assert psnr(a, b).max() <= psnr(a, a).min() + 1e-9
    assert psnr(a, b).min() >= -1e-6
    levels = to_uint8_levels(a), to_uint8_levels(b)
    torch.testing.assert_close(ssim(*levels), ssim(*levels[::-1]), rtol=0, atol=1e-6)
    assert ssim(*levels).abs().max() <= 1 + 1e-6


# transport

@settings(deadline=None, max_examples=25)
@given(st.floats(0, math.pi), st.floats(0.1, 10), st.integers(0, 2**31))
def test_cosine_is_the_cosine_of_the_angle_whatever_the_lengths(angle, length, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(30, 2, generator=generator, dtype=torch.float64)
    wanted = torch.randn(30, 2, generator=generator, dtype=torch.float64)
    c, s = math.cos(angle), math.sin(angle)
    turned = wanted @ torch.tensor([[c, s], [-s, c]], dtype=torch.float64)
    found = cosine(*cosine_terms(x + length * turned, x + wanted, x).tolist())
    assert found == pytest.approx(c, abs=1e-9)


def test_l2_uvp_of_added_noise_is_its_share_of_the_variance():
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(20_000, 8, generator=generator) * 3
    t = y + 0.6 * torch.randn(y.shape, generator=generator)
    variance = float(total_variance(y))
    assert variance == pytest.approx(8 * 9, rel=0.02)
    assert float(l2_uvp(t, y, variance).mean()) == pytest.approx(100 * 0.36 / 9, rel=0.03)


def test_l2_uvp_does_not_depend_on_units_or_place():
    y, t = noise(6, 5, 4), noise(6, 5, 4, seed=1)
    scores = [l2_uvp(a * t.double() + b, a * y.double() + b, float(total_variance(a * y + b)))
              for a, b in ((1, 0), (7, 0), (0.5, 3))]
    torch.testing.assert_close(scores[1], scores[0], rtol=1e-5, atol=0)
    torch.testing.assert_close(scores[2], scores[0], rtol=1e-5, atol=0)


def test_cost_of_a_shift_is_half_its_squared_length():
    x = noise(10, 4, 4)
    assert float(transport_cost(x, x + 0.5)) == pytest.approx(48 * 0.25 / 2, rel=1e-6)
    assert float(total_variance(x + 5)) == pytest.approx(x.numpy().astype(float).var(0).sum(),
                                                         rel=1e-5)


# palette

def test_the_cube_of_colours_and_its_scaled_copies():
    for scale, shift in ((1.0, 0.0), (0.5, 0.2), (2.0, -0.4)):
        clouds = Clouds()
        for part in (noise(40, 23, 17) * scale + shift).split(9):
            clouds.update(part)
        wanted = 0.25 * scale**2  # three channels of variance 1/12, nothing clamped
        assert clouds.exact() == pytest.approx(wanted, rel=0.02)
        assert float(clouds.variances().mean()) == pytest.approx(wanted, rel=0.02)


def test_gaussian_colours_have_the_trace_of_their_covariance():
    generator = torch.Generator().manual_seed(0)
    mix = torch.tensor([[0.3, 0.1, 0.0], [0.0, 0.2, 0.1], [0.1, 0.0, 0.1]])
    pixels = torch.randn(25, 32 * 32, 3, generator=generator) @ mix.T
    images = pixels.transpose(1, 2).reshape(25, 3, 32, 32) * 2 - 1
    clouds = Clouds()
    clouds.update(images)
    wanted = float((mix @ mix.T).trace())
    assert clouds.exact() == pytest.approx(wanted, rel=0.03)
    assert float(clouds.variances().mean()) == pytest.approx(wanted, rel=0.03)
    notebook = NotebookClouds(32)
    notebook.update(images)
    assert float(notebook.variances().mean()) == pytest.approx(wanted, rel=0.03)


def test_constant_images_of_two_colours_have_the_variance_between_them():
    images = torch.cat([torch.full((5, 3, 8, 8), -0.5), torch.full((15, 3, 8, 8), 0.5)])
    clouds = Clouds()
    clouds.update(images)
    wanted = 3 * 0.25 * 0.75 * 0.5**2
    assert clouds.exact() == pytest.approx(wanted, rel=1e-9)
    assert float(clouds.variances().mean()) == pytest.approx(wanted, rel=0.03)


# distances of sets of features

def test_frechet_of_gaussians():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20_000, 4, generator=generator)
    y = torch.randn(20_000, 4, generator=generator) * 2 + 0.5
    found = frechet_of_features(x.split(3000), y.split(777))
    assert found.distance == pytest.approx(4 * 0.25 + 4 * (2 - 1) ** 2, rel=0.03)
    turned = torch.linalg.qr(torch.randn(4, 4, generator=generator)).Q
    assert frechet_of_features([x @ turned], [y @ turned]).distance == pytest.approx(
        found.distance, rel=1e-4)
    assert frechet_of_features([3 * x + 1], [3 * y + 1]).distance == pytest.approx(
        9 * found.distance, rel=1e-4)


def kid_by_loops(x, y):
    """The estimator as a sum over pairs, in plain Python."""
    def kernel(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    within_x = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j)
    within_y = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j)
    across = sum(kernel(a, b) for a in x for b in y)
    return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * across / (n * m)


@pytest.mark.parametrize(("n", "m", "d"), [(2, 2, 1), (5, 9, 3), (12, 4, 7)])
def test_kid_is_the_sum_over_pairs(n, m, d):
    generator = torch.Generator().manual_seed(n)
    x, y = (torch.randn(k, d, generator=generator, dtype=torch.float64) for k in (n, m))
    wanted = kid_by_loops(x.tolist(), y.tolist())
    assert squared_mmd([x], [y]) == pytest.approx(wanted, rel=1e-9)
    assert squared_mmd(y.split(2), x.split(1)) == pytest.approx(wanted, rel=1e-9)


class Thumbnails(nn.Module):
    """Stands in for Inception: twelve averages of an image."""

    def forward(self, images):
        return [nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)[:, :, None, None]]


@pytest.mark.parametrize("batch_size", [24, 7, 1])
def test_fid_and_kid_of_an_evaluation_are_those_of_the_features(pairs, make_method, builtin,
                                                               monkeypatch, batch_size):
    shared = InceptionFeatures(Thumbnails(), "content", "")
    monkeypatch.setattr(InceptionFeatures, "shared", classmethod(lambda cls, context: shared))
    method = make_method(pairs.problem, lambda x: 1.3 * x + 0.1)  # leaves [-1, 1]: not clamped
    found = evaluate(method, pairs, {name: builtin[name] for name in ("fid", "kid")}, device=CPU,
                     batch_size=batch_size).values

    x, y = (nn.functional.adaptive_avg_pool2d((images + 1) / 2, 2).flatten(1).double().numpy()
            for images in (1.3 * pairs.lr + 0.1, pairs.hr))
    c1, c2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    wanted = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(
        c1 + c2 - 2 * linalg.sqrtm(c1 @ c2).real)
    assert found["fid"].value == pytest.approx(wanted, rel=1e-4)
    assert found["fid"].detail["features"] == 12
    assert found["kid"].value == pytest.approx(kid_by_loops(x.tolist(), y.tolist()), rel=1e-4)
    assert found["fid"].count == found["kid"].count == 24
    assert PROTOCOL in found["fid"].protocol


# means over images

def test_values_of_images_average_to_the_score_and_lie_in_test_order(pairs, make_method, builtin,
                                                                     random_alexnet):
    names = ("l2-uvp", "psnr", "ssim", "lpips")
    method = make_method(pairs.problem, lambda x: 0.8 * x + 0.1)
    found = evaluate(method, pairs, {name: builtin[name] for name in names}, device=CPU,
                     batch_size=7)
    for name in names:
        value, column = found.values[name], found.per_image[name]
        assert value.count == len(column) == 24
        assert value.value == pytest.approx(np.mean(column), rel=1e-12)
        low, high = value.interval
        half = 1.959963984540054 * np.std(column, ddof=1) / math.sqrt(24)
        assert (low, high) == pytest.approx((value.value - half, value.value + half))
    assert found.per_image["psnr"] == pytest.approx(
        psnr(0.8 * pairs.lr + 0.1, pairs.hr).tolist(), rel=1e-6)


def test_lpips_clamps_what_leaves_the_range(pairs, make_method, builtin, random_alexnet):
    values = []
    for function in (lambda x: 3 * x, lambda x: (3 * x).clamp(-1, 1)):
        found = evaluate(make_method(pairs.problem, function), pairs, {"lpips": builtin["lpips"]},
                         device=CPU, batch_size=24)
        values.append(found.values["lpips"].value)
    assert values[0] == values[1] > 0


def test_the_interval_covers_the_mean_of_skewed_values_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(600):
        low, high = mean_interval(generator.exponential(size=300).tolist())
        covered += low <= 1 <= high
    assert 0.92 < covered / 600 < 0.975


def test_the_interval_narrows_with_the_root_of_the_count():
    values = np.random.default_rng(1).normal(size=400).tolist()
    widths = [high - low for low, high in (mean_interval(values), mean_interval(values * 4))]
    assert widths[0] / widths[1] == pytest.approx(2, rel=2e-3)
    assert mean_interval([2.5, 2.5, 2.5]) == (2.5, 2.5)


def test_the_variance_that_l2_uvp_divides_by_is_the_datasets(pairs, make_method, builtin):
    metrics = {"l2-uvp": builtin["l2-uvp"]}
    method = make_method(pairs.problem, lambda x: x)
    once = evaluate(method, pairs, metrics, device=CPU).values["l2-uvp"].value
    pairs._facts["hr_variance"] *= 4
    assert evaluate(method, pairs, metrics, device=CPU).values["l2-uvp"].value == pytest.approx(
        once / 4, rel=1e-12)
