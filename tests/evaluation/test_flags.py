"""Each flag is raised by what it names and by nothing ordinary."""

from __future__ import annotations

import pytest
import torch

from srbench.evaluation.flags import Flags, thumbnails, waves


def flags_of(prediction, y, x):
    flags = Flags()
    for part in zip(prediction.split(7), y.split(7), x.split(7), strict=True):
        flags.update(*part)
    return flags.raised()


@pytest.fixture
def y(images):
    return images(20, 32) * 0.8


@pytest.fixture
def x(y):
    return 0.5 * y + 0.5 * y.flip(2)


def test_a_good_map_raises_nothing(x, y):
    noise = 0.05 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    assert flags_of(y + noise, y, x) == []


def test_saturation_is_measured_against_hr(x, y):
    bright = y.clone()
    bright[:, :, :8] = 1.2
    assert "saturation" in flags_of(bright, y, x)
    assert "saturation" not in flags_of(bright, bright, x)
    few = y.clone()
    few[:, :, :2] = y[:, :, :2].sign()  # a sixteenth of the pixels
    assert "saturation" not in flags_of(few, y, x)


def test_collapse_to_one_image(x, y):
    assert flags_of(y[:1].expand_as(y), y, x).count("collapse") == 1
    assert "collapse" not in flags_of(y.flip(0), y, x)


def test_collapse_of_vectors():
    y = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    assert flags_of(0.1 * y, y, y + 1) == ["collapse"]
    assert flags_of(y, y, y + 1) == []


def test_identity_map(x, y):
    assert flags_of(x + 0.01 * (y - x), y, x) == ["identity-map"]
    assert flags_of(x + 0.2 * (y - x), y, x) == []
    assert flags_of(y, y, y) == []  # nothing to move


def test_identity_needs_equal_shapes(y):
    small = torch.nn.functional.avg_pool2d(y, 4)
    assert flags_of(y, y, small) == []


@pytest.mark.parametrize(("shift", "raised"), [(0.12, True), (0.08, False), (-0.12, True)])
def test_colour_cast_of_one_channel(x, y, shift, raised):
    cast = y.clone()
    cast[:, 1] += shift
    assert ("colour-cast" in flags_of(cast, y, x)) is raised


def test_uneven_batches_weigh_by_their_images(y, x):
    flags = Flags()
    cast = y + 0.5
    flags.update(cast[:1], y[:1], x[:1])
    flags.update(y[1:], y[1:], x[1:])
    assert "colour-cast" not in flags.raised()  # 0.5 / 20


@pytest.mark.parametrize(("period", "height", "raised"), [
    (2, 0.03, True), (4, 0.05, True), (2, 0.005, False), (3, 0.3, False), (8, 0.3, False)])
def test_a_pattern_that_all_outputs_share_is_a_checkerboard(x, y, period, height, raised):
    place = torch.arange(32) * (2 * torch.pi / period)
    pattern = height * torch.outer(place.cos(), place.cos())
    assert ("checkerboard" in flags_of(y + pattern, y, x)) is raised
    assert "checkerboard" not in flags_of(y + pattern, y + pattern, x)  # HR has it too


def test_checkerboard_needs_the_same_place_in_all_images_and_is_no_gradient(x, y):
    pattern = 0.05 * (-1.0) ** (torch.arange(32) + torch.arange(32)[:, None])
    signs = (-1.0) ** torch.arange(20)[:, None, None, None]
    assert flags_of(y + signs * pattern, y, x) == []
    slope = torch.linspace(-0.5, 0.5, 32)
    assert "checkerboard" not in flags_of(y + slope, y, x)


@pytest.mark.parametrize("axis", ["rows", "columns"])
def test_the_height_of_a_wave_is_measured(axis):
    wave = 0.2 * (-1.0) ** torch.arange(64)
    image = wave.expand(1, 3, 64, 64) if axis == "columns" else wave[:, None].expand(1, 3, 64, 64)
    heights = waves(image).abs().reshape(3, 4, 4)
    place = (0, 2) if axis == "columns" else (2, 0)
    assert heights[:, place[0], place[1]] == pytest.approx(torch.full((3,), 0.2), abs=1e-5)
    heights[:, place[0], place[1]] = 0
    assert heights.max() < 1e-4


def test_no_images_raise_nothing():
    assert Flags().raised() == []


def test_thumbnails_have_one_length_whatever_the_size(images):
    assert thumbnails(images(2, 40)).shape == thumbnails(images(2, 64)).shape == (2, 192)


def test_photographs_come_one_by_one_in_different_sizes(images):
    """Batches of one, sizes that differ, LR at a quarter of the size."""
    sizes = [40, 64, 36, 52, 20]
    good, bright, flat = Flags(), Flags(), Flags()
    for seed, side in enumerate(sizes):
        y = images(1, side, seed) * 0.8
        x = torch.nn.functional.avg_pool2d(y, 4)
        good.update(y + 0.01, y, x)
        bright.update(y + 0.2, y, x)
        flat.update(torch.zeros_like(y) + y.mean((2, 3), keepdim=True).mean(), y, x)
    assert good.raised() == []
    assert bright.raised() == ["colour-cast"]
    assert "collapse" in flat.raised()


def test_collapse_of_photographs_is_seen_across_images():
    """Every output is one picture, whatever its size: its thumbnails do not vary."""
    generator = torch.Generator().manual_seed(0)
    flags = Flags()
    for side in (32, 48, 64):
        y = torch.rand(1, 3, 8, 8, generator=generator).repeat_interleave(side // 8, 2)
        y = y.repeat_interleave(side // 8, 3) - 0.5
        same = torch.linspace(-0.4, 0.4, 8).repeat_interleave(side // 8).expand(1, 3, side, side)
        flags.update(same, y, y[:, :, ::4, ::4])
    assert "collapse" in flags.raised()


def test_thumbnails_of_images_smaller_than_eight_pixels():
    tiny = torch.arange(75.0).reshape(1, 3, 5, 5)
    assert thumbnails(tiny).shape == (1, 192)
    assert thumbnails(tiny).isfinite().all()


@pytest.mark.parametrize(("change", "raised"), [
    (lambda y: (y + 1) * 127.5, True),  # [0, 255]
    (lambda y: (y + 1) / 2, False),  # [0, 1]
    (lambda y: y * 1.3, False),
    (lambda y: torch.where(torch.arange(32) < 17, 2.0, y), True),  # 17 of 32 columns
    (lambda y: torch.where(torch.arange(32) < 16, 2.0, y), False)])
def test_values_of_another_range(x, y, change, raised):
    assert ("range" in flags_of(change(y), y, x)) is raised


def test_range_is_measured_against_hr(x, y):
    assert "range" in flags_of(9 * y.sign(), y, x)
    wide = y.clone()
    wide[0, 0, 0, 0] = 1.6
    assert "range" not in flags_of(9 * y.sign(), wide, x)
