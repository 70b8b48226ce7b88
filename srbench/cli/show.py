"""``srbench show``: the results of finished cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from srbench.cli.console import output
from srbench.cli.exits import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table as RichTable

    from srbench.boards.board import Board, Column, Entry, Row, Table
    from srbench.results.record import Record
    from srbench.results.store import Invalid, Store

Format = Literal["text", "json", "csv", "latex"]


@click.command(help="""\b
Examples:
  srbench show
  srbench show 2026-11-23-010530
  srbench show shared/runs --csv > results.csv

Show the results of finished cells: one table for each dataset and preset, the mean over seeds and
its standard deviation, and what did not finish. RUNS_OR_PLAN is a runs folder or the id of a plan;
without it, all records in runs/ are shown.
""")
@click.argument("runs_or_plan", required=False)
@click.option("--runs", type=click.Path(path_type=Path), metavar="DIR",
              help="Where records are kept.  [default: runs]")
@click.option("--plan", "plan_id", metavar="ID",
              help="Only the cells of this plan; 'latest' is the plan written last.")
@click.option("--json", "form", flag_value="json", default="text", help="One JSON document.")
@click.option("--csv", "form", flag_value="csv", help="One line per cell.")
@click.option("--latex", "form", flag_value="latex", help="Tables for a paper (booktabs).")
@click.pass_context
def command(context: click.Context, runs_or_plan: str | None, runs: Path | None,
            plan_id: str | None, form: Format) -> None:
    """Choose records and show them in one of four forms."""
    from srbench.results.store import Store

    if runs_or_plan is not None:
        if Path(runs_or_plan).is_dir():
            runs = runs or Path(runs_or_plan)
        else:
            plan_id = plan_id or runs_or_plan
    store = Store(runs or Path("runs"))
    records, invalid = choose(store, plan_id)
    for broken in invalid:
        output().warn(f"{broken.path} is left out: {broken.reason}")
    if not records:
        output().error(f"no records in {store.runs}" + (f" for {plan_id}" if plan_id else ""),
                       "srbench run --methods ots,wgan-gp --dataset w2-early")
        context.exit(ExitCode.NOTHING)
    show(records, invalid, store.runs, form)


def choose(store: Store, plan_id: str | None) -> tuple[list[Record], list[Invalid]]:
    """Return the records of a plan, or all, and those that cannot be read.

    Cells of the plan that have no record yet are announced on stderr.

    Raises
    ------
    StoreError
        If there is no such plan.
    """
    records, invalid = store.records()
    if plan_id == "latest":
        plan_id = store.latest_plan()
    if plan_id is None:
        return records, invalid
    keys = [str(key) for key in store.read_plan(plan_id).get("cells", [])]
    found = {record.identity.key: record for record in records if record.identity.key in keys}
    unreadable = [broken for broken in invalid if broken.path.parent.name in keys]
    waiting = len(keys) - len(found) - len(unreadable)
    if waiting:
        output().note(f"{waiting} of {len(keys)} cells of {plan_id} have not run yet")
    return [found[key] for key in keys if key in found], unreadable


def show(records: Sequence[Record], invalid: Sequence[Invalid], runs: Path,
         form: Format) -> None:
    """Print records on stdout in the form asked for."""
    from srbench.boards.table import make_boards
    from srbench.boards.text import board_data, board_latex, records_csv

    if form == "csv":
        click.echo(records_csv(records), nl=False)
    elif form == "latex":
        click.echo("\n".join(map(board_latex, make_boards(records))), nl=False)
    elif form == "json":
        output().document({
            "boards": [board_data(board) for board in make_boards(records)],
            "invalid": [{"path": str(broken.path), "reason": broken.reason}
                        for broken in invalid]})
    else:
        for part in results_tables(records, runs):
            output().stdout.print(part)


def results_tables(records: Sequence[Record],
                   runs: Path | None = None) -> list[RenderableType]:
    """Tables of records for a rich console, one for each dataset title and preset.

    Parameters
    ----------
    records : sequence of Record
        Of any datasets and presets.
    runs : Path, optional
        The runs folder they are from, named in front of the paths of logs.

    Returns
    -------
    list of renderables
        For each board its notice, its table, why values are missing, and the cells that are not
        ok. Names of plugins are never read as markup.
    """
    from srbench.boards.table import make_boards

    return [part for board in make_boards(records) for part in _board_parts(board, runs)]


def _board_parts(board: Board, runs: Path | None) -> list[RenderableType]:
    from rich.text import Text

    parts: list[RenderableType] = []
    if board.notice:
        parts.append(Text(f"NOTE  {_clean(board.notice)}\n", style="bold yellow"))
    if board.final.rows:
        parts.append(_table(board))
    else:
        parts.append(Text(f"{_clean(board.title)}, preset {board.preset}: no cell finished"))
    for number, gap in enumerate(board.final.gaps, 1):
        remedy = f"; to mend it: {gap.remedy}" if gap.remedy else ""
        parts.append(Text(_clean(f"[{number}] {board.final.missing(gap)}: {gap.why}{remedy}"),
                          style="dim"))
    for failure in board.failures:
        parts.append(Text(_clean(f"{failure.status}: {failure.label}, seed {failure.seed}: "
                                 f"{failure.reason or 'no reason was recorded'}  "
                                 f"log: {runs / failure.log if runs else failure.log}"),
                          style="red"))
    if board.superseded:
        parts.append(Text(f"{board.superseded} older records of the same cells are left out",
                          style="dim"))
    return [*parts, Text()]


def _table(board: Board) -> RichTable:
    from rich.table import Table as RichTable
    from rich.text import Text

    title = Text(_clean(f"{board.title}, preset {board.preset}"), style="bold")
    shown = RichTable(title=title, title_justify="left", box=None, pad_edge=False,
                      header_style="dim")
    shown.add_column("method", overflow="fold")
    for column in board.final.columns:
        shown.add_column(Text(_clean(_header(column))), justify="right")
    for heading in ("seeds", "training s", "parameters"):
        shown.add_column(heading, justify="right")
    for row in board.final.rows:
        shown.add_row(*_cells(row, board.final))
    return shown


def _cells(row: Row, table: Table) -> list[RenderableType]:
    from rich.text import Text

    flags = f" ({', '.join(row.flags)})" if row.flags else ""
    return [Text(_clean(row.label + flags)),
            *(Text(_value(entry, column, row), style="bold" if entry.best else "")
              for entry, column in zip(row.entries, table.columns, strict=True)),
            str(row.seeds), f"{row.seconds_fit:,.1f}", f"{row.parameters:,.0f}"]


def _header(column: Column) -> str:
    unit = f" {column.unit}" if column.unit else ""
    return f"{column.title}{unit} {column.arrow}"


def _value(entry: Entry, column: Column, row: Row) -> str:
    if entry.mean is None:
        return f"– [{entry.gap}]"
    deviation = "" if entry.sd is None else f" ± {column.show(entry.sd)}"
    fewer = "" if entry.seeds == row.seeds else f" ({entry.seeds} of {row.seeds})"
    return column.show(entry.mean) + deviation + fewer


def _clean(text: str) -> str:
    """Replace control characters, which could steer the terminal."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
