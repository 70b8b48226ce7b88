"""What a cell's key depends on."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata

import pytest

from srbench.engine.identity import (
    Code,
    CodeReader,
    Plugin,
    digest_of,
    identity_parts,
    key_of,
)
from srbench.engine.outcome import classify, describe_exit
from srbench.engine.versions import NUMERIC, versions
from srbench.errors import Diverged, Interrupted, MissingDependency, PluginError, Skipped

CODE = Code(files={}, digests={"method_code": "a", "dataset_code": "b", "metrics_code": "c",
                               "srbench_code": "d"}, versions={"torch": "1"})
BASE = {"method": "ots", "method_params": {"iterations": 3}, "dataset_params": {"size": 8},
        "fingerprint": "f", "pool": None, "preset": "quick", "seed": 0, "precision": "fp32",
        "budget": "", "protocols": {"psnr": "psnr/v1", "ssim": "ssim/v1"}, "validations": 10,
        "threads": 1, "ranks": 1, "code": CODE}


def key(**changes) -> str:
    return key_of(identity_parts(**{**BASE, **changes}))


@pytest.mark.parametrize(("part", "value"), [
    ("method", "wgan-gp"), ("method_params", {"iterations": 4}), ("dataset_params", {"size": 9}),
    ("fingerprint", "z"), ("pool", {"size": 8, "block": 4, "refresh_every": 1}),
    ("preset", "paper"), ("seed", 1), ("precision", "bf16"), ("budget", "600s"),
    ("protocols", {"psnr": "psnr/v2", "ssim": "ssim/v1"}), ("protocols", {"psnr": "psnr/v1"}),
    ("validations", 3), ("threads", 2), ("ranks", 2),
    *[("code", Code({}, {**CODE.digests, part: "z"}, CODE.versions)) for part in CODE.digests],
    ("code", Code({}, CODE.digests, {"torch": "2"}))])
def test_each_part_changes_the_key(part, value):
    assert key(**{part: value}) != key()


@pytest.mark.parametrize("changes", [
    {"protocols": {"ssim": "ssim/v1", "psnr": "psnr/v1"}},
    {"dataset_params": {"size": 8, "source": "embedded"}},
    {"code": Code({"method_code": {"a.py": "1"}}, CODE.digests, CODE.versions)}])
def test_order_and_the_source_of_equal_data_do_not_count(changes):
    assert key(**changes) == key()


def test_one_rank_is_the_key_of_a_cell_that_knows_no_ranks():
    assert "ranks" not in identity_parts(**BASE)


def test_the_key_is_the_hash_of_the_parts_in_canonical_json():
    parts = identity_parts(**BASE)
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    assert key_of(parts) == hashlib.sha256(text.encode()).hexdigest()
    assert key_of(json.loads(json.dumps(parts))) == key_of(parts)  # as read from cell.json
    assert parts["identity_schema"] == 2


def test_code_of_an_absent_package_names_it():
    absent = Plugin("nowhere_to_be_found.module:Class", "file")
    with pytest.raises(PluginError, match="nowhere_to_be_found"):
        CodeReader().code(absent, absent, [])


def test_digests_are_of_the_files_they_name():
    code = CodeReader().code(Plugin("srbench_ots.method:OTS", "srbench"),
                             Plugin("srbench_w2.images:W2Images", "srbench"),
                             [Plugin("srbench.evaluation.psnr:PSNR", "srbench")])
    assert list(code.files) == list(code.digests) == [
        "method_code", "dataset_code", "metrics_code", "srbench_code"]
    assert {part: digest_of(group) for part, group in code.files.items()} == code.digests
    assert {"srbench_ots/method.py", "srbench_ots/official_files.json",
            "srbench_minimax/game.py"} <= set(code.files["method_code"])
    assert all(name.startswith("srbench_w2/") for name in code.files["dataset_code"])
    assert code.files["metrics_code"] == {}  # srbench's own metrics count as its modules
    assert set(code.versions) == set(NUMERIC)


def installed(folder, name, *requirements, version="1.0", packages=()):
    """Put metadata of a distribution into a folder of the import path."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    lines = "".join(f"Requires-Dist: {line}\n" for line in requirements)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
                                   f"{lines}")
    (info / "RECORD").write_text("".join(f"{package}/__init__.py,,\n" for package in packages))
    (info / "top_level.txt").write_text("\n".join(packages))


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_what_a_plugin_declares_counts_by_its_version(site):
    installed(site, "plug", "dep_one>=1", "Dep.Two [fast] ; python_version>'3'", "absent (>2)",
              "testdep; extra == 'test'", "srbench>=0.1", "torch")
    installed(site, "dep-one", version="1.5")
    installed(site, "dep-two", version="2.5")
    installed(site, "testdep")
    found = versions(["plug"])
    assert {name: found[name] for name in set(found) - set(NUMERIC)} == {
        "dep-one": "1.5", "dep-two": "2.5", "absent": None}
    assert found["torch"] == metadata.version("torch")


def test_what_a_file_imports_counts_since_it_can_declare_nothing(site):
    installed(site, "some-distribution", version="7", packages=["odd_name"])
    installed(site, "plain", version="8", packages=["plain"])
    found = versions([], ["odd_name", "plain", "skimage", "no_such_module"])
    assert {name: found[name] for name in set(found) - set(NUMERIC)} == {
        "some-distribution": "7", "plain": "8"}


def test_versions_of_a_distribution_that_is_not_there():
    assert set(versions(["no-such-distribution"])) == set(NUMERIC)


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
