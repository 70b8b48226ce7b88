"""Reading other people's checkpoints: strict about names and shapes, deaf to code."""

from __future__ import annotations

import collections
import pickle
import subprocess
from contextlib import suppress

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from srbench.errors import CorruptFile, MissingWeights
from srbench.networks import ResNetPotential, UNet, load_strict, read_checkpoint
from tests.fill import arr, fill


@pytest.fixture
def state():
    return fill(UNet(2)).state_dict()


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    ("written", "prefix"),
    [("", ""), ("module.", ""), ("1.", "1."), ("module.1.", "1."), ("", "1."), ("module.", "1.")],
)
def test_strips_the_prefixes_of_wrappers(state, written, prefix):
    network = UNet(2)
    load_strict(network, {written + key: value for key, value in state.items()}, prefix)
    assert equal(network.state_dict(), state)


def test_loads_a_checkpoint_of_a_map_on_flat_vectors():
    """The released maps are saved as Sequential(reshape, UNet, flatten), hence keys ``1.*``."""
    network = fill(UNet(2)).eval()
    wrapped = nn.Sequential(nn.Unflatten(1, (3, 16, 16)), network, nn.Flatten())
    other = UNet(2).eval()
    load_strict(other, wrapped.state_dict(), "1.")
    x = arr(0, (2, 3 * 16 * 16))
    with torch.no_grad():
        assert torch.equal(other(x.reshape(2, 3, 16, 16)).flatten(1), wrapped(x))


def test_names_the_first_missing_key(state):
    del state["down1.maxpool_conv.1.double_conv.0.bias"], state["outc.conv.bias"]
    with pytest.raises(CorruptFile, match=r"'down1\.maxpool_conv\.1\.double_conv\.0\.bias' is mis"):
        load_strict(UNet(2), state)


def test_names_the_first_unexpected_key(state):
    with pytest.raises(CorruptFile, match="'surplus' is unexpected"):
        load_strict(UNet(2), state | {"surplus": torch.ones(1), "more": torch.ones(1)})


def test_names_the_first_differing_shape_with_both_shapes():
    with pytest.raises(
        CorruptFile, match=r"'inc\.\S+weight' has shape \(4, 3, 3, 3\), expected \(2"
    ):
        load_strict(UNet(2), UNet(4).state_dict())


def test_names_the_network_the_weights_are_not_of(state):
    with pytest.raises(CorruptFile, match=r"not of this ResNetPotential: 'conv_img\.weight'"):
        load_strict(ResNetPotential(8, 2), state)


def test_a_prefix_that_only_some_keys_carry_is_not_stripped(state):
    mixed = {("1." if key.startswith("inc") else "") + key: value for key, value in state.items()}
    with pytest.raises(CorruptFile, match=r"'inc\.double_conv\.0\.weight' is missing"):
        load_strict(UNet(2), mixed, "1.")


def test_a_refused_state_changes_nothing(state):
    network = UNet(2)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state["outc.conv.bias"] = torch.zeros(9)
    with pytest.raises(CorruptFile, match=r"outc\.conv\.bias"):
        load_strict(network, state)
    assert equal(network.state_dict(), before)


@pytest.mark.parametrize("wrong", [[1, 2], torch.ones(2), None, {3: torch.ones(1)}])
def test_what_is_no_state_dict_is_refused_by_its_type(wrong):
    with pytest.raises(CorruptFile, match=f"a {type(wrong).__name__} where the state dict of UNet"):
        load_strict(UNet(2), wrong)


def test_an_entry_that_is_no_tensor_is_refused(state):
    state["inc.double_conv.0.bias"] = [0.0, 0.0]
    with pytest.raises(CorruptFile, match=r"'inc\.double_conv\.0\.bias' is a list, not a tensor"):
        load_strict(UNet(2), state)


def test_an_empty_state_is_missing_its_first_key():
    with pytest.raises(CorruptFile, match=r"'inc\.double_conv\.0\.weight' is missing"):
        load_strict(UNet(2), {}, "1.")


def test_reads_both_kinds_of_file(state, tmp_path):
    torch.save(state, tmp_path / "a.pt")
    torch.save(state, tmp_path / "old.tar", _use_new_zipfile_serialization=False)
    save_file(state, tmp_path / "a.safetensors")
    for name in ("a.pt", "old.tar", "a.safetensors"):
        assert equal(read_checkpoint(tmp_path / name), state), name


def test_reads_containers_around_the_weights(state, tmp_path):
    torch.save({"step": 7, "model": collections.OrderedDict(state)}, tmp_path / "a.pt")
    content = read_checkpoint(tmp_path / "a.pt")
    assert content["step"] == 7
    assert equal(content["model"], state)


def test_a_file_that_is_not_there_is_missing(tmp_path):
    with pytest.raises(MissingWeights, match=r"nowhere\.pt"):
        read_checkpoint(tmp_path / "nowhere.pt")
    with pytest.raises(MissingWeights, match="no checkpoint at"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.99])
def test_a_file_cut_short_is_named(state, tmp_path, suffix, part):
    path = tmp_path / f"weights{suffix}"
    (torch.save if suffix == ".pt" else save_file)(state, path)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(CorruptFile, match=rf"weights{suffix} .*not a readable checkpoint"):
        read_checkpoint(path)


@pytest.mark.parametrize("suffix", [".pt", ".tar", ".safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>404</html>",
        b"version https://git-lfs.github.com/spec/v1\noid",
        b"\x80",
        b"\x80\x02J\x01",
    ],
)
def test_a_file_that_is_something_else_is_named(tmp_path, suffix, content):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(CorruptFile, match=rf"weights{suffix} \({len(content)} bytes\)"):
        read_checkpoint(path)


class Bomb:
    """Unpickled, it would run a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return subprocess.check_call, (["touch", str(self.path)],)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_code_in_a_checkpoint_is_not_run(tmp_path, writer):
    path, trace = tmp_path / "bomb.pt", tmp_path / "ran"
    if writer == "torch":
        torch.save({"weights": Bomb(trace)}, path)
    else:
        path.write_bytes(pickle.dumps({"weights": Bomb(trace)}, protocol=2))
    with pytest.raises(CorruptFile, match=r"bomb\.pt"):
        read_checkpoint(path)
    assert not trace.exists()


def test_a_whole_pickled_module_is_refused_with_the_remedy(tmp_path):
    torch.save(UNet(2), tmp_path / "module.pt")
    with pytest.raises(CorruptFile, match=r"pickled code, which is not run: .*UNet .*state dict"):
        read_checkpoint(tmp_path / "module.pt")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_tensors_never_raise_anything_else(tmp_path, data):
    """What damaged torch files raise is told by their reader, see tests/security."""
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.arange(20.0), "b": torch.ones(3, 4)}, path)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(raw))
    with suppress(CorruptFile):  # a flipped bit of a weight cannot be seen
        read_checkpoint(path)
