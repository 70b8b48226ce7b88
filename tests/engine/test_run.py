"""`srbench run` through the real command line, with cells that end in every way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PLUGIN = Path(__file__).resolve().parents[1] / "toy_plugin.py"


def srbench(*words: str, cwd: Path, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "srbench", *words], cwd=cwd, text=True,
                          capture_output=True, timeout=240, check=False, **options)


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess:
    return srbench("run", "--plugin", str(PLUGIN), "--dataset", "toy", "--threads", "1", *words,
                   cwd=cwd)


def records(folder: Path) -> dict[str, dict]:
    found = {}
    for path in folder.glob("runs/cells/*/record.json"):
        record = json.loads(path.read_text())
        found[f"{record['identity']['label']} {record['identity']['seed']}"] = record
    return found


def test_a_run_trains_evaluates_and_ends_with_a_page(tmp_path):
    done = run("--methods", "toy-shift[iterations=[1,200]]", "--seeds", "0,1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = Path(tmp_path, done.stdout.strip())
    assert page.is_file()
    assert "toy-shift" in page.read_text()
    found = records(tmp_path)
    assert sorted(found) == [f"toy-shift[iterations={n}] {seed}" for n in (1, 200)
                             for seed in (0, 1)]
    barely = found["toy-shift[iterations=1] 0"]["values"]["final"]["l2-uvp"]["value"]
    trained = found["toy-shift[iterations=200] 0"]["values"]["final"]["l2-uvp"]["value"]
    # The identity scores 100 * ||1||^2 / dim = 100 %, the true shift 0 %.
    assert 85 < barely < 100
    assert trained < 2
    record = found["toy-shift[iterations=200] 0"]
    assert record["cost"]["stages"][0]["images"] == 200 * 128
    assert record["origin"]["dataset_fingerprint"]
    assert "psnr" in record["values"]["final"]
    assert "vector" in record["values"]["final"]["psnr"]["unavailable"]


def test_a_finished_cell_is_reused_and_gives_the_same_record(tmp_path):
    first = run("--methods", "toy-shift", cwd=tmp_path)
    before = records(tmp_path)
    second = run("--methods", "toy-shift", cwd=tmp_path)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "1 already done" in second.stderr
    assert records(tmp_path) == before
    third = run("--methods", "toy-shift", "--rerun", cwd=tmp_path)
    assert third.returncode == 0
    again, = records(tmp_path).values()
    old, = before.values()
    assert again["outcome"]["started"] >= old["outcome"]["started"]
    for metric, value in again["values"]["final"].items():
        assert value["value"] == old["values"]["final"][metric]["value"], metric


@pytest.mark.slow  # test_hostile.py has the same statuses
def test_every_way_to_end_has_a_record_and_the_others_go_on(tmp_path):
    ways = {"shift": "ok", "raise": "failed", "exit": "crashed", "segv": "crashed",
            "hang": "timeout", "nan": "diverged", "skip": "skipped",
            "missing": "missing-dependency", "oom": "oom", "shape": "failed"}
    done = run("--methods", ",".join(f"toy-{way}" for way in ways), "--timeout", "25", "-j", "2",
               cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    found = records(tmp_path)
    assert {name: record["outcome"]["status"] for name, record in found.items()} == {
        f"toy-{way} 0": status for way, status in ways.items()}
    reasons = {name.split()[0][4:]: record["outcome"]["reason"] for name, record in found.items()}
    assert "the toy is broken" in reasons["raise"]
    assert "SIGSEGV" in reasons["segv"]
    assert "without a record" in reasons["exit"]
    assert "25 s" in reasons["hang"]
    assert "step 8" in reasons["nan"]  # the loss of step.index 7, counted from 1
    assert "makes no sense" in reasons["skip"]
    assert "pip install toyland" in reasons["missing"]
    assert any("RuntimeError: the toy is broken" in line
               for line in found["toy-raise 0"]["outcome"]["log_tail"])
    page = Path(tmp_path, done.stdout.strip()).read_text()
    for way in ways:
        assert f"toy-{way}" in page


def test_dry_run_shows_the_plan_and_writes_nothing(tmp_path):
    done = run("--methods", "toy-shift", "--seeds", "0-2", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 cells on toy" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_json_gives_one_line_per_record(tmp_path):
    done = run("--methods", "toy-shift,toy-skip", "--json", cwd=tmp_path)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(line["outcome"]["status"] for line in lines) == ["ok", "skipped"]


def test_options_come_from_a_config_file_and_the_command_line_wins(tmp_path):
    (tmp_path / "run.toml").write_text(
        f'methods = ["toy-shift"]\ndataset = "toy"\nseeds = [0, 1]\nplugin = ["{PLUGIN}"]\n'
        "[set.toy-shift]\niterations = 3\n")
    done = srbench("run", "--config", "run.toml", "--seeds", "5", "--threads", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record, = records(tmp_path).values()
    assert record["identity"]["seed"] == 5
    assert record["identity"]["method_params"]["iterations"] == 3


@pytest.mark.parametrize(("words", "told"), [
    (["--methods", "toy-shfit"], ["no method named 'toy-shfit'", "did you mean 'toy-shift'"]),
    (["--methods", "toy-shift[iteration=3]"], ["'iteration'", "did you mean 'iterations'"]),
    (["--methods", "toy-shift[iterations=-3]"], ["iterations=-3", "greater than or equal to 1"]),
    (["--methods", "toy-shift[iterations=many]"], ["iterations='many'", "integer"]),
    (["--methods", "toy-shift[iterations=3"], ["toy-shift[iterations=3"]),
    (["--methods", "toy-shift", "--seeds", "0,x"], ["'x' is not a seed"]),
    (["--methods", "toy-shift", "--preset", "papre"], ["'papre'", "did you mean 'paper'"]),
    (["--methods", "toy-shift", "--set", "toy-shfit.lr=1"], ["did you mean 'toy-shift'"]),
    (["--methods", "toy-shift", "--set", "ots.iterations=1"], ["ots takes no part"]),
    (["--methods", "toy-shift", "--config", "absent.toml"], ["cannot read --config absent.toml"]),
    (["--methods", "toy-shift", "--metrics", "psnrr"], ["did you mean 'psnr'"]),
    (["--methods", "toy-shift", "--device", "cuda:77"], ["cuda:77", "--device cpu"]),
    (["--methods", "toy-shift", "--budget", "soon"], ["soon"]),
    ([], ["--methods is missing"]),
])
def test_wrong_usage_is_exit_2_with_the_value_and_the_remedy(words, told, tmp_path, capsys):
    from srbench.cli import main

    arguments = ["run", "--plugin", str(PLUGIN), "--dataset", "toy", "--runs",
                 str(tmp_path / "runs"), *words]
    code = main(arguments)
    said = capsys.readouterr().err
    assert code == 2, said
    for text in told:
        assert text in said
    assert "Traceback" not in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow  # test_status_resume.py interrupts and resumes too, to the same bits
def test_ctrl_c_saves_a_checkpoint_exits_130_and_the_same_command_goes_on(tmp_path):
    words = ["--methods", "toy-slow[iterations=150],toy-shift"]
    command = [sys.executable, "-m", "srbench", "run", "--plugin", str(PLUGIN), "--dataset", "toy",
               "--threads", "1", *words]
    process = subprocess.Popen(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, start_new_session=True)
    wait_for_training(tmp_path, process)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "go on with" in said
    found = records(tmp_path)
    assert found["toy-slow[iterations=150] 0"]["outcome"]["status"] == "interrupted"
    assert len(found) == 2
    resumed = run(*words, cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    interrupted = records(tmp_path)["toy-slow[iterations=150] 0"]
    assert interrupted["cost"]["resumes"] == 1
    assert interrupted["cost"]["stages"][0]["steps"] == 150

    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    run("--methods", "toy-slow[iterations=150]", cwd=undisturbed)
    straight = records(undisturbed)["toy-slow[iterations=150] 0"]
    assert (interrupted["values"]["final"]["l2-uvp"]["value"]
            == straight["values"]["final"]["l2-uvp"]["value"])


def wait_for_training(folder: Path, process: subprocess.Popen) -> None:
    """Wait until a cell that takes 150 steps has taken some."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        for path in folder.glob("runs/cells/*/live.json"):
            live = json.loads(path.read_text())
            if live.get("steps") == 150 and live["step"] >= 3:
                return
        time.sleep(0.1)
    raise AssertionError(f"no cell started: {process.communicate()}")


def test_a_full_disk_while_committing_is_named_and_leaves_nothing_half_written(tmp_path):
    # The record of this cell is larger than the file-size limit of its process.
    script = ("ulimit -f 1; exec " + " ".join([
        sys.executable, "-m", "srbench", "run", "--plugin", str(PLUGIN), "--dataset", "toy",
        "--methods", "toy-shift", "--threads", "1"]))
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, text=True, capture_output=True,
                          timeout=120, check=False)
    assert done.returncode in (1, 3), done.stderr
    assert "Traceback" not in done.stderr
    assert "cannot write" in done.stderr or "File too large" in done.stderr
    for path in tmp_path.rglob("record.json"):
        json.loads(path.read_text())


def test_explain_says_what_differs(tmp_path):
    run("--methods", "toy-shift[iterations=2]", cwd=tmp_path)
    record, = records(tmp_path).values()
    key = record["identity"]["key"]
    same = srbench("explain", key[:8], "--json", cwd=tmp_path)
    assert same.returncode == 0, same.stderr
    assert json.loads(same.stdout)["reused"] is True
    cell = tmp_path / "runs" / "cells" / key / "cell.json"
    document = json.loads(cell.read_text())
    document["parts"]["versions"]["torch"] = "1.0"
    cell.write_text(json.dumps(document))
    other = srbench("explain", key[:8], cwd=tmp_path)
    assert "DIFFERS  versions" in other.stdout
    assert "torch 1.0 -> " in other.stdout
    absent = srbench("explain", "zzzz", cwd=tmp_path)
    assert absent.returncode == 2
    assert "zzzz" in absent.stderr
