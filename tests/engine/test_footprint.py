"""What a method leaves behind in its process is found, put back and said."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from srbench.engine.footprint import BACK, Footprint


def set_backend(owner, attribute, value):
    return lambda: setattr(owner, attribute, value)


CHANGES = {
    "torch's default dtype from torch.float32 to torch.float64": (
        lambda: torch.set_default_dtype(torch.float64), torch.get_default_dtype),
    "torch's default device from cpu to meta": (
        lambda: torch.set_default_device("meta"), lambda: torch.empty(1).device),
    "whether gradients are recorded from True to False": (
        lambda: torch.set_grad_enabled(False), torch.is_grad_enabled),
    "torch's anomaly detection from False to True": (
        lambda: torch.autograd.set_detect_anomaly(True), torch.is_anomaly_enabled),
    "torch's deterministic algorithms from (False, False) to (True, True)": (
        lambda: torch.use_deterministic_algorithms(True, warn_only=True),
        torch.are_deterministic_algorithms_enabled),
    "autocast on cpu from False to True": (
        lambda: torch.set_autocast_enabled("cpu", True),
        lambda: torch.is_autocast_enabled("cpu")),
    "cuDNN's benchmark mode from False to True": (
        set_backend(torch.backends.cudnn, "benchmark", True),
        lambda: torch.backends.cudnn.benchmark),
    "the precision of convolutions": (
        set_backend(torch.backends.cudnn.conv, "fp32_precision", "ieee"),
        lambda: torch.backends.cudnn.conv.fp32_precision),
    "NumPy's handling of errors": (lambda: np.seterr(all="ignore"), np.geterr),
    "garbage collection from True to False": (gc.disable, gc.isenabled),
    "the handler of SIGTERM": (lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
                               lambda: signal.getsignal(signal.SIGTERM)),
}


@pytest.mark.parametrize("said", CHANGES)
def test_a_changed_setting_is_put_back_and_said(said):
    change, read = CHANGES[said]
    before, footprint = read(), Footprint()
    change()
    assert read() != before
    sentence, = footprint.undo()
    assert sentence.startswith(f"the method changed {said}")
    assert sentence.endswith(f"; {BACK}")
    assert read() == before


def test_the_number_of_threads_is_put_back():
    before, footprint = torch.get_num_threads(), Footprint()
    torch.set_num_threads(before + 1)
    assert footprint.undo() == [f"the method changed the number of torch's threads from {before} "
                                f"to {before + 1}; {BACK}"]
    assert torch.get_num_threads() == before


def test_the_working_directory_is_put_back_and_not_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    footprint = Footprint()
    os.chdir("/")
    assert footprint.undo() == [f"the method changed the working directory; {BACK}"]
    assert Path.cwd() == tmp_path


def test_a_seed_of_the_methods_own_is_said():
    state, footprint = torch.get_rng_state(), Footprint()
    try:
        torch.rand(3)
        assert footprint.undo() == []
        torch.manual_seed(torch.initial_seed() + 1)
        sentence, = footprint.undo()
    finally:
        torch.set_rng_state(state)
    assert "the seed of torch's generator" in sentence
    assert BACK not in sentence


def test_environment_variables_are_put_back_without_their_values(monkeypatch):
    monkeypatch.setenv("TOY_KEPT", "secret")
    monkeypatch.setenv("TOY_REMOVED", "secret")
    footprint = Footprint()
    os.environ["TOY_KEPT"] = "changed"
    os.environ["TOY_NEW"] = "secret"
    os.environ["CUDA_MODULE_LOADING"] = "LAZY"  # as torch does when it first meets a GPU
    del os.environ["TOY_REMOVED"]
    try:
        assert footprint.undo() == [
            f"the method changed environment variables: TOY_KEPT, TOY_NEW, TOY_REMOVED; {BACK}"]
    finally:
        os.environ.pop("CUDA_MODULE_LOADING", None)
    assert (os.environ["TOY_KEPT"], os.environ["TOY_REMOVED"]) == ("secret", "secret")
    assert "TOY_NEW" not in os.environ


@pytest.mark.parametrize(("owner", "name", "said"), [
    (np, "mean", "numpy.mean"), (torch, "mean", "torch.mean"), (time, "time", "time.time"),
    (torch.nn.functional, "interpolate", "torch.nn.functional.interpolate"),
    (torch.Tensor, "clamp", "Tensor.clamp"),
    (torch.Tensor, "backward", "Tensor.backward"), (random, "random", "random.random")])
def test_a_replaced_function_is_put_back(monkeypatch, owner, name, said):
    original = getattr(owner, name)
    footprint = Footprint()
    setattr(owner, name, lambda *given, **named: 0.0)
    try:
        assert footprint.undo() == [f"the method replaced functions: {said}; {BACK}"]
        assert getattr(owner, name) is original
    finally:
        if getattr(owner, name) is not original:
            setattr(owner, name, original)


def test_what_libraries_replace_themselves_is_not_the_methods_doing():
    code = ("import torch; from srbench.engine.footprint import Footprint; f = Footprint();"
            "torch.compile(torch.nn.Linear(2, 2), backend='eager')(torch.ones(1, 2));"
            "print(f.undo())")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_threads_and_files_that_are_left_are_counted(tmp_path):
    work, end = tmp_path / "work", threading.Event()
    work.mkdir()
    footprint = Footprint(work)
    assert footprint.undo() == []
    for index in range(7):
        (work / f"file{index}").touch()
        threading.Thread(target=end.wait).start()
    try:
        threads, files = footprint.undo()
    finally:
        end.set()
    assert threads == "the method left 7 threads running"
    assert files == ("the method wrote to its working directory, kept as work/: "
                     "file0, file1, file2, file3, file4 and 2 more")


def test_looking_is_cheap():
    Footprint().undo()
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        Footprint().undo()
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.005
