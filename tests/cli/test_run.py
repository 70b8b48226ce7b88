"""`srbench run` in this process: cells run here instead of in children."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch

from srbench.cli import main
from srbench.engine import scheduler
from srbench.engine.cell import run_cell
from srbench.engine.verdict import bare_record
from srbench.results.record import Status
from srbench.results.store import Store

PLUGIN = Path(__file__).resolve().parents[1] / "toy_plugin.py"


class Here:
    """Runs cells in this process; the first ``limit`` of them, then the user interrupts."""

    limit = 99
    interrupted = False

    def __init__(self, store, executor, *, options, on_event):
        self._store, self._on_event = store, on_event

    def run(self, cells):
        records = []
        for number, cell in enumerate(cells):
            folder = scheduler.describe(cell, self._store)
            if number >= self.limit:
                records.append(bare_record(cell, Status.INTERRUPTED, "not started"))
                self._store.commit(records[-1])
                self.interrupted = True
                continue
            records.append(run_cell(folder, lambda event: None))
            self._on_event(cell, {"event": "finished", "record": records[-1]})
        return records


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return a function that runs the command and gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scheduler, "Scheduler", Here)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    threads = torch.get_num_threads()

    def call(*words):
        capsys.readouterr()
        try:
            code = main(["run", "--plugin", str(PLUGIN), "--dataset", "toy", "--threads", "1",
                         "--metrics", "l2-uvp", "--methods", *words])
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)
    torch.set_num_threads(threads)


def records(folder=Path("runs")):
    return {record.identity.label: record for record in Store(folder).records()[0]}


def test_rerun_trains_again_and_plain_run_does_not(run):
    words = ["toy-shift[iterations=20]"]
    assert run(*words)[0] == 0
    first, = records().values()
    code, _, said = run(*words)
    assert (code, "1 already done" in said) == (0, True)
    assert records() == {first.identity.label: first}
    assert run(*words, "--rerun", "--dry-run")[0] == 0
    checkpoint = Path("runs/cells", first.identity.key, "checkpoint")
    assert any(checkpoint.iterdir())  # a dry run removes nothing
    assert run(*words, "--rerun")[0] == 0
    again, = records().values()
    assert again.cost.resumes == 0  # from the first step, not from the end of the last training
    assert again.cost.stages[0].seconds != first.cost.stages[0].seconds
    assert again.values == first.values


def test_the_plan_is_written_with_its_command(run, monkeypatch):
    monkeypatch.setattr("sys.argv", ["srbench", "run", "--methods", "toy-shift[lr=[1,2]]"])
    assert run("toy-shift[lr=[1,2],iterations=3]")[0] == 0
    store = Store(Path("runs"))
    plan = store.read_plan(store.latest_plan())
    assert plan["command"] == "srbench run --methods 'toy-shift[lr=[1,2]]'"
    assert plan["cells"] == [record.identity.key for _, record in sorted(records().items())]
    assert plan["names"] == ["toy-shift[iterations=3,lr=1] on toy, seed 0",
                             "toy-shift[iterations=3,lr=2] on toy, seed 0"]


def test_one_bad_cell_is_exit_3_and_the_good_one_is_kept(run):
    code, page, said = run("toy-raise,toy-shift[iterations=3]")
    assert code == 3
    assert "1 ok, 1 not ok; try those again with" in said
    assert Path(page.strip()).is_file()
    assert {label: record.outcome.status for label, record in records().items()} == {
        "toy-raise": "failed", "toy-shift[iterations=3]": "ok"}
    code, _, said = run("toy-raise,toy-shift[iterations=3]")
    assert "1 already done" in said  # what failed is tried again


def test_an_interrupted_run_is_exit_130_and_says_how_to_go_on(run, monkeypatch, capsys):
    monkeypatch.setattr(Here, "limit", 1)
    code, _, said = run("toy-shift[iterations=3],toy-slow[iterations=3]")
    assert code == 130
    assert "interrupted: 1 cells are not finished; go on with" in said
    key = records()["toy-slow[iterations=3]"].identity.key
    assert main(["explain", key[:12], "--json"]) == 0  # also of a cell that never started
    document = json.loads(capsys.readouterr().out)
    assert (document["status"], document["reused"]) == ("interrupted", False)
    assert all(part["same"] for part in document["parts"])
    monkeypatch.setattr(Here, "limit", 9)
    assert run("toy-shift[iterations=3],toy-slow[iterations=3]")[0] == 0


def test_json_lines_are_all_that_is_on_stdout(run):
    code, out, _ = run("toy-shift[iterations=2],toy-skip", "--json")
    assert code == 3
    assert [json.loads(line)["outcome"]["status"] for line in out.splitlines()] == ["ok", "skipped"]
