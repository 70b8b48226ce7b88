"""The packages of docs/examples, installed from wheels in an environment of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.fakes import ROOT

EXAMPLES = ROOT / "docs" / "examples"
NAMES = ("cincgan", "facesr")
LINES = 250
STAGES = {"cincgan": ["clean", "enlarge", "joint"], "facesr": ["high-to-low", "low-to-high"]}


class Environment:
    """A fresh environment; what srbench depends on is seen from that of the tests.

    srbench itself is seen from the repository's sources: tests/test_package.py has its wheel.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")],
                       check=True)
        self.site, = (folder / "env").glob("lib/python*/site-packages")
        seen = [path for path in sys.path if path.endswith("site-packages")]
        (self.site / "seen.pth").write_text(
            "\n".join([*seen, str(ROOT), str(ROOT / "plugins"), ""]))
        self.python = folder / "env" / "bin" / "python"
        self.install()

    def install(self) -> None:
        """Build wheels from copies of what git has, then install them, without an index."""
        wheels = self.folder / "wheels"
        for name in NAMES:
            copy = self.folder / "sources" / f"srbench-{name}"
            for path in sources(name):
                target = copy / path.relative_to(EXAMPLES / f"srbench-{name}")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
            self.run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation",
                     "--quiet", "--wheel-dir", str(wheels), str(copy))
        self.run(str(self.python), "-m", "pip", "install", "--no-deps", "--no-index", "--quiet",
                 *map(str, wheels.glob("*.whl")))

    def run(self, *command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command beside the sources, not within them."""
        plain = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(command, cwd=self.folder, text=True, capture_output=True,
                              check=False, timeout=900, env=plain)
        assert done.returncode == code, done.stdout[-4000:] + done.stderr[-4000:]
        return done

    def srbench(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command line of the environment."""
        return self.run(str(self.python), "-m", "srbench", *words)


def sources(name: str) -> list[Path]:
    """What belongs to a package: no leftovers of builds or tests."""
    left = {"build", "dist", "__pycache__", ".pytest_cache", "runs"}
    folder = EXAMPLES / f"srbench-{name}"
    return [path for path in sorted(folder.rglob("*")) if path.is_file()
            and not left & set(path.relative_to(folder).parts) and ".egg-info" not in str(path)]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("examples"))


@pytest.mark.parametrize("name", NAMES)
def test_a_package_is_whole_and_small(name):
    folder = EXAMPLES / f"srbench-{name}"
    found = {path.relative_to(folder).as_posix() for path in sources(name)}
    assert found >= {"pyproject.toml", "README.md", "LICENSE", ".github/workflows/ci.yml",
                     f"srbench_{name}/__init__.py", f"srbench_{name}/py.typed",
                     f"tests/test_{name}.py"}
    for path in folder.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= LINES, path
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["srbench"] == {name: f"srbench_{name}"}
    text = (folder / "README.md").read_text()
    for part in ("## Measured", "## What differs from the paper", "## Citation", "## Licence"):
        assert part in text
    assert f"srbench run --methods {name},bicubic --dataset aim19" in text


@pytest.mark.parametrize("name", NAMES)
def test_a_package_uses_the_public_door_alone(name):
    """What write-a-method.md allows, and nothing else of srbench."""
    allowed = {"srbench", "srbench.networks", "srbench.training", "srbench.testing",
               f"srbench_{name}.losses", f"srbench_{name}.method", f"srbench_{name}.networks"}
    lines = [line.split()[1] for path in (EXAMPLES / f"srbench-{name}").rglob("*.py")
             for line in path.read_text().splitlines()
             if line.startswith(("from srbench", "import srbench"))]
    assert set(lines) <= allowed
    page = (ROOT / "docs" / "write-a-method.md").read_text()
    assert all(f"`{module}`" in page for module in allowed if "_" not in module)


def test_the_wheels_are_what_is_listed(environment):
    for name in NAMES:
        wheel, = (environment.folder / "wheels").glob(f"srbench_{name}-*.whl")
        assert f"srbench_{name}/method.py" in zipfile.ZipFile(wheel).namelist()
        assert (environment.site / f"srbench_{name}" / "method.py").is_file()
    listed = json.loads(environment.srbench("list", "--json").stdout)
    assert not listed["broken"]
    found = {entry["name"]: entry for entry in listed["methods"]}
    for name in NAMES:
        assert found[name]["distribution"] == f"srbench-{name}"
        text = (EXAMPLES / f"srbench-{name}" / "README.md").read_text()
        card = json.loads(environment.srbench("info", name, "--json").stdout)
        assert card["citation"] in text
        assert all(row["description"] for row in card["parameters"])


def test_a_run_of_both_gives_records_and_a_page(environment):
    done = environment.srbench("run", "--methods", "cincgan,facesr,bicubic", "--dataset", "aim19",
                               "--budget", "6it", "--metrics", "psnr",
                               "--set", "facesr.batch_size=2",
                               "--set", "cincgan.batch_size=2")
    records = [json.loads(path.read_text())
               for path in environment.folder.glob("runs/cells/*/record.json")]
    found = {record["identity"]["method"]: record for record in records}
    assert set(found) == {*NAMES, "bicubic"}
    assert {record["outcome"]["status"] for record in records} == {"ok"}
    for name in NAMES:
        stages = found[name]["cost"]["stages"]
        assert [stage["name"] for stage in stages] == STAGES[name]
        assert sum(stage["steps"] for stage in stages) == 6
        assert found[name]["values"]["final"]["psnr"]["value"] > 15
    page = environment.folder / done.stdout.strip().splitlines()[-1]
    text = page.read_text()
    assert all(name in text for name in NAMES)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", NAMES)
def test_their_own_tests_pass(environment, name):
    done = environment.run(str(environment.python), "-m", "pytest", "-q", "-p", "no:cacheprovider",
                           str(environment.folder / "sources" / f"srbench-{name}" / "tests"))
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
def test_the_checks_pass(environment, name):
    results = json.loads(environment.srbench("check", name, "--json").stdout)["results"]
    assert len(results) >= 25
    assert {result["verdict"] for result in results} <= {"passed", "not tried"}
