"""``srbench show``: the results of finished cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from srbench.cli.console import output
from srbench.cli.exits import ExitCode
from srbench.cli.tables import results_tables
from srbench.foreign.text import printable

if TYPE_CHECKING:
    from srbench.boards.board import Board
    from srbench.results.record import Record
    from srbench.results.store import Invalid, Store

Format = Literal["text", "json", "csv", "latex"]


@click.command(help="""\b
Examples:
  srbench show
  srbench show 2026-11-23-010530
  srbench show shared/runs --csv > results.csv

Show the results of finished cells: one table for each dataset and preset, the mean over seeds and
its standard deviation, and what did not finish. A record that cannot be used is left out and
listed with the reason. RUNS_OR_PLAN is a runs folder or the id of a plan;
without it, all records in runs/ are shown.
""")
@click.argument("runs_or_plan", required=False)
@click.option("--runs", type=click.Path(path_type=Path), metavar="DIR",
              help="Where records are kept.  [default: runs]")
@click.option("--plan", "plan_id", metavar="ID",
              help="Only the cells of this plan; 'latest' is the plan written last.")
@click.option("--json", "form", flag_value="json", default="text", help="One JSON document.")
@click.option("--csv", "form", flag_value="csv", help="One line per cell.")
@click.option("--strict", is_flag=True, help="Exit with 3 if a record cannot be used.")
@click.option("--latex", "form", flag_value="latex", help="Tables for a paper (booktabs).")
@click.pass_context
def command(context: click.Context, runs_or_plan: str | None, runs: Path | None,
            plan_id: str | None, form: Format, strict: bool) -> None:
    """Choose records and show them in one of four forms."""
    from srbench.results.store import Store

    if runs_or_plan is not None:
        if Path(runs_or_plan).is_dir():
            runs = runs or Path(runs_or_plan)
        else:
            plan_id = plan_id or runs_or_plan
    store = Store(runs or Path("runs"))
    records, invalid = choose(store, plan_id)
    if form != "text" or not records:
        for broken in invalid:
            output().warn(f"{broken.path} is left out: {broken.reason}")
    if not records:
        output().error(f"no records in {store.runs}" + (f" for {plan_id}" if plan_id else ""),
                       "srbench run --methods ots,wgan-gp --dataset w2-early")
        context.exit(ExitCode.CELLS if strict and invalid else ExitCode.NOTHING)
    show(records, invalid, store.runs, form)
    if strict and invalid:
        context.exit(ExitCode.CELLS)


def choose(store: Store, plan_id: str | None) -> tuple[list[Record], list[Invalid]]:
    """Return the records of a plan, or all, and those that cannot be read.

    Cells of the plan that have no record yet are announced on stderr.

    Raises
    ------
    StoreError
        If there is no such plan.
    """
    if plan_id == "latest":
        plan_id = store.latest_plan()
    if plan_id is None:
        return store.records()
    records, invalid, waiting = store.records_of(plan_id)
    if waiting:
        output().note(f"{waiting} of {waiting + len(records) + len(invalid)} cells of {plan_id} "
                      "have not run yet")
    return records, invalid


def show(records: Sequence[Record], invalid: Sequence[Invalid], runs: Path,
         form: Format) -> None:
    """Print records on stdout in the form asked for."""
    from srbench.boards.text import board_data, board_latex, records_csv

    lines = [printable(f"invalid: {broken.path}: {broken.reason}") for broken in invalid]
    if form == "csv":
        click.echo(records_csv(records, invalid), nl=False)
    elif form == "latex":
        comments = "".join(f"\n% {line}\n" for line in lines)
        click.echo("\n".join(map(board_latex, _boards(records, runs))) + comments, nl=False)
    elif form == "json":
        output().document({
            "boards": [board_data(board) for board in _boards(records, runs)],
            "invalid": [{"path": str(broken.path), "reason": broken.reason}
                        for broken in invalid]})
    else:
        for part in results_tables(records, runs, width=output().stdout.width):
            output().stdout.print(part)
        for line in lines:
            output().stdout.print(line, style="red")


def _boards(records: Sequence[Record], runs: Path) -> list[Board]:
    """Boards with the evidence of single images, so that intervals are those of the page."""
    from srbench.boards.table import make_boards
    from srbench.results.evidence import Evidence

    return make_boards(records, evidence=Evidence(runs / "cells"))
