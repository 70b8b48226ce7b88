"""MLflow: one run for each cell, in a file store below runs/mlflow or on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from srbench import hookimpl

if TYPE_CHECKING:
    from srbench import Scalars, TrackedCell, TrackedRun
    from srbench_mlflow.log import Log

_logs: dict[str, Log] = {}


@hookimpl
def srbench_run_started(run: TrackedRun) -> None:
    """Import MLflow and reach the store, or say how to install it."""
    from srbench_mlflow.log import Log

    _logs[run.id] = Log(run)


@hookimpl
def srbench_cell_started(run: TrackedRun, cell: TrackedCell) -> None:
    """Begin or go on with the MLflow run of a cell."""
    _logs[run.id].start(cell)


@hookimpl
def srbench_scalars(run: TrackedRun, cell: TrackedCell, scalars: Scalars) -> None:
    """Log values of a training."""
    _logs[run.id].add(cell, scalars)


@hookimpl
def srbench_cell_finished(run: TrackedRun, cell: TrackedCell, record: dict[str, Any]) -> None:
    """Log how a cell ended, and end its MLflow run."""
    _logs[run.id].finish(cell, record)


@hookimpl
def srbench_run_finished(run: TrackedRun) -> None:
    """Log what still waits."""
    _logs.pop(run.id).close()
