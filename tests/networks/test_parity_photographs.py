"""The networks of FSSR and DASR against what the original implementations gave.

Tolerance 1e-5 of the largest output, as in test_parity; 3e-5 where the memory format is another,
because the VGG's scores in eval mode are 0.01, the sum of 8192 terms that cancel.
"""

from __future__ import annotations

import pytest
import torch

from srbench.networks import (
    VGG128,
    DeResnet,
    DSGANDiscriminator,
    DSGANGenerator,
    DSNDiscriminator,
    PatchGAN,
    RRDBNet,
    to_new_names,
)
from tests.fill import (
    fill,
    fill_state,
    keys_and_shapes,
    load_fixture,
    parameter_count,
    relative_error,
)

TOLERANCE = 1e-5
FORMATS = [(torch.contiguous_format, TOLERANCE), (torch.channels_last, 3 * TOLERANCE)]
FIXED = ("DWT2.", "gaussian_filter.")  # filters whose values the fixtures left alone


def dsn(about):
    return DSNDiscriminator(about["D_arch"].lower(), filter=about["filter"],
                            bands=about["cat_or_sum"], kernel_size=about["kernel_size"])


def dsgan(about):
    return DSGANDiscriminator(about["kernel_size"], filter="gau" if about["gaussian"] else "avg")


BUILD = {
    "fssr_dsgan_generator": lambda about: DSGANGenerator(about["n_res_blocks"]),
    "dasr_deresnet": lambda about: DeResnet(about["n_res_blocks"], about["scale"]),
    "rrdbnet_nb2": lambda about: RRDBNet(about["nf"], about["nb"], about["gc"]),
    "rrdbnet_nb23": lambda about: RRDBNet(about["nf"], about["nb"], about["gc"]),
    "fssr_dsgan_discriminator_avg": dsgan,
    "fssr_dsgan_discriminator_gau": dsgan,
    "dasr_discriminator_fsd_wavelet": dsn,
    "dasr_discriminator_nld_s1_wavelet": dsn,
    "dasr_discriminator_nld_s2_gau": dsn,
    "discriminator_vgg128": lambda about: VGG128(about["nf"]),
}
IN_BOTH_MODES = ["fssr_dsgan_discriminator_avg", "fssr_dsgan_discriminator_gau",
                 "discriminator_vgg128"]


def filled(name, about):
    """Network with the rule's weights, and its own fixed filters."""
    network = BUILD[name](about)
    own = {key: value.clone() for key, value in network.state_dict().items()
           if any(part in key for part in FIXED)}
    fill(network).load_state_dict(own, strict=False)
    return network


@pytest.mark.parametrize("name", BUILD)
def test_state_keys_and_shapes_are_the_official_ones(fixtures, name):
    about, _ = load_fixture(fixtures, name)
    official = sorted((key, tuple(shape)) for key, shape in about["keys"])
    assert keys_and_shapes(BUILD[name](about)) == official


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", [name for name in BUILD if name not in IN_BOTH_MODES])
def test_networks_that_have_one_mode(fixtures, name, memory):
    about, arrays = load_fixture(fixtures, name)
    network = filled(name, about).to(memory_format=memory)
    with torch.no_grad():
        for mode in (True, False):
            found = network.train(mode)(arrays["in_x"].contiguous(memory_format=memory))
            assert relative_error(found, arrays["out_y"]) < TOLERANCE


@pytest.mark.parametrize(("memory", "tolerance"), FORMATS)
@pytest.mark.parametrize("name", IN_BOTH_MODES)
def test_discriminators_with_batch_norm(fixtures, name, memory, tolerance):
    about, arrays = load_fixture(fixtures, name)
    network = filled(name, about).to(memory_format=memory)
    x = arrays["in_x"].contiguous(memory_format=memory)
    with torch.no_grad():
        assert relative_error(network.eval()(x), arrays["out_eval"]) < tolerance
        assert relative_error(network.train()(x), arrays["out_train"]) < tolerance


def test_old_names_of_rrdbnet(fixtures):
    about, arrays = load_fixture(fixtures, "rrdbnet_oldkeys_nb2")
    official = fill_state([(key, tuple(shape)) for key, shape in about["keys"]])
    network = RRDBNet(about["nf"], about["nb"], about["gc"])
    network.load_state_dict(to_new_names(official), strict=True)
    with torch.no_grad():
        assert relative_error(network(arrays["in_x"]), arrays["out_y"]) < TOLERANCE


@pytest.mark.parametrize(
    ("build", "count"),
    [
        (DSGANGenerator, 594_380),
        (DeResnet, 668_238),
        (RRDBNet, 16_697_987),
        (DSGANDiscriminator, 1_030_273),
        (lambda: DSGANDiscriminator(9, filter="gau"), 1_030_273),
        (DSNDiscriminator, 1_039_105),
        (PatchGAN, 668_737),
        (VGG128, 14_499_401),
    ],
)
def test_parameter_counts_of_the_official_networks(build, count):
    assert parameter_count(build()) == count


@pytest.mark.parametrize("build", [DSNDiscriminator, lambda: DSGANDiscriminator(filter="gau")])
def test_fixed_filters_are_not_trained(build):
    trained = [key for key, _ in build().named_parameters()]
    assert trained
    assert not [key for key in trained if any(part in key for part in FIXED)]


def test_the_full_rrdbnet_has_702_tensors():
    with torch.device("meta"):
        assert len(RRDBNet().state_dict()) == 702
