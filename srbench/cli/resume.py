"""``srbench resume``: finish a run that was interrupted, or try again what failed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.cli.exits import ExitCode
from srbench.cli.run import how_to_run
from srbench.paths import typed_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from srbench.plan import Cell
    from srbench.results.record import Record
    from srbench.results.store import Store

UNFINISHED = ("interrupted",)


@click.command(help="""\b
Examples:
  srbench resume
  srbench resume --retry-failed --timeout 7200
  srbench resume 2026-11-25-184210-3f9a -j 1

Go on with a run: cells that were interrupted go on from their last checkpoint, cells that never
started start, and everything that ended stays as it is. With --retry-failed cells that failed,
crashed, timed out or ran out of memory run again too. Without PLAN the newest unfinished run is
taken. Options change how the cells run, never what they are; --track none stops telling
the trackers of the first run.
""")
@click.argument("plan", required=False, metavar="[PLAN]")
@click.option("--retry-failed", is_flag=True, help="Also run again what ended and is not ok.")
@how_to_run
@click.pass_context
def command(context: click.Context, /, plan: str | None, *, retry_failed: bool,
            **options: Any) -> None:
    """Plan the stored request again and run what is left of it."""
    from srbench.cli.execute import execute, say_plan
    from srbench.errors import UsageError
    from srbench.plan import make_plan
    from srbench.registry.catalog import discover
    from srbench.results.store import Store
    from srbench.running.executor import refuse_impossible
    from srbench.running.request import make_request
    from srbench.running.run import Run
    from srbench.running.track import chosen

    store = Store(Path(options["runs"] or "runs"))
    plan = plan or newest_unfinished(store, retry_failed=retry_failed)
    if plan is None:
        click.echo(f"nothing to resume in {store.runs}", err=True)
        context.exit(ExitCode.NOTHING)
    document = store.read_plan(plan)
    if not isinstance(document.get("options"), dict):
        raise UsageError(f"the plan {plan} was written by an older srbench and cannot be resumed",
                         hint=str(document.get("command", "start the run again")))
    given = {**document["options"], "settings": [], "rerun": False,
             **{name: value for name, value in options.items() if value}}
    given["as_json"] = options["as_json"]
    catalog = discover([Path(path) for path in given["plugin"] or ()])
    chosen(given, catalog)
    request = make_request(given)
    with typed_in(str(document.get("cwd") or Path.cwd())):
        cells = make_plan(request, catalog, plan)
    changed = len({cell.key for cell in cells} - set(document["cells"]))
    if changed:
        click.echo(f"warning: {changed} of {len(cells)} cells are not those of the plan any more "
                   "(code or data changed; srbench explain says what): they start afresh", err=True)
        store.write_plan(plan, {**document, "cells": [cell.key for cell in cells],
                                "names": [cell.name for cell in cells]})
    run = Run(id=plan, request=request, cells=cells, store=store, catalog=catalog, given=given,
              done=ended(store, cells, retry_failed=retry_failed))
    say_plan(run)
    refuse_impossible(given, run.waiting)
    execute(run)


def ended(store: Store, cells: Sequence[Cell], *, retry_failed: bool) -> dict[str, Record]:
    """Records of cells that are not to be run again."""
    found = {cell.key: store.read(cell.key) for cell in cells}
    return {key: record for key, record in found.items() if record is not None and (
        record.outcome.status == "ok"
        or (not retry_failed and record.outcome.status not in UNFINISHED))}


def newest_unfinished(store: Store, *, retry_failed: bool) -> str | None:
    """Id of the newest plan with cells to run; with ``retry_failed`` also with failed ones."""
    from srbench.engine.progress import standings

    stays = {"ok", "running"}
    for plan in reversed(store.plans()):
        for cell in standings(store, store.read_plan(plan)):
            if cell.state in ("waiting", *UNFINISHED) or (retry_failed
                                                          and cell.state not in stays):
                return plan
    return None
