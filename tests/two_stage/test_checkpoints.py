"""Checkpoints of others: layouts, widths, downloads; what is missing is said before training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from srbench import download
from srbench.errors import (
    CorruptFile,
    DownloadError,
    MissingWeights,
    ParameterError,
    SrbenchError,
)
from srbench.files import cache_dir, git_blob_sha1, read_manifest
from srbench.networks.dsgan import DeResnet, DSGANGenerator
from srbench.networks.edsr import EDSR
from srbench.networks.patch_discriminators import DSGANDiscriminator, DSNDiscriminator
from srbench.networks.rrdbnet import RRDBNet, to_old_names
from srbench.networks.vgg128 import VGG128
from srbench.training.stage import Step
from srbench_dasr.method import DASR
from srbench_fssr.method import FSSR
from srbench_ots import method as ots
from srbench_ots.method import OTS
from tests.file_server import FileServer
from tests.fill import arr, fill
from tests.methods.photographs import Waves
from tests.two_stage.toy import build, fit, problem, same, training_of, weights_of

X = arr(3, (2, 3, 9, 6))
TWO_STAGE = [FSSR, DASR]


def restorer() -> RRDBNet:
    return fill(RRDBNet(6, 2, 5)).eval()


def edsr() -> EDSR:
    return fill(EDSR(3, 5)).eval()


def module(state: dict[str, Any]) -> dict[str, Any]:
    return {f"module.{key}": value for key, value in state.items()}


def saved(folder: Path, content: Any, name: str = "G.pth") -> str:
    torch.save(content, folder / name)
    return str(folder / name)


RRDB_LAYOUTS = {
    "new": lambda state: state, "old": to_old_names, "new-parallel": module,
    "old-parallel": lambda state: module(to_old_names(state))}
EDSR_LAYOUTS = {
    "bare": lambda state: state, "parallel": module,
    "training": lambda state: {"step": 3, "model": {"G": state, "D": {}}, "optimizer": {}},
    "training-parallel": lambda state: {"model": {"D": {"w": torch.ones(1)}, "G": module(state)}}}


@pytest.mark.parametrize("kind", TWO_STAGE)
@pytest.mark.parametrize("layout", RRDB_LAYOUTS)
def test_a_restorer_of_either_layout_decides_the_network(tmp_path, kind, layout):
    """Without any backbone on the machine; its images are in [0, 1], ours in [-1, 1]."""
    network = restorer()
    path = saved(tmp_path, RRDB_LAYOUTS[layout](network.state_dict()))
    method = build(kind, pretrained=path, residual=True).eval()
    assert kind.requires(method.params) == ()
    with torch.no_grad():
        expected = 2 * network((X + 1) / 2) - 1
        assert torch.equal(method(X), expected)
    assert method.network.conv_first.out_channels == 6
    assert len(method.network.RRDB_trunk) == 2
    assert method.beside == {}
    assert method.notes() == []
    trained, result = fit(kind, pretrained=path)
    assert (result.steps, result.stages) == (0, [])
    assert same(weights_of(trained.network), weights_of(network))


@pytest.mark.parametrize("layout", EDSR_LAYOUTS)
def test_an_edsr_of_either_layout_decides_the_network(tmp_path, layout):
    network = edsr()
    path = saved(tmp_path, EDSR_LAYOUTS[layout](network.state_dict()))
    method = build(OTS, pretrained=path, residual=True, map_average=0.9, cost="vgg",
                   cost_refresh=3).eval()
    assert OTS.requires(method.params) == ()
    assert method.average is None
    assert torch.equal(method(X), network(X))  # in [-1, 1] as it is
    assert len(method.network.body) - 1 == 3
    trained, result = fit(OTS, pretrained=path)
    assert (result.steps, result.stages) == (0, [])
    assert same(weights_of(trained.network), weights_of(network))


def test_a_checkpoint_may_be_given_without_photographs(tmp_path):
    path = saved(tmp_path, restorer().state_dict())
    for kind in TWO_STAGE:
        assert build(kind, at=problem(0, 0), pretrained=path).network is not None


def test_the_map_is_not_clamped_and_takes_any_size(tmp_path):
    state = restorer().state_dict()
    state["conv_last.bias"] = torch.tensor([5.0, -5.0, 0.0])
    method = build(FSSR, pretrained=saved(tmp_path, state)).eval()
    found = method(torch.zeros(1, 3, 5, 11))
    assert found.shape == (1, 3, 20, 44)
    assert found[0, 0].min() > 1
    assert found[0, 1].max() < -1


class TestWrongFiles:
    @pytest.mark.parametrize("kind", TWO_STAGE)
    @pytest.mark.parametrize(("change", "named"), [
        (lambda state: state.pop("trunk_conv.weight"), "'trunk_conv.weight' is missing"),
        (lambda state: state.update({"HRconv.weight": torch.zeros(6, 6, 1, 1)}),
         r"'HRconv.weight' has shape \(6, 6, 1, 1\), expected \(6, 6, 3, 3\)"),
        (lambda state: state.update(extra=torch.ones(1)), "'extra' is unexpected")])
    def test_of_the_restorer_are_refused_by_their_first_differing_key(self, tmp_path, kind, change,
                                                                      named):
        state = dict(restorer().state_dict())
        change(state)
        with pytest.raises(CorruptFile, match=named):
            build(kind, pretrained=saved(tmp_path, state))

    @pytest.mark.parametrize(("content", "named"), [
        (lambda: {k: v for k, v in edsr().state_dict().items() if k != "body.1.body.2.bias"},
         "'body.1.body.2.bias' is missing"),
        (lambda: {**edsr().state_dict(), "tail.1.weight": torch.zeros(3, 5, 1, 1)},
         r"'tail.1.weight' has shape \(3, 5, 1, 1\), expected \(3, 5, 3, 3\)"),
        (lambda: {**edsr().state_dict(), "mean": torch.zeros(3)}, "'mean' is unexpected"),
        (lambda: {"model": {"D": {}}}, "holds a NoneType, not the state dict"),
        (lambda: [1, 2], "holds a list, not the state dict"),
        (lambda: {"epoch": 3}, "its first entry is 'epoch'"),
        (lambda: restorer().state_dict(), r"no 'head.0.weight' of shape \(features, 3, 3, 3\)")])
    def test_of_the_map_are_refused_by_their_first_differing_key(self, tmp_path, content, named):
        with pytest.raises(CorruptFile, match=named):
            build(OTS, pretrained=saved(tmp_path, content()))

    @pytest.mark.parametrize("scale", [2, 8])
    def test_of_another_scale(self, tmp_path, scale):
        path = saved(tmp_path, fill(RRDBNet(4, 1, 4, scale)).state_dict())
        with pytest.raises(ParameterError, match=f"is for a scale of {scale}, not of 4"):
            build(FSSR, pretrained=path)
        path = saved(tmp_path, fill(EDSR(1, 4, scale=scale)).state_dict())
        first = {2: r"'tail\.0\.2\.weight' is missing", 8: r"'tail\.0\.4\.weight' is unexp"}[scale]
        with pytest.raises(CorruptFile, match=first):
            build(OTS, pretrained=path)

    @pytest.mark.parametrize(("kind", "other"), [
        (FSSR, edsr), (DASR, edsr), (FSSR, lambda: DSGANGenerator(1)),
        (DASR, lambda: VGG128(4, size=32))])
    def test_of_another_network(self, tmp_path, kind, other):
        path = saved(tmp_path, other().state_dict())
        with pytest.raises(CorruptFile, match=r"'conv_first\.weight' is missing"):
            build(kind, pretrained=path)

    @pytest.mark.parametrize("kind", [FSSR, DASR, OTS])
    def test_that_are_no_checkpoints_or_not_there(self, tmp_path, kind):
        (tmp_path / "text.pth").write_text("hello")
        with pytest.raises(CorruptFile, match=r"text\.pth"):
            build(kind, pretrained=str(tmp_path / "text.pth"))
        with pytest.raises(MissingWeights, match=r"nowhere\.pth"):
            build(kind, pretrained=str(tmp_path / "nowhere.pth"))


def degradation_file(folder: Path, kind: Any, parallel: bool = False, **change: Any) -> str:
    """A dictionary as both codes save it (``.tar``), optimiser states and all."""
    g, d = ((DSGANGenerator(2), DSGANDiscriminator()) if kind is FSSR else
            (DeResnet(2), DSNDiscriminator()))
    states = [fill(g).state_dict(),
              fill(d).state_dict() if kind is FSSR else DSNDiscriminator().state_dict()]
    if parallel:
        states = [module(state) for state in states]
    return saved(folder, {
        "epoch": 299, "iteration": 49_800, "model_g_state_dict": states[0],
        "models_d_state_dict": states[1], "scheduler_g_state_dict": {},
        "optimizer_g_state_dict": {"state": {}, "param_groups": []}, **change}, "AIM2019.tar")


@pytest.mark.usefixtures("backbones")
class TestPretrainedDegradation:
    @pytest.mark.parametrize("kind", TWO_STAGE)
    @pytest.mark.parametrize("parallel", [False, True])
    def test_skips_the_first_stage_and_makes_the_pairs(self, tmp_path, monkeypatch, kind, parallel):
        path = degradation_file(tmp_path, kind, parallel)
        given = {"pretrained_degradation": path, "iterations": 1}
        monkeypatch.setattr(kind, "degradation_step", lambda *given: pytest.fail("trained"))
        method = build(kind, **given)
        expected = fill(DSGANGenerator(2) if kind is FSSR else DeResnet(2))
        assert same(weights_of(method.beside["degradation"]), weights_of(expected))
        assert len(method.beside["degradation"].res_blocks) == 2  # the parameters said 1
        training = training_of(method)
        method.fit(training)
        result = training.finish()
        assert [stage.name for stage in result.stages] == ["pairs", "restoration"]
        assert same(weights_of(method.beside["degradation"]), weights_of(expected))
        assert kind.requires(method.params) == (("vgg16",) if kind is FSSR else ("alexnet",))

    def test_of_dasr_brings_its_discriminator(self, tmp_path):
        state = DSNDiscriminator().state_dict()
        path = degradation_file(tmp_path, DASR, models_d_state_dict=state)
        method = build(DASR, pretrained_degradation=path)
        assert same(weights_of(method.beside["judge"]), state)
        with pytest.raises(CorruptFile, match=r"'net\.net\.0\.weight' has shape \(64, 9, 5, 5\)"):
            build(DASR, pretrained_degradation=path, separation="avg")

    @pytest.mark.parametrize("halvings", [1, 3])
    def test_of_another_scale_is_refused(self, tmp_path, halvings):
        path = degradation_file(tmp_path, DASR,
                                model_g_state_dict=DeResnet(1, 2**halvings).state_dict())
        with pytest.raises(ParameterError, match=rf"AIM2019\.tar is for a scale of {2**halvings}"):
            build(DASR, pretrained_degradation=path)

    @pytest.mark.parametrize("kind", TWO_STAGE)
    def test_wrong_and_missing_ones_are_named(self, tmp_path, kind):
        path = degradation_file(tmp_path, kind,
                                model_g_state_dict=restorer().state_dict())
        with pytest.raises(CorruptFile, match=r"'block_input\.0\.weight' is missing"):
            build(kind, pretrained_degradation=path)
        with pytest.raises(MissingWeights, match=r"nowhere\.tar"):
            build(kind, pretrained_degradation=str(tmp_path / "nowhere.tar"))

    @pytest.mark.parametrize("kind", TWO_STAGE)
    def test_needs_no_photographs_that_hold_a_crop_of_the_first_stage(self, tmp_path, kind):
        path = degradation_file(tmp_path, kind)
        build(kind, at=problem(100, 140), pretrained_degradation=path)


class TestOfficial:
    @pytest.fixture
    def server(self, monkeypatch):
        monkeypatch.setenv("SRBENCH_OFFLINE", "0")
        monkeypatch.setattr(download, "_reached", {})
        with FileServer() as running:
            yield running

    def serve(self, server, monkeypatch, tmp_path, owner, attribute, files):
        """Publish files on the server, and a manifest that names them there."""
        manifest = json.loads(Path(getattr(owner, attribute)).read_text())
        blobs = {}
        for name, content in files.items():
            path = Path(saved(tmp_path, content, "published"))
            server.files[f"/{manifest.get('ids', {}).get(name, name)}"] = path.read_bytes()
            blobs[name] = manifest["files"][name] and git_blob_sha1(path)
        manifest |= {"url": f"{server.url}/{{path}}", "files": blobs}
        (tmp_path / "official_files.json").write_text(json.dumps(manifest))
        monkeypatch.setattr(owner, attribute, tmp_path / "official_files.json")

    @pytest.mark.parametrize(("cost", "name"), [("mse", "MSE"), ("vgg", "VGG")])
    def test_map_follows_the_cost(self, server, monkeypatch, tmp_path, cost, name):
        network = edsr()
        self.serve(server, monkeypatch, tmp_path, ots, "MANIFEST",
                   {f"state_dicts/AIM_EDSR_{name}.pt": network.state_dict()})
        method = build(OTS, pretrained="official", cost=cost).eval()
        assert torch.equal(method(X), network(X))
        build(OTS, pretrained="official", cost=cost)
        assert [path for path, _ in server.gets()] == [f"/state_dicts/AIM_EDSR_{name}.pt"]

    @pytest.mark.parametrize(("kind", "given", "name"), [
        (FSSR, {"artifacts": "tdsr"}, "ESRGAN-FS/AIM2019_TDSR.pth"),
        (FSSR, {"artifacts": "sdsr"}, "ESRGAN-FS/AIM2019_SDSR.pth"),
        (DASR, {}, "AIM_DASR_TDSR_G.pth")])
    def test_restorer(self, server, monkeypatch, tmp_path, kind, given, name):
        network = restorer()
        state = network.state_dict()
        self.serve(server, monkeypatch, tmp_path, kind, "manifest",
                   {name: to_old_names(state) if kind is DASR else state})
        method = build(kind, pretrained="official", **given).eval()
        assert torch.equal(method(X), 2 * network((X + 1) / 2) - 1)
        assert (cache_dir() / kind.__name__.lower() / name).is_file()

    @pytest.mark.usefixtures("backbones")
    @pytest.mark.parametrize(("kind", "name"), [(FSSR, "DSGAN/AIM2019.tar"), (DASR, "AIM_DSN.tar")])
    def test_degradation(self, server, monkeypatch, tmp_path, kind, name):
        content = torch.load(degradation_file(tmp_path, kind), weights_only=True)
        self.serve(server, monkeypatch, tmp_path, kind, "manifest", {name: content})
        method = build(kind, pretrained_degradation="official")
        assert same(weights_of(method.beside["degradation"]), content["model_g_state_dict"])

    @pytest.mark.parametrize(("kind", "place"), [
        (FSSR, "fssr/ESRGAN-FS/AIM2019_TDSR.pth"), (DASR, "dasr/AIM_DASR_TDSR_G.pth"),
        (OTS, "ot-super-resolution/state_dicts/AIM_EDSR_MSE.pt")])
    def test_without_a_network_it_is_said_where_the_file_goes(self, kind, place):
        with pytest.raises(DownloadError, match="SRBENCH_OFFLINE") as caught:
            build(kind, pretrained="official")
        assert place in caught.value.hint
        assert "SRBENCH_DATA" in caught.value.hint

    def test_a_file_of_the_users_is_taken_from_srbench_data(self, monkeypatch, tmp_path):
        network = restorer()
        target = tmp_path / "mine" / "dasr"
        target.mkdir(parents=True)
        saved(target, to_old_names(network.state_dict()), "AIM_DASR_TDSR_G.pth")
        monkeypatch.setenv("SRBENCH_DATA", str(tmp_path / "mine"))
        method = build(DASR, pretrained="official").eval()
        assert torch.equal(method(X), 2 * network((X + 1) / 2) - 1)

    def test_manifests_are_what_section_h_lists(self):
        fssr, dasr = read_manifest(FSSR.manifest), read_manifest(DASR.manifest)
        host = "https://data.vision.ee.ethz.ch/timofter/FrequencySeparationRWSR/checkpoints/"
        assert {name: file.url for name, file in fssr.items()} == {name: host + name for name in (
            "DSGAN/AIM2019.tar", "ESRGAN-FS/AIM2019_TDSR.pth", "ESRGAN-FS/AIM2019_SDSR.pth")}
        assert dasr["AIM_DSN.tar"].url.endswith("&id=1egzDbeL3UXeDwrjIapIL2HMtHEDImLSr")
        assert dasr["AIM_DASR_TDSR_G.pth"].url.endswith("&id=1vOcFD1nfm9AVcU5xzFCnphMydCBPtYfZ")
        assert "none given" in dasr["AIM_DSN.tar"].licence


@pytest.fixture
def untrained(monkeypatch):
    """Fails a test in which a step is taken."""
    monkeypatch.setattr(Step, "minimize", lambda *given: pytest.fail("trained"))


@pytest.mark.usefixtures("untrained")
class TestMissingBackbones:
    """Nothing is trained, the command that mends it is the hint."""

    @pytest.mark.parametrize(("kind", "given", "present", "missing"), [
        (FSSR, {}, (), "vgg16"), (FSSR, {}, ("vgg16",), "alexnet"),
        (FSSR, {"vgg": "vgg19"}, ("alexnet", "vgg16"), "vgg19"), (DASR, {}, ("vgg16",), "alexnet"),
        (OTS, {"cost": "vgg"}, ("alexnet",), "vgg16")])
    def test_are_named(self, put, kind, given, present, missing):
        put(*present)
        with pytest.raises(MissingWeights, match=f"weights of {missing} are not on this machine") \
                as caught:
            fit(kind, **given)
        assert caught.value.hint == f"srbench fetch weights {missing}"

    def test_the_papers_fssr_stops_without_vgg19_and_without_esrgan(self, put, tmp_path,
                                                                    monkeypatch):
        put("alexnet", "vgg16")
        full = {"blocks": 23, "features": 64, "growth": 32}
        with pytest.raises(MissingWeights, match=r"RRDB_ESRGAN_x4\.pth.* is not on this machine") \
                as caught:
            build(FSSR, "paper", **full)
        assert str(cache_dir() / "weights") in caught.value.hint
        assert "github.com/xinntao/ESRGAN" in caught.value.hint
        assert "init=random" in caught.value.hint
        monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path))
        saved(tmp_path, restorer().state_dict(), "RRDB_ESRGAN_x4.pth")
        with pytest.raises(MissingWeights, match="vgg19") as caught:
            build(FSSR, "paper", features=6, blocks=2, growth=5)
        assert caught.value.hint == "srbench fetch weights vgg19"


@pytest.mark.usefixtures("narrow")
class TestTheStartOfTheRestorer:
    def test_esrgan_is_found_in_the_users_folder_and_before_the_cache(self, monkeypatch, tmp_path):
        network, other = restorer(), RRDBNet(6, 2, 5)
        saved(cache_dir() / "weights", other.state_dict(), "RRDB_ESRGAN_x4.pth")
        given = {"init": "esrgan", "features": 6, "blocks": 2, "growth": 5, "residual": False}
        assert same(weights_of(build(FSSR, **given).network), weights_of(other))
        monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path))  # has no such file
        assert same(weights_of(build(FSSR, **given).network), weights_of(other))
        saved(tmp_path, module(to_old_names(network.state_dict())), "RRDB_ESRGAN_x4.pth")
        method = build(FSSR, **given)
        assert same(weights_of(method.network), weights_of(network))
        assert not any("random" in note for note in method.notes())

    @pytest.mark.parametrize(("given", "named"), [
        ({"features": 4}, "features=6, blocks=2, growth=5, the parameters say features=4, "
                          "blocks=2, growth=5"),
        ({"blocks": 1}, "say features=6, blocks=1"), ({"growth": 4}, "blocks=2, growth=4")])
    def test_must_be_of_the_size_the_parameters_say(self, tmp_path, given, named):
        path = saved(tmp_path, restorer().state_dict())
        with pytest.raises(ParameterError, match=named):
            build(DASR, **{"features": 6, "blocks": 2, "growth": 5, "init": path, **given})

    def test_must_be_of_the_scale_of_the_problem(self, tmp_path):
        path = saved(tmp_path, RRDBNet(4, 1, 4, 2).state_dict())
        with pytest.raises(ParameterError, match="is for a scale of 2, not of 4"):
            build(FSSR, init=path)

    def test_with_a_residual_only_the_last_layer_is_cleared(self, tmp_path):
        path = saved(tmp_path, restorer().state_dict())
        method = build(DASR, init=path, features=6, blocks=2, growth=5, residual=True)
        for key, value in method.network.state_dict().items():
            if key.startswith("conv_last"):
                assert not value.any()
            else:
                assert torch.equal(value, restorer().state_dict()[key])

    def test_is_kaiming_times_a_tenth_in_dasr_and_in_fssrs_dense_blocks(self):
        for kind, first in ((DASR, 0.1 * (2 / 27) ** 0.5), (FSSR, (1 / 27 / 3) ** 0.5)):
            torch.manual_seed(0)
            network = build(kind, features=64, growth=32, residual=False).network
            assert float(network.conv_first.weight.std()) == pytest.approx(first, rel=0.1)
            dense = network.RRDB_trunk[0].RDB1.conv1.weight
            assert float(dense.std()) == pytest.approx(0.1 * (2 / (64 * 9)) ** 0.5, rel=0.05)
            assert bool(network.conv_first.bias.any()) is (kind is FSSR)
            assert not network.RRDB_trunk[0].RDB1.conv1.bias.any()


@pytest.mark.usefixtures("narrow", "untrained")
@pytest.mark.parametrize(("kind", "given", "named"), [
    (FSSR, {"kernel": 8}, "filter of side 8"), (FSSR, {"dsgan_kernel": 4}, "filter of side 4"),
    (DASR, {"separation": "gau", "dsn_kernel": 4}, "filter of side 4"),
    (DASR, {"hr_crop": 96}, "hr_crop=96 makes LR crops of less than 32"),
    (FSSR, {"hr_crop": 32, "batch_size": 1}, "batch_size=1 and hr_crop=32"),
    (FSSR, {"degradation_share": 0.6, "pairs_share": 0.5}, "pairs_share=0.5 is less than"),
    (FSSR, {"hr_crop": 40}, "hr_crop=40"), (DASR, {"dsn_crop": 100}, "dsn_crop=100"),
    (FSSR, {"artifacts": "both"}, "artifacts='both'"), (DASR, {"bands": "max"}, "bands='max'")])
def test_settings_that_cannot_work_are_named_before_any_training(kind, given, named):
    with pytest.raises(SrbenchError, match=named) as caught:
        fit(kind, None, Waves(), **given)
    assert isinstance(caught.value, ParameterError)
