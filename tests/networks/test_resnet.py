"""The WGAN-QC potential and generator."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from srbench.errors import ParameterError
from srbench.networks import ResNetGenerator, ResNetPotential
from srbench.networks.resnet import ResBlock, generator_widths, levels, potential_widths
from tests.fill import arr, fill


def layout(network):
    """Widths of each residual block; a word for each other layer."""
    return [
        (layer.conv_0.in_channels, layer.conv_1.out_channels)
        if hasattr(layer, "conv_0")
        else type(layer).__name__
        for layer in network.resnet
    ]


POTENTIAL_64 = [
    (64, 64), (64, 128), "AvgPool2d",
    (128, 128), (128, 256), "AvgPool2d",
    (256, 256), (256, 512), "AvgPool2d",
    (512, 512), (512, 512), "AvgPool2d",
    (512, 512), (512, 512),
]  # fmt: skip


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (32, [*POTENTIAL_64[:11]]),
        (64, POTENTIAL_64),
        (128, [*POTENTIAL_64, "AvgPool2d", (512, 512), (512, 512)]),
    ],
)
def test_layers_of_the_potential(size, expected):
    with torch.device("meta"):
        network = ResNetPotential(size)
    assert layout(network) == expected
    assert network.fc.in_features == 8192


def test_layers_of_the_generator():
    with torch.device("meta"):
        network = ResNetGenerator()
    expected = [
        (512, 512), (512, 512), "Upsample",
        (512, 512), (512, 512), "Upsample",
        (512, 256), (256, 256), "Upsample",
        (256, 128), (128, 128), "Upsample",
        (128, 64), (64, 64),
    ]  # fmt: skip
    assert layout(network) == expected


@pytest.mark.parametrize("size", [8, 16, 32, 64, 128])
def test_potential_ends_at_4_by_4_whatever_the_size(size):
    network, shapes = fill(ResNetPotential(size, 2, filters_max=512)), []
    network.resnet.register_forward_hook(lambda *call: shapes.append(tuple(call[2].shape)))
    with torch.no_grad():
        values = network(arr(0, (3, 3, size, size)))
    assert values.shape == (3,)
    assert shapes == [(3, size, 4, 4)]  # from 2 filters, doubled once more than halved


@pytest.mark.parametrize("size", [8, 32, 64])
def test_generator_reaches_its_size_within_the_range(size):
    network = fill(ResNetGenerator(5, size, filters=2, filters_max=8)).eval()
    with torch.no_grad():
        images = network(torch.randn(2, 5))
    assert images.shape == (2, 3, size, size)
    assert images.abs().max() <= 1


def test_widths_double_up_to_the_largest():
    assert potential_widths(16, 3, 10) == [(3, 3, 6), (6, 6, 10), (10, 10, 10)]
    assert generator_widths(16, 3, 10) == [(10, 10, 10), (10, 6, 6), (6, 3, 3)]


@pytest.mark.parametrize(("size", "count"), [(8, 1), (32, 3), (64, 4), (128, 5)])
def test_levels(size, count):
    assert levels(size) == count


@pytest.mark.parametrize("size", [0, 4, 48, 65, -64])
@pytest.mark.parametrize("build", [ResNetPotential, lambda size: ResNetGenerator(8, size)])
def test_refuses_sides_it_cannot_halve_down_to_four(build, size):
    with pytest.raises(ParameterError, match=f"side {size}.*64, 128"):
        build(size)


def test_names_the_shape_it_got_and_the_size_to_build_for():
    with pytest.raises(ParameterError, match=r"3x32x32.*\(2, 3, 64, 64\).*size=64"):
        ResNetPotential(32, 2)(torch.zeros(2, 3, 64, 64))


def test_block_is_shortcut_plus_a_tenth_of_the_residual():
    block = fill(ResBlock(3, 5, res_ratio=0.1))
    x = arr(3, (2, 3, 6, 6))
    act = nn.LeakyReLU(0.2)
    with torch.no_grad():
        expected = act(block.conv_s(x) + 0.1 * block.conv_1(act(block.conv_0(x))))
        assert torch.allclose(block(x), expected, atol=1e-6)
    assert block.conv_0.out_channels == 3
    assert block.conv_s.bias is None


def test_block_leaves_its_input_alone():
    block, x = fill(ResBlock(4, 4, res_ratio=0.1)), arr(3, (2, 4, 6, 6))
    before = x.clone()
    with torch.no_grad():
        block(x)
    assert torch.equal(x, before)


def test_pooling_counts_the_padding():
    pool = next(layer for layer in ResNetPotential(8, 2).resnet if isinstance(layer, nn.AvgPool2d))
    corner = pool(torch.ones(1, 1, 4, 4))[0, 0, 0, 0]
    assert corner.item() == pytest.approx(4 / 9)


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_convolutions_start_kaiming_normal_by_fan_out(slope):
    torch.manual_seed(0)
    network = ResNetPotential(32, init_slope=slope)
    for key, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            area = layer.kernel_size[0] * layer.kernel_size[1]
            expected = math.sqrt(2 / ((1 + slope**2) * layer.out_channels * area))
            tolerance = 4 * expected / math.sqrt(2 * layer.weight.numel())
            assert layer.weight.std().item() == pytest.approx(expected, abs=tolerance), key


def test_biases_and_the_last_layer_keep_the_defaults():
    network = ResNetPotential(16, 8, init_slope=0.2)
    for layer in network.modules():
        if isinstance(layer, nn.Linear) or (
            isinstance(layer, nn.Conv2d) and layer.bias is not None
        ):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            assert 0 < layer.bias.abs().max() <= bound
    assert network.fc.weight.abs().max() <= 1 / math.sqrt(network.fc.in_features)


def test_no_slope_keeps_the_default_of_every_weight():
    torch.manual_seed(0)
    network = ResNetPotential(16, 8, init_slope=None)
    torch.manual_seed(0)
    first = nn.Conv2d(8, 8, 3, padding=1)  # the first layer built
    assert torch.equal(network.resnet[0].conv_0.weight, first.weight)


def test_generator_in_eval_mode_treats_samples_apart():
    network = fill(ResNetGenerator(5, 16, filters=2, filters_max=8)).eval()
    z = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        together, alone = network(z), network(z[1:2])
        assert torch.allclose(together[1:2], alone, atol=1e-6)
        network.train()
        assert not torch.allclose(network(z)[1:2], alone, atol=1e-3)
