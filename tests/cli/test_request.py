"""From the words and the TOML file of `srbench run` to a request."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from srbench.cli.config import merge_config
from srbench.errors import SpecError, UnknownName, UsageError
from srbench.running.request import choose_device, make_request, parse_seeds

EMPTY = {"methods": (), "dataset": (), "seeds": None, "preset": None, "settings": (),
         "config": None, "plugin": (), "metrics": None, "device": None, "precision": None,
         "threads": None, "jobs": None, "budget": None, "timeout": None, "runs": None}
FULL = {**EMPTY, "set": [], "methods": ("ots",), "dataset": ("w2-early",), "device": "cpu"}


def merged(tmp_path: Path, toml: str, **options):
    path = tmp_path / "run.toml"
    path.write_text(toml)
    return merge_config({**EMPTY, "config": path, **options})


@pytest.mark.parametrize(("text", "seeds"), [
    ("0", [0]), ("0,1,2", [0, 1, 2]), ("0-4", [0, 1, 2, 3, 4]), (" 3 , 1-2", [3, 1, 2]),
    ("2,0-3,2", [2, 0, 1, 3]), ("7-7", [7]), ("007", [7])])
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "x", "-1", "1-", "1-x", "5-2", "0,,1", "1.5", "1-2-3", "²",
                                  "٣", "0x1", "1 2", "+1"])
def test_what_is_no_seed_is_refused_with_the_form(text):
    with pytest.raises(UsageError) as caught:
        parse_seeds(text)
    assert "is not a seed" in caught.value.message
    assert "0-4" in caught.value.hint


def test_without_a_file_options_stay_as_they_are():
    assert merge_config({**EMPTY, "settings": ("ots.lr=1",)})["set"] == ["ots.lr=1"]
    assert merge_config(EMPTY)["set"] == []


def test_a_file_fills_what_is_left_out(tmp_path):
    given = merged(tmp_path, 'methods = "ots,identity"\ndataset = ["a", "b"]\nseeds = [0, 2]\n'
                             'metrics = ["psnr", "ssim"]\njobs = 2\ntimeout = 1.5\nruns = "out"\n'
                             'plugin = "p.py"\npreset = "paper"\nbudget = "10m"\n')
    assert given["methods"] == ["ots,identity"]
    assert given["dataset"] == ["a", "b"]
    assert given["plugin"] == ["p.py"]
    assert (given["seeds"], given["metrics"]) == ("0,2", "psnr,ssim")
    assert (given["jobs"], given["timeout"], given["runs"]) == (2, 1.5, "out")
    assert (given["preset"], given["budget"]) == ("paper", "10m")


def test_the_command_line_wins(tmp_path):
    given = merged(tmp_path, 'seeds = [1]\npreset = "paper"\njobs = 4\n[set.ots]\nlr = 2\n',
                   seeds="7", preset="code", jobs=1, settings=("ots.lr=3",))
    assert (given["seeds"], given["preset"], given["jobs"]) == ("7", "code", 1)
    assert given["set"] == ["ots.lr=3"]


@pytest.mark.parametrize(("value", "read"), [
    ("3", 3), ("0.5", 0.5), ("1e-4", 1e-4), ("true", True), ("false", False), ('"adam"', "adam"),
    ('"3"', "3"), ('"a,b"', "a,b"), ('"x=[1]"', "x=[1]"), ('"none"', "none"), ('"true"', "true"),
    ("inf", float("inf"))])
def test_values_of_a_set_table_keep_their_kind(tmp_path, value, read):
    given = merged(tmp_path, f"[set.ots]\nkey = {value}\n")
    request = make_request({**FULL, "set": given["set"]})
    found = request.settings["ots"]["key"]
    assert found == read
    assert type(found) is type(read)


def test_a_set_table_cannot_hold_lists(tmp_path):
    with pytest.raises(SpecError, match="no text form"):
        merged(tmp_path, "[set.ots]\nkey = [1, 2]\n")


@pytest.mark.parametrize(("toml", "error", "words"), [
    ("method = 'ots'", UnknownName, "did you mean 'methods'"),
    ("methods = [", UsageError, "is not valid TOML"),
    ("jobs = 0", UsageError, "jobs = 0 must be a whole number of at least 1"),
    ("jobs = -1", UsageError, "jobs = -1"), ("jobs = 'two'", UsageError, "jobs = 'two'"),
    ("jobs = 1.5", UsageError, "jobs = 1.5"), ("threads = true", UsageError, "threads = True"),
    ("timeout = 0", UsageError, "timeout = 0 must be a number above 0"),
    ("memory = inf", UsageError, "memory = inf must be a number above 0"),
    ("gpus-per-cell = 0", UsageError, "gpus-per-cell = 0 must be a whole number of at least 1"),
    ("executor = 1", UsageError, "executor = 1 must be a text in quotes"),
    ("timeout = nan", UsageError, "timeout = nan"), ("timeout = '9'", UsageError, "timeout = '9'"),
    ("preset = 1", UsageError, "preset = 1 must be a text in quotes"),
    ("budget = 600", UsageError, "budget = 600"), ("runs = 5", UsageError, "runs = 5"),
    ("precision = 32", UsageError, "precision = 32"), ("device = 0", UsageError, "device = 0")])
def test_a_file_that_makes_no_sense_is_named_with_the_value(tmp_path, toml, error, words):
    with pytest.raises(error) as caught:
        merged(tmp_path, toml)
    assert words in str(caught.value)
    assert "run.toml" in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        merge_config({**EMPTY, "config": tmp_path / "absent.toml"})
    (tmp_path / "latin.toml").write_bytes(b'preset = "caf\xe9"')
    with pytest.raises(UsageError, match="not valid TOML"):
        merge_config({**EMPTY, "config": tmp_path / "latin.toml"})


def test_defaults_of_a_request():
    request = make_request(FULL)
    assert (request.preset, request.precision, request.seeds) == ("quick", "fp32", [0])
    assert (request.budget, request.metrics, request.settings) == ("", [], {})
    assert (request.ranks, request.memory_gib, request.gpu_memory_gib) == (1, 0, 0)
    assert request.checkpoint_seconds == 60


@pytest.mark.parametrize(("cores", "jobs"), [(8, 2), (2, 4), (None, None)])
def test_threads_depend_neither_on_the_machine_nor_on_what_runs_beside(monkeypatch, cores, jobs):
    """They decide the last digits of a cell, so they are part of what it is."""
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert make_request({**FULL, "jobs": jobs}).threads == 1
    assert make_request({**FULL, "jobs": jobs, "threads": 5}).threads == 5


def test_what_was_given_reaches_the_request():
    request = make_request({**FULL, "methods": ("ots[lr=[1,2]],a", "b"), "seeds": "0-1",
                            "set": ["a.x=1", "a.y=2"], "metrics": "psnr, ssim", "budget": "5it",
                            "preset": "paper", "precision": "bf16"})
    assert [str(spec) for spec in request.methods] == ["ots[lr=1]", "ots[lr=2]", "a", "b"]
    assert request.settings == {"a": {"x": 1, "y": 2}}
    assert request.metrics == ["psnr", "ssim"]
    assert (request.seeds, request.budget) == ([0, 1], "5it")
    assert (request.preset, request.precision) == ("paper", "bf16")


@pytest.mark.parametrize(("changes", "error", "words"), [
    ({"methods": ()}, UsageError, "--methods is missing (srbench list methods)"),
    ({"dataset": ()}, UsageError, "--dataset is missing (srbench list datasets)"),
    ({"preset": "papre"}, UnknownName, "did you mean 'paper'"),
    ({"precision": "fp16"}, UnknownName, "no precision named 'fp16'"),
    ({"budget": "0s"}, UsageError, "'0s'"), ({"seeds": ""}, UsageError, "is not a seed")])
def test_requests_that_make_no_sense(changes, error, words):
    with pytest.raises(error) as caught:
        make_request({**FULL, **changes})
    assert words in str(caught.value)


@pytest.mark.parametrize(("name", "gpus", "chosen"), [
    (None, 0, "cpu"), (None, 1, "cuda"), ("cpu", 1, "cpu"), ("cuda", 1, "cuda"),
    ("cuda:1", 2, "cuda:1")])
def test_the_gpu_is_taken_where_there_is_one(monkeypatch, name, gpus, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert choose_device(name) == chosen


@pytest.mark.parametrize(("name", "words"), [
    ("cuda", "has 0 CUDA devices"), ("cuda:0", "--device cpu"), ("gpu", "not a device"),
    ("cuda:x", "cpu, cuda or cuda:1")])
def test_devices_that_are_not_there(monkeypatch, name, words):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UsageError) as caught:
        choose_device(name)
    assert f"--device {name}" in caught.value.message
    assert words in str(caught.value)
