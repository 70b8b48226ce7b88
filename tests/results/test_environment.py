"""What a cell ran on; finding it out never fails a cell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from srbench.results import ask as module
from srbench.results.environment import (
    ask,
    environment,
    git,
    packages,
    peak_device_memory,
    peak_memory,
)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one committed file, as the working directory."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    (tmp_path / "code.py").write_text("x = 1\n")
    for words in (["init", "-q"], ["add", "."],
                  ["-c", "user.name=n", "-c", "user.email=e@x", "commit", "-qm", "first"]):
        subprocess.run(["git", *words], check=True, cwd=tmp_path)
    return tmp_path


def test_it_is_json_and_names_versions():
    found = environment("cpu")

    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["packages"]["torch"] == metadata.version("torch")
    assert found["device"] == "cpu"
    assert found["gpu"] is None
    assert found["cpu"]["threads"] == torch.get_num_threads()
    assert found["cpu"]["model"]
    assert environment(torch.device("cpu")) == found


def test_it_holds_no_name_of_the_user_or_the_host_or_folder():
    text = json.dumps(environment("cpu"))
    assert str(Path.home()) not in text
    assert str(Path.cwd()) not in text
    assert os.uname().nodename not in text


def test_a_clean_repository(repository):
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=repository, text=True).strip()
    assert git(repository) == {"commit": head, "dirty": False}
    assert environment("cpu")["git"]["commit"] == head


def test_changes_have_a_digest_that_follows_their_content(repository):
    (repository / "code.py").write_text("x = 2\n")
    first = git(repository)
    (repository / "code.py").write_text("x = 3\n")
    second = git(repository)
    assert first["dirty"]
    assert second["dirty"]
    assert first["dirty_digest"] != second["dirty_digest"]
    (repository / "code.py").write_text("x = 1\n")
    (repository / "new.py").write_text("")
    assert git(repository)["dirty"]


def test_no_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git(tmp_path) is None


def test_without_git_or_any_other_program(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert environment("cpu")["git"] is None


def test_a_program_that_hangs_is_left_after_its_time(monkeypatch, python):
    monkeypatch.setattr(module, "SECONDS", 0.3)
    started = time.monotonic()
    assert ask([python, "-c", "import time; time.sleep(60)"]) is None
    assert time.monotonic() - started < 10


def test_a_program_that_fails_says_nothing(python):
    assert ask([python, "-c", "print('half'); raise SystemExit(1)"]) is None
    assert ask([python, "-c", "import sys; sys.stdout.buffer.write(b'\\xff ok')"]) == "\ufffd ok"


def test_a_cuda_device_that_is_not_there():
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    assert environment("cuda")["gpu"] is None


def test_the_repository_is_that_of_the_folder(repository, tmp_path):
    commit = git(repository)["commit"]
    assert environment("cpu", repository)["git"]["commit"] == commit
    assert environment("cpu", tmp_path / "nowhere")["git"] is None


def test_packages_are_those_that_plugins_need_too(monkeypatch):
    needs = {"srbench": ["torch>=2", "numpy>=1", "mypy>=1; extra == 'dev'"],
             "toys": ["Pillow>=9", "typing_extensions", "no-such-package"]}
    monkeypatch.setattr(metadata, "requires", lambda name: needs.get(name))
    monkeypatch.setattr(metadata, "entry_points", lambda group: [
        SimpleNamespace(dist=SimpleNamespace(name="toys"))])
    found = packages()
    assert {"torch", "numpy", "pillow", "typing-extensions"} <= set(found)
    assert not {"mypy", "no-such-package", "toys", "Pillow"} & set(found)


def test_both_of_torchs_settings_of_precision_fail_nothing(python):
    """torch refuses to tell one setting when a plugin has used the other."""
    code = ("import torch; torch.backends.cuda.matmul.fp32_precision = 'tf32';"
            "from srbench.results.environment import environment;"
            "print(environment('cpu')['determinism']['float32_matmul_precision'])")
    done = subprocess.run([python, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout.strip() == "None"


@pytest.mark.parametrize("way", ["ended", "running"])
def test_peak_memory_is_that_of_the_largest_process(python, way):
    before, wanted = peak_memory(), peak_memory() + 64 * 2**20
    code = (f"import sys; kept = bytearray({wanted}); kept[::4096] = bytes(len(kept[::4096]));"
            "print('held', flush=True); sys.stdin.readline()")
    with subprocess.Popen([python, "-c", code], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        if way == "ended":
            child.communicate(b"\n")
        found = peak_memory()
        child.stdin.close()
    assert before < wanted <= found < wanted + 64 * 2**20


def test_there_is_no_peak_of_a_device_that_was_not_used():
    assert peak_device_memory(torch.device("cpu")) is None
    assert peak_device_memory(torch.device("cuda:63")) is None
