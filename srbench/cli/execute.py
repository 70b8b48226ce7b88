"""What ``srbench run`` and ``srbench resume`` say about a run, before, during and after it."""

from __future__ import annotations

import json
import shlex
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from srbench.cli.console import output, stderr

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from srbench.engine.listener import Warn
    from srbench.plan import Cell
    from srbench.running.run import OnEvent, Outcome, Run

SHOWN = 40  # cells named one by one when a plan is announced


def say_plan(run: Run, console: Console | None = None) -> None:
    """Announce the plan on stderr: what will run, what is done, what stands in for what."""
    from srbench.plan import dataset_titles

    console, request = console or stderr(), run.request
    titles = dataset_titles(run.cells)
    console.print(f"plan      {len(run.cells)} cells on {', '.join(titles)}; {len(run.done)} "
                  f"already done; preset {request.preset}, {request.precision}, "
                  f"{request.device}, {request.threads} threads", highlight=False)
    for cell in run.cells[:SHOWN]:
        mark = "done before" if cell.key in run.done else "to run"
        console.print(f"  {cell.key[:10]}  {mark:12} {cell.name}", highlight=False, markup=False)
    if len(run.cells) > SHOWN:
        console.print(f"  ... and {len(run.cells) - SHOWN:,} more", highlight=False)
    for broken in run.catalog.broken:
        console.print(f"warning: plugin {broken.plugin} is set aside: {broken.reason}",
                      style="yellow", markup=False, highlight=False)
    for notice in titles.values():
        if notice:
            console.print(f"\nNOTE  {notice}\n", style="bold yellow", markup=False, highlight=False)


def execute(run: Run) -> None:
    """Run what is not done, show the whole plan, build its page; exits with the run's code."""
    from srbench.cli.prefetch import fetch_required
    from srbench.running.run import carry_out

    as_json = bool(run.given["as_json"])
    outcome = carry_out(run, _shown(run, as_json=as_json), fetch_required, _warner())
    conclude(run, outcome, as_json=as_json)


@contextmanager
def _shown(run: Run, *, as_json: bool) -> Iterator[OnEvent]:
    """Bars or lines on stderr, and with ``--json`` records on stdout."""
    from srbench.cli.progress import RunProgress

    with RunProgress(stderr(), total=len(run.cells), done=len(run.done)) as progress:
        def on_event(cell: Cell, event: dict[str, Any]) -> None:
            progress.on_event(cell, event)
            if as_json and event["event"] == "finished":
                click.echo(json.dumps(event["record"].model_dump(mode="json")))

        yield on_event


def _warner() -> Warn:
    """What shows warnings from any thread, with a traceback at ``-vv``."""
    shell = output()  # the running command's, which other threads do not know

    def warn(text: str, error: BaseException | None) -> None:
        shell.warn(text)
        if error is not None and shell.verbosity >= 2:
            click.echo("".join(traceback.format_exception(error)), err=True, nl=False)

    return warn


def conclude(run: Run, outcome: Outcome, *, as_json: bool) -> None:
    """Show the table, build the page, say how to go on, and exit with the run's code."""
    from srbench.cli.tables import results_tables
    from srbench.running.run import build_page

    console = stderr()
    for table in results_tables(outcome.records, run.store.runs, width=console.width):
        console.print(table)
    page: Path = build_page(run, outcome)
    if not as_json:
        click.echo(str(page))
    if outcome.unfinished or outcome.interrupted:
        console.print(f"interrupted: {len(outcome.unfinished)} cells are not finished; go on with"
                      f"\n  {resume_command(run)}", markup=False, highlight=False)
        raise SystemExit(130)
    if outcome.bad:
        count = len(outcome.records) - len(outcome.bad)
        console.print(f"{count} ok, {len(outcome.bad)} not ok; try those again with\n  "
                      f"{resume_command(run)} --retry-failed", markup=False, highlight=False)
        raise SystemExit(3)


def resume_command(run: Run) -> str:
    """The command that goes on with a run."""
    words, runs = ["srbench", "resume", run.id], str(run.store.runs)
    return shlex.join(words if runs == "runs" else [*words, "--runs", runs])
