"""What the pages for plugin authors claim, against the code: names, signatures, examples."""

from __future__ import annotations

import inspect
import json
import re
from importlib import import_module

import numpy as np
import pytest
from PIL import Image

from srbench import networks
from srbench.training import Training
from tests.docs.blocks import blocks_of
from tests.fakes import ROOT, srbench

METHOD, DATASET = ROOT / "docs" / "write-a-method.md", ROOT / "docs" / "write-a-dataset.md"
CALL = re.compile(r"`(\w+)\(([^`]*)\)`")


def written(page, start: str, end: str = "\n## ") -> str:
    """The text of a section."""
    return page.read_text().partition(start)[2].partition(end)[0]


def parameters(function) -> list[tuple[str, object, object]]:
    """Name, default and kind of each parameter, as a call on a page shows them."""
    return [(value.name, value.default, value.kind) for value in
            inspect.signature(function).parameters.values()]


def shown(arguments: str) -> list[tuple[str, object, object]]:
    """The same of what stands between the parentheses on the page."""
    space: dict[str, object] = {}
    exec(f"def shown({arguments}): ...", space)
    return parameters(space["shown"])


def test_every_network_and_loss_is_listed_with_its_own_arguments():
    section = written(METHOD, "\n## Networks and losses\n")
    listed = dict(CALL.findall(section))
    missing = set(networks.__all__) - set(listed)
    assert not missing
    for name, arguments in listed.items():
        home = networks if name in networks.__all__ else import_module(
            "srbench.networks.adversarial")
        if name == "judge":  # of the reader
            continue
        found = [(one, 1 / 3 if value == pytest.approx(1 / 3) else value, kind)
                 for one, value, kind in parameters(getattr(home, name))]
        if name == "read_checkpoint":
            found = found[:1]  # `published` is for files whose hash their authors give
        assert shown(arguments) == found, name


def test_every_method_of_training_is_on_the_page():
    text = METHOD.read_text()
    public = {name for name, value in vars(Training).items()
              if callable(value) and not name.startswith("_")} - {"finish"}
    assert not {name for name in public if f"training.{name}(" not in text}
    for name in re.findall(r"training\.(\w+)\(", text):
        assert name in public, name


def test_modules_that_may_be_imported_can_be():
    section = written(METHOD, "\n## What may be imported\n")
    names = re.findall(r"`(srbench(?:\.\w+)*)`", section)
    assert len(names) >= 9
    for name in names:
        import_module(name)
    for name in re.findall(r"`([A-Z]\w+)`", section):
        assert any(hasattr(import_module(home), name) for home in names), name


def block(page, words: str) -> str:
    blocks = blocks_of(page.read_text(encoding="utf-8"), page.name)
    text, = (one.text for one in blocks if one.language == "python" and words in one.text)
    return text


INFO = ('name="example", summary="An example.", load="example:{cls}", licence="MIT", '
        'citation="@misc{{example, title = {{E}}, author = {{A}}, year = {{2020}}}}"')


def check(tmp_path, kind: str, cls: str, source: str, imports: str = "") -> list[dict[str, str]]:
    """Results of ``srbench check`` on an example of a page, as a one-file plugin."""
    info = f"{kind.capitalize()}Info"
    (tmp_path / "example.py").write_text(
        f"{imports}\nfrom srbench import {info}, hookimpl\n\n\n@hookimpl\n"
        f"def srbench_{kind}s():\n    return [{info}({INFO.format(cls=cls)})]\n\n\n{source}")
    done = srbench("check", "example.py", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["results"]


@pytest.mark.slow
def test_the_two_stage_example_keeps_the_contract_of_a_method(tmp_path):
    results = check(tmp_path, "method", "DegradeRestore", block(METHOD, "class DegradeRestore"))
    verdicts = {result["check"]: result["verdict"] for result in results}
    assert verdicts["resume-is-exact"] == verdicts["no-host-synchronisation"] == "passed"
    assert set(verdicts.values()) <= {"passed", "not tried"}


@pytest.mark.slow
def test_the_folder_of_photographs_keeps_the_contract_of_a_dataset(tmp_path):
    (tmp_path / "photographs").mkdir()
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 256, (160 + 4 * number, 200, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "photographs" / f"{number}.png")
    imports = ("import hashlib\nimport torch\nfrom torch import Generator, Tensor\n"
               "from srbench import Field, Parameters, Problem\n")
    results = check(tmp_path, "dataset", "Folder", block(DATASET, "class Folder"), imports)
    passed = {result["check"] for result in results if result["verdict"] == "passed"}
    assert passed >= {"crops-of-any-size", "scenes-apart", "test-patches-repeat",
                      "fingerprint-is-stable", "lr-and-hr-independent"}
