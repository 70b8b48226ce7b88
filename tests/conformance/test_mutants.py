"""Plugins with one planted defect: the check that is for it sees it, and few others do."""

from __future__ import annotations

import ast

import pytest

from srbench.conformance.check import Verdict
from srbench.conformance.registry import checks
from tests.conformance.judge import blamed, judged
from tests.conformance.mutants.table import DATASETS, METHODS, METRICS, MUTANTS, SOUND, Mutant

# One of each sort, tried whenever the tests are run; the slow test tries all of them.
FEW = ("draws-aligned-pairs", "optimizer-is-not-tracked", "batchnorm-stays-in-train-mode",
       "fingerprint-from-hash", "aligned-draws", "trains-on-test-images", "mean-of-batch-means")
MOST_BLAMED = 2.5  # checks that blame a plugin with one defect, on average


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    chosen = [mutant for mutant in MUTANTS if mutant.name in FEW]
    return judged(chosen, tmp_path_factory.mktemp("few"), right_only=True)


@pytest.mark.parametrize("name", FEW)
def test_a_planted_defect_is_caught_by_the_check_for_it(name, few):
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    assert blamed(few[name]) == {mutant.check}  # the only one that was run
    assert few[name][mutant.check].detail
    assert few[name][mutant.check].remedy


@pytest.mark.slow
def test_every_planted_defect_is_caught_and_sound_plugins_pass(tmp_path):
    found = judged([*SOUND, *MUTANTS], tmp_path)
    assert {mutant.name: blamed(found[mutant.name]) for mutant in SOUND} == {
        mutant.name: set() for mutant in SOUND}
    missed = [mutant.name for mutant in MUTANTS if mutant.check not in blamed(found[mutant.name])]
    assert not missed
    others = {mutant.name: more for mutant in MUTANTS
              if (more := blamed(found[mutant.name]) - mutant.also - {mutant.check})}
    assert not others
    counts = [len(blamed(found[mutant.name])) for mutant in MUTANTS]
    assert sum(counts) / len(counts) <= MOST_BLAMED


def test_the_table_is_sound():
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) == len(set(names)) >= 25
    assert min(len(METHODS), len(DATASETS), len(METRICS)) >= 5
    kinds = {check.name: check.kind for check in checks()}
    for mutant in MUTANTS:
        assert kinds[mutant.check] == mutant.kind, mutant.name
        assert mutant.also <= kinds.keys(), mutant.name
        ast.parse(mutant.source())
    assert len({mutant.check for mutant in MUTANTS}) >= 25


def test_a_change_that_no_longer_fits_the_sound_plugin_is_an_error():
    with pytest.raises(ValueError, match="'no such line' occurs 0 times"):
        Mutant("stale", "method", "trains", (("no such line", ""),)).source()


def test_a_sound_plugin_differs_from_its_mutant_by_the_defect_only():
    sound = next(mutant for mutant in SOUND if mutant.base == "metric").source().splitlines()
    for mutant in METRICS:
        lines = set(mutant.source().splitlines()) ^ set(sound)
        lines -= {line for line in lines if mutant.name in line or "sound-metric" in line}
        assert 1 <= len(lines) <= 6, mutant.name


def test_a_verdict_of_not_tried_blames_nobody():
    from srbench.conformance.check import Result

    results = {verdict.name: Result(check=verdict.name, kind="method", subject="toy",
                                    verdict=verdict) for verdict in Verdict}
    assert blamed(results) == {"FAILED", "WARNED"}
