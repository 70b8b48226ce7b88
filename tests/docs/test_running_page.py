"""The figures and names of docs/running.md are those of the code."""

from __future__ import annotations

import inspect
import re

import pytest

from srbench.cli.shell import cli
from srbench.engine import job, logfile, scheduler, tasks
from srbench.engine.executors import machine, slurm_command, slurm_options
from srbench.results.record import Status
from srbench.training import checkpoint
from srbench.training.training import Training
from tests.docs.blocks import ROOT

PAGE = (ROOT / "docs/running.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())
WORDS = {2: "two", 3: "three", 5: "5"}


@pytest.mark.parametrize("words", [
    f"the first {logfile.HEAD >> 20} MiB and the last {logfile.TAIL >> 10} KiB of each attempt",
    f"the last {WORDS[checkpoint.KEPT]} checkpoints",
    f"once, after {scheduler.BACK_OFF:g} s, alone",
    f"{WORDS[int(job.LAST_CHANCE)]} seconds later its whole process tree is killed",
    f"the free memory ({machine.SHARE:.0%} of it)".replace("%", " %"),
    f"its memory ({machine.UNKNOWN_GIB:g} GiB where nothing is declared)",
    f"up to {WORDS[scheduler.LOSSES]} times, and its record notes it",
    f"else {slurm_options.LIMIT // 60} hours",
    f"{slurm_options.SIGNAL_DELAY} s before (", f"at most {slurm_command.REQUEUES} times",
    f"`--rank-timeout` ({tasks.JobOptions().rank_timeout:g} s)"])
def test_figures(words):
    assert words in TEXT


def test_a_crash_costs_what_the_page_says():
    default = inspect.signature(Training).parameters["checkpoint_seconds"].default
    assert f"At most `--checkpoint-every` ({default:g} s) of training is lost" in TEXT


def test_every_status_is_explained():
    section = PAGE.partition("## How a cell can end")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)
    assert sorted(named) == sorted(Status)


def test_options_are_those_of_commands():
    context = cli.make_context("srbench", ["run"])
    taken = {"--help"} | {word for verb in cli.list_commands(context)
                          for parameter in cli.get_command(context, verb).params
                          for word in parameter.opts}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    assert len(named) > 15
    assert not {name for name in named if name not in taken}


def test_files_and_tests_it_names_are_there():
    for name in re.findall(r"`(tests/[\w/]+\.py)`", PAGE):
        assert (ROOT / name).is_file(), name
