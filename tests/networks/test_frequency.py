"""Filters and wavelets of FSSR and DASR: the originals' numbers, and what they must be."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from srbench.errors import ParameterError
from srbench.networks import HighPass, LowPass, haar, high_bands, low_band, receptive_average
from srbench.networks.frequency import GaussianFilter, HaarFilters, gaussian_kernel
from tests.fill import arr


def arrays(fixtures, name):
    with np.load(fixtures / name) as content:
        return {key: torch.from_numpy(content[key]) for key in content}


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("name", "build"), [
    ("low_avg5", lambda: LowPass(5)),
    ("high_avg5", lambda: HighPass(5)),
    ("low_gau9", lambda: LowPass(9, "gau")),
    ("high_gau9", lambda: HighPass(9, "gau")),
    ("low_avg5_nopad", lambda: LowPass(5, padded=False)),
])
def test_filters_of_fssr(fixtures, name, build, memory):
    numbers = arrays(fixtures, "fssr_filters.npz")
    found = build()(numbers["x"].contiguous(memory_format=memory))
    torch.testing.assert_close(found, numbers[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize(("name", "separate"), [
    ("ll_half", low_band),
    ("high_cat", high_bands),
    ("high_sum", lambda x: high_bands(x, "sum")),
])
def test_wavelets_of_dasr(fixtures, name, separate):
    numbers = arrays(fixtures, "dasr_wavelet.npz")
    for memory in (torch.contiguous_format, torch.channels_last):
        found = separate(numbers["x"].contiguous(memory_format=memory))
        torch.testing.assert_close(found, numbers[name], atol=1e-6, rtol=0)


# high-pass of a constant image

@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_image_has_no_high_frequencies_where_padding_is_not_counted(value):
    constant = torch.full((1, 3, 12, 12), value)
    torch.testing.assert_close(HighPass(5)(constant), torch.full_like(constant, 0.5))
    assert torch.allclose(high_bands(constant), torch.full((1, 9, 6, 6), 0.5))


@pytest.mark.parametrize("build", [lambda: HighPass(9, count_padding=True),
                                   lambda: HighPass(9, "gau")])
def test_counted_padding_brings_high_frequencies_to_the_border_only(build):
    high = build()(torch.full((1, 3, 20, 20), 0.8))
    inside = high[..., 4:-4, 4:-4]
    torch.testing.assert_close(inside, torch.full_like(inside, 0.5))
    for border in (high[..., 0, :], high[..., -1, :], high[..., :, 0], high[..., :, -1]):
        assert border.min() > 0.55


def test_the_corner_of_a_counted_average():
    """25 of the 81 pixels around a corner are inside: 0.5 + 0.5 * (1 - 25 / 81)."""
    high = HighPass(9, count_padding=True)(torch.ones(1, 3, 20, 20))
    assert float(high[0, 0, 0, 0]) == pytest.approx(0.5 + 0.5 * 56 / 81)


def test_high_frequencies_lie_in_the_unit_interval():
    x = torch.randint(0, 2, (4, 3, 16, 16), generator=torch.Generator().manual_seed(0)).float()
    for high in (HighPass(5)(x), HighPass(9, "gau")(x), high_bands(x), high_bands(x, "sum")):
        assert 0 <= high.min() < 0.5 < high.max() <= 1


# average and Gaussian

def test_the_average_of_a_ramp_is_the_ramp_inside():
    ramp = torch.arange(12.0).expand(1, 3, 12, 12)
    torch.testing.assert_close(LowPass(5, padded=False)(ramp), ramp[..., 2:-2, 2:-2])


@pytest.mark.parametrize("kernel", [1, 5, 9])
def test_the_gaussian_is_normalised_symmetric_and_has_its_deviation(kernel):
    weight = GaussianFilter(kernel).gaussian_filter.weight
    assert weight.shape == (3, 1, kernel, kernel)
    plane = weight[0, 0]
    assert float(plane.sum()) == pytest.approx(1, abs=1e-6)
    assert torch.equal(plane, plane.T)
    assert torch.equal(plane, plane.flip(0))
    if kernel > 1:
        middle = kernel // 2
        ratio = float(plane[middle, middle] / plane[middle, middle + 1])
        assert ratio == pytest.approx(math.exp(0.5 / (kernel / 6) ** 2), rel=1e-5)


def test_a_gaussian_kernel_by_hand():
    """sigma with exp(-1 / (2 sigma^2)) = 1/2: weights (1, 2, 1) in each direction, over 16."""
    kernel = gaussian_kernel(3, (1 / (2 * math.log(2))) ** 0.5)
    expected = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    torch.testing.assert_close(kernel, expected)


def test_the_gaussian_is_kept_in_the_state_under_its_official_key():
    assert list(LowPass(5, "gau").state_dict()) == ["filter.gaussian_filter.weight"]
    assert list(HighPass(5, "gau").state_dict()) == ["filter_low.filter.gaussian_filter.weight"]
    assert not list(HighPass(5, "gau").parameters())
    assert not HighPass(5).state_dict()


@pytest.mark.parametrize("build", [lambda: LowPass(4), lambda: HighPass(0),
                                   lambda: GaussianFilter(2),
                                   lambda: receptive_average(torch.ones(1, 1, 4, 4), 6)])
def test_filters_without_a_centre_are_refused(build):
    with pytest.raises(ParameterError, match="has no centre"):
        build()


# Haar

def test_the_bands_of_one_block():
    """Section E.1 of the specification: the block [[1, 2], [4, 9]]."""
    ll, bands = haar(torch.tensor([[1.0, 2], [4, 9]]).reshape(1, 1, 2, 2))
    assert ll.flatten().tolist() == [8.0]
    assert bands.flatten().tolist() == [(1 + 2 - 4 - 9) / 2, (1 - 2 + 4 - 9) / 2,
                                        (1 - 2 - 4 + 9) / 2]


def test_the_transform_preserves_energy():
    x = arr(0, (2, 3, 8, 10))
    ll, bands = haar(x)
    energy = ll.square().sum() + bands.square().sum()
    assert float(energy) == pytest.approx(float(x.square().sum()), rel=1e-5)


@pytest.mark.parametrize("shape", [(7, 8), (8, 5), (7, 5)])
def test_odd_sides_are_reflected_at_their_end(shape):
    x = arr(1, (1, 2, *shape))
    rows = [*range(shape[0]), shape[0] - 2][: shape[0] + shape[0] % 2]
    columns = [*range(shape[1]), shape[1] - 2][: shape[1] + shape[1] % 2]
    even = x[..., rows, :][..., columns]
    for one, other in zip(haar(x), haar(even), strict=True):
        assert torch.equal(one, other)


def test_bands_are_laid_out_band_by_band():
    x = arr(2, (2, 3, 6, 6))
    _, bands = haar(x)
    assert bands.shape == (2, 3, 3, 3, 3)
    expected = torch.cat([bands[:, 0], bands[:, 1], bands[:, 2]], 1)
    assert torch.equal(high_bands(x), 0.5 + 0.5 * expected)
    for channel in range(3):
        alone = haar(x[:, channel : channel + 1])[1]
        assert torch.equal(alone[:, :, 0], bands[:, :, channel])


def test_half_of_ll_is_the_mean_of_each_block():
    x = arr(3, (1, 3, 6, 8), 0, 1)
    torch.testing.assert_close(low_band(x), torch.nn.functional.avg_pool2d(x, 2))


def test_the_module_is_the_function_and_keeps_the_official_buffers():
    module = HaarFilters()
    x = arr(4, (1, 3, 6, 6))
    for one, other in zip(module(x), haar(x), strict=True):
        assert torch.equal(one, other)
    state = module.state_dict()
    half = 0.5**0.5
    assert state["h0_col"].flatten().tolist() == pytest.approx([half, half])
    assert state["h1_row"].flatten().tolist() == pytest.approx([half, -half])
    separable = state["h1_col"] * state["h0_row"]  # of the first band: (a + b - c - d) / 2
    assert separable.flatten().tolist() == pytest.approx([0.5, 0.5, -0.5, -0.5])


# domain-distance maps

def test_the_distance_map_is_the_pooling_over_the_field():
    """17 x 17 scores around each, those outside the map not counted."""
    scores = arr(5, (2, 1, 23, 30), 0, 1)
    expected = torch.empty_like(scores)
    for row in range(23):
        for column in range(30):
            window = scores[..., max(0, row - 8) : row + 9, max(0, column - 8) : column + 9]
            expected[..., row, column] = window.mean((-2, -1))
    torch.testing.assert_close(receptive_average(scores), expected, atol=1e-6, rtol=0)


def test_the_distance_map_spreads_each_score_over_what_it_saw():
    """DASR's own way: add each score to its field, divide by how many scores reached a pixel."""
    scores = arr(6, (1, 1, 12, 12), 0, 1)
    total, count = torch.zeros(12, 12), torch.zeros(12, 12)
    for row in range(12):
        for column in range(12):
            field = (slice(max(0, row - 8), row + 9), slice(max(0, column - 8), column + 9))
            total[field] += scores[0, 0, row, column]
            count[field] += 1
    torch.testing.assert_close(receptive_average(scores)[0, 0], total / count)


def test_equal_scores_stay_as_they_are():
    scores = torch.full((1, 1, 9, 40), 0.25)
    torch.testing.assert_close(receptive_average(scores), scores)
    assert torch.equal(receptive_average(scores, 1), scores)
