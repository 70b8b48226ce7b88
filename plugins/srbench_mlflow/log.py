"""MLflow runs of the cells of a run."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from srbench.errors import MissingDependency

# What is said here counts unless the user has said something else.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
try:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag
except ImportError as error:
    raise MissingDependency("--track mlflow needs the package 'mlflow', which is not installed",
                            hint="pip install 'srbench[mlflow]'") from error

if TYPE_CHECKING:
    from srbench import Scalars, TrackedCell, TrackedRun

FOLDER, EXPERIMENT = "mlflow", "srbench"
LONGEST = 6000  # characters of a parameter, MLflow's limit
MANY, SECONDS = 500, 2.0  # values that are logged together at most, and how long they wait
STATES = {"ok": "FINISHED", "interrupted": "KILLED"}


@dataclass
class Open:
    """The MLflow run of a cell, the values that wait, and the (name, step) it already has."""

    id: str
    waiting: list[Metric] = field(default_factory=list)
    known: set[tuple[str, int]] = field(default_factory=set)
    sent: float = field(default_factory=time.monotonic)


class Log:
    """One MLflow run for each cell of a plan, in the experiment ``srbench``.

    They are kept in ``runs/mlflow``; ``MLFLOW_TRACKING_URI`` and ``MLFLOW_EXPERIMENT_NAME`` say
    otherwise. Metrics are ``train/<stage>/<name>`` and ``validation/<stage>/<name>`` over the steps
    of the stage, and ``final/<metric>``.

    Parameters
    ----------
    run : TrackedRun
        The run.
    """

    def __init__(self, run: TrackedRun) -> None:
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if uri is None:
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # else newer versions refuse
            uri = (run.folder / FOLDER).as_uri()
        self._plan, self._client = run.id, MlflowClient(uri)
        self._runs: dict[str, Open] = {}
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = self._client.get_experiment_by_name(name)
        self._experiment: str = (found.experiment_id if found is not None
                                 else self._client.create_experiment(name))

    def start(self, cell: TrackedCell) -> None:
        """Begin the MLflow run of a cell, or go on with that of an earlier attempt."""
        found = self._client.search_runs(
            [self._experiment], f"tags.`srbench.key` = '{cell.key}' and "
                                f"tags.`srbench.plan` = '{self._plan}'", max_results=1)
        if found:
            identity = found[0].info.run_id
            self._client.update_run(identity, status="RUNNING")
            self._runs[cell.key] = Open(identity, known={
                (name, metric.step) for name in found[0].data.metrics
                for metric in self._client.get_metric_history(identity, name)})
            return
        tags = {"srbench.key": cell.key, "srbench.plan": self._plan, "srbench.status": "running",
                "srbench.method": cell.method, "srbench.dataset": cell.dataset}
        identity = self._client.create_run(self._experiment, tags=tags,
                                           run_name=cell.name).info.run_id
        self._runs[cell.key] = Open(identity)
        self._client.log_batch(identity, params=[Param(named(name), value[:LONGEST])
                                                 for name, value in settings(cell).items()])

    def add(self, cell: TrackedCell, scalars: Scalars) -> None:
        """Log values of one moment, unless an earlier attempt has logged them."""
        opened = self._runs[cell.key]
        # A name is a file in the store: "loss" and "loss/l1" cannot both be there.
        self._keep(opened, {f"{scalars.kind}/{scalars.stage}/{name.replace('/', '.')}": value
                            for name, value in scalars.values.items()}, scalars.step)
        if len(opened.waiting) >= MANY or time.monotonic() - opened.sent >= SECONDS:
            self._send(opened)

    def finish(self, cell: TrackedCell, record: dict[str, Any]) -> None:
        """Log scores, how the cell ended, and its record."""
        opened, outcome = self._runs.pop(cell.key), record["outcome"]
        self._keep(opened, {f"final/{name}": metric["value"]
                            for name, metric in record["values"]["final"].items()
                            if metric["value"] is not None},
                   sum(stage["steps"] for stage in record["cost"]["stages"]))
        self._send(opened)
        self._client.log_batch(opened.id, tags=[
            RunTag("srbench.status", outcome["status"]),
            RunTag("srbench.reason", outcome["reason"][:LONGEST])])
        path = cell.folder / "record.json"
        if path.is_file():
            self._client.log_artifact(opened.id, str(path))
        self._client.set_terminated(opened.id, STATES.get(outcome["status"], "FAILED"))

    def close(self) -> None:
        """Log what waits of cells that did not end."""
        for opened in self._runs.values():
            self._send(opened)
        self._runs.clear()

    def _keep(self, opened: Open, values: dict[str, float], step: int) -> None:
        now = round(time.time() * 1000)
        opened.waiting += [Metric(named(name), value, now, step)
                           for name, value in values.items()
                           if (named(name), step) not in opened.known]

    def _send(self, opened: Open) -> None:
        waiting, opened.waiting = opened.waiting, []
        for start in range(0, len(waiting), MANY):
            self._client.log_batch(opened.id, metrics=waiting[start:start + MANY])
        opened.sent = time.monotonic()


def named(name: str) -> str:
    """Name with the characters that MLflow takes."""
    return re.sub(r"[^\w./ :-]", "_", name)[:250]


def settings(cell: TrackedCell) -> dict[str, str]:
    """What a cell was run with, as text."""
    known = {"method": cell.label, "dataset": cell.dataset, "seed": cell.seed,
             "preset": cell.preset, "device": cell.device, "precision": cell.precision,
             "budget": cell.budget,
             **{f"{cell.method}.{name}": value for name, value in cell.parameters.items()},
             **{f"dataset.{name}": value for name, value in cell.dataset_parameters.items()}}
    return {name: value if isinstance(value, str) else json.dumps(value)
            for name, value in known.items()}
