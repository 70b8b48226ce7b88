"""Restoring window by window: every pixel once, margins kept, equal to the whole image."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from srbench.errors import ParameterError, PluginError
from srbench.evaluation.tiles import restore_in_tiles, tile_side, windows
from srbench.networks.edsr import EDSR


def image(height, width, count=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, height, width, generator=generator) * 2 - 1


class Convolution(nn.Module):
    """One 2r + 1 wide convolution with zero padding, then nearest upsampling."""

    def __init__(self, radius, scale):
        super().__init__()
        generator = torch.Generator().manual_seed(radius)
        side = 2 * radius + 1
        self.weight = nn.Parameter(torch.randn(3, 3, side, side, generator=generator) / side)
        self.radius, self.scale = radius, scale

    def forward(self, x):
        x = nn.functional.conv2d(x, self.weight, padding=self.radius)
        return nn.functional.interpolate(x, scale_factor=self.scale)


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 400), st.integers(1, 120), st.integers(0, 40))
def test_windows_cover_an_axis_once_and_keep_their_margins(length, core, margin):
    tile = 2 * margin + core
    found = windows(length, tile, margin)
    assert [pixel for w in found for pixel in range(w.first, w.last)] == list(range(length))
    assert len({w.stop - w.start for w in found}) == 1  # equal sizes
    for w in found:
        assert 0 <= w.start <= w.first < w.last <= w.stop <= length
        assert w.stop - w.start == min(tile, length)
        assert w.start == 0 or w.first - w.start >= margin
        assert w.stop == length or w.stop - w.last >= margin
    assert len(found) == max(1, -(-(length - 2 * margin) // core))  # as few as there can be


@pytest.mark.parametrize(("tile", "margin"), [(64, 32), (10, 5), (8, 20), (0, 0), (8, -1)])
def test_a_tile_of_nothing_but_margins_is_refused(tile, margin):
    with pytest.raises(ParameterError, match="nothing but its margins"):
        windows(100, tile, margin)


@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize("size", [(61, 47), (32, 90), (33, 33), (20, 25)])
@pytest.mark.parametrize(("tile", "margin"), [(32, 9), (25, 12), (19, 9)])
def test_a_small_edsr_is_that_of_the_whole_image(scale, size, tile, margin):
    """Two blocks and three more convolutions reach 8 LR pixels; those after the shuffle less."""
    torch.manual_seed(0)
    method = EDSR(2, 8, scale=scale).eval()
    x = image(*size, count=2)
    with torch.no_grad():
        whole = method(x)
    tiled = restore_in_tiles(method, x, scale, tile, margin)
    assert tiled.shape == (2, 3, scale * size[0], scale * size[1])
    assert float((tiled - whole).abs().max()) <= 1e-4


def test_the_margin_is_what_makes_it_equal():
    method, x = Convolution(6, 2), image(70, 50)
    with torch.no_grad():
        whole = method(x)
    assert float((restore_in_tiles(method, x, 2, 24, 6) - whole).abs().max()) <= 1e-5
    gap = (restore_in_tiles(method, x, 2, 24, 3) - whole).abs().amax((0, 1))
    assert float(gap.max()) > 1e-2  # seams, and nothing but seams
    assert float(gap[:20, :20].max()) <= 1e-5
    assert float((gap > 1e-5).float().mean()) < 0.6


class BorderMarker(nn.Module):
    """Not shift-invariant: 1 on the border of what it is given, 0 elsewhere."""

    def forward(self, x):
        out = torch.zeros_like(x)
        out[:, :, (0, -1)] = 1
        out[:, :, :, (0, -1)] = 1
        return out


@pytest.mark.parametrize("size", [(40, 64), (57, 41), (90, 90)])
@pytest.mark.parametrize("margin", [1, 4])
def test_borders_of_windows_inside_the_image_are_never_kept(size, margin):
    x = image(*size)
    assert torch.equal(restore_in_tiles(BorderMarker(), x, 1, 16, margin), BorderMarker()(x))


def test_without_margins_borders_of_windows_are_kept():
    """The check above is one: it fails where cores reach the borders of their windows."""
    x = image(48, 64)
    kept = restore_in_tiles(BorderMarker(), x, 1, 16, 0)
    assert float(kept.sum()) > float(BorderMarker()(x).sum())


def test_padding_acts_at_the_border_of_the_image_as_in_the_whole():
    method, x = Convolution(4, 1), image(50, 50)
    with torch.no_grad():
        whole = method(x)
    tiled = restore_in_tiles(method, x, 1, 20, 4)
    for edge in (whole - tiled)[:, :, :3], (whole - tiled)[:, :, :, -3:]:
        assert float(edge.abs().max()) <= 1e-5


def test_a_tile_larger_than_the_image_is_the_whole_image():
    calls = []

    def spy(x):
        calls.append(tuple(x.shape))
        return x

    x = image(20, 30)
    assert torch.equal(restore_in_tiles(spy, x, 1, 64, 16), x)
    assert calls == [(1, 3, 20, 30)]
    restore_in_tiles(spy, x, 1, 25, 4)  # only the longer side is cut
    assert calls[1:] == [(1, 3, 20, 25)] * 2


def test_values_are_float32_and_need_no_gradient():
    found = restore_in_tiles(nn.Conv2d(3, 3, 1).bfloat16(), image(40, 40).bfloat16(), 1, 24, 4)
    assert found.dtype == torch.float32
    assert not found.requires_grad


@pytest.mark.parametrize(("function", "said"), [
    (lambda x: x, r"to \(1, 3, 24, 24\).*\(1, 3, 48, 48\)"),
    (lambda x: (nn.functional.interpolate(x, scale_factor=2) * 100).int(), "torch.int32 Tensor"),
])
def test_windows_of_the_wrong_form_are_an_error(function, said):
    with pytest.raises(PluginError, match=said):
        restore_in_tiles(function, image(40, 40), 2, 24, 4)


@pytest.mark.parametrize(("pixels", "margin", "side"), [
    (10_000, 32, 96), (96 * 96, 32, 96), (96 * 96 - 1, 32, 88), (1, 32, 80), (0, 4, 24),
    (104 * 104, 4, 104)])
def test_the_largest_tile_that_fits(pixels, margin, side):
    assert tile_side(pixels, margin) == side
    assert side > 2 * margin
