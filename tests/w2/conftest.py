"""An official image pair of random networks, served by this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from srbench import download
from srbench.files import git_blob_sha1
from srbench.networks import ConvICNN64, ResNetGenerator
from srbench_w2 import official
from tests.file_server import FileServer

FOLDER = "benchmarks/CelebA64"


@dataclass
class Official:
    """The networks behind the fake official files, and a folder that holds them."""

    generator: ResNetGenerator
    potentials: list[ConvICNN64]
    folder: Path
    manifest: Path
    blobs: dict[str, str]


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> Official:
    """Random networks saved as the authors save theirs, and a manifest with their hashes."""
    folder = tmp_path_factory.mktemp("official")
    with torch.random.fork_rng():
        torch.manual_seed(7)
        generator = ResNetGenerator()
        potentials = [ConvICNN64() for _ in range(2)]
    for psi in potentials:
        psi.project()
    (folder / FOLDER).mkdir(parents=True)
    names = ("Final_G", "Early_v1", "Early_v2")
    for name, network in zip(names, [generator, *potentials], strict=True):
        torch.save(network.state_dict(), folder / FOLDER / f"{name}.pt")
    blobs = {f"{FOLDER}/{name}.pt": git_blob_sha1(folder / FOLDER / f"{name}.pt") for name in names}
    for network in (generator, *potentials):
        network.eval()
    found = Official(generator, potentials, folder, folder / "official_files.json", blobs)
    write_manifest(found, "http://127.0.0.1:9")
    return found


def write_manifest(saved: Official, url: str) -> None:
    """The project's own manifest with another host and the hashes of the random networks."""
    manifest = json.loads(Path(official.__file__).with_name("official_files.json").read_text())
    manifest.update(url=f"{url}/{{path}}", files={**manifest["files"], **saved.blobs})
    saved.manifest.write_text(json.dumps(manifest))


@pytest.fixture
def server(saved, monkeypatch):
    """The server of the fake official files; the network is allowed."""
    monkeypatch.setenv("SRBENCH_OFFLINE", "0")
    monkeypatch.setattr(download, "_reached", {})
    with FileServer() as running:
        for name in saved.blobs:
            running.files[f"/{name}"] = (saved.folder / name).read_bytes()
        write_manifest(saved, running.url)
        monkeypatch.setattr(official, "MANIFEST", saved.manifest)
        yield running
