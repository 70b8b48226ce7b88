"""``srbench explain CELL``: why a cell would be reused or run again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.errors import UsageError

if TYPE_CHECKING:
    from srbench.plan import Cell
    from srbench.results.store import Store


@click.command(help="""\b
Examples:
  srbench explain 3f9a2c
  srbench explain 3f9a2c --runs old/runs --json

Show every part of a cell's identity and whether it still holds: the cell is reused only while all
of them are the same.
""")
@click.argument("cell", metavar="CELL")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True,
              metavar="DIR", help="Where records are kept.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(cell: str, runs: Path, *, as_json: bool) -> None:
    """Compare the stored identity with today's."""
    from srbench.results.store import Store

    store = Store(runs)
    stored = find_cell(store, cell)
    record = store.read(stored.key)
    status = "no record" if record is None else str(record.outcome.status)
    rows = [{"part": part, "stored": value, "now": now, "same": value == now}
            for part, (value, now) in compare(stored).items()]
    hit = status == "ok" and all(row["same"] for row in rows)
    if as_json:
        click.echo(json.dumps({"key": stored.key, "name": stored.name, "status": status,
                               "reused": hit, "parts": rows}, indent=1))
        return
    click.echo(f"{stored.key[:12]}  {stored.name}\nstatus    {status}")
    for row in rows:
        same = "same   " if row["same"] else "DIFFERS"
        click.echo(f"  {same}  {row['part']:20} {_short(row['stored'])}"
                   + ("" if row["same"] else f"  ->  {_short(row['now'])}"))
    click.echo("a run of the same command reuses this cell" if hit
               else "a run of the same command runs this cell again")


def find_cell(store: Store, prefix: str) -> Cell:
    """The one stored cell whose key starts with ``prefix``.

    Raises
    ------
    UsageError
        If none or several match.
    """
    from srbench.plan import Cell

    folders = sorted(store.runs.glob(f"cells/{prefix}*")) if prefix.isalnum() else []
    if len(folders) != 1:
        raise UsageError(f"{len(folders)} cells in {store.runs} have a key that starts with "
                         f"{prefix!r}",
                         hint="srbench show --json lists the keys")
    return Cell.model_validate_json((folders[0] / "cell.json").read_text(encoding="utf-8"))


def compare(stored: Cell) -> dict[str, tuple[Any, Any]]:
    """Each part of the identity as stored and as it would be today."""
    from srbench.errors import SrbenchError
    from srbench.plan import Request, make_plan
    from srbench.registry.catalog import discover
    from srbench.spec import Spec

    name = stored.identity.dataset.partition("[")[0]
    request = Request(
        methods=[Spec(stored.identity.method, dict(stored.identity.method_given))],
        datasets=[Spec(name, dict(stored.identity.dataset_given))],
        seeds=[stored.identity.seed], preset=stored.identity.preset,
        precision=stored.identity.precision, device=stored.device,
        threads=stored.identity.threads, budget=stored.budget, metrics=stored.metrics)
    try:
        cells = make_plan(request, discover([Path(path) for path in stored.plugins]), "explain")
    except SrbenchError as error:
        return {part: (value, f"unknown: {error}") for part, value in stored.parts.items()}
    today = json.loads(json.dumps(cells[0].parts))
    return {part: (stored.parts.get(part), today.get(part))
            for part in sorted({*stored.parts, *today})}


def _short(value: Any) -> str:
    """A value on one line: digests cut to 12 digits, long values to 60 characters."""
    text = value if isinstance(value, str) else json.dumps(value)
    is_digest = len(text) == 64 and all(letter in "0123456789abcdef" for letter in text)
    return text[:12] if is_digest else (text if len(text) <= 60 else text[:57] + "...")
