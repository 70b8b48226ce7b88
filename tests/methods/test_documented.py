"""The examples of the documentation run as they are printed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch

from srbench import Field, Parameters, Problem
from srbench.errors import Interrupted
from srbench.registry.catalog import discover
from srbench.spec import parse_specs
from tests.methods.toy import GaussianPair, Noise, train

ROOT = Path(__file__).resolve().parents[2]
PAGE, README = ROOT / "docs" / "write-a-method.md", ROOT / "README.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(path: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(path.read_text(encoding="utf-8"))
            if kind == language]


@pytest.fixture
def colour(tmp_path, monkeypatch):
    """The package of the documentation, installed as a wheel would be."""
    written = []
    for text in blocks(PAGE, "python"):
        first, _, rest = text.partition("\n")
        if first.startswith("# srbench_colour/"):
            path = tmp_path / first.removeprefix("# ")
            path.parent.mkdir(exist_ok=True)
            path.write_text(rest, encoding="utf-8")
            written.append(path.name)
    assert written == ["__init__.py", "method.py"]
    entry, = re.findall(r"\[project\.entry-points\.srbench\]\n(.*)\n", PAGE.read_text())
    info = tmp_path / "srbench_colour-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: srbench-colour\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[srbench]\n{entry.replace(chr(34), '')}\n")
    monkeypatch.syspath_prepend(str(ROOT / "plugins"))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield discover().method("colour")
    for name in [name for name in sys.modules if name.startswith("srbench_colour")]:
        del sys.modules[name]


class TestTheColourMethod:
    def test_is_found_by_its_entry_point_without_torch_in_its_top_module(self, colour):
        assert colour.origin == "srbench-colour:colour"
        assert "import torch" not in Path(colour.module.__file__).read_text()
        assert colour.info.load == "srbench_colour.method:Colour"

    def test_learns_the_colour_between_two_sets_of_images(self, colour):
        """HR of the toy is brighter than LR by a quarter in every channel."""
        method, result = train(colour.load(), Noise(8), log_every=100)
        assert method.colour.flatten().tolist() == pytest.approx([0.25] * 3, abs=0.03)
        assert (result.steps, result.parameters) == (500, 3)
        assert result.stages[0].images == 16_000
        assert result.stages[0].calls == {"map": 8000}
        assert result.history["name"] == ["loss"] * 5
        assert result.history["value"][-1] < result.history["value"][0]
        assert method(torch.zeros(2, 3, 4, 6)).shape == (2, 3, 4, 6)

    def test_resumes_to_the_same_bits_as_the_page_promises(self, colour, tmp_path):
        whole, _ = train(colour.load(), Noise(8))
        asked = []

        def stop():
            asked.append(None)
            return len(asked) == 333

        with pytest.raises(Interrupted):
            train(colour.load(), Noise(8), folder=tmp_path / "cell", should_stop=stop)
        resumed, result = train(colour.load(), Noise(8), folder=tmp_path / "cell")
        assert result.resumes == 1
        assert torch.equal(resumed.colour, whole.colour)

    @pytest.mark.parametrize(("spec", "lr"), [("colour", 1e-2), ("colour[lr=0.1]", 0.1)])
    def test_takes_its_parameter_from_a_spec(self, colour, spec, lr):
        parsed, = parse_specs([spec])
        assert colour.load().Params.resolve("quick", "image", parsed.given).lr == lr

    def test_an_attribute_of_the_page_exists(self, colour):
        """``self.problem`` tells domain, lr_shape, hr_shape, scale and dim."""
        listed = re.search(r"`self\.problem` tells (.*?)\.", PAGE.read_text(), re.DOTALL)[1]
        names = set(re.findall(r"`(\w+)`", listed))
        assert names >= {"domain", "lr_shape", "hr_shape", "scale", "dim"}
        problem = Problem(domain="sr", lr_shape=(3, 2, 2), hr_shape=(3, 4, 4), scale=2)
        assert all(hasattr(problem, name) for name in names)


def test_the_parameters_example_resolves_as_the_page_says():
    text, = (text for text in blocks(PAGE, "python") if "class Params(Parameters)" in text
             and "quick@vector" in text)
    names = {"Parameters": Parameters, "Field": Field, "__name__": __name__}
    exec(compile(text, str(PAGE), "exec", dont_inherit=True), names)
    params = names["Params"]
    found = {(preset, domain): params.resolve(preset, domain, {}).iterations
             for preset in ("paper", "code", "quick") for domain in ("image", "vector")}
    assert found == {("paper", "image"): 10_000, ("paper", "vector"): 10_000,
                     ("code", "image"): 25_000, ("code", "vector"): 25_000,
                     ("quick", "image"): 300, ("quick", "vector"): 1000}


class TestReadme:
    def test_its_tables_name_what_is_installed(self):
        text = README.read_text()
        methods = text.partition("| methods |")[2].partition("| datasets |")[0]
        datasets = text.partition("| datasets |")[2].partition("\n\n")[0]
        first = [line.split("|")[1] for line in methods.splitlines() if line.startswith("| `")]
        named = {name for cell in first for name in re.findall(r"`([a-z0-9-]+)", cell)}
        catalog = discover()
        own = {name for name, entry in catalog.methods.items() if entry.distribution == "srbench"}
        assert named == own
        first = [line.split("|")[1] for line in datasets.splitlines() if line.startswith("| `")]
        named = {name for cell in first for name in re.findall(r"`([a-z0-9-]+)", cell)}
        assert named == {name for name, entry in catalog.datasets.items()
                         if entry.distribution == "srbench"}


def test_the_toys_of_these_tests_are_what_they_say():
    """The toy's map carries N(0, I) to a Gaussian of covariance W W^T."""
    dataset = GaussianPair()
    y = dataset.sample_hr(2**15, torch.Generator().manual_seed(0))
    assert torch.allclose(y.T.cov(), dataset.WEIGHT @ dataset.WEIGHT.T, atol=0.06)
    assert (torch.linalg.eigvalsh(dataset.WEIGHT) > 0).all()
