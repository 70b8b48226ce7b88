"""`srbench run --track` and `resume` with real cells; TensorBoard and MLflow are read back."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from srbench.cli import main
from srbench.cli.exits import ExitCode
from srbench.engine.scalars import FILE

TOY = Path(__file__).resolve().parents[1] / "toy_plugin.py"
SLOW, SHIFT = "toy-slow[iterations=150,sleep=0.03]", "toy-shift[iterations=50]"
STOPPER = '''
"""Stops the run in the middle of a training, once; prints, and raises."""

import os
import signal
from pathlib import Path

from srbench import hookimpl


@hookimpl
def srbench_cell_started(run, cell):
    print("printed by a tracker")


@hookimpl
def srbench_scalars(cell, scalars):
    once = Path(__file__).with_suffix(".once")
    if cell.method == "toy-slow" and scalars.step >= 40 and not once.exists():
        once.touch()
        os.kill(os.getpid(), signal.SIGINT)


@hookimpl
def srbench_cell_finished(record):
    raise RuntimeError("bad luck")
'''


class Said(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def srbench(*words) -> Said:
    """Run a command in this process; its cells are processes of their own."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:
            code = end.code
    return Said(code, out.getvalue(), err.getvalue())


class World(NamedTuple):
    """A run of three cells, stopped and resumed, and what was seen on the way."""

    folder: Path
    stopped: Said
    resumed: Said
    curves_then: dict
    states_then: dict

    def cell(self, label: str) -> Path:
        for path in (self.folder / "runs" / "cells").iterdir():
            record = json.loads((path / "record.json").read_bytes())
            if record["identity"]["label"] == label:
                return path
        raise KeyError(label)

    def record(self, label: str) -> dict:
        return json.loads((self.cell(label) / "record.json").read_bytes())

    def history(self, label: str) -> dict[str, list]:
        """(step, value) by tag, as the training itself kept them."""
        return curves_of(pd.read_parquet(self.cell(label) / "history.parquet"))


def curves_of(history: pd.DataFrame) -> dict[str, list]:
    found: dict[str, list] = {}
    for row in history.itertuples():
        kind = "validation" if row.name.startswith("validation/") else "train"
        tag = f"{kind}/{row.stage}/{row.name.removeprefix('validation/')}"
        found.setdefault(tag, []).append((row.step, row.value))
    return found


def board_of(folder: Path, label: str):
    """TensorBoard's own reader of the event files of a cell."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    name = label.replace("[", "_").replace("]", "_")
    path, = folder.glob(f"runs/tensorboard/*/{name}*")
    return EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0}).Reload()


def curves_on_board(folder: Path, label: str) -> dict[str, list]:
    board = board_of(folder, label)
    return {tag: [(one.step, one.value) for one in board.Scalars(tag)]
            for tag in board.Tags()["scalars"]}


def mlflow_runs(folder: Path) -> dict:
    from mlflow import MlflowClient

    client = MlflowClient((folder / "runs" / "mlflow").as_uri())
    experiment = client.get_experiment_by_name("srbench")
    return {run.data.params["method"]: run
            for run in client.search_runs([experiment.experiment_id])}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    folder = tmp_path_factory.mktemp("tracked")
    (folder / "stopper.py").write_text(STOPPER)
    (folder / "run.toml").write_text('track = ["tensorboard,mlflow", "stopper"]\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
            patch.delenv(name, raising=False)
        stopped = srbench("run", "--config", "run.toml", "--plugin", TOY, "--plugin", "stopper.py",
                          "--methods", f"{SHIFT},toy-raise,{SLOW}", "--dataset", "toy",
                          "--metrics", "l2-uvp", "-j", 1)  # the slow one is the last
        curves = curves_on_board(folder, SLOW)
        states = {name: run.info.status for name, run in mlflow_runs(folder).items()}
        resumed = srbench("resume")
    return World(folder, stopped, resumed, curves, states)


def test_the_run_was_stopped_and_finished(world):
    assert world.stopped.code == ExitCode.INTERRUPTED, world.stopped.err
    assert world.resumed.code == ExitCode.CELLS, world.resumed.err
    assert [world.record(label)["outcome"]["status"] for label in (SHIFT, "toy-raise", SLOW)] == [
        "ok", "failed", "ok"]
    assert world.record(SLOW)["cost"]["resumes"] == 1


def test_what_trackers_print_and_raise_is_not_the_answer(world):
    for said, started, ended in ((world.stopped, 3, 3), (world.resumed, 1, 1)):
        page, = said.out.splitlines()
        assert page.endswith(".html")
        assert said.err.count("printed by a tracker") == started
        assert said.err.count("warning: tracker 'stopper': srbench_cell_finished of ") == ended
        assert f"{SLOW} on toy, seed 0 raised RuntimeError: bad luck" in said.err
        assert "Traceback" not in said.err


@pytest.mark.parametrize("label", [SHIFT, SLOW])
def test_tensorboard_has_the_history_and_the_scores(world, label):
    found, history = curves_on_board(world.folder, label), world.history(label)
    final = world.record(label)["values"]["final"]["l2-uvp"]["value"]
    assert found.pop("final/l2-uvp") == [(150 if label == SLOW else 50, np.float32(final))]
    assert set(found) == {"train/main/loss", "validation/main/l2-uvp"} == set(history)
    for tag, curve in history.items():
        assert found[tag] == [(step, np.float32(value)) for step, value in curve]


def test_nothing_is_told_before_it_is_so_and_nothing_is_lost_by_a_stop(world):
    loss = world.curves_then["train/main/loss"]
    assert [step for step, _ in loss][:2] == [20, 40]
    assert loss == [(step, np.float32(value))
                    for step, value in world.history(SLOW)["train/main/loss"][:len(loss)]]
    assert 40 <= max(step for step, _ in world.curves_then["validation/main/l2-uvp"]) < 150


def test_tensorboards_table_of_settings_and_its_text(world):
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    board = board_of(world.folder, SHIFT)
    content = board.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    settings = HParamsPluginData.FromString(content).session_start_info.hparams
    assert settings["method"].string_value == "toy-shift"
    assert settings["toy-shift.iterations"].number_value == 50
    assert settings["dataset.dim"].number_value == 4
    assert settings["seed"].number_value == 0
    text = board_of(world.folder, "toy-raise").Tensors("status/text_summary")[0]
    assert b"**failed** RuntimeError: the toy is broken" in text.tensor_proto.string_val[0]


@pytest.mark.parametrize("label", [SHIFT, SLOW])
def test_mlflow_has_the_history_and_the_scores(world, label):
    from mlflow import MlflowClient

    client, run = MlflowClient((world.folder / "runs/mlflow").as_uri()), mlflow_runs(
        world.folder)[label]
    found = {name: [(one.step, one.value) for one in
                    client.get_metric_history(run.info.run_id, name)] for name in run.data.metrics}
    final = world.record(label)["values"]["final"]["l2-uvp"]["value"]
    assert found.pop("final/l2-uvp") == [(150 if label == SLOW else 50, final)]
    assert found == world.history(label)


def test_mlflow_has_one_run_for_each_cell_with_settings_tags_and_its_record(world):
    found = mlflow_runs(world.folder)
    assert {name: run.info.status for name, run in found.items()} == {
        SHIFT: "FINISHED", "toy-raise": "FAILED", SLOW: "FINISHED"}
    assert world.states_then == {SHIFT: "FINISHED", "toy-raise": "FAILED", SLOW: "KILLED"}
    run, record = found[SHIFT], world.record(SHIFT)
    assert run.data.params["toy-shift.iterations"] == "50"
    assert run.data.params["dataset.test_size"] == "64"
    tags = run.data.tags
    assert tags["srbench.key"] == record["identity"]["key"]
    assert tags["srbench.plan"] == record["identity"]["plan"]
    assert (tags["srbench.status"], tags["mlflow.runName"]) == ("ok", f"{SHIFT} on toy, seed 0")
    assert found["toy-raise"].data.tags["srbench.reason"] == "RuntimeError: the toy is broken"
    path, = (world.folder / "runs" / "mlflow").glob(f"*/{run.info.run_id}/artifacts/record.json")
    assert path.read_bytes() == (world.cell(SHIFT) / "record.json").read_bytes()


def test_records_do_not_know_of_trackers_and_are_verified(world, monkeypatch):
    monkeypatch.chdir(world.folder)
    assert (world.cell(SLOW) / FILE).is_file()
    assert FILE not in world.record(SLOW)["artefacts"]
    assert srbench("verify").code == ExitCode.OK


@pytest.mark.parametrize(("words", "error", "hint"), [
    (["--track", "tensorbord"], "no tracker named 'tensorbord'; did you mean 'tensorboard'?",
     "known: mlflow, tensorboard"),
    (["--track", "mlflow,ots"], "no tracker named 'ots'", "'ots' is a method"),
    (["--plugin", "typo.py", "--track", "typo"],
     "'typo' comes from broken plugin file:", "mend ")])
def test_a_name_that_is_none_is_wrong_usage(tmp_path, monkeypatch, words, error, hint):
    monkeypatch.chdir(tmp_path)
    Path("typo.py").write_text("from srbench import hookimpl\n\n@hookimpl\n"
                               "def srbench_scalar(scalars): pass\n")
    said = srbench("run", "--plugin", TOY, "--methods", "toy-shift", "--dataset", "toy", *words)
    assert (said.code, said.out) == (ExitCode.USAGE, "")
    first, second = said.err.splitlines()
    assert first.startswith(f"error: {error}")
    assert second.startswith(f"hint: {hint}")
    assert not Path("runs").exists()
    if "typo" in words:
        assert "unknown hook 'srbench_scalar'; did you mean 'srbench_scalars'?" in first


@pytest.mark.parametrize(("name", "package"), [("tensorboard", "tensorboard"),
                                               ("mlflow", "mlflow")])
def test_a_package_that_is_not_installed_ends_the_run_before_its_first_cell(
        tmp_path, monkeypatch, name, package):
    monkeypatch.chdir(tmp_path)
    for module in [*sys.modules]:
        if module.partition(".")[0] == package or module in (
                f"srbench_{name}.log", "torch.utils.tensorboard"):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)  # its import fails
    said = srbench("run", "--plugin", TOY, "--methods", "toy-shift", "--dataset", "toy",
                   "--metrics", "l2-uvp", "--track", name)
    assert said.code == ExitCode.FAILURE
    assert said.out == ""
    assert said.err.splitlines()[-2:] == [
        f"error: --track {name} needs the package {package!r}, which is not installed",
        f"hint: pip install 'srbench[{name}]'"]
    assert not Path("runs/cells").exists()


def test_a_resumed_run_may_leave_its_trackers(tmp_path, monkeypatch):
    from srbench.registry.catalog import discover
    from srbench.running.track import chosen

    catalog = discover()
    assert [one.name for one in chosen({"track": ("mlflow, tensorboard", "mlflow")}, catalog)] == [
        "mlflow", "tensorboard"]
    assert chosen({"track": ("none",)}, catalog) == []
    assert chosen({}, catalog) == []


def test_environment_of_the_file_store_is_not_forced_on_the_user(monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    monkeypatch.delitem(sys.modules, "srbench_mlflow.log", raising=False)
    import srbench_mlflow.log  # noqa: F401 - its import is what is looked at

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "false"
