"""The official pair from download to pairs, with random networks in place of the authors'."""

from __future__ import annotations

import json
import logging

import pytest
import torch

from srbench.errors import CorruptFile, DownloadError, SrbenchError
from srbench.files import cache_dir
from srbench_w2 import official, pairs
from srbench_w2.images import W2Images
from srbench_w2.official import OfficialPair, official_file, pair_files
from tests.file_server import blob_sha1

CPU = torch.device("cpu")
SMALL = {"pair": "early", "test_size": 6, "validation_size": 3, "statistics_samples": 4}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dataset(**given: object) -> W2Images:
    return W2Images(W2Images.Params.resolve("paper", "image", {**SMALL, **given}), "w2-early")


@pytest.fixture(scope="module")
def pair(saved) -> OfficialPair:
    """The pair from the user's own copies, so that nothing is downloaded."""
    found = OfficialPair("early")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRBENCH_DATA", str(saved.folder))
        patch.setattr(official, "MANIFEST", saved.manifest)
        found.to(CPU)
    return found


def test_manifest_names_the_published_files():
    """Hashes and commit of the authors' repository."""
    files = pair_files("early")
    assert list(files) == [f"benchmarks/CelebA64/{name}.pt"
                           for name in ("Final_G", "Early_v1", "Early_v2")]
    generator = files["benchmarks/CelebA64/Final_G.pt"]
    assert generator.git_blob_sha1 == "e0415d31e7a61c90feadd3bea2cf8597e21bae2f"
    assert generator.path == "wasserstein2-benchmark/benchmarks/CelebA64/Final_G.pt"
    assert generator.url == (
        "https://raw.githubusercontent.com/iamalexkorotin/Wasserstein2Benchmark/"
        "647a1acc85f88e207733d087cbe87987cc0dea06/benchmarks/CelebA64/Final_G.pt")
    assert "MIT" in generator.licence
    manifest = json.loads(official.MANIFEST.read_text())
    assert len(manifest["files"]) == 51
    assert all(len(blob) == 40 for blob in manifest["files"].values())


def test_pairs_have_different_potentials():
    found = {OfficialPair(name).fingerprint() for name in ("early", "mid", "late")}
    assert len(found) == 3


class TestFromDownloadToPairs:
    def test_auto_takes_the_official_pair_where_it_is_reachable(self, server, saved, monkeypatch):
        monkeypatch.setattr(pairs, "CHUNK", 4)
        early = dataset()
        assert (early.source, early.title, early.notice) == ("official", "w2-early", "")
        assert early.problem.lr_shape == (3, 64, 64)
        assert server.gets() == []  # opening is cheap: one question, no download
        early.prepare(CPU)
        assert {path for path, _ in server.gets()} == {f"/{name}" for name in saved.blobs}
        assert len(server.gets()) == 3
        facts = early.facts()
        assert facts["samples"] == 4
        assert facts["hr_variance"] > 0

        monkeypatch.setenv("SRBENCH_OFFLINE", "1")
        again = dataset(source="official")
        again.prepare(CPU)
        (x, y), = again.test_batches(10)
        expected, = early.test_batches(10)
        assert torch.equal(x, expected[0])
        assert torch.equal(y, expected[1])
        assert x.shape == y.shape == (6, 3, 64, 64)
        assert again.fingerprint() == early.fingerprint()

    def test_corrupt_cached_file_is_fetched_again(self, server, saved, caplog):
        path = cache_dir() / "wasserstein2-benchmark/benchmarks/CelebA64/Early_v1.pt"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"rotten")
        with caplog.at_level(logging.WARNING):
            found = official_file("benchmarks/CelebA64/Early_v1.pt")
        assert found == path
        assert blob_sha1(path.read_bytes()) == saved.blobs["benchmarks/CelebA64/Early_v1.pt"]
        assert "Early_v1.pt is not the published file" in caplog.text

    def test_corrupt_cached_file_is_named_where_it_cannot_be_fetched(
            self, server, saved, monkeypatch):
        monkeypatch.setenv("SRBENCH_OFFLINE", "1")
        folder = cache_dir() / "wasserstein2-benchmark/benchmarks/CelebA64"
        folder.mkdir(parents=True)
        for name in saved.blobs:
            (folder / name.rpartition("/")[2]).write_bytes(b"rotten")
        early = dataset()
        assert early.source == "official"
        with pytest.raises(CorruptFile, match=r"Final_G\.pt is not the published file"):
            early.prepare(CPU)

    def test_file_that_vanished_after_the_plan(self, server):
        early = dataset()
        server.files.clear()
        with pytest.raises(DownloadError, match="404"):
            early.prepare(CPU)

    def test_file_of_another_network_is_refused(self, server, saved, monkeypatch, tmp_path):
        name = "benchmarks/CelebA64/Early_v1.pt"
        server.files[f"/{name}"] = content = server.files["/benchmarks/CelebA64/Final_G.pt"]
        manifest = json.loads(saved.manifest.read_text())
        manifest["files"][name] = blob_sha1(content)
        changed = tmp_path / "official_files.json"
        changed.write_text(json.dumps(manifest))
        monkeypatch.setattr(official, "MANIFEST", changed)
        with pytest.raises(CorruptFile, match="not of this ConvICNN64"):
            OfficialPair("early").to(CPU)


class TestSampling:
    def test_clean_images_are_the_generators_plus_noise(self, pair, saved):
        y = pair.clean(3, seeded(1))
        generator = seeded(1)
        z = torch.randn(3, 128, generator=generator)
        noise = torch.randn(3, 3, 64, 64, generator=generator)
        with torch.no_grad():
            faces = saved.generator(z).view(3, 3, 64, 64)
        torch.testing.assert_close(y, faces + 0.01 * noise)
        assert not torch.equal(y, pair.clean(3, seeded(2)))

    def test_map_is_the_gradient_of_the_mean_potential(self, pair, saved):
        y = pair.clean(2, seeded(1)).requires_grad_()
        value = (saved.potentials[0](y) + saved.potentials[1](y)).sum() / 2
        (expected,) = torch.autograd.grad(value, y)
        torch.testing.assert_close(pair.blurry(y.detach()), expected)

    def test_map_is_monotone(self, pair):
        a, b = pair.clean(2, seeded(1)), pair.clean(2, seeded(2))
        product = ((pair.blurry(a) - pair.blurry(b)) * (a - b)).double().sum((1, 2, 3))
        assert (product >= 0.01 * (a - b).double().square().sum((1, 2, 3)) * 0.999).all()

    def test_chunks_do_not_matter(self, pair, monkeypatch):
        y = pair.clean(3, seeded(1))
        whole = pair.blurry(y)
        monkeypatch.setattr(official, "CHUNK", 2)
        torch.testing.assert_close(pair.blurry(y), whole)
        torch.testing.assert_close(pair.clean(3, seeded(1)), y)

    def test_networks_are_frozen_and_deterministic(self, pair):
        g, psi = pair.networks
        assert not any(network.training for network in (g, *psi))
        assert not any(value.requires_grad for network in (g, *psi)
                       for value in network.parameters())
        y = pair.clean(1, seeded(3))
        assert torch.equal(pair.blurry(y), pair.blurry(y))

    def test_sampling_before_loading(self):
        with pytest.raises(SrbenchError, match="official early pair is not loaded"):
            OfficialPair("early").clean(1, seeded(0))


def test_fetch_brings_verified_files(server, saved):
    seen = set()
    params = W2Images.Params.resolve("paper", "image", SMALL)
    assert len(W2Images.missing(params)) == 3
    paths = W2Images.fetch(params, lambda label, done, total: seen.add(label))
    assert [path.name for path in paths] == ["Final_G.pt", "Early_v1.pt", "Early_v2.pt"]
    assert all(blob_sha1(path.read_bytes()) == blob
               for path, blob in zip(paths, saved.blobs.values(), strict=True))
    assert len(seen) == 3
    assert W2Images.missing(params) == []
