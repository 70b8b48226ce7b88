"""Checks in processes of their own: what hangs or dies fails its check, and the rest goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from srbench.conformance.check import Check, Result, Verdict
from srbench.conformance.merge import Partial, merged
from srbench.conformance.process import ended
from srbench.conformance.registry import checks, chosen
from srbench.conformance.runner import Runner, jobs_of
from srbench.conformance.targets import Target, resolve
from srbench.errors import UnknownName, UsageError
from srbench.testing import check_plugin

HANGING = Path(__file__).with_name("hanging.py")
ONLY = frozenset({"trains", "output-shape", "interrupt-obeyed", "notes-are-sentences",
                  "parameters-not-mutated", "metadata-summary"})


@pytest.fixture(scope="module")
def partials():
    """What comes of all methods of `hanging`, run at once."""
    found = resolve(str(HANGING))
    runner = Runner(found.plugins, 8.0, lambda partial: None)
    jobs = [job for job in jobs_of(found.targets, ONLY)
            if job.problem == "vectors" or job.target.name == "hanging-prints"]
    return runner.run(jobs)


@pytest.fixture(scope="module")
def said(partials):
    """Verdict and detail by method and check, on vectors."""
    return {(p.subject.removeprefix("hanging-"), p.check): (p.verdict, p.detail) for p in partials
            if p.problem != "images" and p.problem != "photographs"}


def test_a_fit_that_never_ends_fails_the_check_of_interrupts(said):
    verdict, detail = said["endless", "interrupt-obeyed"]
    assert verdict is Verdict.FAILED
    assert detail == ("the first training did not end within 8 s, nor come to the end of a step: "
                      "it was killed")
    for name in ("trains", "output-shape", "notes-are-sentences", "parameters-not-mutated"):
        assert said["endless", name] == (
            Verdict.NOT_TRIED, "the first training does not end: see the check interrupt-obeyed")


@pytest.mark.parametrize(("way", "detail"), [
    ("stuck", "it did not end within 8 s and was killed"),
    ("dies", "it ended the process, by SIGSEGV: farewell"),
    ("prints", "SystemExit: 3"),
])
def test_what_hangs_or_dies_fails_its_own_check_and_no_other(said, way, detail):
    verdict, found = said[way, "notes-are-sentences"]
    assert verdict is Verdict.FAILED
    assert found == detail
    for name in ("trains", "output-shape", "interrupt-obeyed", "parameters-not-mutated"):
        assert said[way, name] == (Verdict.PASSED, ""), name


def test_every_check_of_every_job_has_one_answer(partials):
    assert len({(p.subject, p.check, p.problem) for p in partials}) == len(partials)
    per_job = len(ONLY) - 1  # metadata needs no problem
    assert len(partials) == 4 * per_job + 2 * per_job + 1


def test_skipped_problems_are_no_failures(partials):
    skipped = [p for p in partials if p.problem in ("images", "photographs")]
    assert len(skipped) == 10
    assert all((p.verdict, p.detail) == (Verdict.NOT_TRIED, "this is a toy for vectors alone")
               for p in skipped)


def test_no_process_is_left(partials):
    left = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # also a zombie, of whichever test before
            left.append(" ".join(child.cmdline()))
    assert not [words for words in left if "conformance.child" in words]


def test_an_interrupted_run_of_checks_leaves_no_process(tmp_path):
    """Ctrl-C while a check hangs: exit 130 at once, and the checking process is gone."""
    command = subprocess.Popen(
        [sys.executable, "-m", "srbench", "check", str(HANGING), "--only", "interrupt-obeyed"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    parent = psutil.Process(command.pid)
    deadline = time.monotonic() + 60
    while not (children := parent.children()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert children
    time.sleep(1)
    command.send_signal(signal.SIGINT)
    _, words = command.communicate(timeout=60)
    assert command.returncode == 130
    assert "interrupted" in words
    _gone, alive = psutil.wait_procs(children, timeout=10)
    assert not alive


# --- no process is needed for these


def partial(problem, verdict, detail="", check="output-shape"):
    return Partial("method", "toy", check, problem, verdict, detail, 0.5)


def result_of(*partials) -> Result:
    result, = merged(partials, [Target("method", "toy")])
    return result


def test_the_worst_of_the_problems_counts():
    passed = partial("images", Verdict.PASSED)
    skipped = partial("vectors", Verdict.NOT_TRIED, "no vectors")
    failed = partial("photographs", Verdict.FAILED, "too small")
    found = result_of(passed, skipped, failed)
    assert (found.verdict, found.detail) == (Verdict.FAILED, "on photographs: too small")
    assert found.remedy == next(c.remedy for c in checks() if c.name == "output-shape")
    assert found.seconds == 1.5
    found = result_of(passed, skipped)
    assert (found.verdict, found.detail, found.remedy) == (Verdict.PASSED, "", "")


def test_what_is_the_same_on_all_problems_is_said_once():
    found = result_of(*(partial(problem, Verdict.NOT_TRIED, "no GPU")
                        for problem in ("images", "vectors", "photographs")))
    assert found.detail == "no GPU"
    failed = [("images", "a"), ("vectors", "a"), ("photographs", "b")]
    found = result_of(*(partial(problem, Verdict.FAILED, why) for problem, why in failed))
    assert found.detail == "on images and vectors: a; on photographs: b"


def test_results_come_in_the_order_of_the_registry():
    names = ["trains", "metadata-summary", "output-shape"]
    results = merged([partial("", Verdict.PASSED, check=name) for name in names],
                     [Target("method", "toy")])
    assert [result.check for result in results] == ["metadata-summary", "trains", "output-shape"]


def test_names_of_checks_are_known():
    assert chosen([]) == frozenset()
    assert chosen(["trains", "any-size"]) == {"trains", "any-size"}
    with pytest.raises(UnknownName, match="no check named 'train'; did you mean 'trains'"):
        chosen(["train"])
    kinds = {kind: checks(kind) for kind in ("method", "dataset", "metric", "plugin")}
    assert sum(map(len, kinds.values())) == len(checks())
    assert all(isinstance(check, Check) and check.kind == kind
               for kind, found in kinds.items() for check in found)


def test_a_name_stands_for_a_thing_or_for_all_a_plugin_provides():
    assert resolve("ots").targets == [Target("method", "ots")]
    assert {t.name for t in resolve("anchors").targets} == {"identity", "constant", "linear"}
    assert resolve("w2-early").targets == [Target("dataset", "w2-early")]
    file = resolve(str(HANGING))
    assert len(file.targets) == 4
    assert file.plugins == [HANGING]
    assert [(r.check, r.subject, r.verdict) for r in file.results] == [
        ("discovered", "hanging.py", Verdict.PASSED)]


def test_a_broken_file_fails_the_check_of_discovery(tmp_path):
    path = tmp_path / "broken_one.py"
    path.write_text("from srbench import hookimpl\n@hookimpl\ndef srbench_method(): return []\n")
    found = resolve(str(path))
    assert found.targets == []
    result, = found.results
    assert (result.check, result.verdict) == ("discovered", Verdict.FAILED)
    assert "did you mean 'srbench_methods'" in result.detail
    assert "hookimpl" in result.remedy
    with pytest.raises(AssertionError, match=r"1 of 1 checks failed\ndiscovered.*\n +remedy: Mend"):
        check_plugin(path)


def test_what_nobody_provides_is_an_error(tmp_path):
    with pytest.raises(UnknownName, match="no method, dataset, metric or plugin named 'bicubc'"):
        resolve("bicubc")
    with pytest.raises(UsageError, match="no plugin file"):
        resolve(str(tmp_path / "missing.py"))


def test_a_job_that_cannot_begin_fails_its_checks():
    """The process of the checks knows nothing of the method."""
    found = Runner([], 30.0, lambda partial: None).run(
        jobs_of([Target("method", "no-such-method")], frozenset({"metadata-licence", "loads"})))
    assert [(p.check, p.verdict, p.detail) for p in found] == [
        (name, Verdict.FAILED, "no method named 'no-such-method'")
        for name in ("metadata-licence", "loads")]


def test_how_a_process_ended_is_said_in_words():
    assert ended(-9) == "by SIGKILL"
    assert ended(7) == "with exit code 7"


def test_the_slowest_problem_comes_first():
    targets = [Target("method", "a"), Target("dataset", "b"), Target("method", "c")]
    jobs = jobs_of(targets, frozenset())
    assert [job.problem for job in jobs] == ["photographs"] * 2 + ["images"] * 2 \
        + ["vectors"] * 2 + [""] * 3
    assert all(job.checks for job in jobs)
    assert [job.checks for job in jobs_of(targets, frozenset({"metadata-licence"}))] == [
        ("metadata-licence",)] * 2


def test_a_process_that_does_not_start_is_an_error(monkeypatch):
    monkeypatch.setattr("srbench.conformance.process.START", 0.0)
    runner = Runner([], 1.0, lambda partial: None)
    with pytest.raises(UsageError, match="the process that runs checks did not start"):
        runner.run(jobs_of([Target("method", "identity")], frozenset({"loads"})))
    assert threading.active_count() < 10
