"""The trackers of a run: which were asked for, and what they are told of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from srbench.registry.events import TrackedCell, TrackedRun

if TYPE_CHECKING:
    from srbench.engine.listener import Warn
    from srbench.engine.trackers import Trackers
    from srbench.plan import Cell
    from srbench.registry.catalog import Catalog
    from srbench.registry.tracker import Tracker
    from srbench.results.store import Store
    from srbench.running.run import Run

NONE = "none"  # on resume: do not track what was tracked before


def chosen(given: Mapping[str, Any], catalog: Catalog) -> list[Tracker]:
    """Trackers of ``--track``, each once.

    Raises
    ------
    UnknownName
        If there is none of that name.
    PluginError
        If it is broken.
    """
    from srbench.spec import split_list

    names = [name for text in given.get("track") or () for name in split_list(text)]
    return [catalog.tracker(name) for name in dict.fromkeys(names) if name != NONE]


@contextmanager
def tracking(run: Run, warn: Warn | None = None) -> Iterator[Trackers]:
    """Tell the trackers of a run about it while the body runs.

    Parameters
    ----------
    run : Run
        Its plan is written.
    warn : callable, optional
        Takes what users should know; a warning in the log by default.

    Raises
    ------
    SrbenchError
        That a tracker raised when it was told that the run starts.
    """
    from srbench.engine.trackers import Trackers, log

    trackers = Trackers(chosen(run.given, run.catalog), tracked_run(run), warn or log)
    trackers.start()
    try:
        yield trackers
    finally:
        trackers.close()


def tracked_run(run: Run) -> TrackedRun:
    """What trackers are told of a run."""
    plan = run.store.read_plan(run.id)
    return TrackedRun(
        id=run.id, folder=run.store.runs.absolute(), command=str(plan.get("command", "")),
        created=str(plan.get("created", "")),
        cells=tuple(tracked_cell(cell, run.store) for cell in run.waiting))


def tracked_cell(cell: Cell, store: Store) -> TrackedCell:
    """What trackers are told of a cell."""
    identity = cell.identity
    return TrackedCell(
        key=cell.key, name=cell.name, label=identity.label, method=identity.method,
        dataset=identity.title, seed=identity.seed, preset=identity.preset,
        parameters=dict(identity.method_params),
        dataset_parameters=dict(identity.dataset_params), device=cell.device,
        precision=identity.precision, budget=cell.budget,
        folder=store.cell_folder(cell.key).absolute())
