"""The packages of ``srbench new``, built as wheels and used as a stranger would."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.docs.blocks import blocks_of
from tests.fakes import ROOT, srbench

KINDS = ("method", "dataset")
NAMES = {"method": "shift", "dataset": "stretch"}
LIMIT = 30  # lines of Python that are not blank, docstrings included, in a package's own modules


class Packages:
    """Both packages: their folders, what was printed, and where their wheels are unpacked."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.site = folder, folder / "site"
        self.printed = {kind: srbench("new", kind, NAMES[kind], "--author", "A. O'Brien \"X\"",
                                      cwd=folder) for kind in KINDS}
        self.folders = {kind: folder / f"srbench-{NAMES[kind]}" for kind in KINDS}

    def build(self) -> None:
        """Build both wheels as pip does; the tools to build with are those of the tests."""
        done = subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet",
             "--wheel-dir", str(self.folder), *map(str, self.folders.values())],
            text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        for wheel in self.folder.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(self.site)

    def python(self, *words: str, **options) -> subprocess.CompletedProcess[str]:
        """Run Python where both are installed."""
        paths = [str(path) for path in (self.site, ROOT, ROOT / "plugins")]
        return subprocess.run([sys.executable, *words], text=True, capture_output=True,
                              check=False, cwd=self.folder, timeout=300,
                              env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, **options)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    made = Packages(tmp_path_factory.mktemp("packages"))
    made.build()
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_there_and_none_besides(packages, kind):
    name = NAMES[kind]
    found = {path.relative_to(packages.folders[kind]).as_posix()
             for path in packages.folders[kind].rglob("*") if path.is_file()}
    found = {path for path in found if not path.startswith(("build/", f"srbench_{name}.egg-info"))}
    wanted = {"pyproject.toml", "README.md", "LICENSE", ".gitignore", ".github/workflows/ci.yml",
              f"srbench_{name}/__init__.py", f"srbench_{name}/{kind}.py",
              f"srbench_{name}/py.typed", f"tests/test_{name}.py"}
    assert found == wanted
    said = {line.removeprefix(f"wrote srbench-{name}/")
            for line in packages.printed[kind].stderr.splitlines()}
    assert said == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_its_python_is_at_most_thirty_lines(packages, kind):
    files = (packages.folders[kind] / f"srbench_{NAMES[kind]}").glob("*.py")
    lines = [line for path in files for line in path.read_text().splitlines()]
    assert 15 < len([line for line in lines if line.strip()]) <= LIMIT
    assert max(len(line) for line in lines) <= 100


def test_wheels_hold_the_module_its_types_and_the_licence(packages):
    for kind in KINDS:
        name = NAMES[kind]
        wheel, = packages.folder.glob(f"srbench_{name}-0.1.0-*.whl")
        held = set(zipfile.ZipFile(wheel).namelist())
        info = f"srbench_{name}-0.1.0.dist-info"
        assert held == {f"srbench_{name}/__init__.py", f"srbench_{name}/{kind}.py",
                        f"srbench_{name}/py.typed", f"{info}/licenses/LICENSE",
                        f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD",
                        f"{info}/entry_points.txt", f"{info}/top_level.txt"}
        metadata = (packages.site / info / "METADATA").read_text()
        assert "License-Expression: MIT" in metadata
        assert "Author: A. O'Brien \"X\"" in metadata
        assert "Requires-Dist: srbench>=0.1" in metadata


def test_both_are_listed_with_their_facts(packages):
    listed = json.loads(srbench("list", "--json", site=packages.site).stdout)
    assert not listed["broken"]
    found = {entry["name"]: entry for kind in ("methods", "datasets") for entry in listed[kind]}
    for kind in KINDS:
        entry = found[NAMES[kind]]
        assert entry["plugin"] == NAMES[kind]
        assert entry["distribution"] == f"srbench-{NAMES[kind]}"
        assert entry["version"] == "0.1.0"
    card = json.loads(srbench("info", "shift", "--json", site=packages.site).stdout)
    assert card["licence"] == "MIT"
    assert re.fullmatch(r"@misc\{shift, title = \{[^{}]+\}, author = \{A\. O'Brien \"X\"\}, "
                        r"year = \{20\d\d\}\}", card["citation"])
    bounds = {row["name"]: row["bounds"] for row in card["parameters"]}
    assert bounds == {"lr": "> 0, <= 1", "batch_size": ">= 1, <= 1024", "iterations": ">= 1"}
    assert all(row["description"] for row in card["parameters"])


def test_their_own_tests_pass(packages):
    done = packages.python("-m", "pytest", "-q", "-p", "no:cacheprovider",
                           *(str(packages.folders[kind] / "tests") for kind in KINDS))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_a_run_of_one_on_the_other_gives_a_record(packages, tmp_path):
    done = srbench("run", "--methods", "shift", "--dataset", "stretch[dim=3]", "--budget",
                   "20it", "--runs", str(tmp_path), "-q", site=packages.site)
    assert done.returncode == 0, done.stdout + done.stderr
    path, = tmp_path.glob("cells/*/record.json")
    record = json.loads(path.read_text())
    assert record["outcome"]["status"] == "ok"
    assert record["identity"]["method"] == "shift"
    assert record["cost"]["stages"][0]["steps"] == 20
    # x -> diag(1, 2, 3) x moves N(0, I) by E|x - y|^2 = 0 + 1 + 4, and Q varies by 14. Both have
    # mean 0, and 20 steps of Adam shift a value by at most 0.2.
    uvp = record["values"]["final"]["l2-uvp"]["value"]
    assert uvp == pytest.approx(100 * 5 / 14, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_checks_pass_at_once(packages, kind):
    done = srbench("check", NAMES[kind], "--json", site=packages.site, cwd=packages.folder)
    assert done.returncode == 0, done.stdout
    verdicts = [result["verdict"] for result in json.loads(done.stdout)["results"]]
    assert len(verdicts) > 15
    assert set(verdicts) <= {"passed", "not tried"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_pages_show_what_is_written(tmp_path, kind):
    """write-a-method.md and write-a-dataset.md print the modules as ``srbench new`` makes them."""
    page = ROOT / "docs" / f"write-a-{kind}.md"
    shown = {}
    for block in blocks_of(page.read_text(encoding="utf-8"), page.name):
        first, _, rest = block.text.partition("\n")
        if block.language == "python" and first.startswith("# srbench_"):
            shown[first.removeprefix("# ")] = rest
    name = re.match(r"srbench_(\w+)/", next(iter(shown)))[1]
    srbench("new", kind, name, "--author", "A. Nonymous", cwd=tmp_path)
    assert f"srbench_{name}/{kind}.py" in shown
    for path, text in shown.items():
        written = (tmp_path / f"srbench-{name}" / path).read_text()
        assert re.sub(r"\{20\d\d\}", "{YEAR}", text) == re.sub(r"\{20\d\d\}", "{YEAR}", written)


@pytest.mark.parametrize("kind", KINDS)
def test_readme_names_the_same_commands_and_citation(packages, kind):
    commands = packages.printed[kind].stdout.splitlines()
    text = (packages.folders[kind] / "README.md").read_text()
    assert commands[0] == f"pip install -e srbench-{NAMES[kind]}"
    for command in commands[1:]:
        assert f"\n{command}\n" in text
    assert "## Citation" in text
    assert "@misc{" in text
    assert "MIT, see [LICENSE](LICENSE)" in text
    project = tomllib.loads((packages.folders[kind] / "pyproject.toml").read_text())["project"]
    assert project["authors"] == [{"name": "A. O'Brien \"X\""}]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_printed_commands_work_as_printed(packages, kind, tmp_path):
    """In an environment of its own that sees what is installed for the tests."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")],
                   check=True)
    site, = (tmp_path / "env").glob("lib/python*/site-packages")
    here = [path for path in sys.path if path.endswith("site-packages")]
    (site / "seen.pth").write_text("\n".join([*here, str(ROOT), str(ROOT / "plugins"), ""]))
    programs = tmp_path / "env" / "bin"
    for program, module in (("srbench", "srbench"), ("pip", "pip")):
        (programs / program).write_text(f"#!{programs / 'python'}\nimport runpy\n"
                                        f"runpy.run_module({module!r}, run_name='__main__')\n")
        (programs / program).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                   "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_DEPS": "1"}
    for command in packages.printed[kind].stdout.splitlines():
        assert shlex.split(command)[0] in ("pip", "srbench")
        done = subprocess.run(command, shell=True, cwd=packages.folder, env=environment, text=True,
                              capture_output=True, check=False, timeout=600)
        assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
