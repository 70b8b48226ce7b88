"""The authors' checkpoints: layout, width, download, and what happens with a wrong file."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from srbench import Problem, Skipped
from srbench.errors import CorruptFile, DownloadError, MissingWeights, ParameterError
from srbench.files import cache_dir, git_blob_sha1, read_manifest
from srbench.networks import ResNetPotential, UNet
from srbench_ots import method as ots
from srbench_ots.method import OTS
from srbench_wgan_gp import PUBLISHED_LAMBDAS
from srbench_wgan_gp import method as wgan_gp
from srbench_wgan_gp.method import WGANGP
from tests.fill import arr, fill
from tests.methods.toy import GaussianPair, Noise, train

PROBLEM = Problem(domain="image", lr_shape=(3, 16, 16), hr_shape=(3, 16, 16))


def save_official(path: Path, network: torch.nn.Module) -> torch.nn.Module:
    """Save a map as its authors did: inside Sequential(reshape, UNet, flatten)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({f"1.{key}": value for key, value in network.state_dict().items()}, path)
    return network.eval()


def build(method_class: Any, pretrained: str, problem: Problem = PROBLEM, **given: Any) -> Any:
    given = {"lambda" if key == "lam" else key: value for key, value in given.items()}
    values = {"pretrained": pretrained, **given}
    return method_class(method_class.Params.resolve("quick", problem.domain, values), problem)


@pytest.mark.parametrize("method_class", [OTS, WGANGP])
@pytest.mark.parametrize("base", [2, 6])
def test_a_checkpoint_decides_the_width_and_is_used_as_it_is(tmp_path, method_class, base):
    network = save_official(tmp_path / "T.pt", fill(UNet(base)))
    method = build(method_class, str(tmp_path / "T.pt"), unet_base=3, residual=True).eval()
    x = arr(0, (2, 3, 16, 16))
    assert torch.equal(method(x), network(x))


@pytest.mark.parametrize("method_class", [OTS, WGANGP])
def test_training_is_skipped(tmp_path, method_class):
    network = save_official(tmp_path / "T.pt", fill(UNet(2)))
    method, result = train(method_class, Noise(), pretrained=str(tmp_path / "T.pt"))
    assert result.steps == 0
    assert result.stages == []
    for key, value in network.state_dict().items():
        assert torch.equal(value, method.network.state_dict()[key]), key


def test_a_bare_state_dict_loads_too(tmp_path):
    torch.save(fill(UNet(2)).state_dict(), tmp_path / "T.pt")
    assert build(OTS, str(tmp_path / "T.pt")).network.outc.conv.weight.shape == (3, 2, 1, 1)


def damaged(state: dict[str, Any], kind: str) -> Any:
    if kind == "missing":
        del state["1.down2.maxpool_conv.1.double_conv.0.weight"]
    elif kind == "shape":
        state["1.up4.conv.double_conv.3.weight"] = torch.zeros(1, 1, 3, 3)
    elif kind == "extra":
        state["1.outc.scale"] = torch.ones(1)
    elif kind == "list":
        return list(state.values())
    return state


@pytest.mark.parametrize(("kind", "named"), [
    ("missing", "'down2.maxpool_conv.1.double_conv.0.weight' is missing"),
    ("shape", r"'up4.conv.double_conv.3.weight' has shape \(1, 1, 3, 3\), expected"),
    ("extra", "'outc.scale' is unexpected"),
    ("list", "holds a list, not the state dict"),
])
def test_a_wrong_file_is_refused_by_its_first_differing_key(tmp_path, kind, named):
    state = {f"1.{key}": value for key, value in UNet(2).state_dict().items()}
    torch.save(damaged(state, kind), tmp_path / "T.pt")
    with pytest.raises(CorruptFile, match=named):
        build(OTS, str(tmp_path / "T.pt"))


def test_the_potentials_file_is_refused_by_name(tmp_path):
    torch.save(ResNetPotential(16, 2, filters_max=4).state_dict(), tmp_path / "D.pt")
    with pytest.raises(CorruptFile, match=r"D\.pt is not a checkpoint of the map.*'conv_img"):
        build(OTS, str(tmp_path / "D.pt"))


def test_missing_files_and_vectors_are_refused(tmp_path):
    with pytest.raises(MissingWeights, match=r"nowhere\.pt"):
        build(OTS, str(tmp_path / "nowhere.pt"))
    with pytest.raises(Skipped, match="vectors of 2 values"):
        build(OTS, "official", GaussianPair().problem)
    with pytest.raises(ParameterError, match="no published weights for lambda=3"):
        build(WGANGP, "official", lam=3)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *given: Any) -> None:
        """Say nothing."""


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Iterator[tuple[Path, str]]:
    """A folder served over HTTP in the place of the authors' repository."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.delenv("SRBENCH_OFFLINE")
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *given: Quiet(*given, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/{{path}}"
    server.shutdown()
    thread.join()
    server.server_close()


def serve(repository: tuple[Path, str], module: Any, monkeypatch: Any, name: str, base: int) -> Any:
    """Put a map of that width into the repository, and a manifest that names it in its place."""
    folder, url = repository
    network = save_official(folder / name, fill(UNet(base)))
    manifest = json.loads(module.MANIFEST.read_text())
    manifest |= {"url": url, "files": {name: git_blob_sha1(folder / name)}}
    path = folder / "official_files.json"
    path.write_text(json.dumps(manifest))
    monkeypatch.setattr(module, "MANIFEST", path)
    return network


def test_official_downloads_once_and_verifies(repository, monkeypatch):
    network = serve(repository, ots, monkeypatch, "benchmark/checkpoints/IPM_vs_OTS/T.pt", 3)
    x = arr(0, (1, 3, 16, 16))
    assert torch.equal(build(OTS, "official").eval()(x), network(x))
    (repository[0] / "benchmark/checkpoints/IPM_vs_OTS/T.pt").unlink()
    assert torch.equal(build(OTS, "official").eval()(x), network(x))  # from the cache
    cached, = cache_dir().rglob("T.pt")
    assert cached.parts[-5] == "ot-super-resolution"


@pytest.mark.parametrize(("lam", "printed"), [(0, "0"), (0.1, "0.1"), (1.0, "1"),
                                              (100_000, "100000")])
def test_official_follows_lambda(repository, monkeypatch, lam, printed):
    name = f"benchmark/checkpoints/IPM_vs_OTS/T_GP10_LAMBDA{printed}.pt"
    network = serve(repository, wgan_gp, monkeypatch, name, 2)
    x = arr(0, (1, 3, 16, 16))
    assert torch.equal(build(WGANGP, "official", lam=lam).eval()(x), network(x))


def test_a_changed_file_is_not_used(repository, monkeypatch):
    name = "benchmark/checkpoints/IPM_vs_OTS/T.pt"
    serve(repository, ots, monkeypatch, name, 2)
    save_official(repository[0] / name, UNet(2))
    with pytest.raises(CorruptFile, match="git blob SHA-1"):
        build(OTS, "official")
    assert not list(cache_dir().rglob("T.pt"))


def test_without_a_network_the_error_says_where_to_put_the_file():
    with pytest.raises(DownloadError, match=r"T_GP10_LAMBDA0\.1\.pt.*SRBENCH_DATA"):
        build(WGANGP, "official", lam=0.1)


def test_the_manifests_name_every_published_map():
    published = read_manifest(ots.MANIFEST)
    assert list(published) == [ots.OFFICIAL_FILE, "state_dicts/AIM_EDSR_MSE.pt",
                               "state_dicts/AIM_EDSR_VGG.pt"]
    files = read_manifest(wgan_gp.MANIFEST)
    assert set(files) == {wgan_gp.OFFICIAL_FILE.format(lam=float(lam)) for lam in PUBLISHED_LAMBDAS}
    for file in (*files.values(), *published.values()):
        assert file.url.startswith("https://raw.githubusercontent.com/milenagazdieva/")
        assert len(file.git_blob_sha1) == 40
        assert file.licence.startswith("MIT")
