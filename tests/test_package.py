"""The package as users get it: wheel contents, public names, import arrows, README's commands."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*ROOT.glob("srbench/**/*.py"), *ROOT.glob("plugins/**/*.py")])
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/__init__.py"))

# Who may import whom inside srbench, by top-level part. Nothing reaches back to an earlier step
# of the straight line cli -> plan -> engine -> training/evaluation -> results -> boards.
MAY_IMPORT = {
    "errors": set(),
    "registry": {"errors"},
    "spec": {"errors"},
    "atomic": {"errors"},
    "download": {"atomic", "errors", "files"},
    "paths": set(),
    "files": {"atomic", "download", "errors", "paths"},
    "imagestore": {"atomic", "errors"},
    "api": {"errors"},
    "foreign": {"errors", "files"},
    "networks": {"backbones", "errors", "files", "foreign", "weights"},
    "training": {"api", "atomic", "errors", "files", "results.record"},
    "backbones": {"atomic", "errors", "files"},
    "weights": {"atomic", "backbones", "errors", "files", "foreign", "weights_sdist"},
    "weights_sdist": {"atomic", "errors", "files", "foreign"},
    "evaluation": {"api", "backbones", "errors", "files", "networks", "registry",
                   "results.record", "weights"},
    "results": {"atomic", "errors", "files", "foreign"},
    "boards": {"atomic", "errors", "files", "foreign", "registry", "results", "spec", "verify"},
    "conformance": {"api", "engine.footprint", "engine.processes", "errors", "evaluation", "files",
                    "paths", "registry", "training"},
    "testing": {"conformance"},
    "scaffold": {"atomic", "errors", "registry"},
    "verify": {"engine.identity", "errors", "files", "foreign", "results"},
    "running": {"boards", "engine", "errors", "paths", "plan", "registry", "results", "spec",
                "training"},
    # The other face: it says things in the words and tables of the command line.
    "python": {"api", "boards", "cli", "engine.identity", "errors", "evaluation", "files",
               "foreign", "paths", "plan", "registry", "results", "running", "training"},
    "metrics": {"errors", "evaluation", "weights"},
    "plan": {"engine.identity", "errors", "paths", "registry", "results.record", "spec"},
    "engine": {"atomic", "errors", "evaluation", "files", "paths", "plan", "registry", "results",
               "training"},
}
PUBLIC_MODULES = {"srbench", "srbench.errors", "srbench.files", "srbench.imagestore",
                  "srbench.metrics", "srbench.networks", "srbench.paths",
                  "srbench.testing", "srbench.training", "srbench.evaluation.transport",
                  "srbench.evaluation.moments"}


def imports(path: Path, *, runtime_only: bool = True) -> set[str]:
    """Modules a source imports, without those only needed for annotations."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if runtime_only and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return found


@pytest.mark.parametrize("part", sorted(MAY_IMPORT))
def test_import_arrows_go_one_way(part):
    allowed = MAY_IMPORT[part] | {part}
    folder = ROOT / "srbench" / part
    files = list(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    assert files
    for path in files:
        for module in imports(path):
            if module.startswith("srbench."):
                inner = module.removeprefix("srbench.")
                assert any(inner == name or inner.startswith(f"{name}.") for name in allowed), (
                    f"{path.relative_to(ROOT)} imports {module}")


def test_plugins_reach_srbench_only_through_its_public_modules():
    for path in ROOT.glob("plugins/**/*.py"):
        for module in imports(path, runtime_only=False):
            if module == "srbench" or module.startswith("srbench."):
                public = any(module == name or module.startswith(f"{name}.")
                             for name in PUBLIC_MODULES - {"srbench"}) or module == "srbench"
                assert public, f"{path.relative_to(ROOT)} imports {module}"


def test_the_harness_knows_no_method_and_no_dataset_by_name():
    for path in ROOT.glob("srbench/**/*.py"):
        for module in imports(path):
            assert not re.match(r"srbench_\w+", module), f"{path.relative_to(ROOT)}: {module}"


def test_public_names_are_pinned_and_importable():
    import srbench

    assert srbench.__all__ == sorted(srbench.__all__, key=str.lower) or srbench.__all__ == sorted(
        srbench.__all__)
    for name in srbench.__all__:
        assert getattr(srbench, name) is not None
    assert set(srbench.__all__) == {
        "CropDataset", "Dataset", "DatasetInfo", "EvaluationContext", "Field", "KnownMapDataset",
        "Method", "MethodInfo", "Metric", "MetricInfo", "Parameters", "PoolSettings", "Problem",
        "Results", "Scalars", "Score", "Skipped", "SrbenchError", "TrackedCell", "TrackedRun",
        "TrainedMap", "Training", "hookimpl", "load", "metrics", "open_runs", "run"}
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = srbench.nonsense


def test_importing_srbench_and_every_plugin_imports_no_torch():
    code = "import sys, srbench\n" + "".join(f"import {name}\n" for name in PLUGINS)
    code += "import srbench.evaluation.plugin\nassert 'torch' not in sys.modules, 'torch'\n"
    code += "assert 'pydantic' not in sys.modules, 'pydantic'\n"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built as pip builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run([sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet",
                           "--wheel-dir", str(folder), str(ROOT)], capture_output=True, text=True,
                          check=False)
    if done.returncode and "setuptools" in done.stderr and "Could not find" in done.stderr:
        pytest.skip(f"no package index to build with: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    path, = folder.glob("*.whl")
    return path


def test_the_wheel_holds_plugins_templates_and_data(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in SOURCES:
        folder = ROOT / "plugins" if "plugins" in path.relative_to(ROOT).parts[:1] else ROOT
        assert path.relative_to(folder).as_posix() in names, path
    for folder in (ROOT / "srbench", ROOT / "plugins"):
        for path in [*folder.rglob("*.html"), *folder.rglob("*.css"), *folder.rglob("*.json"),
                     *folder.rglob("*.jinja")]:
            root = ROOT / "plugins" if "plugins" in path.relative_to(ROOT).parts[:1] else ROOT
            assert path.relative_to(root).as_posix() in names, path
    assert "srbench/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "docs/", "benchmarks/"))]


def test_the_wheel_lists_its_plugins_when_installed(wheel, tmp_path):
    target = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    environment = {**os.environ, "PYTHONPATH": str(target)}
    done = subprocess.run([sys.executable, "-m", "srbench", "list"], cwd=tmp_path, text=True,
                          capture_output=True, check=True, env=environment)
    for name in ("ots", "wgan-gp", "bicubic", "identity", "linear", "constant", "w2-early",
                 "mix3tomix10", "l2-uvp"):
        assert name in done.stdout
    assert "broken" not in done.stdout.lower()


def test_readme_opens_with_exactly_two_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert first is not None
    commands = first.group(1).strip().splitlines()
    assert len(commands) == 2
    assert commands[0].startswith("pip install")
    assert "srbench run" in commands[0]
    assert "[test]" in commands[1]
    assert commands[1].endswith("pytest")
