"""Built-in datasets and metrics keep the promises that plugins are held to."""

from __future__ import annotations

import pytest

from srbench.conformance.check import Verdict
from srbench.conformance.run import run_checks

pytestmark = pytest.mark.slow

METRICS_WITH_WEIGHTS = {"fid", "kid", "mind", "patch-fid", "patch-kid", "patch-mind", "lpips"}


def verdicts(name):
    results = run_checks(name, timeout=200)
    bad = [f"{result.check}: {result.detail}" for result in results
           if result.verdict in (Verdict.FAILED, Verdict.WARNED)]
    assert not bad
    return results


@pytest.mark.parametrize("name", ["w2-early", "aim19"])
def test_embedded_datasets_pass(name):
    results = verdicts(name)
    tried = [result for result in results if result.verdict is Verdict.PASSED]
    assert len(tried) >= 20
    assert sum(result.seconds for result in tried) < 300  # 60 on a machine that is not shared


def test_a_dataset_without_its_files_is_not_tried_and_says_where_to_get_them():
    results = [result for result in verdicts("mix3tomix10") if result.kind == "dataset"]
    absent = [result for result in results if result.verdict is Verdict.NOT_TRIED
              and "cannot be had from https://" in result.detail]
    assert len(absent) >= 15


def test_mix3tomix10_passes_where_its_files_are(shared, monkeypatch):
    monkeypatch.setenv("SRBENCH_DATA", str(shared / "data"))
    tried = [result for result in verdicts("mix3tomix10") if result.verdict is Verdict.PASSED]
    assert len(tried) >= 18


def test_metrics_pass_and_those_without_weights_are_not_tried():
    results = [result for result in verdicts("metrics") if result.kind == "metric"]
    untried = {result.subject for result in results if result.check == "metric-self-check"
               and result.verdict is Verdict.NOT_TRIED}
    assert untried == METRICS_WITH_WEIGHTS
    assert len({result.subject for result in results}) >= 19
