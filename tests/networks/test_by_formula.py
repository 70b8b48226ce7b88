"""Layers of the networks against their formulas written with NumPy, and lists of their keys."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from srbench.errors import CorruptFile
from srbench.networks import EDSR, UNet, VectorMap, VectorPotential, load_strict
from srbench.networks.adversarial import (
    gradient_penalty,
    interpolate,
    interpolation_weights,
    mse_cost,
    potential_gap,
)
from srbench.networks.edsr import Block
from srbench.networks.loading import first_difference, strip_prefix
from srbench.networks.unet import DoubleConv, Down, OutConv
from srbench.networks.vectors import perceptron
from tests.fill import arr, fill


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Same-size correlation with zeros around; (C, H, W), (K, C, 3, 3), (K,)."""
    return np.stack([sum(correlate2d(plane, kernel, mode="same") for plane, kernel
                         in zip(x, kernels, strict=True)) + b
                     for kernels, b in zip(weight, bias, strict=True)])


def numbers(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {key: value.double().numpy() for key, value in module.state_dict().items()}


def normalised(x: np.ndarray, p: dict[str, np.ndarray], key: str) -> np.ndarray:
    """Batch norm with running statistics."""
    mean, var, weight, bias = (p[f"{key}.{part}"][:, None, None] for part in (
        "running_mean", "running_var", "weight", "bias"))
    return (x - mean) / np.sqrt(var + 1e-5) * weight + bias


def double_conv(x: np.ndarray, p: dict[str, np.ndarray], at: str = "double_conv.") -> np.ndarray:
    for conv, norm in ((0, 1), (3, 4)):
        x = convolve(x, p[f"{at}{conv}.weight"], p[f"{at}{conv}.bias"])
        x = np.maximum(normalised(x, p, f"{at}{norm}"), 0)
    return x


def test_double_conv_is_convolution_norm_and_relu_twice():
    module = fill(DoubleConv(3, 4, 2)).eval()
    x = arr(1, (1, 3, 7, 5))
    expected = double_conv(x[0].double().numpy(), numbers(module))
    np.testing.assert_allclose(module(x)[0].detach().numpy(), expected, atol=1e-5)


def test_down_takes_the_largest_of_four_first():
    module = fill(Down(2, 3)).eval()
    x = arr(2, (1, 2, 6, 8))
    pooled = x[0].double().numpy().reshape(2, 3, 2, 4, 2).max((2, 4))
    expected = double_conv(pooled, numbers(module), "maxpool_conv.1.double_conv.")
    np.testing.assert_allclose(module(x)[0].detach().numpy(), expected, atol=1e-5)


def test_out_conv_mixes_the_channels_of_each_pixel():
    module = fill(OutConv(4, 3))
    x, p = arr(3, (1, 4, 5, 5)), numbers(module)
    expected = np.einsum("kc,chw->khw", p["conv.weight"][..., 0, 0], x[0].double().numpy())
    expected += p["conv.bias"][:, None, None]
    np.testing.assert_allclose(module(x)[0].detach().numpy(), expected, atol=1e-6)


def test_batch_statistics_are_used_in_train_mode():
    """In train mode a scaled input gives the same output: each layer is normalised by its batch."""
    module = fill(DoubleConv(3, 4, 2)).train()
    with torch.no_grad():
        module.double_conv[0].bias.zero_()
    x = arr(4, (4, 3, 8, 8))
    torch.testing.assert_close(module(100 * x), module(10 * x), atol=1e-3, rtol=1e-3)
    assert not torch.allclose(module.eval()(100 * x), module(10 * x), atol=1e-1)


def test_a_block_of_edsr_is_written_out():
    module = fill(Block(3, res_scale=0.25))
    x, p = arr(5, (1, 3, 6, 6)), numbers(module)
    plane = x[0].double().numpy()
    hidden = np.maximum(convolve(plane, p["body.0.weight"], p["body.0.bias"]), 0)
    expected = plane + 0.25 * convolve(hidden, p["body.2.weight"], p["body.2.bias"])
    np.testing.assert_allclose(module(x)[0].detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_edsr_without_blocks_is_written_out(scale):
    module = fill(EDSR(0, 2, scale=scale))
    p, plane = numbers(module), arr(6, (3, 4, 5)).double().numpy()
    head = convolve(plane, p["head.0.weight"], p["head.0.bias"])
    y = head + convolve(head, p["body.0.weight"], p["body.0.bias"])
    for k in range(int(math.log2(scale))):
        y = convolve(y, p[f"tail.0.{2 * k}.weight"], p[f"tail.0.{2 * k}.bias"])
        channels, height, width = y.shape
        y = y.reshape(channels // 4, 2, 2, height, width).transpose(0, 3, 1, 4, 2)
        y = y.reshape(channels // 4, 2 * height, 2 * width)
    expected = convolve(y, p["tail.1.weight"], p["tail.1.bias"])
    found = module(torch.from_numpy(plane).float()[None])[0].detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0), "silu": lambda x: x / (1 + np.exp(-x)),
    "celu": lambda x: np.maximum(x, 0) + np.minimum(0, np.expm1(x))}


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_perceptron_is_written_out(activation, depth):
    module = fill(perceptron(3, 2, hidden=5, depth=depth, activation=activation))
    p, x = numbers(module), arr(7, (6, 3))
    y = x.double().numpy()
    for layer in range(depth + 1):
        y = y @ p[f"{2 * layer}.weight"].T + p[f"{2 * layer}.bias"]
        y = ACTIVATIONS[activation](y) if layer < depth else y
    np.testing.assert_allclose(module(x).detach().numpy(), y, atol=1e-5)


def test_map_and_potential_of_vectors_wrap_it():
    x = arr(8, (6, 3))
    residual, plain = (fill(VectorMap(3, 5, 2, residual=flag)) for flag in (True, False))
    torch.testing.assert_close(residual(x), x + plain(x))
    f = fill(VectorPotential(3, 5, 2))
    torch.testing.assert_close(f(x), f.net(x)[:, 0])


def doubled(x: np.ndarray) -> np.ndarray:
    """Bilinear doubling where the corner values stay in the corners; (C, H, W)."""
    for axis in (1, 2):
        n = x.shape[axis]
        at = np.linspace(0, n - 1, 2 * n)
        x = np.apply_along_axis(lambda line, at=at, n=n: np.interp(at, np.arange(n), line), axis, x)
    return x


def test_the_whole_unet_is_written_out():
    """Widths b, 2b, 4b, 8b, 8b down and back, each skip before the features from below."""
    module = fill(UNet(2)).eval()
    p, x = numbers(module), arr(9, (1, 3, 32, 16))
    levels = [double_conv(x[0].double().numpy(), p, "inc.double_conv.")]
    for k in range(1, 5):
        c, h, w = levels[-1].shape
        pooled = levels[-1].reshape(c, h // 2, 2, w // 2, 2).max((2, 4))
        levels.append(double_conv(pooled, p, f"down{k}.maxpool_conv.1.double_conv."))
    assert [level.shape[0] for level in levels] == [2, 4, 8, 16, 16]
    y = levels.pop()
    for k in range(1, 5):
        y = double_conv(np.concatenate([levels.pop(), doubled(y)]), p, f"up{k}.conv.double_conv.")
    expected = np.einsum("kc,chw->khw", p["outc.conv.weight"][..., 0, 0], y)
    expected += p["outc.conv.bias"][:, None, None]
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(module(x)[0].detach().numpy(), expected, atol=1e-4)


class TestLosses:
    def test_against_numpy(self):
        x, mapped, y = (arr(seed, (4, 3, 2, 2)) for seed in (1, 2, 3))
        assert mse_cost(x, mapped).item() == pytest.approx(
            float(np.square((x - mapped).double().numpy()).mean()))
        weight = arr(4, (12,))

        def f(images):
            return images.flatten(1) @ weight

        gap = (y - mapped).flatten(1).double().numpy().mean(0) @ weight.double().numpy()
        assert potential_gap(f, mapped, y).item() == pytest.approx(gap, abs=1e-6)
        assert gradient_penalty(f, y).item() == pytest.approx(
            (np.linalg.norm(weight.double().numpy()) - 1) ** 2, rel=1e-5)

    def test_the_penalty_of_a_quadratic_potential(self):
        """f(z) = |z|^2 / 2 has the gradient z: the penalty is the mean of (|z| - 1)^2."""
        points = arr(5, (6, 7))
        expected = np.square(np.linalg.norm(points.double().numpy(), axis=1) - 1).mean()
        found = gradient_penalty(lambda z: z.square().sum(1, keepdim=True) / 2, points)
        assert found.item() == pytest.approx(expected, rel=1e-5)
        assert not points.requires_grad

    def test_points_lie_on_the_segments(self):
        mapped, y = arr(6, (50, 3, 2, 2)), arr(7, (50, 3, 2, 2))
        torch.manual_seed(0)
        eta = interpolation_weights(y)
        assert eta.shape == (50, 1, 1, 1)
        assert 0 <= eta.min() <= eta.max() < 1
        points = interpolate(mapped, y, eta)
        share = ((points - mapped) / (y - mapped)).flatten(1)
        torch.testing.assert_close(share, eta.flatten(1).expand_as(share), atol=1e-3, rtol=1e-3)
        assert torch.equal(interpolate(mapped, y, torch.zeros(50, 1, 1, 1)), mapped)
        assert torch.equal(interpolate(mapped, y, torch.ones(50, 1, 1, 1)), y)


class TestStates:
    def test_the_first_difference_is_in_the_order_of_the_network(self):
        expected = {"a": torch.zeros(2), "b": torch.zeros(3), "c": torch.zeros(1)}
        same = {key: value + 1 for key, value in reversed(expected.items())}
        assert first_difference(expected, same) == ""
        assert first_difference(expected, {**same, "b": torch.zeros(4)}) == (
            "'b' has shape (4,), expected (3,)")
        assert first_difference(expected, {"a": same["a"], "x": 1}) == "'b' is missing"
        assert first_difference(expected, {**same, "c": 3.0}) == "'c' is a float, not a tensor"
        assert first_difference(expected, {**same, "d": 1, "e": 2}) == "'d' is unexpected"

    @pytest.mark.parametrize(("keys", "prefix", "found"), [
        (["1.a", "1.b"], "1.", ["a", "b"]), (["1.a", "b"], "1.", ["1.a", "b"]),
        (["1.1.a"], "1.", ["1.a"]), (["a"], "", ["a"]), ([], "1.", [])])
    def test_a_prefix_is_taken_off_once_and_only_from_all(self, keys, prefix, found):
        assert list(strip_prefix(dict.fromkeys(keys, torch.zeros(1)), prefix)) == found

    def test_weights_of_another_width_are_refused_whole(self):
        network = fill(UNet(2))
        before = {key: value.clone() for key, value in network.state_dict().items()}
        with pytest.raises(CorruptFile, match=r"not of this UNet: 'inc.* expected \(2, 3, 3, 3\)"):
            load_strict(network, UNet(3).state_dict())
        assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
