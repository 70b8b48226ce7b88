"""Palette gap and colour shift against numpy over every pixel, and against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from srbench.errors import SrbenchError
from srbench.evaluation import colours
from srbench.evaluation.colours import ColourShift, PaletteGap, relative_gap


def noise(seed, *shape, spread=1.0):
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1) * spread


def score(kind, context, triples):
    metric = kind(context)
    for prediction, target, lr in triples:
        metric.update(prediction, target, lr)
    return metric.compute()


def pixels(images):
    """Every pixel of images of any sizes as rows of RGB in [0, 1], in numpy."""
    return np.concatenate([((i.double().numpy() + 1) / 2).transpose(0, 2, 3, 1).reshape(-1, 3)
                           for i in images])


@pytest.fixture
def triples():
    """Predictions outside the range, targets and LR images of three sizes."""
    sizes = [(2, 16, 12), (1, 40, 28), (1, 8, 64)]
    return [(noise(n, b, 3, h, w, spread=1.7) + 0.1, noise(n + 9, b, 3, h, w),
             noise(n + 20, b, 3, h // 4, w // 4, spread=0.5)) for n, (b, h, w) in enumerate(sizes)]


def test_palette_gap_is_that_of_all_pixels(context, triples):
    found = score(PaletteGap, context, triples)
    restored, hr, lr = (pixels(side).var(0).sum() for side in zip(*triples, strict=True))
    assert found.value == pytest.approx(100 * abs(restored - hr) / hr, rel=1e-6)
    assert found.reference == {"lr": pytest.approx(100 * abs(lr - hr) / hr, rel=1e-6)}
    assert found.detail == {"variance_prediction": pytest.approx(restored, rel=1e-6),
                            "variance_hr": pytest.approx(hr, rel=1e-6),
                            "variance_lr": pytest.approx(lr, rel=1e-6)}
    assert found.count == 4


@pytest.mark.parametrize(("contrast", "gap"), [(1, 0), (0.5, 75), (1.5, 125), (0, 100), (-1, 0)])
def test_contrast_has_a_closed_form(context, contrast, gap):
    """Variance goes with the square of the contrast, whatever the brightness."""
    y = noise(0, 6, 3, 20, 20)
    found = score(PaletteGap, context, [(contrast * y + 0.3, y, y)])
    assert found.value == pytest.approx(gap, abs=1e-4)


def test_the_cube_of_colours_has_three_twelfths(context):
    y = noise(1, 40, 3, 64, 64)
    found = score(PaletteGap, context, [(y, y, y)])
    assert found.detail["variance_hr"] == pytest.approx(0.25, rel=0.005)


def test_colour_shift_is_the_length_of_the_mean_difference(context, triples):
    found = score(ColourShift, context, triples)
    restored, hr, lr = (pixels(side).mean(0) for side in zip(*triples, strict=True))
    assert found.value == pytest.approx(np.linalg.norm(restored - hr), rel=1e-6)
    assert found.reference == {"lr": pytest.approx(np.linalg.norm(lr - hr), rel=1e-6)}
    assert [found.detail[name] for name in ("red", "green", "blue")] == pytest.approx(
        (restored - hr).tolist(), rel=1e-6)


def test_a_cast_of_one_channel_is_its_own_length(context):
    y = noise(2, 5, 3, 9, 9, spread=0.5)
    cast = y.clone()
    cast[:, 2] -= 0.3
    found = score(ColourShift, context, [(cast, y, y)])
    assert found.value == pytest.approx(0.15, rel=1e-5)
    assert found.detail["blue"] == pytest.approx(-0.15, rel=1e-5)
    assert found.reference["lr"] == 0


@pytest.mark.parametrize("kind", [PaletteGap, ColourShift])
def test_batches_and_their_order_do_not_matter(context, kind):
    x, y = noise(3, 12, 3, 10, 10), noise(4, 12, 3, 10, 10)
    whole = score(kind, context, [(x, y, x)])
    parts = [part[::-1] for part in (x.split(5), y.split(5), x.split(5))]
    cut = score(kind, context, zip(*parts, strict=True))
    assert cut.value == pytest.approx(whole.value, rel=1e-10)
    assert cut.count == 12


def test_moments_far_from_zero_lose_no_digits(context):
    y = noise(5, 3, 3, 30, 30, spread=1e-3) + 0.9
    found = score(PaletteGap, context, [(0.5 * (y - 0.9) + 0.9, y, y)])
    assert found.value == pytest.approx(75, abs=0.05)  # what float32 images themselves allow


def test_images_without_colours_have_no_gap_to_miss(context):
    grey = torch.zeros(2, 3, 4, 4)
    with pytest.raises(SrbenchError, match="HR images have a colour variance of 0"):
        score(PaletteGap, context, [(noise(6, 2, 3, 4, 4), grey, grey)])
    with pytest.raises(SrbenchError, match="variance of nan"):
        relative_gap(1.0, float("nan"))


@pytest.mark.parametrize("kind", [PaletteGap, ColourShift])
def test_no_images_are_an_error(context, kind):
    with pytest.raises(SrbenchError, match="no samples"):
        kind(context).compute()


@pytest.mark.parametrize("kind", [PaletteGap, ColourShift])
def test_self_checks_notice_another_range(context, kind, monkeypatch):
    kind(context).self_check()
    right = colours.unit_range
    monkeypatch.setattr(colours, "unit_range", lambda images: 2 * right(images))
    with pytest.raises(SrbenchError, match="self check failed"):
        kind(context).self_check()
