"""The degradation generators and the checkpoints both codes write."""

from __future__ import annotations

import subprocess

import pytest
import torch

from srbench.errors import CorruptFile, MissingWeights, ParameterError
from srbench.networks import (
    DeResnet,
    DSGANDiscriminator,
    DSGANGenerator,
    DSNDiscriminator,
    load_deresnet,
    load_discriminator,
    load_dsgan,
)
from srbench.networks.dsgan import ResidualBlock
from tests.fill import arr, fill


def checkpoint(generator, discriminator=None, prefix=""):
    """What the original codes save, optimisers included."""
    def state(network):
        return {prefix + key: value for key, value in network.state_dict().items()}

    optimizer = torch.optim.Adam(generator.parameters())
    content = {"epoch": 300, "iteration": 49_800, "model_g_state_dict": state(generator),
               "optimizer_g_state_dict": optimizer.state_dict()}
    if discriminator is not None:
        content["models_d_state_dict"] = state(discriminator)
    return content


def same(one, other):
    return all(torch.equal(value, other.state_dict()[key])
               for key, value in one.state_dict().items())


def test_a_residual_block_is_written_out():
    block = fill(ResidualBlock(4))
    x = arr(0, (1, 4, 6, 5))
    with torch.no_grad():
        y = block.conv1(x)
        y = torch.where(y > 0, y, block.prelu.weight * y)
        assert torch.allclose(block(x), x + block.conv2(y), atol=1e-6)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_deresnet_shrinks_and_rounds_up(scale):
    network = fill(DeResnet(1, scale))
    with torch.no_grad():
        small = network(arr(1, (2, 3, 16, 9), 0, 1))
    assert small.shape == (2, 3, 16 // scale, -(-9 // scale))
    assert 0 <= small.min() <= small.max() <= 1


def test_the_generators_share_their_parts():
    deresnet, dsgan = DeResnet(3).state_dict(), DSGANGenerator(3).state_dict()
    assert set(deresnet) - set(dsgan) == {
        f"down_sample.{part}" for part in ("0.weight", "0.bias", "1.weight", "2.weight", "2.bias",
                                           "3.weight")}
    assert set(dsgan) < set(deresnet)


def test_without_blocks_nothing_is_between_the_convolutions():
    network = fill(DSGANGenerator(0))
    x = arr(2, (1, 3, 6, 6), 0, 1)
    with torch.no_grad():
        expected = torch.sigmoid(network.block_output(network.block_input(x)))
        assert torch.equal(network(x), expected)


@pytest.mark.parametrize(("build", "message"), [
    (lambda: DSGANGenerator(-1), "DSGANGenerator: blocks=-1"),
    (lambda: DeResnet(-1), "DeResnet: blocks=-1"),
    (lambda: DeResnet(1, 3), "scale is 3"),
    (lambda: DeResnet(1, 0), "scale is 0"),
])
def test_refuses_what_it_cannot_build(build, message):
    with pytest.raises(ParameterError, match=message):
        build()


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize(("build", "load"), [
    (lambda: DSGANGenerator(2), load_dsgan),
    (lambda: DSGANGenerator(0), load_dsgan),
    (lambda: DeResnet(2), load_deresnet),
    (lambda: DeResnet(1, 2), load_deresnet),
    (lambda: DeResnet(1, 1), load_deresnet),
])
def test_generators_are_read_with_their_depth(tmp_path, prefix, bare, build, load):
    network = fill(build())
    content = checkpoint(network, prefix=prefix)
    torch.save(content["model_g_state_dict"] if bare else content, tmp_path / "AIM2019.tar")
    found = load(tmp_path / "AIM2019.tar")
    assert type(found) is type(network)
    assert not found.training
    assert same(found, network)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("build", [
    DSGANDiscriminator, lambda: DSGANDiscriminator(7, filter="gau"), DSNDiscriminator,
    lambda: DSNDiscriminator("nld_s2", filter="gau"),
])
def test_discriminators_are_read_into_what_was_built(tmp_path, prefix, build):
    torch.manual_seed(1)
    written, network = build(), build()
    torch.save(checkpoint(DSGANGenerator(0), written, prefix), tmp_path / "a.tar")
    assert load_discriminator(tmp_path / "a.tar", network) is network
    assert not network.training
    assert same(network, written)
    torch.save(written.state_dict(), tmp_path / "bare.pt")
    assert same(load_discriminator(tmp_path / "bare.pt", build()), written)


def test_the_wrong_network_is_named_with_the_first_key_that_differs(tmp_path):
    path = tmp_path / "a.tar"
    torch.save(checkpoint(DeResnet(1), DSNDiscriminator()), path)
    with pytest.raises(CorruptFile, match=r"DSGANGenerator: 'down_sample\.0\.weight' is unexpe"):
        load_dsgan(path)
    with pytest.raises(CorruptFile, match=r"DSGANDiscriminator: 'net\.net\.0\.weight' has shape"):
        load_discriminator(path, DSGANDiscriminator())
    with pytest.raises(CorruptFile, match=r"DSNDiscriminator: 'net\.model\.0\.weight' is missing"):
        load_discriminator(path, DSNDiscriminator("nld_s1"))


def test_a_missing_key_is_named(tmp_path):
    content = checkpoint(DSGANGenerator(2))
    del content["model_g_state_dict"]["res_blocks.1.prelu.weight"]
    torch.save(content, tmp_path / "a.tar")
    with pytest.raises(CorruptFile, match=r"'res_blocks\.1\.prelu\.weight' is missing"):
        load_dsgan(tmp_path / "a.tar")


def test_another_wavelet_is_refused(tmp_path):
    network = DSNDiscriminator()
    network.DWT2.h1_row.neg_()
    torch.save(network.state_dict(), tmp_path / "a.pt")
    with pytest.raises(CorruptFile, match=r"'DWT2\.h1_row' is not the Haar wavelet's"):
        load_discriminator(tmp_path / "a.pt", DSNDiscriminator())


@pytest.mark.parametrize("content", [[1, 2], {"model_g_state_dict": 3}, {2: torch.ones(1)}])
def test_a_file_without_a_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.tar")
    with pytest.raises(CorruptFile, match="not a state dict") as caught:
        load_dsgan(tmp_path / "a.tar")
    assert "model_g_state_dict" in caught.value.hint


class Bomb:
    """Unpickled, it would run a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return subprocess.check_call, (["touch", str(self.path)],)


@pytest.mark.parametrize("load", [load_dsgan, load_deresnet,
                                  lambda path: load_discriminator(path, DSGANDiscriminator())])
def test_code_is_not_run_and_a_missing_file_is_missing(tmp_path, load):
    torch.save({"model_g_state_dict": {}, "extra": Bomb(tmp_path / "ran")}, tmp_path / "a.tar")
    with pytest.raises(CorruptFile, match="pickled code"):
        load(tmp_path / "a.tar")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(MissingWeights, match=r"nowhere\.tar"):
        load(tmp_path / "nowhere.tar")
