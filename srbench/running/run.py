"""A run: planned, written down, carried out, its page built. The command line and Python share it.

Nothing here says a word: who calls shows what happens.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench.paths import user_path
from srbench.running.executor import check_executor, make_executor, refuse_impossible
from srbench.running.track import chosen, tracking

if TYPE_CHECKING:
    from srbench.engine.listener import Warn
    from srbench.plan import Cell, Request
    from srbench.registry.catalog import Catalog
    from srbench.results.record import Record
    from srbench.results.store import Store

    OnEvent = Callable[[Cell, dict[str, Any]], None]

# Options of a run that a resumed one takes over; what decides how it runs is given anew.
KEPT = ("methods", "dataset", "seeds", "preset", "set", "plugin", "metrics", "device", "precision",
        "budget", "threads", "gpus_per_cell", "memory", "gpu_memory", "jobs", "timeout",
        "rank_timeout", "checkpoint_every", "executor", "address", "slurm", "track")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A plan that is to be carried out.

    Attributes
    ----------
    id : str
        Of the plan.
    request, cells : Request, list of Cell
        What was asked for, and what it comes to.
    done : dict of str to Record
        Records of the cells that are not to be run, by key.
    store, catalog : Store, Catalog
        Where records lie; what is installed.
    given : mapping
        Options as the command line names them.
    """

    id: str
    request: Request
    cells: list[Cell]
    done: dict[str, Record]
    store: Store
    catalog: Catalog
    given: Mapping[str, Any]

    @property
    def waiting(self) -> list[Cell]:
        """The cells that are to run."""
        return [cell for cell in self.cells if cell.key not in self.done]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended: the records of the whole plan in its order, and whether it was stopped."""

    records: list[Record]
    interrupted: bool

    @property
    def bad(self) -> list[Record]:
        """Records of cells that are not ok."""
        return [record for record in self.records if record.outcome.status != "ok"]

    @property
    def unfinished(self) -> list[Record]:
        """Records of cells that were stopped or not begun."""
        return [record for record in self.records if record.outcome.status == "interrupted"]


def plan_run(given: Mapping[str, Any]) -> Run:
    """Plan a new run; nothing is written.

    Parameters
    ----------
    given : mapping
        Options by the names of the command line, ``-`` as ``_``, and ``set`` for the settings.

    Raises
    ------
    UsageError, UnknownName, PluginError, DataError
        With what is wrong and the remedy.
    """
    from srbench.plan import make_plan
    from srbench.registry.catalog import discover
    from srbench.results.store import Store
    from srbench.running.request import make_request

    check_executor(given)
    catalog = discover([Path(path) for path in given.get("plugin") or ()])
    chosen(given, catalog)
    request, plan_id = make_request(dict(given)), new_plan_id()
    store = Store(Path(given.get("runs") or "runs"))
    cells = make_plan(request, catalog, plan_id)
    done = {} if given.get("rerun") else finished_before(store, cells)
    return Run(id=plan_id, request=request, cells=cells, done=done, store=store, catalog=catalog,
               given=given)


def start(run: Run, command: str) -> None:
    """Write the plan of a new run, and forget what is to be trained again.

    Parameters
    ----------
    run : Run
        From `plan_run`.
    command : str
        The command line that stands for it.

    Raises
    ------
    UsageError
        If this machine could never run one of its cells; nothing is written then.
    StoreError
        If the disk refuses.
    """
    refuse_impossible(run.given, run.waiting)
    if run.given.get("rerun"):
        forget_training(run.store, finished_before(run.store, run.cells))
    run.store.write_plan(run.id, plan_document(run, command))


def carry_out(run: Run, shown: AbstractContextManager[OnEvent],
              prepare: Callable[[Sequence[Cell], Catalog], None],
              warn: Warn | None = None) -> Outcome:
    """Run what is not done.

    Parameters
    ----------
    run : Run
        Its plan is written.
    shown : context manager
        Yields what takes the events of cells; it is open while they run.
    prepare : callable
        Fetches what the cells need, before the first of them.
    warn : callable, optional
        Takes warnings about trackers, from any thread; they are logged by default.

    Raises
    ------
    UnknownName, UsageError, MissingDependency
        If the executor or a tracker cannot be had.
    """
    from srbench.engine.scheduler import Scheduler
    from srbench.engine.tasks import JobOptions

    given, waiting = run.given, run.waiting
    timeout, rank_timeout = given.get("timeout"), given.get("rank_timeout")
    with tracking(run, warn) as trackers:
        options = JobOptions(timeout=None if timeout is None else float(timeout),
                             rank_timeout=float(rank_timeout or 600.0),
                             rerun=bool(given.get("rerun")), scalars=trackers.want_scalars)
        executor = make_executor(given, run.store)
        try:
            prepare(waiting, run.catalog)
            with shown as show:
                def on_event(cell: Cell, event: dict[str, Any]) -> None:
                    trackers.on_event(cell, event)
                    show(cell, event)

                scheduler = Scheduler(run.store, executor, options=options, on_event=on_event)
                fresh = {record.identity.key: record for record in scheduler.run(waiting)}
        finally:
            executor.close()
    return Outcome(records=[run.done.get(cell.key) or fresh[cell.key] for cell in run.cells],
                   interrupted=scheduler.interrupted)


def build_page(run: Run, outcome: Outcome) -> Path:
    """Build the page of a run's records and return its path."""
    from srbench.boards.build import build_board

    return build_board(outcome.records, run.store.runs / "boards" / run.id, runs=run.store.runs)


def finished_before(store: Store, cells: Sequence[Cell]) -> dict[str, Record]:
    """Records of the cells that are already ok."""
    found = {cell.key: store.read(cell.key) for cell in cells}
    return {key: record for key, record in found.items()
            if record is not None and record.outcome.status == "ok"}


def forget_training(store: Store, keys: Iterable[str]) -> None:
    """Remove checkpoints of finished cells, from which nothing would be trained again."""
    from srbench.engine.scalars import forget_scalars
    from srbench.training.scratch import FOLDER as SCRATCH

    for key in keys:
        forget_scalars(store.cell_folder(key))
        for name in ("checkpoint", SCRATCH):
            shutil.rmtree(store.cell_folder(key) / name, ignore_errors=True)


def new_plan_id() -> str:
    """Return an id for a plan; two runs that start in one second get different ones."""
    return f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-{secrets.token_hex(2)}"


def plan_document(run: Run, command: str) -> dict[str, Any]:
    """What is written before the first cell starts."""
    options = {name: _plain(run.given.get(name)) for name in KEPT}
    options["plugin"] = [str(Path(path).absolute()) for path in run.given.get("plugin") or ()]
    return {"id": run.id, "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command, "options": options, "cwd": str(user_path("")),
            "cells": [cell.key for cell in run.cells], "names": [cell.name for cell in run.cells]}


def _plain(value: Any) -> Any:
    """An option's value as JSON data."""
    return [str(part) for part in value] if isinstance(value, list | tuple) else value
