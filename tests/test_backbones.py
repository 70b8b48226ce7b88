"""The form in which pretrained weights are stored: identified by content, refused when in doubt."""

from __future__ import annotations

import hashlib
import struct

import pytest
import torch
from safetensors.torch import save_file

from srbench import weights
from srbench.backbones import BACKBONES, Backbone, backbone, content_hash, read_stored, store
from srbench.errors import CorruptFile, StoreError, UnknownName
from srbench.files import cache_dir


@pytest.fixture
def state():
    generator = torch.Generator().manual_seed(0)
    return {"features.0.weight": torch.randn(4, 3, 2, 2, generator=generator),
            "features.0.bias": torch.randn(4, generator=generator)}


def test_the_hash_is_that_of_the_documented_bytes():
    digest = hashlib.sha256(b"a|<f4|(2,)|" + struct.pack("<2f", 1.5, -2)
                            + b"b|<i8|(1, 1)|" + struct.pack("<q", 7))
    tensors = {"b": torch.tensor([[7]]), "a": torch.tensor([1.5, -2.0])}
    assert content_hash(tensors) == digest.hexdigest()


def test_the_hash_is_of_values_not_of_their_layout(state):
    strided = {key: value.flip(0).flip(0) for key, value in state.items()}
    strided["features.0.weight"] = state["features.0.weight"].to(memory_format=torch.channels_last)
    assert not strided["features.0.weight"].is_contiguous()
    assert content_hash(strided) == content_hash(state)
    assert content_hash({key: value.requires_grad_() for key, value in strided.items()}) == (
        content_hash(state))


def test_what_is_stored_comes_back(state):
    one = BACKBONES["vgg19"]
    path = store(one, state, "somewhere")
    assert path == one.stored == cache_dir() / "weights" / "vgg19.safetensors"
    found, origin = read_stored(path, "vgg19")
    assert origin == "somewhere"
    assert all(torch.equal(found[key], value) for key, value in state.items())
    assert list(path.parent.iterdir()) == [path]


def test_storing_again_replaces(state):
    one = BACKBONES["vgg19"]
    store(one, state, "first")
    store(one, {"features.0.bias": torch.zeros(2)}, "second")
    found, origin = read_stored(one.stored, "vgg19")
    assert (list(found), origin) == (["features.0.bias"], "second")


def damage(path, state, how):
    """Put something else where stored weights are expected."""
    if how == "no hash":
        save_file(state, path)
    elif how == "another hash":
        save_file(state, path, metadata={"content": "0" * 64})
    elif how == "a type we never store":
        halves = {key: value.bfloat16() for key, value in state.items()}
        save_file(halves, path, metadata={"content": "0" * 64})
    elif how == "one entry fewer":
        save_file({"features.0.bias": state["features.0.bias"]}, path,
                  metadata={"content": content_hash(state)})
    elif how == "cut short":
        path.write_bytes(store(BACKBONES["vgg19"], state, "x").read_bytes()[:-8])
    else:
        path.write_bytes(how.encode())


@pytest.mark.parametrize("how", ["no hash", "another hash", "a type we never store",
                                 "one entry fewer", "cut short", "", "text", "\0" * 64])
def test_whatever_is_not_what_was_stored_is_refused_with_a_remedy(state, tmp_path, how):
    path = tmp_path / "vgg19.safetensors"
    damage(path, state, how)
    with pytest.raises(CorruptFile) as caught:
        read_stored(path, "vgg19")
    assert str(path) in caught.value.message
    assert caught.value.hint == "delete it and run: srbench fetch weights vgg19"


@pytest.mark.parametrize("how", ["a type we never store", "cut short", "text"])
def test_the_status_tells_damage_instead_of_failing(state, how):
    one = BACKBONES["vgg16"]
    one.stored.parent.mkdir(parents=True)
    damage(one.stored, state, how)
    _, ok, detail, remedy = next(line for line in weights.status() if line[0] == "vgg16")
    assert (ok, remedy) == (False, "srbench fetch weights vgg16")
    assert str(one.stored) in detail
    with pytest.raises(CorruptFile):
        weights.load("vgg16")


def test_a_file_that_is_gone_is_corrupt_not_a_crash(tmp_path):
    with pytest.raises(CorruptFile):
        read_stored(tmp_path / "absent.safetensors", "vgg19")


def test_a_cache_that_cannot_be_made_is_named(state, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(StoreError, match="vgg19"):
        store(BACKBONES["vgg19"], state, "somewhere")


def test_names_urls_and_digests_of_the_published_files():
    for name, one in BACKBONES.items():
        assert backbone(name) is one
        assert one.name == name
        assert one.url.startswith("https://")
        assert one.url.endswith(one.file)
        assert len(one.sha256_prefix) == 8
        assert int(one.sha256_prefix, 16) >= 0
        assert bool(one.convolutions) == bool(one.content)
        assert list(one.convolutions) == sorted(set(one.convolutions))
    assert Backbone(name="x", url="https://h/a-b-0123abcd.pth").sha256_prefix == "0123abcd"


def test_the_number_of_convolutions_is_torchvisions():
    models = pytest.importorskip("torchvision.models")
    for name in ("alexnet", "vgg16"):
        with torch.device("meta"):  # no values are drawn
            network = getattr(models, name)(weights=None).features
        indices = tuple(index for index, layer in enumerate(network)
                        if isinstance(layer, torch.nn.Conv2d))
        assert BACKBONES[name].convolutions == indices


def test_an_unknown_network_is_answered_with_the_known_ones():
    with pytest.raises(UnknownName, match="no pretrained network named 'vgg'") as caught:
        backbone("vgg")
    assert caught.value.hint == "known: alexnet, inception, vgg16, vgg19"
