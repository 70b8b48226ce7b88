"""The file of ``srbench run --config``: what it cannot mean is named with the value."""

from __future__ import annotations

import math

import pytest

from srbench.cli import config
from srbench.cli.config import merge_config
from srbench.errors import SrbenchError, UnknownName, UsageError
from srbench.running.request import parse_seeds

EMPTY = {"settings": (), "config": None}


def merged(tmp_path, toml, **options):
    path = tmp_path / "run.toml"
    path.write_bytes(toml if isinstance(toml, bytes) else toml.encode())
    return merge_config({**EMPTY, "config": path, **options})


@pytest.mark.parametrize(("toml", "words"), [
    ("method = 'ots'", "did you mean 'methods'"), ("time-out = 3", "did you mean 'timeout'"),
    ("jobs = 1\njobs = 2\n", "line 2"), ("[set.ots]\nlr = 1\n[set.ots]\nlr = 2", "line 3"),
    ("timeout = 1e999", "timeout = inf"), ("timeout = nan", "timeout = nan"),
    ("timeout = -1", "timeout = -1"), ("timeout = true", "timeout = True"),
    ("jobs = 99999999999999999999.5", "jobs = 1e+20"), ("jobs = true", "jobs = True"),
    ("methods = 3", "methods = 3 must be a text"), ("methods = [1, 2]", "methods = [1, 2]"),
    ("dataset = {name = 'w2'}", "dataset = {'name': 'w2'}"), ("seeds = 1.5", "seeds = 1.5"),
    ("seeds = [true]", "seeds = [True]"), ("metrics = [['psnr']]", "metrics = [['psnr']]"),
    ("plugin = 1", "plugin = 1"), ("set = [1]", "set = [1]"),
    ("[set]\nots = 3", "set.ots = 3 must be a table"), ("preset = ['paper']", "preset = ['paper']"),
    ("preset = 'a\x00b'", "is not valid TOML"), (b"\xff\xfe", "is not valid TOML"),
    ("a = " + "[" * 100_000, "is not valid TOML"),
    ("set = " + "{a=" * 100_000, "is not valid TOML"),
    ("x = " + "9" * 5000, "is not valid TOML")])
def test_what_a_file_cannot_mean(tmp_path, toml, words):
    with pytest.raises(UsageError) as caught:
        merged(tmp_path, toml)
    assert words in str(caught.value)
    assert "run.toml" in str(caught.value)


def test_a_mistyped_key_is_a_name_that_is_not_known(tmp_path):
    with pytest.raises(UnknownName) as caught:
        merged(tmp_path, "presets = 'paper'")
    assert "'preset'" in caught.value.message


def test_a_file_of_many_megabytes_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "LARGEST", 100)
    with pytest.raises(UsageError, match=r"run\.toml has 1,000 bytes; at most 100 are read"):
        merged(tmp_path, "#" * 1000)


def test_a_link_to_the_file_is_the_users_own_business(tmp_path):
    (tmp_path / "real.toml").write_text("jobs = 3")
    (tmp_path / "link.toml").symlink_to(tmp_path / "real.toml")
    assert merge_config({**EMPTY, "config": tmp_path / "link.toml"})["jobs"] == 3


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("option", ["timeout", "memory", "checkpoint-every"])
def test_the_command_line_takes_no_such_number_either(option, number):
    with pytest.raises(UsageError, match=f"--{option} {number} is no number of that kind"):
        merge_config({**EMPTY, option.replace("-", "_"): number})


@pytest.mark.parametrize("seeds", ["0-999999999999", "9" * 5000, "0-99999,100000-199999", "1e3",
                                   "-1", "0x10", "٣"])
def test_seeds_that_are_none(seeds):
    with pytest.raises(SrbenchError, match="--seeds"):
        parse_seeds(seeds)
