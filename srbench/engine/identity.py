"""What makes two cells the same: digests of code, and the key of a cell."""

from __future__ import annotations

import ast
import hashlib
import json
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from srbench.errors import PluginError

IDENTITY_SCHEMA = 1

# What decides a number: the parts of the harness a cell runs through. Pages, commands and
# executors are left out on purpose, so that editing them recomputes nothing.
HARNESS = ("api", "training", "networks", "evaluation", "imagestore", "engine/cell.py",
           "weights.py")


def digest_sources(files: list[Path], root: Path) -> str:
    """SHA-256 of Python sources up to comments, docstrings and formatting.

    Parameters
    ----------
    files : list of Path
        Sources; the order does not matter.
    root : Path
        Folder their names are taken relative to.
    """
    total = hashlib.sha256()
    for path in sorted(files):
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                _drop_docstring(node)
        total.update(path.relative_to(root).as_posix().encode())
        total.update(ast.dump(tree).encode())
    return total.hexdigest()


def _drop_docstring(
        node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    """Remove the docstring of a syntax-tree node in place."""
    first = node.body[0] if node.body else None
    if (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)):
        node.body = node.body[1:]


@cache
def harness_digest() -> str:
    """SHA-256 of the harness's own sources that decide a number."""
    root = Path(__file__).resolve().parents[1]
    files: list[Path] = []
    for part in HARNESS:
        path = root / part
        files += [path] if path.suffix == ".py" else list(path.rglob("*.py"))
    return digest_sources([path for path in files if path.is_file()], root)


@cache
def plugin_digest(target: str) -> str:
    """SHA-256 of the plugin an implementation ``"module:Class"`` lives in.

    That is its package (or its one file) and the packages named ``srbench_*`` it imports, directly
    or through each other; the harness's own part has a digest of its own.

    Raises
    ------
    PluginError
        If a package cannot be found.
    """
    waiting, digests = [target.partition(":")[0].partition(".")[0]], {}
    while waiting:
        package = waiting.pop()
        if package in digests:
            continue
        if package == "srbench":
            digests[package] = harness_digest()
            continue
        files, root = _sources_of(package)
        digests[package] = digest_sources(files, root)
        waiting += sorted({name for path in files for name in _plugin_imports(path)})
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _sources_of(package: str) -> tuple[list[Path], Path]:
    """The Python files of a package or one-file module, and the folder they are named from."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise PluginError(f"cannot find the package {package!r}",
                          hint="is the plugin installed in this environment?")
    origin = Path(spec.origin)
    if origin.name != "__init__.py":
        return [origin], origin.parent
    return list(origin.parent.rglob("*.py")), origin.parent


def _plugin_imports(path: Path) -> set[str]:
    """Top-level packages named ``srbench_*`` that a source imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return {name for name in found if name.startswith("srbench_")}


def identity_parts(*, method: str, method_params: dict[str, Any], method_digest: str,
                   fingerprint: str, pool: dict[str, int] | None, dataset_digest: str, preset: str,
                   seed: int, precision: str, budget: str, protocols: list[str]) -> dict[str, Any]:
    """Everything that decides a cell's numbers, as JSON data.

    Labels, timeouts, devices, the number of workers and the order of flags are not part of it.
    """
    return {
        "identity_schema": IDENTITY_SCHEMA,
        "method": method,
        "method_params": method_params,
        "method_digest": method_digest,
        "dataset_fingerprint": fingerprint,
        "dataset_digest": dataset_digest,
        "pool": pool,
        "preset": preset,
        "seed": seed,
        "precision": precision,
        "budget": budget,
        "protocols": sorted(protocols),
        "harness_digest": harness_digest(),
        "torch": version("torch"),
    }


def key_of(parts: dict[str, Any]) -> str:
    """SHA-256 (hex) of identity parts in canonical JSON."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()
