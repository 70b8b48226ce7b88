"""Pretrained weights are fetched once before the first cell, or the run says why they are not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from srbench import weights
from srbench.backbones import BACKBONES, store
from srbench.cli import main
from srbench.cli.prefetch import fetch_required, required
from srbench.engine import scheduler
from srbench.errors import DownloadError, UnknownName
from srbench.registry.catalog import discover

PLUGIN = '''
from srbench import DatasetInfo, MethodInfo, hookimpl

@hookimpl
def srbench_methods():
    return [MethodInfo(name=f"needs-{name}", summary="It needs weights.",
                       load=f"{__name__}:{name.title()}")
            for name in ("one", "two", "odd", "raising", "none")]

@hookimpl
def srbench_datasets():
    return [DatasetInfo(name="plane", summary="Points.", load=f"{__name__}:Plane")]

def __getattr__(name):
    from srbench import Dataset, Method, Parameters, Problem

    class Plane(Dataset):
        source = "generated"

        def __init__(self, params, name):
            super().__init__(params, name)
            self.problem = Problem(domain="vector", lr_shape=(2,), hr_shape=(2,))

        def fingerprint(self):
            return "7" * 64

        sample_lr = sample_hr = test_batches = validation_batches = None

    class Base(Method):
        class Params(Parameters):
            net: str = "alexnet"

        def fit(self, training):
            pass

        def forward(self, lr):
            return lr

    class One(Base):
        @classmethod
        def requires(cls, params):
            return (params.net,)

    class Two(Base):
        @classmethod
        def requires(cls, params):
            return ("vgg16", "alexnet")

    class Odd(Base):
        @classmethod
        def requires(cls, params):
            return ("resnet",)

    class Raising(Base):
        @classmethod
        def requires(cls, params):
            raise ZeroDivisionError

    found = {"Plane": Plane, "One": One, "Two": Two, "Odd": Odd, "Raising": Raising, "None": Base}
    if name not in found:
        raise AttributeError(name)
    return found[name]
'''


class Nothing(scheduler.Scheduler):
    """Takes the cells and runs none of them."""

    def run(self, cells):
        SAID.append(("cells", [cell.identity.label for cell in cells]))
        raise SystemExit(7)


SAID: list = []


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / f"{tmp_path.name}_plugin.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture
def run(plugin, tmp_path, monkeypatch, capsys):
    """Run the command as far as its first cell; returns (exit code, what happened, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SRBENCH_OFFLINE", "0")
    monkeypatch.setattr(scheduler, "Scheduler", Nothing)
    monkeypatch.setattr(weights, "fetch", lambda names, **_: SAID.append(("fetch", list(names))))

    def call(methods, *words):
        SAID.clear()
        capsys.readouterr()
        try:
            code = main(["run", "--plugin", str(plugin), "--dataset", "plane", "--metrics",
                         "l2-uvp", "--methods", methods, *words])
        except SystemExit as end:
            code = end.code
        return code, list(SAID), capsys.readouterr().err

    return call


def test_what_cells_need_is_fetched_once_before_the_first_of_them(run):
    code, happened, said = run("needs-one,needs-two,needs-none", "--seeds", "0,1")
    assert code == 7
    assert [what for what, _ in happened] == ["fetch", "fetch", "cells"]
    assert [names for what, names in happened[:2]] == [["alexnet"], ["vgg16"]]
    assert len(happened[2][1]) == 6
    assert "fetching pretrained weights: alexnet, vgg16" in said


def test_parameters_decide_what_is_needed(run):
    _, happened, _ = run("needs-one[net=vgg19]")
    assert happened[0] == ("fetch", ["vgg19"])


def test_what_is_here_is_not_fetched_and_what_is_damaged_is(run):
    store(BACKBONES["alexnet"], {"features.0.weight": torch.ones(2)}, "a test")
    _, happened, said = run("needs-one")
    assert [what for what, _ in happened] == ["cells"]
    assert "fetching" not in said
    BACKBONES["alexnet"].stored.write_bytes(b"torn")
    _, happened, _ = run("needs-one")
    assert happened[0] == ("fetch", ["alexnet"])


def test_a_dry_run_fetches_nothing(run):
    code, happened, said = run("needs-one", "--dry-run")
    assert (code, happened) == (0, [])
    assert "fetching" not in said


def test_offline_nothing_is_tried(run, monkeypatch):
    monkeypatch.setenv("SRBENCH_OFFLINE", "1")
    code, happened, said = run("needs-one")
    assert (code, [what for what, _ in happened]) == (7, ["cells"])
    assert "fetching" not in said


def test_where_nothing_is_needed_no_weights_are_looked_at(run, monkeypatch):
    monkeypatch.setattr(weights, "status", lambda: pytest.fail("read every file of weights"))
    code, happened, _ = run("needs-none")
    assert (code, [what for what, _ in happened]) == (7, ["cells"])


def test_a_failure_is_a_warning_and_the_others_are_still_fetched(run, monkeypatch):
    def fetch(names, **_):
        SAID.append(("fetch", list(names)))
        if names == ["alexnet"]:
            raise DownloadError("no source has the weights of alexnet", hint="buy a cable")

    monkeypatch.setattr(weights, "fetch", fetch)
    code, happened, said = run("needs-two")
    assert code == 7
    assert happened[:2] == [("fetch", ["alexnet"]), ("fetch", ["vgg16"])]
    assert "warning: no source has the weights of alexnet" in " ".join(said.split())


@pytest.mark.parametrize("method", ["needs-raising", "needs-odd"])
def test_a_plugin_that_cannot_say_does_not_stop_the_others(run, monkeypatch, method):
    real = []

    def fetch(names, **_):
        real.append(list(names))
        if names == ["resnet"]:
            raise UnknownName("pretrained network", "resnet", BACKBONES)

    monkeypatch.setattr(weights, "fetch", fetch)
    code, happened, said = run(f"{method},needs-one")
    assert (code, happened[-1][0]) == (7, "cells")
    assert len(happened[-1][1]) == 2
    assert ["alexnet"] in real
    assert ("no pretrained network named 'resnet'" in " ".join(said.split())) is (
        method == "needs-odd")


def test_a_plugin_that_is_gone_needs_nothing(plugin):
    cell = SimpleNamespace(identity=SimpleNamespace(method="needs-one", method_params={}))
    assert required(cell, discover([plugin])) == ("alexnet",)
    assert required(cell, discover()) == ()
    fetch_required([], discover())


@pytest.mark.parametrize(("method", "given", "needed"), [
    ("fssr", {}, ("alexnet", "vgg16")), ("fssr", {"vgg": "vgg19"}, ("alexnet", "vgg19")),
    ("fssr", {"pretrained": "official"}, ()), ("fssr", {"pretrained_degradation": "x"}, ("vgg16",)),
    ("dasr", {}, ("alexnet",)), ("dasr", {"pretrained": "x"}, ()),
    ("dasr", {"pretrained_degradation": "official"}, ("alexnet",)), ("ots", {}, ()),
    ("ots", {"cost": "vgg"}, ("vgg16",)), ("ots", {"cost": "vgg", "pretrained": "x"}, ()),
    ("bicubic", {}, ())])
def test_what_the_built_in_methods_need(method, given, needed):
    catalog = discover()
    params = catalog.method(method).load().Params.resolve("quick", "sr", given)
    cell = SimpleNamespace(identity=SimpleNamespace(method=method, method_params=params.public()))
    assert required(cell, catalog) == needed
