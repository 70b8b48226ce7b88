"""RRDBNet, the two layouts of its checkpoints, and its initialisation."""

from __future__ import annotations

import subprocess

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from srbench.errors import CorruptFile, MissingWeights, ParameterError
from srbench.networks import RRDBNet, init_scaled, load_rrdb, to_new_names, to_old_names
from srbench.networks.rrdbnet import RRDB, DenseBlock
from tests.fill import arr, fill, load_fixture

SMALL = (6, 2, 3)  # features, blocks, growth


def small(scale=4):
    return fill(RRDBNet(*SMALL, scale)).eval()


def equal(one, other):
    return list(one) == list(other) and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_magnifies_any_size(scale):
    with torch.no_grad():
        assert small(scale)(arr(0, (2, 3, 5, 7))).shape == (2, 3, 5 * scale, 7 * scale)


def test_a_dense_block_is_written_out():
    block = fill(DenseBlock(4, 2))
    x = arr(1, (1, 4, 6, 5))
    seen = [x]
    with torch.no_grad():
        for number in range(1, 5):
            value = getattr(block, f"conv{number}")(torch.cat(seen, 1))
            seen.append(torch.where(value > 0, value, 0.2 * value))
        expected = x + 0.2 * block.conv5(torch.cat(seen, 1))
        assert torch.allclose(block(x), expected, atol=1e-6)


def test_three_dense_blocks_are_scaled_and_skipped():
    triple = fill(RRDB(4, 2))
    x = arr(2, (1, 4, 6, 5))
    with torch.no_grad():
        expected = x + 0.2 * triple.RDB3(triple.RDB2(triple.RDB1(x)))
        assert torch.allclose(triple(x), expected, atol=1e-6)


def test_without_blocks_the_head_skips_around_one_convolution():
    network = fill(RRDBNet(4, 0, 2, 1)).eval()
    x = arr(3, (1, 3, 6, 6))
    with torch.no_grad():
        head = network.conv_first(x)
        y = nn.functional.leaky_relu(network.HRconv(head + network.trunk_conv(head)), 0.2)
        assert torch.allclose(network(x), network.conv_last(y), atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"scale": 3}, "scale is 3"), ({"scale": 0}, "scale is 0"), ({"blocks": -1}, "blocks=-1"),
     ({"features": 0}, "features=0"), ({"growth": 0}, "growth=0")],
)  # fmt: skip
def test_refuses_what_it_cannot_build(wrong, message):
    with pytest.raises(ParameterError, match=message):
        RRDBNet(**wrong)


# initialisation

def test_dense_blocks_start_small_and_without_bias():
    torch.manual_seed(0)
    block = RRDBNet(blocks=1).RRDB_trunk[0].RDB2
    for conv in (block.conv1, block.conv5):
        expected = 0.1 * (2 / (conv.in_channels * 9)) ** 0.5
        assert float(conv.weight.detach().std()) == pytest.approx(expected, rel=0.03)
        assert not conv.bias.any()


def test_other_convolutions_keep_the_defaults_of_pytorch():
    torch.manual_seed(0)
    conv = RRDBNet(blocks=0).trunk_conv
    assert float(conv.weight.detach().abs().max()) <= (64 * 9) ** -0.5
    assert conv.bias.any()


def test_init_scaled_reaches_convolutions_and_linear_layers_only():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 400, 3, bias=False), nn.BatchNorm2d(400),
                            nn.Linear(400, 50))
    nn.init.constant_(network[1].bias, 0.3)
    init_scaled(network, 1.0)
    assert float(network[0].weight.detach().std()) == pytest.approx((2 / 27) ** 0.5, rel=0.03)
    assert float(network[2].weight.detach().std()) == pytest.approx((2 / 400) ** 0.5, rel=0.03)
    assert not network[2].bias.any()
    assert torch.equal(network[1].bias, torch.full((400,), 0.3))


# names

@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_names_round_trip_with_the_same_tensors_in_the_same_order(scale):
    state = small(scale).state_dict()
    old = to_old_names(state)
    assert all(key.startswith("model.") for key in old)
    assert equal(to_new_names(old), state)
    assert equal(to_old_names(to_new_names(old)), old)
    assert all(a is b for a, b in zip(old.values(), to_new_names(old).values(), strict=True))


def test_a_converted_state_gives_bit_identical_images():
    network, other = small(), RRDBNet(*SMALL).eval()
    other.load_state_dict(to_new_names(to_old_names(network.state_dict())))
    x = arr(4, (1, 3, 8, 8), 0, 1)
    with torch.no_grad():
        assert torch.equal(network(x), other(x))


def test_new_names_are_left_alone():
    state = small().state_dict()
    assert equal(to_new_names(state), state)


def test_old_names_are_the_official_ones(fixtures):
    about, _ = load_fixture(fixtures, "rrdbnet_oldkeys_nb2")
    with torch.device("meta"):
        old = to_old_names(RRDBNet(blocks=2).state_dict())
    assert sorted((key, tuple(value.shape)) for key, value in old.items()) == sorted(
        (key, tuple(shape)) for key, shape in about["keys"])


def test_names_of_the_full_network():
    """Section H of the specification: 23 blocks put the trunk's convolution at sub.23."""
    with torch.device("meta"):
        state = RRDBNet().state_dict()
    old = dict(zip(to_old_names(state), state, strict=True))
    assert len(old) == 702
    for new, key in {"conv_first": "model.0", "trunk_conv": "model.1.sub.23",
                     "upconv1": "model.3", "upconv2": "model.6", "HRconv": "model.8",
                     "conv_last": "model.10",
                     "RRDB_trunk.22.RDB3.conv5": "model.1.sub.22.RDB3.conv5.0"}.items():
        assert old[f"{key}.weight"] == f"{new}.weight"
        assert old[f"{key}.bias"] == f"{new}.bias"


# checkpoints

@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("layout", [dict, to_old_names])
def test_reads_both_layouts_and_infers_the_network(tmp_path, scale, prefix, layout):
    network = small(scale)
    state = {prefix + key: value for key, value in layout(network.state_dict()).items()}
    torch.save(state, tmp_path / "a.pth")
    save_file(state, tmp_path / "a.safetensors")
    x = arr(5, (1, 3, 6, 6), 0, 1)
    for name in ("a.pth", "a.safetensors"):
        found = load_rrdb(tmp_path / name)
        assert not found.training
        with torch.no_grad():
            assert torch.equal(found(x), network(x))


@pytest.mark.parametrize("layout", [dict, to_old_names])
def test_a_network_without_blocks_is_read(tmp_path, layout):
    network = fill(RRDBNet(5, 0, 32))
    torch.save(layout(network.state_dict()), tmp_path / "a.pth")
    assert equal(load_rrdb(tmp_path / "a.pth").state_dict(), network.state_dict())


@pytest.mark.parametrize("key", ["conv_first.weight", "RRDB_trunk.0.RDB1.conv1.weight",
                                 "RRDB_trunk.1.RDB2.conv3.bias", "trunk_conv.bias",
                                 "conv_last.bias"])
def test_names_the_first_key_that_is_missing(tmp_path, key):
    state = small().state_dict()
    del state[key]
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(CorruptFile, match="RRDBNet") as caught:
        load_rrdb(tmp_path / "a.pth")
    assert f"{key!r} is missing" in caught.value.message


@pytest.mark.parametrize(("content", "message"), [
    ({}, r"'conv_first\.weight' is missing"),
    ({"head.0.weight": torch.ones(2)}, r"'conv_first\.weight' is missing"),
    ({"conv_first.weight": 3}, r"'conv_first\.weight' is a int"),
    ({"conv_first.weight": torch.zeros(0)}, r"'conv_first\.weight' has shape \(0,\)"),
    ({"conv_first.weight": torch.tensor(1.0)}, r"'conv_first\.weight' has shape \(\)"),
    ([1], "a list where the state dict of RRDBNet"),
    ({3: torch.ones(1)}, "a dict where the state dict of RRDBNet"),
])
def test_something_else_is_named(tmp_path, content, message):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(CorruptFile, match=message):
        load_rrdb(tmp_path / "a.pth")


@pytest.mark.parametrize("layout", [dict, to_old_names])
def test_a_surplus_key_is_named(tmp_path, layout):
    torch.save(layout(small().state_dict()) | {"ema": torch.ones(1)}, tmp_path / "a.pth")
    with pytest.raises(CorruptFile, match="'ema' is unexpected"):
        load_rrdb(tmp_path / "a.pth")


class Bomb:
    """Unpickled, it would run a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return subprocess.check_call, (["touch", str(self.path)],)


def test_code_in_a_checkpoint_is_not_run_and_a_missing_one_is_missing(tmp_path):
    torch.save({"conv_first.weight": Bomb(tmp_path / "ran")}, tmp_path / "a.pth")
    with pytest.raises(CorruptFile, match="pickled code"):
        load_rrdb(tmp_path / "a.pth")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(MissingWeights, match=r"nowhere\.pth"):
        load_rrdb(tmp_path / "nowhere.pth")
