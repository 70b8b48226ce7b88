"""TensorBoard: curves, settings and scores of every cell, below runs/tensorboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from srbench import hookimpl

if TYPE_CHECKING:
    from srbench import Scalars, TrackedCell, TrackedRun
    from srbench_tensorboard.log import Log

_logs: dict[str, Log] = {}


@hookimpl
def srbench_run_started(run: TrackedRun) -> None:
    """Import TensorBoard, or say how to install it."""
    from srbench_tensorboard.log import Log

    _logs[run.id] = Log(run)


@hookimpl
def srbench_cell_started(run: TrackedRun, cell: TrackedCell) -> None:
    """Open the event file of a cell."""
    _logs[run.id].start(cell)


@hookimpl
def srbench_scalars(run: TrackedRun, cell: TrackedCell, scalars: Scalars) -> None:
    """Write values of a training."""
    _logs[run.id].add(cell, scalars)


@hookimpl
def srbench_cell_finished(run: TrackedRun, cell: TrackedCell, record: dict[str, Any]) -> None:
    """Write how a cell ended, and close its file."""
    _logs[run.id].finish(cell, record)


@hookimpl
def srbench_run_finished(run: TrackedRun) -> None:
    """Close what is open."""
    _logs.pop(run.id).close()
