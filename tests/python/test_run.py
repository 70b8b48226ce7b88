"""`srbench.run`: the command line's run, from Python."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import srbench
from srbench.cli import main
from srbench.errors import ParameterError, SpecError, SrbenchError, UnknownName, UsageError
from srbench.python.run import command_line
from srbench.results.store import Store
from srbench.running.run import plan_run
from tests.cli.test_run import Here
from tests.python.worlds import TOY, run_here

SLOW = "toy-slow[iterations=80]"
SCRIPT = f"""
import srbench
try:
    results = srbench.run("{SLOW},toy-slow[iterations=81]", "toy", metrics="l2-uvp", jobs=1,
                          threads=1, device="cpu", plugins={str(TOY)!r}, checkpoint_every=0.2)
    print("done", len(results.failures))
except KeyboardInterrupt as stop:
    print("stopped:", stop)
"""


def toy(methods, folder, **options):
    return run_here(methods, "toy", **{"metrics": "l2-uvp", "plugins": TOY, "runs": folder / "runs",
                                       **options})


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Results of a run in real processes, started from a thread; what it wrote to the streams."""
    folder = tmp_path_factory.mktemp("real")
    code = f"""
import threading, srbench
def work():
    global results
    results = srbench.run(["toy-shift[iterations=5]", "toy-raise"], "toy", metrics=["l2-uvp"],
                          seeds=[3], threads=1, device="cpu", plugins=[{str(TOY)!r}], jobs=2)
thread = threading.Thread(target=work)
thread.start()
thread.join()
import json, pathlib
pathlib.Path("told.json").write_text(json.dumps({{
    "keys": [record.identity.key for record in results.records], "page": str(results.page),
    "failed": results.failures["reason"].tolist(), "main": __name__}}))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True,
                          check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    return folder, done, json.loads((folder / "told.json").read_text())


def test_from_a_script_and_a_thread_without_a_guard(real):
    folder, done, told = real
    assert done.stdout == ""  # the library prints nothing there
    assert "[2/2]" in done.stderr
    assert "1 ok, 1 not ok: results.failures says why" in done.stderr
    assert told["failed"] == ["RuntimeError: the toy is broken"]
    assert (folder / told["page"]).is_file()


def test_the_command_line_finds_the_same_cells_done(real, monkeypatch, capsys):
    folder, _, told = real
    monkeypatch.chdir(folder)
    words = ["--methods", "toy-shift[iterations=5],toy-raise", "--dataset", "toy", "--metrics",
             "l2-uvp", "--seeds", "3", "--threads", "1", "--device", "cpu", "--plugin", str(TOY)]
    assert main(["run", *words, "--dry-run"]) == 0
    said = capsys.readouterr().err
    for key, mark in zip(told["keys"], ("done before", "to run"), strict=True):
        assert f"{key[:10]}  {mark}" in said
    plan = Store(Path("runs")).read_plan(Store(Path("runs")).latest_plan())
    assert plan["command"].startswith("srbench run --methods 'toy-shift[iterations=5]' --methods")
    assert main(plan["command"].split()[1:2] + words + ["--dry-run"]) == 0


def test_the_page_is_that_of_the_command_line(tmp_path, monkeypatch):
    from_python = toy("toy-shift[iterations=5]", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("srbench.engine.scheduler.Scheduler", Here)
    assert main(["run", "--plugin", str(TOY), "--dataset", "toy", "--metrics", "l2-uvp",
                 "--methods", "toy-shift[iterations=5]", "--threads", "1", "--device", "cpu"]) == 0
    pages = sorted(Path("runs/boards").glob("*/*.html"), key=lambda path: path.stat().st_mtime_ns)
    assert len(pages) == 2
    assert pages[0] == from_python.page.relative_to(tmp_path)
    assert pages[0].read_bytes() == pages[1].read_bytes()


@pytest.mark.parametrize(("seeds", "wanted"), [
    (1, [0]), (3, [0, 1, 2]), ([4, 2], [4, 2]), ((7,), [7]), ("5,8-9", [5, 8, 9]),
    (range(2), [0, 1])])
def test_seeds_are_a_number_or_a_list(tmp_path, seeds, wanted, monkeypatch):
    found = []
    monkeypatch.setattr("srbench.python.run._carried_out",
                        lambda run, command, **_: found.extend(run.request.seeds))
    toy("toy-shift", tmp_path, seeds=seeds)
    assert found == wanted


@pytest.mark.parametrize(("options", "words"), [
    ({"seeds": 0}, "seeds = 0 must be at least 1"), ({"seeds": True}, "seeds = True"),
    ({"seeds": 1.5}, "seeds = 1.5"), ({"seeds": "a"}, "'a' is not a seed"),
    ({"threads": 0}, "threads = 0"), ({"threads": 1.5}, "threads = 1.5"),
    ({"timeout": -1.0}, "timeout = -1.0"), ({"budget": 600}, "budget = 600"),
    ({"budget": "6 apples"}, "6 apples"), ({"preset": "fast"}, "no preset named 'fast'"),
    ({"precision": "fp16"}, "no precision named 'fp16'"), ({"device": "gpu"}, "not a device"),
    ({"settings": {"toy-shift": 5}}, "must be a table"),
    ({"settings": {"toy-shift": {"speed": 5}}}, "'speed'"),
    ({"settings": {"ots": {"lr": 5.0}}}, "takes no part"), ({"metrics": "psnrr"}, "'psnrr'"),
    ({"executor": "cloud"}, "no executor named 'cloud'"), ({"slurm": ["a=b"]}, "--slurm"),
    ({"track": "nobody"}, "no tracker named 'nobody'"), ({"plugins": "absent.py"}, "absent.py")])
def test_errors_are_those_of_the_command_line(tmp_path, options, words):
    with pytest.raises(UsageError) as told:
        toy("toy-shift", tmp_path, **options)
    assert words in str(told.value)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("methods", "dataset", "kind"), [
    ("toy-shif", "toy", UnknownName), ("toy-shift[lr=-1]", "toy", ParameterError),
    ("toy-shift[lr", "toy", SpecError), ("", "toy", SrbenchError), ([], "toy", UsageError),
    (["toy-shift", 3], "toy", UsageError), ("toy-shift", None, UsageError)])
def test_specs_that_are_wrong(tmp_path, methods, dataset, kind):
    with pytest.raises(kind):
        srbench.run(methods, dataset, plugins=TOY, runs=tmp_path / "runs")


def test_settings_as_a_mapping_and_as_text_are_the_same_cells(tmp_path):
    results = [toy("toy-shift", tmp_path / str(n), settings=settings) for n, settings in enumerate(
        ({"toy-shift": {"iterations": 4, "lr": 0.5}}, "toy-shift.iterations=4,toy-shift.lr=0.5",
         ["toy-shift.iterations=4", "toy-shift.lr=0.5"]))]
    keys = {record.identity.key for one in results for record in one.records}
    assert len(keys) == 1
    assert results[0].records[0].identity.method_params["iterations"] == 4


def test_a_second_call_runs_nothing_and_rerun_runs_it(tmp_path):
    first = toy("toy-shift[iterations=5]", tmp_path)
    finished = first.records[0].outcome.finished
    time.sleep(1.1)
    assert toy("toy-shift[iterations=5]", tmp_path).records[0].outcome.finished == finished
    again = toy("toy-shift[iterations=5]", tmp_path, rerun=True).records[0]
    assert again.outcome.finished > finished
    assert again.values == first.records[0].values


def test_progress_false_says_nothing_and_true_says_it_on_stderr(tmp_path, capsys):
    toy("toy-shift[iterations=2]", tmp_path, progress=False)
    assert capsys.readouterr() == ("", "")
    toy("toy-shift[iterations=3],toy-raise", tmp_path, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "plan      2 cells on toy" in err
    assert "results.failures" in err


def test_the_command_that_stands_for_a_call(tmp_path):
    given = {"methods": ["toy-shift[iterations=3]", "toy-nan"], "dataset": ["toy"], "seeds": "0-1",
             "preset": None, "precision": None, "budget": "10it", "device": "cpu", "threads": 1,
             "plugin": [str(TOY)], "runs": "elsewhere", "metrics": "l2-uvp",
             "set": ["toy-shift.lr=0.5"], "gpus_per_cell": None, "rerun": True}
    assert command_line(plan_run(given)) == (
        "srbench run --methods 'toy-shift[iterations=3]' --methods toy-nan --dataset toy --seeds "
        "0-1 --set toy-shift.lr=0.5 --device cpu --budget 10it --metrics l2-uvp --runs elsewhere "
        f"--threads 1 --plugin {TOY} --rerun")


@pytest.mark.slow
def test_an_interrupt_keeps_every_record_and_says_how_to_go_on(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], cwd=tmp_path, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 90
    while not list(tmp_path.glob("runs/cells/*/checkpoint/0*")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=90)
    assert out.startswith("stopped: 2 of 2 cells are not finished and every record is safe"), err
    assert "srbench resume" in out
    records, invalid = Store(tmp_path / "runs").records()
    assert (len(records), invalid) == (2, [])
    assert {str(record.outcome.status) for record in records} == {"interrupted"}
    results = toy(f"{SLOW}", tmp_path, jobs=1, checkpoint_every=0.2,
                  settings={"toy-slow": {}})
    assert results.records[0].cost.resumes == 1
    assert results.records[0].outcome.status == "ok"


def test_an_interrupt_is_an_exception_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(Here, "limit", 1)
    with pytest.raises(KeyboardInterrupt, match=r"1 of 2 cells .* srbench resume 20"):
        toy("toy-shift[iterations=[2,3]]", tmp_path)
    assert threading.current_thread() is threading.main_thread()
    states = [str(record.outcome.status) for record in Store(tmp_path / "runs").records()[0]]
    assert sorted(states) == ["interrupted", "ok"]
