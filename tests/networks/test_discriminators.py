"""What the discriminators see, how far, and in which shape they answer."""

from __future__ import annotations

import pytest
import torch

from srbench.errors import ParameterError
from srbench.networks import (
    VGG128,
    DSGANDiscriminator,
    DSNDiscriminator,
    HighPass,
    PatchGAN,
    high_bands,
)
from srbench.networks.patch_discriminators import PatchNet
from tests.fill import arr, fill, parameter_count, relative_error

IMAGES = arr(0, (2, 3, 32, 32), 0, 1)
PATCHES = [
    lambda: DSGANDiscriminator(),
    lambda: DSGANDiscriminator(9, filter="gau"),
    *[lambda a=a, f=f, b=b: DSNDiscriminator(a, filter=f, bands=b)
      for a in ("fsd", "nld_s1", "nld_s2") for f in ("wavelet", "gau", "avg")
      for b in ("cat", "sum")],
]


@pytest.mark.parametrize("build", PATCHES)
def test_the_output_is_the_sigmoid_of_the_logits(build):
    torch.manual_seed(0)
    network = build().eval()
    with torch.no_grad():
        logits, found = network.logits(IMAGES), network(IMAGES)
    assert torch.equal(found, torch.sigmoid(logits))
    assert found.shape[:2] == (2, 1)
    assert 0 < found.min() <= found.max() < 1


@pytest.mark.parametrize(("architecture", "filter", "side"), [
    ("fsd", "wavelet", 16), ("fsd", "gau", 32), ("nld_s1", "wavelet", 12), ("nld_s1", "avg", 28),
    ("nld_s2", "wavelet", 2), ("nld_s2", "gau", 6),
])
def test_sides_of_the_maps_of_the_degradation_stage(architecture, filter, side):
    network = DSNDiscriminator(architecture, filter=filter)
    with torch.no_grad():
        assert network(IMAGES).shape == (2, 1, side, side)


@pytest.mark.parametrize(("bands", "channels"), [("cat", 9), ("sum", 3)])
def test_bands_are_concatenated_or_averaged(bands, channels):
    network = DSNDiscriminator(bands=bands)
    assert network.net.net[0].in_channels == channels
    assert torch.equal(network.high(IMAGES), high_bands(IMAGES, bands))


@pytest.mark.parametrize("filter", ["gau", "avg"])
def test_filters_of_the_degradation_stages(filter):
    expected = HighPass(7, filter)(IMAGES)
    assert torch.equal(DSNDiscriminator(filter=filter, kernel_size=7).high(IMAGES), expected)
    assert torch.equal(DSGANDiscriminator(7, filter=filter).filter(IMAGES), expected)


def test_the_discriminator_is_blind_to_brightness():
    """Low frequencies are filtered out: a brighter image is judged the same."""
    for network in (fill(DSGANDiscriminator()).eval(), DSNDiscriminator()):
        with torch.no_grad():
            darker, brighter = network.logits(IMAGES * 0.5), network.logits(IMAGES * 0.5 + 0.4)
        assert relative_error(brighter, darker) < 1e-4


def test_a_score_sees_thirteen_pixels():
    torch.manual_seed(0)
    network = PatchNet(3, torch.nn.BatchNorm2d).eval()
    x = torch.rand(1, 3, 31, 31, requires_grad=True)
    network(x)[0, 0, 15, 15].backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert (int(rows[0]), int(rows[-1])) == (15 - 6, 15 + 6)


def test_batch_norm_makes_fssr_depend_on_the_batch_and_instance_norm_does_not():
    fssr, dasr = fill(DSGANDiscriminator()).train(), DSNDiscriminator().train()
    with torch.no_grad():
        assert not torch.allclose(fssr(IMAGES)[:1], fssr(IMAGES[:1]), atol=1e-4)
        assert torch.allclose(dasr(IMAGES)[:1], dasr(IMAGES[:1]), atol=1e-5)


def test_instance_norm_learns_and_remembers_nothing():
    state = DSNDiscriminator("nld_s1").state_dict()
    assert not [key for key in state if "running" in key or ".3." in key or ".6." in key]


def test_the_target_discriminator_judges_bands_in_14_by_14_scores():
    """Of a 128 x 128 image; unbounded, without biases before its norms."""
    network = PatchGAN()
    bands = high_bands(arr(1, (1, 3, 128, 128), 0, 1))
    assert bands.shape == (1, 9, 64, 64)
    with torch.no_grad():
        assert network(bands).shape == (1, 1, 14, 14)
    assert sorted(network.state_dict()) == [
        "model.0.bias", "model.0.weight", "model.2.weight", "model.5.weight", "model.8.bias",
        "model.8.weight"]


def test_biases_before_the_norms_are_what_the_stages_differ_in():
    assert parameter_count(PatchGAN(inner_bias=True)) == 668_737 + 128 + 256
    assert parameter_count(DSNDiscriminator("nld_s2").net) == 668_737 + 128 + 256


@pytest.mark.parametrize(("build", "message"), [
    (lambda: DSNDiscriminator("FSD"), "architecture='FSD'"),
    (lambda: DSNDiscriminator(filter="haar"), "filter='haar'"),
    (lambda: DSNDiscriminator(bands="both"), "bands='both'"),
    (lambda: DSNDiscriminator(filter="gau", kernel_size=4), "side 4 has no centre"),
    (lambda: DSGANDiscriminator(2), "side 2 has no centre"),
    (lambda: PatchGAN(stride=3), "stride=3"),
    (lambda: VGG128(0), "features=0"),
    (lambda: VGG128(size=100), "size=100"),
    (lambda: VGG128(size=0), "size=0"),
])
def test_refuses_what_it_cannot_build(build, message):
    with pytest.raises(ParameterError, match=message):
        build()


@pytest.mark.parametrize("size", [32, 64, 96])
def test_vgg_gives_one_score_for_each_image(size):
    network = fill(VGG128(2, size=size)).eval()
    with torch.no_grad():
        scores = network(arr(2, (3, 3, size, size), 0, 1))
        alone = network(arr(2, (3, 3, size, size), 0, 1)[:1])
    assert scores.shape == (3, 1)
    torch.testing.assert_close(alone, scores[:1])


def test_vgg_names_the_size_it_was_not_built_for():
    with pytest.raises(ParameterError, match=r"3x32x32 images got \(1, 3, 64, 64\)") as caught:
        VGG128(2, size=32)(torch.zeros(1, 3, 64, 64))
    assert caught.value.hint == "build it with size=64"


def test_vgg_widths_and_the_only_convolution_with_a_bias():
    network = VGG128(4)
    widths = [network.get_submodule(f"conv{level}_1").out_channels for level in range(5)]
    assert widths == [4, 8, 16, 32, 32]
    assert [key for key in network.state_dict() if key.startswith("conv") and key.endswith("bias")
            ] == ["conv0_0.bias"]
