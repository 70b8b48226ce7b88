"""``srbench run``: plan cells, run them, show the results, build the page."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.cli.request import make_request, merge_config

if TYPE_CHECKING:
    from collections.abc import Iterable

    from srbench.plan import Cell, Request
    from srbench.registry.catalog import Catalog
    from srbench.results.record import Record
    from srbench.results.store import Store

EPILOG = """\b
Examples:
  srbench run --methods ots,wgan-gp --dataset w2-early
  srbench run --methods 'ots,wgan-gp[lambda=[10,100]],identity' --dataset w2-early --seeds 0,1,2
"""

@click.command(epilog=None, help="\b\n" + EPILOG.split("\n", 1)[1] + """
Train and evaluate methods on datasets and build a leaderboard page.

A cell (method x dataset x seed) that is already done is not run again; an interrupted one goes on
from its last checkpoint. The path of the page is printed on stdout, everything else on stderr.
""")
@click.option("--methods", multiple=True, metavar="SPECS",
              help="Methods: name[key=value,...]; key=[a,b] is a sweep.")
@click.option("--dataset", "--datasets", "dataset", multiple=True, metavar="SPECS",
              help="Datasets, in the same grammar.")
@click.option("--seeds", metavar="LIST", help="Seeds, one cell each.  [default: 0]")
@click.option("--preset", metavar="NAME",
              help="quick (minutes on two CPU cores), paper (the paper's settings) or code (the "
                   "released code's).  [default: quick]")
@click.option("--set", "settings", multiple=True, metavar="NAME.KEY=VALUE",
              help="Set a parameter of a method or dataset, e.g. ots.iterations=500.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE",
              help="TOML file with these options; the command line wins.")
@click.option("--plugin", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
              help="Also load a plugin from a Python file.")
@click.option("--metrics", metavar="LIST", help="Only these metrics.  [default: all installed]")
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1.  [default: cuda if present]")
@click.option("--precision", metavar="NAME", help="fp32 or bf16.  [default: fp32]")
@click.option("--threads", type=click.IntRange(min=1), metavar="N",
              help="CPU threads of each cell.  [default: cores / jobs]")
@click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N",
              help="Cells at a time.  [default: 1]")
@click.option("--budget", metavar="AMOUNT",
              help="Stop each training after this: 600s, 10m, 2h or 500it.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="Kill a cell that takes longer.")
@click.option("--runs", type=click.Path(path_type=Path), metavar="DIR",
              help="Where records are kept.  [default: runs]")
@click.option("--rerun", is_flag=True, help="Run cells again that are already done.")
@click.option("--dry-run", is_flag=True, help="Show the plan and write nothing.")
@click.option("--json", "as_json", is_flag=True,
              help="One JSON line per finished record on stdout.")
def command(**options: Any) -> None:
    """Plan, run, show (see the help text above)."""
    given = merge_config(options)
    from srbench.cli.prefetch import fetch_required
    from srbench.plan import make_plan
    from srbench.registry.catalog import discover
    from srbench.results.store import Store

    catalog = discover([Path(path) for path in given["plugin"] or ()])
    request = make_request(given)
    plan_id = datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S")
    cells = make_plan(request, catalog, plan_id)
    store = Store(Path(given["runs"] or "runs"))
    done = {} if options["rerun"] else finished_before(store, cells)
    say_plan(cells, done, request, catalog)
    if options["dry_run"]:
        return
    if options["rerun"]:
        forget_training(store, finished_before(store, cells))
    store.write_plan(plan_id, plan_document(plan_id, cells))
    fetch_required([cell for cell in cells if cell.key not in done], catalog)
    records = run_all(cells, done, store, given, as_json=options["as_json"])
    conclude(records, store, plan_id, as_json=options["as_json"])


def finished_before(store: Store, cells: list[Cell]) -> dict[str, Record]:
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


def plan_document(plan_id: str, cells: list[Cell]) -> dict[str, Any]:
    """What is written before the first cell starts."""
    return {"id": plan_id, "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": shlex.join(["srbench", *sys.argv[1:]]),
            "cells": [cell.key for cell in cells], "names": [cell.name for cell in cells]}


def say_plan(cells: list[Cell], done: dict[str, Record], request: Request,
             catalog: Catalog) -> None:
    """Announce the plan on stderr: what will run, what is done, what stands in for what."""
    from srbench.cli.console import stderr
    from srbench.plan import dataset_titles

    console = stderr()
    titles = dataset_titles(cells)
    console.print(f"plan      {len(cells)} cells on {', '.join(titles)}; {len(done)} already done; "
                  f"preset {request.preset}, {request.precision}, {request.device}, "
                  f"{request.threads} threads", highlight=False)
    for cell in cells:
        mark = "done before" if cell.key in done else "to run"
        console.print(f"  {cell.key[:10]}  {mark:12} {cell.name}", highlight=False, markup=False)
    for broken in catalog.broken:
        console.print(f"warning: plugin {broken.plugin} is set aside: {broken.reason}",
                      style="yellow", markup=False, highlight=False)
    for notice in titles.values():
        if notice:
            console.print(f"\nNOTE  {notice}\n", style="bold yellow", markup=False, highlight=False)


def run_all(cells: list[Cell], done: dict[str, Record], store: Store, given: dict[str, Any], *,
            as_json: bool) -> list[Record]:
    """Run what is not done and return the records of the whole plan in its order."""
    from srbench.cli.console import stderr
    from srbench.cli.progress import RunProgress
    from srbench.engine.executors.local import LocalExecutor

    waiting = [cell for cell in cells if cell.key not in done]
    with RunProgress(stderr(), total=len(cells), done=len(done)) as progress:
        def on_event(cell: Cell, event: dict[str, Any]) -> None:
            progress.on_event(cell, event)
            if as_json and event["event"] == "finished":
                click.echo(json.dumps(event["record"].model_dump(mode="json")))

        timeout = given["timeout"]
        executor = LocalExecutor(store, jobs=int(given["jobs"] or 1), on_event=on_event,
                                 timeout=None if timeout is None else float(timeout))
        fresh = {record.identity.key: record for record in executor.run(waiting)}
    return [done.get(cell.key) or fresh[cell.key] for cell in cells]


def conclude(records: list[Record], store: Store, plan_id: str, *, as_json: bool) -> None:
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
    interrupted = [record for record in bad if record.outcome.status is Status.INTERRUPTED]
    if interrupted:
        console.print(f"interrupted: {len(interrupted)} cells are not finished; go on with\n  "
                      f"{shlex.join(['srbench', *sys.argv[1:]])}", markup=False, highlight=False)
        raise SystemExit(130)
    if bad:
        console.print(f"{len(records) - len(bad)} ok, {len(bad)} not ok; try those again with\n  "
                      f"{shlex.join(['srbench', *sys.argv[1:]])}", markup=False, highlight=False)
        raise SystemExit(3)
