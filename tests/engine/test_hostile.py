"""`srbench run` on methods that misbehave in every way we know of.

Each leaves a record that says what happened, harms no other cell and nothing of the user's, and
leaves no process behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine.cells import is_alive

TESTS = Path(__file__).resolve().parents[1]
PLUGIN = TESTS / "hostile_plugin.py"
SHAPES = ("mapped shape (8, 3, 16, 16) to (8, 3, 16, 15), but the HR images have shape "
          "(8, 3, 16, 16)")

Table = dict[str, tuple[str, tuple[str, ...]]]
# Status, and words of the reason, the flags and the notes.
THAT_END: Table = {
    "early": ("ok", ("identity-map",)),  # what learns nothing is a method too: bicubic
    "raises-in-fit": ("failed", ("RuntimeError: the hostile fit gives up",)),
    "raises-in-forward": ("failed", ("ZeroDivisionError: the hostile forward gives up",)),
    "raises-in-build": ("failed", ("ValueError: the hostile build gives up",)),
    "lacks-a-package": ("missing-dependency", ("pip install a_package_nobody_has",)),
    "exits": ("failed", ("SystemExit: 0",)),
    "exits-at-once": ("crashed", ("exit code 0 without a record",)),
    "segfaults": ("crashed", ("killed by SIGSEGV",)),
    "kills-itself": ("crashed", ("killed by SIGKILL",)),
    "aborts-without-memory": ("oom", ("killed by SIGABRT: what():  std::bad_alloc",)),
    "gpu-out-of-memory": ("oom", ("OutOfMemoryError: CUDA out of memory",)),
    "out-of-memory": ("oom", ("MemoryError",)),
}
THAT_WORK: Table = {
    "good": ("ok", ()),
    "leaves-a-daemon": ("ok", ("kept as work/: daemon",)),
    "gives-inf": ("diverged", ("output is not finite on test image 0 and 39 more", "nan")),
    "gives-nan-in-one": ("diverged", ("output is not finite on test image 17", "nan")),
    "gives-another-shape": ("failed", (SHAPES,)),
    "gives-bytes": ("failed", ("a torch.uint8 Tensor where a float tensor is needed",)),
    "gives-a-list": ("failed", ("returned a list where a float tensor is needed",)),
    "gives-another-range": ("ok", ("range",)),
    "prints": ("ok", ()),
    "prints-to-the-descriptor": ("ok", ()),
    "writes-files": ("ok", ("kept as work/: beside.txt, sub",)),
    "changes-everything": ("ok", (
        "the working directory", "default dtype from torch.float32 to torch.float64",
        "torch's threads from 1 to 2", "whether gradients are recorded from True to False",
        "deterministic algorithms", "environment variables: HOSTILE, PATH",
        "replaced functions: numpy.mean, torch.mean", "the seed of torch's generator")),
    "starts-threads": ("ok", ("left 1000 threads running",)),
}
HANGING = ("holds-the-gil", "ignores-sigterm", "hangs-with-a-daemon")
GIGABYTE = 1 << 30


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "srbench", "run", "--plugin", str(PLUGIN), "--dataset",
         "small-images", "--metrics", "psnr", "--threads", "1", *words], cwd=cwd, text=True,
        capture_output=True, timeout=400, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"})


def records(folder: Path) -> dict[str, dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in folder.glob("runs/cells/*/record.json")]
    return {record["identity"]["method"].removeprefix("hostile-"): record for record in found}


def cell_folder(folder: Path, record: dict[str, Any]) -> Path:
    return folder / "runs" / "cells" / record["identity"]["key"]


def methods(*ways: str) -> str:
    return ",".join(f"hostile-{way}" for way in ways)


def run_table(table: Table, folder: Path) -> dict[str, dict[str, Any]]:
    """Run its methods and compare; the records by method."""
    done = run("--methods", methods(*table), "-j", "2", cwd=folder)
    assert done.returncode == 3, done.stderr
    found = records(folder)
    assert found.keys() == table.keys()
    assert wrong_rows(table, found) == {}
    for way, record in found.items():  # no number of a bad output in the record
        value = record["values"]["final"].get("psnr", {}).get("value")
        assert (value is not None) == (record["outcome"]["status"] == "ok"), way
    assert [path.name for path in folder.iterdir()] == ["runs"]  # the user's own folder
    return found


def wrong_rows(table: Table, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What differs from the table, by method."""
    wrong = {}
    for way, (status, words) in table.items():
        outcome = found[way]["outcome"]
        told = [outcome["reason"], *outcome["flags"], *outcome["notes"]]
        if outcome["status"] != status or not all(any(word in text for text in told)
                                                  for word in words):
            wrong[way] = outcome["status"], told
    return wrong


@pytest.mark.ci
def test_every_way_to_end_has_its_status_and_reason(tmp_path):
    run_table(THAT_END, tmp_path)


@pytest.mark.ci
def test_what_else_methods_do_is_said_and_harms_no_number(tmp_path):
    found = run_table(THAT_WORK, tmp_path)
    work = cell_folder(tmp_path, found["writes-files"]) / "work"
    assert (work / "sub" / "deep.txt").read_text() == "deep"
    assert not is_alive(int((cell_folder(tmp_path, found["leaves-a-daemon"]) / "work" / "daemon")
                            .read_text()))

    good = found["good"]["values"]["final"]["psnr"]["value"]
    assert good > 25
    for way in ("leaves-a-daemon", "prints", "prints-to-the-descriptor", "writes-files",
                "changes-everything", "starts-threads"):
        assert found[way]["values"]["final"]["psnr"]["value"] == good, way

    for way, last in (("prints", "the last words on stdout"),
                      ("prints-to-the-descriptor", "the last words on the descriptor")):
        log = (cell_folder(tmp_path, found[way]) / "log.txt").read_bytes()
        assert len(log) < GIGABYTE / 100, way
        assert last.encode() in log, way
        assert b"bytes left out" in log, way


def test_what_hangs_is_ended_at_the_time_limit_with_all_it_started(tmp_path):
    done = run("--methods", methods(*HANGING), "-j", "3", "--timeout", "15", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    found = records(tmp_path)
    assert {way: record["outcome"]["status"] for way, record in found.items()} == \
        dict.fromkeys(HANGING, "timeout")
    for record in found.values():
        assert record["outcome"]["reason"] == "ended after 15 s, the time limit"
        assert record["outcome"]["exit_detail"] == "killed by SIGKILL"
    daemon = cell_folder(tmp_path, found["hangs-with-a-daemon"]) / "work" / "daemon"
    assert not is_alive(int(daemon.read_text()))


def test_a_method_that_cannot_be_imported_fails_and_the_others_run(tmp_path):
    done = run("--methods", methods("breaks-on-import", "good"), cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    found = records(tmp_path)
    assert {way: record["outcome"]["status"] for way, record in found.items()} == {
        "breaks-on-import": "failed", "good": "ok"}
    reason = found["breaks-on-import"]["outcome"]["reason"]
    assert "hostile-breaks-on-import" in reason
    assert "RuntimeError: the hostile module breaks when it is imported" in reason


def test_a_plugin_file_that_cannot_be_imported_is_set_aside(tmp_path):
    broken = TESTS / "hostile_import.py"
    done = run("--plugin", str(broken), "--methods", methods("early"), "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 cells on small-images" in done.stderr
    assert f"plugin {broken} is set aside: RuntimeError: the hostile module" in done.stderr


@pytest.mark.parametrize("name", ["hostile_plugin", "toy_plugin"])
def test_looking_for_plugins_imports_no_torch(name):
    code = f"import sys; import tests.{name}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True,
                          cwd=TESTS.parent, check=True)
    assert done.stdout.strip() == "False"
