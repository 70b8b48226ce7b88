"""Palette variance: closed forms, the notebook's quirks, agreement of drawn and exact values."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from srbench.api.problem import Problem
from srbench.errors import DataError
from srbench.evaluation.palette import (
    DRAWN,
    Clouds,
    NotebookClouds,
    PaletteVariance,
    PaletteVarianceNotebook,
    palette_variance,
    pixels_of,
)


def uniform_cube(count, size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, size, size, generator=generator) * 2 - 1


def test_uniform_cube_has_variance_a_quarter():
    clouds = Clouds()
    clouds.update(uniform_cube(30, 64))
    assert clouds.exact() == pytest.approx(0.25, rel=0.01)
    drawn = clouds.variances()
    assert drawn.shape == (100,)
    assert float(drawn.mean()) == pytest.approx(0.25, rel=0.01)
    assert float(drawn.std()) == pytest.approx(0.0040, rel=0.3)  # published for 1024 of a cube


def test_variance_of_a_cloud_is_numpys():
    clouds = torch.rand(5, 40, 3, generator=torch.Generator().manual_seed(0))
    wanted = clouds.numpy().astype(float).var(1).sum(-1)
    torch.testing.assert_close(palette_variance(clouds).numpy(), wanted)


def test_drawn_colours_are_colours_of_the_images():
    """Joint draws: grey images have equal channels, so the cloud lies on the grey axis."""
    grey = torch.rand(6, 1, 9, 7, generator=torch.Generator().manual_seed(1)).expand(6, 3, 9, 7)
    clouds = Clouds()
    clouds.update(grey)
    pool = torch.cat(clouds._pools)
    assert pool.shape == (6 * DRAWN, 3)
    assert torch.equal(pool[:, 0], pool[:, 1])
    assert pixels_of(grey).shape == (6, 63, 3)


def test_score_is_read_against_hr_and_lr(pairs, context):
    metric = PaletteVariance(context)
    for x, y in pairs.test_batches(10):
        metric.update(y * 0.5, y, x)
    score = metric.compute()
    assert score.value == pytest.approx(score.reference["hr"] / 4, rel=1e-5)
    assert score.reference["lr"] < score.reference["hr"]
    assert score.value == pytest.approx(score.detail["exact_prediction"], rel=0.03)
    assert score.count == 24


def test_batches_do_not_matter(pairs, context):
    values = []
    for size in (24, 7):
        metric = PaletteVariance(context)
        for x, y in pairs.test_batches(size):
            metric.update(y, y, x)
        values.append(metric.compute().value)
    assert values[0] == pytest.approx(values[1], rel=1e-12)


def test_notebook_counts_only_the_first_20_images():
    images = uniform_cube(100, 64)
    other = images.clone()
    other[20:] = 0.9
    last = images.clone()
    last[19] = 0.9
    found = []
    for batch in (images, other, last):
        clouds = NotebookClouds(32)
        for part in batch.split(7):
            clouds.update(part)
        found.append(clouds.variances())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert float(found[0].mean()) == pytest.approx(0.25, rel=0.02)


def test_notebook_draws_channels_apart():
    """A grey image gives colours off the grey axis, yet the expected variance stays."""
    generator = torch.Generator().manual_seed(2)
    grey = torch.rand(20, 1, 40, 40, generator=generator).expand(20, 3, 40, 40)
    clouds = NotebookClouds(32)
    clouds.update(grey)
    drawn = clouds._clouds
    assert not torch.allclose(drawn[..., 0], drawn[..., 1])
    assert not drawn.isnan().any()
    wanted = 3 * float(grey[:, 0].var()) / 4
    assert float(clouds.variances().mean()) == pytest.approx(wanted, rel=0.05)


def test_notebook_scales_its_crops(context):
    problem = Problem(domain="sr", lr_shape=(3, 40, 40), hr_shape=(3, 160, 160), scale=4)
    metric = PaletteVarianceNotebook(replace(context, problem=problem))
    assert {name: clouds.crop for name, clouds in metric._clouds.items()} == {
        "prediction": 128, "hr": 128, "lr": 32}
    lr, hr = uniform_cube(20, 40), uniform_cube(20, 160, 1)
    metric.update(hr, hr, lr)
    score = metric.compute()
    assert score.count == 20
    assert score.value == score.reference["hr"]


def test_notebook_refuses_too_few_or_too_small_images(context):
    metric = PaletteVarianceNotebook(context)
    metric.update(*(uniform_cube(19, 64) for _ in range(3)))
    with pytest.raises(DataError, match="needs 20 test images, got 19"):
        metric.compute()
    with pytest.raises(DataError, match="32 pixels wide"):
        NotebookClouds(32).update(uniform_cube(1, 31))


def test_no_images_are_an_error(context):
    with pytest.raises(DataError, match="before any image"):
        PaletteVariance(context).compute()
    PaletteVariance(context).self_check()
    PaletteVarianceNotebook(context).self_check()
