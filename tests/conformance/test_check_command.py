"""``srbench check``: what it prints and how it exits."""

from __future__ import annotations

import json
import re
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from srbench.cli import main
from srbench.conformance.check import Result, Verdict
from srbench.conformance.merge import Partial
from srbench.conformance.registry import checks
from srbench.errors import UnknownName

PAGE = Path(__file__).resolve().parents[2] / "docs" / "check.md"


def result(check: str, verdict: Verdict, detail: str = "", remedy: str = "", kind="method"):
    return Result(check=check, kind=kind, subject="toy", verdict=verdict, detail=detail,
                  remedy=remedy, seconds=1.25)


FAILED = [result("discovered", Verdict.PASSED, kind="plugin"),
          result("trains", Verdict.PASSED),
          result("output-shape", Verdict.FAILED, "T maps (1, 3) | to (1, 2)", "Return more."),
          result("no-host-synchronisation", Verdict.WARNED, ".item() in a.py:3", "Log tensors."),
          result("any-size", Verdict.NOT_TRIED, "samples have one size"),
          result("cpu-and-gpu-alike", Verdict.NOT_TRIED, "there is no GPU here")]


@pytest.fixture
def canned(monkeypatch):
    """Have `run_checks` return given results, and keep what it was asked."""
    asked = {}

    def put(results):
        def run_checks(name, **options):
            asked.update(options, name=name)
            options["on_plan"](2)
            for partial in (Partial("method", "toy", "trains", "images", Verdict.FAILED, "no", 2.0),
                            Partial("method", "toy", "loads", "", Verdict.PASSED, "", 2.0)):
                thread = threading.Thread(target=options["on_result"], args=(partial,))
                thread.start()  # as the runner tells it
                thread.join()
            return results

        monkeypatch.setattr("srbench.conformance.run.run_checks", run_checks)
        return asked

    return put


def test_the_table_then_what_is_wrong_with_its_remedy(canned, capfd):
    canned(FAILED)
    assert main(["check", "toy"]) == 3
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["check", "kind", "name", "verdict"]
    assert lines[3].split() == ["output-shape", "method", "toy", "failed"]
    assert "failed: output-shape (toy)\n  T maps (1, 3) | to (1, 2)\n  remedy: Return more." in out
    assert "warning: no-host-synchronisation (toy)\n  .item() in a.py:3" in out
    assert "not tried: any-size\n  samples have one size" in out
    assert lines[-1] == "6 checks: 2 passed, 1 failed, 1 with a warning, 2 not tried"
    assert err == "toy: trains on images: failed (2.0 s)\n"


def test_a_bar_counts_the_checks(canned):
    canned(FAILED[:2])
    with pytest.MonkeyPatch.context() as patch:
        bars = []
        patch.setattr("click.progressbar", lambda **words: bars.append(words) or nullcontext(Bar()))
        assert main(["check", "toy"]) == 0
    assert [(bar["length"], bar["hidden"]) for bar in bars] == [(2, True)]
    assert Bar.count == 2


class Bar:
    count = 0

    def update(self, number: int) -> None:
        Bar.count += number


def test_verbose_tells_of_every_check_and_quiet_of_none(canned, capfd):
    canned(FAILED[:2])
    assert main(["check", "toy", "-v"]) == 0
    assert "toy: loads: passed (2.0 s)" in capfd.readouterr().err
    assert main(["check", "toy", "-q"]) == 0
    assert capfd.readouterr().err == ""


def test_warnings_and_checks_that_were_not_tried_are_no_failure(canned, capfd):
    canned([*FAILED[:2], *FAILED[3:]])
    assert main(["check", "toy"]) == 0


def test_json_is_one_document(canned, capfd):
    asked = canned(FAILED)
    assert main(["check", "toy", "--json", "--only", "trains, output-shape", "--timeout", "7",
                 "--plugin", "x.py"]) == 3
    document = json.loads(capfd.readouterr().out)
    assert (document["name"], document["ok"]) == ("toy", False)
    assert document["results"][2] == {
        "check": "output-shape", "kind": "method", "subject": "toy", "verdict": "failed",
        "detail": "T maps (1, 3) | to (1, 2)", "remedy": "Return more.", "seconds": 1.25}
    assert asked["only"] == ["trains", "output-shape"]
    assert asked["timeout"] == 7
    assert asked["plugins"] == (Path("x.py"),)


def test_markdown_is_one_table(canned, capfd):
    canned(FAILED)
    assert main(["check", "toy", "--markdown"]) == 3
    lines = capfd.readouterr().out.splitlines()
    assert lines[:2] == ["| check | of | verdict | detail |", "|---|---|---|---|"]
    assert lines[4] == ("| `output-shape` | method toy | failed | T maps (1, 3) \\| to (1, 2) "
                        "Remedy: Return more. |")
    assert len(lines) == 2 + len(FAILED)
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 5 for line in lines)


def test_nothing_that_was_checked_is_said_by_the_exit_code(canned):
    canned([])
    assert main(["check", "toy"]) == 4


def test_wrong_words(capfd, tmp_path):
    assert main(["check"]) == 2
    assert "srbench check NAME" in capfd.readouterr().err
    assert main(["check", "bicubc"]) == 2
    assert "did you mean 'bicubic'" in capfd.readouterr().err
    assert main(["check", "bicubic", "--only", "train"]) == 2
    assert "did you mean 'trains'" in capfd.readouterr().err
    assert main(["check", str(tmp_path / "none.py")]) == 2
    assert "no plugin file" in capfd.readouterr().err


def test_a_broken_plugin_is_a_failed_check(tmp_path, capfd):
    path = tmp_path / "broken_two.py"
    path.write_text("import no_such_package\n")
    assert main(["check", str(path)]) == 3
    out = capfd.readouterr().out
    assert "failed: discovered (broken_two.py)\n  No module named 'no_such_package'" in out


def test_the_list_needs_no_name(capfd):
    assert main(["check", "--list"]) == 0
    rows = capfd.readouterr().out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == [check.name for check in checks()]
    assert main(["check", "--list", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert {item["check"]: item["remedy"] for item in document} == {
        check.name: check.remedy for check in checks()}
    assert [item["check"] for item in document if item["warning"]] == [
        check.name for check in checks() if check.warning]


def test_the_page_has_the_checks_and_what_they_promise(capfd):
    """The table of docs/check.md is the output of the command that makes it."""
    assert main(["check", "--list", "--markdown"]) == 0
    table = capfd.readouterr().out.strip()
    assert table in PAGE.read_text(encoding="utf-8")
    assert len(table.splitlines()) == 2 + len(checks())


def test_the_command_runs_the_checks_where_the_user_is(tmp_path, monkeypatch, capfd):
    """Through the process of the checks, which has to find what lies at relative paths."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "said_nearby.py").write_text("LICENCE = 'MIT'\n")
    (tmp_path / "nearby.py").write_text(
        "import said_nearby\nfrom srbench import MethodInfo, hookimpl\n\n\n@hookimpl\n"
        "def srbench_methods():\n"
        "    return [MethodInfo(name='nearby', summary='A copy.', licence=said_nearby.LICENCE,\n"
        "                       load='srbench_anchors.method:Identity')]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    names = "metadata-citation,metadata-licence,parameters-typed"
    assert main(["check", "nearby.py", "--only", names, "--json"]) == 3
    document = json.loads(capfd.readouterr().out)
    assert [(r["check"], r["verdict"]) for r in document["results"]] == [
        ("metadata-citation", "failed"), ("metadata-licence", "passed"),
        ("parameters-typed", "passed")]
    assert not list(tmp_path.glob("*.txt"))


def test_unknown_checks_are_refused_before_anything_runs():
    from srbench.testing import check_plugin

    with pytest.raises(UnknownName, match="no check named 'nonsense'"):
        check_plugin("bicubic", ["nonsense"])
