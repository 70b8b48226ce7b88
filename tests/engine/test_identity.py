"""What a cell's key depends on."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from srbench.engine.identity import (
    HARNESS,
    digest_sources,
    identity_parts,
    key_of,
    plugin_digest,
)
from srbench.engine.outcome import classify, describe_exit
from srbench.errors import Diverged, Interrupted, MissingDependency, PluginError, Skipped

BASE = {"method": "ots", "method_params": {"iterations": 3}, "method_digest": "a",
        "fingerprint": "f", "pool": None, "dataset_digest": "b", "preset": "quick", "seed": 0,
        "precision": "fp32", "budget": "", "protocols": ["psnr/v1", "ssim/v1"]}


def digest(folder: Path, text: str) -> str:
    path = folder / "module.py"
    path.write_text(text)
    return digest_sources([path], folder)


@pytest.mark.parametrize(("edit", "same"), [
    ('def f(x):\n    return x + 1\n', True),
    ('def f(x):\n    # why\n    return x + 1\n', True),
    ('"""Doc."""\ndef f(x):\n    """Doc."""\n    return (x\n            + 1)\n', True),
    ('def f(x):\n    return x + 2\n', False),
    ('def f(y):\n    return y + 1\n', False),
    ('def f(x):\n    "not a docstring" + x\n    return x + 1\n', False),
])
def test_comments_and_docstrings_do_not_count_but_code_does(edit, same, tmp_path):
    before = digest(tmp_path, "def f(x):\n    return x + 1\n")
    assert (digest(tmp_path, edit) == before) is same


def test_renaming_a_file_counts(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "b.py").write_text("x = 1\n")
    assert digest_sources([tmp_path / "a.py"], tmp_path) != digest_sources([tmp_path / "b.py"],
                                                                          tmp_path)


@pytest.mark.parametrize(("part", "value"), [
    ("method", "wgan-gp"), ("method_params", {"iterations": 4}), ("method_digest", "z"),
    ("fingerprint", "z"), ("pool", {"size": 8, "block": 4, "refresh_every": 1}),
    ("dataset_digest", "z"), ("preset", "paper"), ("seed", 1), ("precision", "bf16"),
    ("budget", "600s"), ("protocols", ["psnr/v2"])])
def test_each_part_changes_the_key(part, value):
    base = key_of(identity_parts(**BASE))
    assert key_of(identity_parts(**{**BASE, part: value})) != base


def test_order_of_protocols_and_parameters_does_not_count():
    swapped = {**BASE, "protocols": BASE["protocols"][::-1],
               "method_params": dict(reversed([("a", 1), ("b", 2)]))}
    straight = {**BASE, "method_params": {"a": 1, "b": 2}}
    assert key_of(identity_parts(**swapped)) == key_of(identity_parts(**straight))


def test_plugin_digest_of_an_absent_package_names_it():
    with pytest.raises(PluginError, match="nowhere_to_be_found"):
        plugin_digest("nowhere_to_be_found.module:Class")


@pytest.mark.parametrize(("error", "status"), [
    (Diverged("nan"), "diverged"), (Interrupted("stop"), "interrupted"), (Skipped("no"), "skipped"),
    (KeyboardInterrupt(), "interrupted"), (MissingDependency("x"), "missing-dependency"),
    (MemoryError(), "oom"), (ValueError("bad"), "failed"), (SystemExit(0), "failed"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "oom"),
    (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), "oom")])
def test_exceptions_become_statuses(error, status):
    found, reason = classify(error)
    assert found == status
    assert reason
    assert "\n" not in reason


def test_exit_codes_in_words():
    assert describe_exit(-9) == "killed by SIGKILL"
    assert describe_exit(3) == "exit code 3 without a record"
    assert describe_exit(-99) == "killed by signal 99"


def test_whatever_plugins_compute_with_is_part_of_the_harness_digest():
    """Code a plugin calls decides its numbers, though the plugin's own digest leaves it out."""
    root, used = Path(__file__).resolve().parents[2], set()
    for path in root.glob("plugins/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("srbench."):
                used.add(node.module.split(".")[1])
    assert "imagestore" in used
    assert used - set(HARNESS) == {"errors", "files"}  # messages and downloads decide no number
