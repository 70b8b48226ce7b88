"""PSNR against piq, SSIM against scikit-image, both against published figures."""

from __future__ import annotations

import json

import numpy as np
import piq
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity

from srbench.errors import DataError
from srbench.evaluation.psnr import PSNR, psnr
from srbench.evaluation.ssim import SSIM, ssim, to_uint8_levels, window_sums


def skimage_ssim(a, b):
    """The paper's call, image by image, on levels 0..255."""
    return [structural_similarity(x.permute(1, 2, 0).byte().numpy(),
                                  y.permute(1, 2, 0).byte().numpy(), channel_axis=2)
            for x, y in zip(a, b, strict=True)]


@pytest.fixture
def examples(shared, fixtures):
    """The published images as (reference, distorted) pairs with the figures of each."""
    folder = shared / "data" / "lpips_example"

    def read(name):
        array = np.asarray(Image.open(folder / f"{name}.png").convert("RGB"), np.float32)
        return torch.from_numpy(array / 127.5 - 1).permute(2, 0, 1)[None]

    figures = json.loads((fixtures / "image_metrics.json").read_text())["values"]
    return [(read(name), read("ex_ref"), wanted) for name, wanted in figures.items()]


def test_psnr_is_piqs(images):
    y = images(6, 40)
    x = y + 0.3 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    as_piq = [((t.clamp(-1, 1) + 1) / 2) for t in (x, y)]
    wanted = piq.psnr(*as_piq, data_range=1.0, reduction="none")
    torch.testing.assert_close(psnr(x, y).float(), wanted, rtol=0, atol=1e-5)


def test_psnr_is_averaged_over_images_not_over_errors(images, context):
    y = images(4, 16)
    x = y.clone()
    x[0] += 0.5
    metric = PSNR(context)
    for part in ((x[:1], y[:1]), (x[1:], y[1:])):
        metric.update(*part, part[1])
    score = metric.compute()
    assert score.per_image[1:] == [80.0] * 3
    assert score.value == pytest.approx(sum(score.per_image) / 4)
    assert score.interval[0] < score.value < score.interval[1]
    assert score.count == 4


def test_published_psnr_and_ssim(examples):
    for distorted, reference, wanted in examples:
        assert float(psnr(distorted, reference)) == pytest.approx(wanted["psnr_01"], abs=1e-4)
        value = float(ssim(to_uint8_levels(distorted), to_uint8_levels(reference)))
        assert value == pytest.approx(wanted["ssim_uint8"], abs=1e-7)


@pytest.mark.parametrize("size", [(7, 7), (64, 64), (50, 131), (300, 211)])
def test_ssim_is_skimages(size):
    generator = torch.Generator().manual_seed(size[1])
    y = torch.randint(0, 256, (3, 3, *size), generator=generator).float()
    near = (y + torch.randint(-9, 10, y.shape, generator=generator)).clamp(0, 255)
    flat = torch.full_like(y, 255.0)
    for x in (near, flat, 255 - y):
        np.testing.assert_allclose(ssim(x, y), skimage_ssim(x, y), rtol=0, atol=1e-7)


def test_ssim_of_smooth_bright_images_keeps_its_digits(images):
    y = to_uint8_levels(images(4, 96)) * 0.1 + 229
    y = y.round()
    x = (y + 1).clamp(0, 255)
    np.testing.assert_allclose(ssim(x, y), skimage_ssim(x, y), rtol=0, atol=1e-6)


def test_levels_round_half_to_even_and_clamp():
    values = torch.tensor([-1.5, -1, 2 * 0.4 / 255 - 1, 2 * 0.6 / 255 - 1, 0.0, 1, 1.5])
    assert to_uint8_levels(values).tolist() == [0, 0, 0, 1, 128, 255, 255]
    levels = torch.arange(256, dtype=torch.float32)
    assert torch.equal(to_uint8_levels(levels / 127.5 - 1), levels)


def test_window_sums_are_those_of_seven_by_seven_windows():
    x = torch.arange(9 * 8, dtype=torch.float32).reshape(1, 1, 9, 8)
    wanted = x.unfold(2, 7, 1).unfold(3, 7, 1).sum((-1, -2))
    assert torch.equal(window_sums(x), wanted)


def test_ssim_refuses_images_smaller_than_its_window(context):
    with pytest.raises(DataError, match="7x7 pixels, got 6x9"):
        SSIM(context).update(torch.zeros(1, 3, 6, 9), torch.zeros(1, 3, 6, 9), torch.zeros(1))


def test_input_of_ssim_is_left_alone(images):
    x, y = to_uint8_levels(images(2, 32)), to_uint8_levels(images(2, 32, 1))
    before = x.clone(), y.clone()
    ssim(x, y)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


@pytest.mark.parametrize("kind", [PSNR, SSIM])
def test_self_checks_pass_and_notice_a_broken_formula(kind, context, monkeypatch):
    kind(context).self_check()
    name = kind.__name__.lower()
    module = f"srbench.evaluation.{name}.{name}"
    monkeypatch.setattr(module, lambda a, b: torch.full((len(a),), 0.5))
    with pytest.raises(Exception, match="self check failed"):
        kind(context).self_check()
