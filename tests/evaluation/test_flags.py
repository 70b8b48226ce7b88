"""Each flag is raised by what it names and by nothing ordinary."""

from __future__ import annotations

import pytest
import torch

from srbench.evaluation.flags import Flags, thumbnails


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


def test_no_images_raise_nothing():
    assert Flags().raised() == []


def test_thumbnails_have_one_length_whatever_the_size(images):
    assert thumbnails(images(2, 40)).shape == thumbnails(images(2, 64)).shape == (2, 192)
