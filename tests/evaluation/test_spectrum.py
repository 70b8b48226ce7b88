"""Spectrum gap: closed forms of noise and blur, an independent computation, sizes that differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from srbench.api.problem import Problem
from srbench.errors import SrbenchError
from srbench.evaluation import spectrum
from srbench.evaluation.spectrum import (
    FLOOR,
    RINGS,
    Profile,
    SpectrumGap,
    power,
    rings,
    spectrum_gap,
)

CPU = torch.device("cpu")


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def radius(height, width):
    """Radial frequencies of the whole spectrum, in numpy."""
    return np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])


def by_definition(images):
    """Profile of images (N, C, H, W) in [0, 1], from the whole FFT, ring by ring."""
    values = np.abs(np.fft.fft2(images)) ** 2 / np.prod(images.shape[-2:])
    f = radius(*images.shape[-2:])
    found = []
    for k in range(1, RINGS + 1):
        ring = (f >= (k - 0.5) / 64) & (f < (k + 0.5) / 64) & (f <= 0.5)
        found.append(np.log(values[..., ring] + FLOOR).mean() if ring.any() else np.nan)
    return np.array(found)


def blurred(images, sigma):
    """Circular Gaussian blur, by its transfer function exp(-2 pi^2 sigma^2 f^2)."""
    f = radius(*images.shape[-2:])
    return np.fft.ifft2(np.fft.fft2(images) * np.exp(-2 * np.pi**2 * sigma**2 * f**2)).real


def profile(images, low=0.5):
    found = Profile(low)
    found.update(images)
    return found.mean()


def score(context, triples):
    metric = SpectrumGap(context)
    for prediction, target, lr in triples:
        metric.update(prediction, target, lr)
    return metric.compute()


@pytest.mark.parametrize("size", [(64, 64), (33, 80), (51, 47), (16, 130)])
def test_the_half_spectrum_gives_the_profile_of_the_whole(size):
    images = noise(0, 2, 3, *size).numpy()
    found = profile(torch.from_numpy(2 * images - 1)).numpy()
    np.testing.assert_allclose(found, by_definition(images), rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [(32, 32), (17, 40), (40, 17), (9, 9)])
def test_parseval_each_value_of_the_half_spectrum_has_its_weight(size):
    images = noise(1, 2, 3, *size)
    layout = rings(*size, CPU)
    total = (power(images).flatten(2) * layout.weight).sum(-1)
    torch.testing.assert_close(total, images.square().sum((2, 3)))


def test_white_noise_has_its_variance_at_every_frequency():
    layout = rings(128, 128, CPU)
    means, filled = layout.means(power(0.3 * noise(2, 20, 3, 128, 128)))
    assert filled.all()
    torch.testing.assert_close(means.mean(0), torch.full((RINGS,), 0.09).double(), rtol=0.05,
                               atol=0)
    assert float(means.mean()) == pytest.approx(0.09, rel=0.003)


@pytest.mark.parametrize("sigma", [0.4, 0.8])
@pytest.mark.parametrize("size", [(64, 64), (96, 72)])
def test_a_gaussian_blur_lowers_log_power_by_four_pi_squared_sigma_squared_f_squared(
        context, sigma, size):
    y = 0.5 * noise(3, 2, 3, *size).numpy() + 0.5
    triple = [torch.from_numpy(2 * images - 1) for images in (blurred(y, sigma), y, y)]
    found = score(context, [triple])
    f = radius(*size)
    masks = [(f >= (k - 0.5) / 64) & (f < (k + 0.5) / 64) & (f <= 0.5)
             for k in range(1, RINGS + 1)]
    wanted = np.array([4 * np.pi**2 * sigma**2 * (f[mask] ** 2).mean() for mask in masks])
    lost = np.array(found.detail["log_power_hr"]) - np.array(found.detail["log_power_prediction"])
    np.testing.assert_allclose(lost, wanted, rtol=0, atol=2e-4)  # the floor's share
    assert found.value == pytest.approx(wanted.mean(), rel=1e-4)
    assert found.reference == {"lr": 0.0}


def test_contrast_costs_its_log_and_brightness_nothing(context):
    y = noise(4, 4, 3, 64, 64) * 0.3
    found = score(context, [(0.5 * y + 0.7, y, y)])
    assert found.value == pytest.approx(np.log(4), rel=1e-4)
    assert score(context, [(y + 5, y, y)]).value == pytest.approx(0, abs=1e-4)


def test_profiles_are_those_of_frequencies_so_sizes_may_differ(context):
    """White noise has one profile at any size; the mean over images weighs each image once."""
    parts = [noise(n, 3, 3, 40 + 24 * n, 100 - 16 * n) for n in range(4)]
    found = score(context, [(0.5 * part, part, part) for part in parts])
    assert found.value == pytest.approx(np.log(4), rel=1e-4)
    assert found.count == 12
    mean = np.mean([by_definition((part[i : i + 1].numpy() + 1) / 2)
                    for part in parts for i in range(3)], axis=0)
    np.testing.assert_allclose(found.detail["log_power_hr"], mean, atol=1e-9)
    assert found.detail["frequency"] == [k / 64 for k in range(1, 33)]


def test_rings_that_small_images_leave_empty_are_null():
    """Images of 8 pixels have frequencies 1/8 apart along an axis."""
    found = profile(noise(5, 1, 3, 8, 8).float())
    assert found.isnan().any()
    assert found.isfinite().any()
    both = Profile(0.5)
    both.update(noise(5, 1, 3, 8, 8))
    both.update(noise(6, 1, 3, 64, 64))
    alone = profile(noise(6, 1, 3, 64, 64))
    empty = found.isnan()
    torch.testing.assert_close(both.mean()[empty], alone[empty])
    assert spectrum_gap(found, found + 1) == pytest.approx(1)


def test_power_above_the_nyquist_frequency_of_lr(context):
    """Bicubic loses it, noise of half the contrast has a quarter of it."""
    problem = Problem(domain="sr", lr_shape=(3, 16, 16), hr_shape=(3, 64, 64), scale=4)
    context = replace(context, problem=problem)
    y = noise(7, 4, 3, 64, 64)
    lr = nn.functional.avg_pool2d(y, 4)
    half = score(context, [(0.5 * y, y, lr)])
    assert half.detail["power_ratio_above_lr_nyquist"] == pytest.approx(0.25, rel=1e-9)
    assert half.detail["lr_nyquist"] == 0.125
    assert half.reference == {}
    smooth = nn.functional.interpolate(lr.float(), scale_factor=4, mode="bicubic")
    assert score(context, [(smooth, y, lr)]).detail["power_ratio_above_lr_nyquist"] < 0.02
    band = radius(64, 64)
    band = (band > 0.125) & (band <= 0.5)
    whole = (np.abs(np.fft.fft2(y.numpy() / 2 + 0.5)) ** 2 / 4096)[..., band].mean()
    found = Profile(0.125)
    found.update(y)
    assert found.band() == pytest.approx(whole, rel=1e-9)


def test_flat_hr_images_have_no_power_to_relate_to(context):
    problem = Problem(domain="sr", lr_shape=(3, 4, 4), hr_shape=(3, 16, 16), scale=4)
    flat = torch.zeros(1, 3, 16, 16)
    found = score(replace(context, problem=problem), [(noise(8, 1, 3, 16, 16), flat, flat)])
    assert "power_ratio_above_lr_nyquist" not in found.detail
    assert np.isfinite(found.value)


@pytest.mark.parametrize("size", [12, 5, 1])
def test_batches_and_parts_do_not_matter(context, monkeypatch, size):
    x, y = noise(9, 12, 3, 30, 30), noise(10, 12, 3, 30, 30)
    whole = score(context, [(x, y, x)]).value
    monkeypatch.setattr(spectrum, "AT_A_TIME", 6000)
    cut = score(context, zip(x.split(size), y.split(size), x.split(size), strict=True))
    assert cut.value == pytest.approx(whole, rel=1e-10)


def test_values_are_json_data(context):
    import json

    found = score(context, [(noise(11, 1, 3, 8, 8),) * 3])
    assert None in json.loads(json.dumps(found.detail, allow_nan=False))["log_power_hr"]


def test_failures_are_said(context, monkeypatch):
    with pytest.raises(SrbenchError, match="before any image of several pixels"):
        SpectrumGap(context).compute()
    with pytest.raises(SrbenchError, match="several pixels"):
        score(context, [(torch.zeros(1, 3, 1, 1),) * 3])
    SpectrumGap(context).self_check()
    right = spectrum.power
    monkeypatch.setattr(spectrum, "power", lambda images: right(images).sqrt())
    with pytest.raises(SrbenchError, match="half the contrast"):
        SpectrumGap(context).self_check()
