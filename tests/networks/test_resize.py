"""Resizing against MATLAB's rule written with NumPy, and against the paper's own numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.data import astronaut
from torch import nn

from srbench.errors import ParameterError
from srbench.networks import imresize, truncate_to_uint8, up_bicubic
from tests.fill import arr


def cubic(t, a=-0.5):
    t = np.abs(t)
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
    return np.where(t <= 1, near, np.where(t <= 2, far, 0))


def matlab_weights(size, factor):
    """Matrix (ceil(size * factor), size) of MATLAB's imresize along one axis."""
    shrink = min(factor, 1)
    outputs = math.ceil(size * factor)
    matrix = np.zeros((outputs, size))
    for i in range(outputs):
        centre = (i + 0.5) / factor - 0.5
        taps = np.arange(math.floor(centre - 2 / shrink), math.ceil(centre + 2 / shrink) + 1)
        weights = cubic((centre - taps) * shrink)
        mirrored = np.mod(taps, 2 * size)
        for tap, weight in zip(np.minimum(mirrored, 2 * size - 1 - mirrored),
                               weights / weights.sum(), strict=True):
            matrix[i, tap] += weight
    return matrix


def matlab(images, factor):
    rows, columns = (matlab_weights(size, factor) for size in images.shape[-2:])
    return np.einsum("ih,nchw,jw->ncij", rows, images.double().numpy(), columns,
                     optimize=True)


@pytest.mark.parametrize("factor", [0.25, 0.5, 1 / 3, 1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(24, 36), (23, 18), (9, 5), (3, 2)])
def test_equals_the_rule_of_matlab_for_every_size(factor, shape):
    x = arr(0, (2, 3, *shape), 0, 1)
    for memory in (torch.contiguous_format, torch.channels_last):
        found = imresize(x.contiguous(memory_format=memory), factor)
        np.testing.assert_allclose(found.numpy(), matlab(x, factor), atol=1e-5)


@pytest.mark.parametrize(("size", "factor", "expected"), [
    (512, 0.25, 128), (510, 0.25, 128), (509, 0.25, 128), (1021, 0.5, 511), (10, 4, 40)])
def test_sides_are_rounded_up(size, factor, expected):
    assert imresize(torch.zeros(1, 1, size, 8), factor).shape[-2] == expected


def psnr(one, other):
    return -10 * math.log10(float((one.double() - other.double()).square().mean()))


def test_torch_alone_agrees_to_a_thousandth_of_a_decibel():
    """Section K.8: symmetric padding changes the borders only."""
    image = torch.from_numpy(astronaut().astype(np.float32) / 255).permute(2, 0, 1)[None]
    small = imresize(image, 0.25, clamp=True)
    assert psnr(small, torch.from_numpy(matlab(image, 0.25)).clamp(0, 1)) > 100
    options = {"mode": "bicubic", "antialias": True}
    bare = nn.functional.interpolate(small, scale_factor=4, **options).clamp(0, 1)
    larger = imresize(small, 4, clamp=True)
    assert abs(psnr(larger, image) - psnr(bare, image)) < 1e-3
    bare = nn.functional.interpolate(image, scale_factor=0.25, **options).clamp(0, 1)
    torch.testing.assert_close(small[..., 2:-2, 2:-2], bare[..., 2:-2, 2:-2], atol=1e-5, rtol=0)
    assert not torch.allclose(small, bare, atol=1e-2)


def test_the_kernel_overshoots_and_can_be_clamped():
    step = torch.zeros(1, 1, 16, 16)
    step[..., 8:] = 1
    free, clamped = imresize(step, 4), imresize(step, 4, clamp=True)
    assert free.max() > 1
    assert free.min() < 0
    assert torch.equal(clamped, free.clamp(0, 1))


@pytest.mark.parametrize("factor", [0.25, 0.5, 2, 4])
def test_constants_stay_and_factor_one_is_the_identity(factor):
    constant = torch.full((1, 3, 13, 11), 0.7)
    resized = imresize(constant, factor)
    torch.testing.assert_close(resized, torch.full_like(resized, 0.7))
    x = arr(1, (1, 3, 9, 7))
    torch.testing.assert_close(imresize(x, 1), x)


def test_gradients_flow():
    x = arr(2, (1, 3, 9, 10), 0, 1).requires_grad_()
    imresize(x, 0.25).sum().backward()
    columns = torch.from_numpy(matlab_weights(10, 0.25).sum(0)).float()
    rows = torch.from_numpy(matlab_weights(9, 0.25).sum(0)).float()
    torch.testing.assert_close(x.grad[0, 0], torch.outer(rows, columns), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("factor", [0, -1, 0.3, 1.5, 2.5])
def test_other_factors_are_refused(factor):
    with pytest.raises(ParameterError, match=f"resizing by {factor}"):
        imresize(torch.zeros(1, 3, 8, 8), factor)


def test_up_is_the_papers(fixtures):
    with np.load(fixtures / "bicubic.npz") as numbers:
        x, up, down = (torch.from_numpy(numbers[key]) for key in ("x", "up4", "down_quarter_of_up"))
    torch.testing.assert_close(up_bicubic(x, 4), up, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(up_bicubic(up, 0.25), down, atol=1e-6, rtol=1e-6)
    assert up.abs().max() > 1


def test_up_has_another_kernel_than_matlab():
    """a = -0.75 instead of -0.5: written out for one row, edges repeated."""
    row = arr(3, (1, 1, 1, 9)).expand(1, 1, 9, 9)
    positions = (np.arange(36) + 0.5) / 4 - 0.5
    taps = np.floor(positions).astype(int)[:, None] + np.arange(-1, 3)
    weights = cubic(positions[:, None] - taps, a=-0.75)
    values = row[0, 0, 0].double().numpy()[taps.clip(0, 8)]
    expected = (weights * values).sum(1)
    np.testing.assert_allclose(up_bicubic(row, 4)[0, 0, 0].numpy(), expected, atol=1e-5)
    assert np.abs(imresize(row, 4)[0, 0, 0].numpy() - expected).max() > 1e-2


def test_bytes_are_cut_off_not_rounded():
    values = torch.tensor([0.0, 0.9 / 255, 1.0 / 255, 1.99 / 255, 254.9 / 255, 1.0, -0.1, 1.2])
    found = truncate_to_uint8(values)
    assert found.dtype == torch.uint8
    assert found.tolist() == [0, 0, 1, 1, 254, 255, 0, 255]


def test_cutting_off_darkens_by_half_a_level():
    values = torch.rand(100_000, generator=torch.Generator().manual_seed(0))
    loss = (255 * values - truncate_to_uint8(values)).mean()
    assert float(loss) == pytest.approx(0.5, abs=0.01)
