"""Running a plan: what ``srbench run`` and ``srbench resume`` have in common."""

from __future__ import annotations

import json
import secrets
import shlex
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.paths import user_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from srbench.engine.executors import Executor
    from srbench.plan import Cell, Request
    from srbench.registry.catalog import Catalog
    from srbench.results.record import Record
    from srbench.results.store import Store

SHOWN = 40  # cells named one by one when a plan is announced
# Options of a run that a resumed one takes over; what decides how it runs is given anew.
KEPT = ("methods", "dataset", "seeds", "preset", "set", "plugin", "metrics", "device", "precision",
        "budget", "threads", "gpus_per_cell", "memory", "gpu_memory", "jobs", "timeout",
        "rank_timeout", "checkpoint_every", "executor", "address", "slurm")


def finished_before(store: Store, cells: Sequence[Cell]) -> dict[str, Record]:
    """Records of the cells that are already ok."""
    found = {cell.key: store.read(cell.key) for cell in cells}
    return {key: record for key, record in found.items()
            if record is not None and record.outcome.status == "ok"}


def forget_training(store: Store, keys: Iterable[str]) -> None:
    """Remove checkpoints of finished cells, from which nothing would be trained again."""
    from srbench.training.scratch import FOLDER as SCRATCH

    for key in keys:
        for name in ("checkpoint", SCRATCH):
            shutil.rmtree(store.cell_folder(key) / name, ignore_errors=True)


def new_plan_id() -> str:
    """Return an id for a plan; two runs that start in one second get different ones."""
    return f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-{secrets.token_hex(2)}"


def plan_document(plan_id: str, cells: Sequence[Cell],
                  given: Mapping[str, Any]) -> dict[str, Any]:
    """What is written before the first cell starts."""
    options = {name: _plain(given.get(name)) for name in KEPT}
    options["plugin"] = [str(Path(path).absolute()) for path in given.get("plugin") or ()]
    return {"id": plan_id, "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": shlex.join(["srbench", *sys.argv[1:]]), "options": options,
            "cwd": str(user_path("")),
            "cells": [cell.key for cell in cells], "names": [cell.name for cell in cells]}


def _plain(value: Any) -> Any:
    """An option's value as JSON data."""
    return [str(part) for part in value] if isinstance(value, list | tuple) else value


def say_plan(cells: Sequence[Cell], done: Mapping[str, Record], request: Request,
             catalog: Catalog) -> None:
    """Announce the plan on stderr: what will run, what is done, what stands in for what."""
    from srbench.cli.console import stderr
    from srbench.plan import dataset_titles

    console = stderr()
    titles = dataset_titles(cells)
    console.print(f"plan      {len(cells)} cells on {', '.join(titles)}; {len(done)} already done; "
                  f"preset {request.preset}, {request.precision}, {request.device}, "
                  f"{request.threads} threads", highlight=False)
    for cell in cells[:SHOWN]:
        mark = "done before" if cell.key in done else "to run"
        console.print(f"  {cell.key[:10]}  {mark:12} {cell.name}", highlight=False, markup=False)
    if len(cells) > SHOWN:
        console.print(f"  ... and {len(cells) - SHOWN:,} more", highlight=False)
    for broken in catalog.broken:
        console.print(f"warning: plugin {broken.plugin} is set aside: {broken.reason}",
                      style="yellow", markup=False, highlight=False)
    for notice in titles.values():
        if notice:
            console.print(f"\nNOTE  {notice}\n", style="bold yellow", markup=False, highlight=False)


def refuse_impossible(cells: Sequence[Cell], given: Mapping[str, Any]) -> None:
    """Refuse cells that this machine could never run, before anything is written or started.

    Raises
    ------
    UsageError
        If one wants more GPUs than there are.
    """
    from srbench.engine.executors.machine import Machine

    if (given.get("executor") or "local") == "local":
        Machine.here().check(cells)


def execute(cells: Sequence[Cell], done: Mapping[str, Record], store: Store, plan_id: str,
            given: Mapping[str, Any], catalog: Catalog) -> None:
    """Run what is not done, show the whole plan, build its page; exits with the run's code."""
    from srbench.cli.prefetch import fetch_required

    executor = make_executor(given, store)
    try:
        fetch_required([cell for cell in cells if cell.key not in done], catalog)
        records, interrupted = run_all(cells, done, store, executor, given)
    finally:
        executor.close()
    conclude(records, store, plan_id, as_json=given["as_json"], interrupted=interrupted)


def check_executor(given: Mapping[str, Any]) -> str:
    """Name of the executor of ``--executor``; nothing is started.

    Raises
    ------
    UnknownName, UsageError
        If there is no such executor, or an option that it does not take was given.
    """
    from srbench.engine import executors
    from srbench.errors import UnknownName, UsageError

    name = str(given.get("executor") or "local")
    if name not in executors.NAMES:
        raise UnknownName("executor", name, executors.NAMES)
    for option, owner in (("address", "ray"), ("slurm", "slurm")):
        if given.get(option) and name != owner:
            raise UsageError(f"--{option} is an option of --executor {owner}, not of {name}")
    if name == "slurm":
        from srbench.engine.executors.slurm_options import SlurmOptions

        SlurmOptions.parse(given.get("slurm") or ())
    return name


def make_executor(given: Mapping[str, Any], store: Store) -> Executor:
    """Start the executor of ``--executor``.

    Raises
    ------
    UnknownName, UsageError
        As `check_executor`.
    MissingDependency
        If its package is not installed.
    """
    name, jobs = check_executor(given), given.get("jobs")
    if name == "ray":
        from srbench.engine.executors.ray import RayExecutor

        return RayExecutor(jobs=jobs, address=given.get("address"))
    if name == "slurm":
        from srbench.engine.executors.slurm import SlurmExecutor

        return SlurmExecutor(store.runs / "slurm", jobs=jobs, options=given.get("slurm") or ())
    from srbench.engine.executors.local import LocalExecutor

    return LocalExecutor(jobs=jobs)


def run_all(cells: Sequence[Cell], done: Mapping[str, Record], store: Store, executor: Executor,
            given: Mapping[str, Any]) -> tuple[list[Record], bool]:
    """Run what is not done.

    Returns
    -------
    tuple of list of Record and bool
        The records of the whole plan in its order, and whether the user interrupted the run.
    """
    from srbench.cli.console import stderr
    from srbench.cli.progress import RunProgress
    from srbench.engine.scheduler import Scheduler
    from srbench.engine.tasks import JobOptions

    waiting = [cell for cell in cells if cell.key not in done]
    with RunProgress(stderr(), total=len(cells), done=len(done)) as progress:
        def on_event(cell: Cell, event: dict[str, Any]) -> None:
            progress.on_event(cell, event)
            if given["as_json"] and event["event"] == "finished":
                click.echo(json.dumps(event["record"].model_dump(mode="json")))

        timeout, rank_timeout = given.get("timeout"), given.get("rank_timeout")
        options = JobOptions(timeout=None if timeout is None else float(timeout),
                             rank_timeout=float(rank_timeout or 600.0),
                             rerun=bool(given.get("rerun")))
        scheduler = Scheduler(store, executor, options=options, on_event=on_event)
        fresh = {record.identity.key: record for record in scheduler.run(waiting)}
    return [done.get(cell.key) or fresh[cell.key] for cell in cells], scheduler.interrupted


def conclude(records: Sequence[Record], store: Store, plan_id: str, *, as_json: bool,
             interrupted: bool) -> None:
    """Show the table, build the page, say how to go on, and exit with the run's code."""
    from srbench.boards.build import build_board
    from srbench.cli.console import stderr
    from srbench.cli.tables import results_tables
    from srbench.results.record import Status

    console = stderr()
    for table in results_tables(records, store.runs, width=console.width):
        console.print(table)
    page = build_board(records, store.runs / "boards" / plan_id, runs=store.runs)
    if not as_json:
        click.echo(str(page))
    bad = [record for record in records if record.outcome.status is not Status.OK]
    stopped = [record for record in bad if record.outcome.status is Status.INTERRUPTED]
    if stopped or interrupted:
        console.print(f"interrupted: {len(stopped)} cells are not finished; go on with\n  "
                      f"{_resume(plan_id, store)}", markup=False, highlight=False)
        raise SystemExit(130)
    if bad:
        console.print(f"{len(records) - len(bad)} ok, {len(bad)} not ok; try those again with\n  "
                      f"{_resume(plan_id, store)} --retry-failed", markup=False, highlight=False)
        raise SystemExit(3)


def _resume(plan_id: str, store: Store) -> str:
    """The command that goes on with a plan."""
    words = ["srbench", "resume", plan_id]
    return shlex.join(words if str(store.runs) == "runs" else [*words, "--runs", str(store.runs)])
