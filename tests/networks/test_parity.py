"""Every image network against what the original implementation gave on the same weights.

Tolerance 1e-5 of the largest output: the fixtures are float32, two orders of summation of the
same network differ by up to 2.3e-6 (the potentials, whose value is one sum of many cancelling
terms, are the worst), and a layer that is wrong shows at 1e-2 or more.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from srbench.networks import EDSR, ConvICNN64, ResNetGenerator, ResNetPotential, UNet
from tests.fill import (
    arr,
    fill,
    fill_entry,
    fill_state,
    keys_and_shapes,
    load_fixture,
    parameter_count,
    relative_error,
)

TOLERANCE = 1e-5

BUILD: dict[str, Callable[[dict], nn.Module]] = {
    "unet_base8": lambda about: UNet(about["base_factor"]),
    "unet_base32": lambda about: UNet(about["base_factor"]),
    "resnet_potential_64_nf8": lambda about: potential(about),
    "resnet_potential_64_nf64": lambda about: potential(about),
    "resnet_potential_128_nf8": lambda about: potential(about),
    "resnet_generator_64": lambda about: ResNetGenerator(
        about["z_dim"],
        about["size"],
        filters=about["nfilter"],
        filters_max=about["nfilter_max"],
        res_ratio=about["res_ratio"],
    ),
    "conv_icnn64": lambda about: ConvICNN64(
        strong_convexity=about["strong_convexity"], dropout=about["dropout"], rank=about["rank"]
    ),
    "edsr_r4f16": lambda about: edsr(about),
    "edsr_r64f128": lambda about: edsr(about),
}
POTENTIALS = [name for name in BUILD if "potential" in name]
EDSRS = [name for name in BUILD if "edsr" in name]


def potential(about):
    return ResNetPotential(about["size"], about["nfilter"], filters_max=about["nfilter_max"])


def edsr(about):
    return EDSR(
        about["n_resblocks"],
        about["n_feats"],
        scale=about["scale"],
        res_scale=about["res_scale"],
    )


@pytest.mark.parametrize("name", BUILD)
def test_state_keys_and_shapes_are_the_official_ones(fixtures, name):
    about, _ = load_fixture(fixtures, name)
    official = sorted((key, tuple(shape)) for key, shape in about["keys"])
    assert keys_and_shapes(BUILD[name](about)) == official


@pytest.mark.parametrize("name", ["unet_base8", "unet_base32"])
def test_unet_in_both_modes(fixtures, name):
    about, arrays = load_fixture(fixtures, name)
    network = fill(BUILD[name](about))
    with torch.no_grad():
        assert relative_error(network.eval()(arrays["in_x"]), arrays["out_eval"]) < TOLERANCE
        assert relative_error(network.train()(arrays["in_x"]), arrays["out_train"]) < TOLERANCE


@pytest.mark.parametrize("name", POTENTIALS)
def test_potential(fixtures, name):
    about, arrays = load_fixture(fixtures, name)
    network = fill(BUILD[name](about))
    with torch.no_grad():
        assert relative_error(network(arrays["in_x"]), arrays["out_y"][:, 0]) < TOLERANCE


def test_generator_in_eval_mode(fixtures):
    about, arrays = load_fixture(fixtures, "resnet_generator_64")
    network = fill(BUILD["resnet_generator_64"](about)).eval()
    with torch.no_grad():
        images = network(arrays["in_z"])
    assert relative_error(images, arrays["out_eval"]) < TOLERANCE


@pytest.mark.parametrize("name", EDSRS)
def test_edsr(fixtures, name):
    about, arrays = load_fixture(fixtures, name)
    with torch.no_grad():
        larger = fill(BUILD[name](about))(arrays["in_x"])
    assert relative_error(larger, arrays["out_y"]) < TOLERANCE


def test_convex_potential_and_its_gradient(fixtures):
    about, arrays = load_fixture(fixtures, "conv_icnn64")
    network = fill(BUILD["conv_icnn64"](about)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.mul_(about["scale_after_fill"])
    network.project()
    with torch.no_grad():
        value = network(arrays["in_x"])
    assert relative_error(value, arrays["out_value"][:, 0]) < TOLERANCE
    assert relative_error(network.push(arrays["in_x"]), arrays["out_grad"]) < TOLERANCE


@pytest.mark.parametrize(
    ("build", "count"),
    [
        (lambda: UNet(32), 4_320_675),
        (lambda: UNet(48), 9_715_827),
        (lambda: UNet(), 17_267_523),
        (lambda: ResNetPotential(64), 22_933_441),
        (lambda: ResNetPotential(128), 32_372_673),
        (lambda: ResNetGenerator(), 24_004_675),
        (lambda: ConvICNN64(), 11_247_105),
        (lambda: EDSR(), 20_226_051),
    ],
)
def test_parameter_counts_of_the_official_networks(build, count):
    with torch.device("meta"):
        assert parameter_count(build()) == count


def test_official_generator_has_147_state_entries():
    with torch.device("meta"):
        assert len(ResNetGenerator().state_dict()) == 147


def test_fixture_arrays_come_from_the_legacy_generator():
    numbers = arr(0, (2, 2))
    assert numbers.dtype == torch.float32
    assert numbers[0, 0] == pytest.approx(2 * 0.5488135039273248 - 1, abs=1e-7)
    assert arr(0, (3,), 5, 6).min() >= 5


def test_fill_depends_on_the_name_and_the_kind_of_entry():
    assert not torch.equal(fill_entry("a.weight", (2, 3)), fill_entry("b.weight", (2, 3)))
    state = fill_state([("bn.weight", (500,)), ("bn.bias", (500,)), ("bn.running_var", (500,))])
    assert state["bn.weight"].mean() == pytest.approx(1, abs=0.02)
    assert state["bn.bias"].mean() == pytest.approx(0, abs=0.02)
    assert 0.5 <= state["bn.running_var"].min() <= state["bn.running_var"].max() <= 1.5
    assert fill_entry("bn.num_batches_tracked", ()).dtype == torch.int64
