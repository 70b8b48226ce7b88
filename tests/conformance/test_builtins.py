"""The methods that come with srbench pass the checks that others' have to pass."""

from __future__ import annotations

import time

import pytest

from srbench.conformance.check import Verdict
from srbench.conformance.merge import merged
from srbench.conformance.run import run_checks
from srbench.conformance.runner import TIMEOUT, Runner, jobs_of
from srbench.conformance.targets import Target
from tests.methods.backbones import backbones, kept, put

__all__ = ["backbones", "kept", "put"]

CHEAP = ("bicubic", "identity")
OTHERS = ("linear", "constant", "ots", "wgan-gp", "fssr", "dasr")
# What does not apply to any problem a method takes.
NOT_TRIED = {"cpu-and-gpu-alike"}
NOTHING_TO_LEARN = {"seed-matters", "resume-is-exact", "interrupt-obeyed", "budget-of-time",
                    "finite-and-logged", "no-host-synchronisation"}
EXPECTED = {"bicubic": NOTHING_TO_LEARN, "identity": NOTHING_TO_LEARN | {"any-size"},
            "linear": {"finite-and-logged", "any-size"}, "constant": {"finite-and-logged"},
            "wgan-gp": {"any-size"}}
# Their pairs lie on the host as bytes: numbers that never were on the device count as waiting.
WARNED = {"fssr": {"no-host-synchronisation"}, "dasr": {"no-host-synchronisation"}}
SECONDS = 60  # on two free cores; on a busy machine the processor's time says it


def names(results, verdict):
    return {result.check for result in results if result.verdict is verdict}


def agrees(name, results):
    assert names(results, Verdict.FAILED) == set(), results
    assert names(results, Verdict.WARNED) == WARNED.get(name, set())
    assert names(results, Verdict.NOT_TRIED) - NOT_TRIED == EXPECTED.get(name, set())


def test_cheap_methods_pass():
    targets = [Target("method", name) for name in CHEAP]
    partials = Runner([], TIMEOUT, lambda partial: None).run(jobs_of(targets, frozenset()))
    results = merged(partials, targets)
    for name in CHEAP:
        agrees(name, [result for result in results if result.subject == name])
    assert sum(result.seconds for result in results) < SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_the_others_pass(backbones, name):
    started = time.perf_counter()
    results = run_checks(name, timeout=300)
    agrees(name, results)
    spent = sum(result.seconds for result in results)
    assert spent < 2 * SECONDS or time.perf_counter() - started < SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fssr", "dasr"])
def test_without_their_weights_they_are_not_tried(name):
    results = run_checks(name, timeout=120)
    assert names(results, Verdict.FAILED) == set()
    trains = next(result for result in results if result.check == "trains")
    assert trains.verdict is Verdict.NOT_TRIED
    assert "srbench fetch" in trains.detail
