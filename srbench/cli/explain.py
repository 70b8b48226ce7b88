"""``srbench explain CELL``: whether a cell would be reused, and if not, what has changed."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.cli.console import output
from srbench.cli.differences import BROKEN, NO_RECORD, Row, Stored, brief
from srbench.errors import UsageError

if TYPE_CHECKING:
    from srbench.plan import Cell
    from srbench.results.store import Store

HINT = ("srbench show --json lists the keys; of a cell that may not be stored, name method and "
        "data: srbench explain 'ots[lr_map=1e-4]' --dataset w2-early")


@click.command(help="""\b
Examples:
  srbench explain 3f9a2c
  srbench explain 3f9a2c --runs old/runs --json
  srbench explain 'wgan-gp[lambda=100]' --dataset w2-early --seeds 1 --preset paper

Tell whether a run would reuse a cell's record (hit) or run the cell (miss), and what has changed.
CELL is how the key of a stored cell starts, or a method as in srbench run, with --dataset and the
other options that decide its numbers; it is then compared with the stored cell that is most like
it. A record is reused only while every part of the identity is the same.
""")
@click.argument("cell", metavar="CELL")
@click.option("--dataset", "--datasets", "dataset", metavar="SPEC", help="Dataset of the cell.")
@click.option("--seeds", "--seed", "seeds", metavar="SEED", help="Its seed.  [default: 0]")
@click.option("--preset", metavar="NAME", help="quick, paper or code.  [default: quick]")
@click.option("--set", "settings", multiple=True, metavar="NAME.KEY=VALUE",
              help="Set a parameter of the method or the dataset.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE",
              help="TOML file with options of srbench run.")
@click.option("--plugin", multiple=True, type=click.Path(path_type=Path), metavar="PATH",
              help="Also load a plugin from a Python file or a package's folder.")
@click.option("--metrics", metavar="LIST", help="Only these metrics.  [default: all installed]")
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1.  [default: cuda if present]")
@click.option("--precision", metavar="NAME", help="fp32 or bf16.  [default: fp32]")
@click.option("--budget", metavar="AMOUNT", help="600s, 10m, 2h or 500it.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads of the cell.")
@click.option("--gpus-per-cell", type=click.IntRange(min=1), metavar="N",
              help="Processes the training is spread over.  [default: 1]")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True,
              metavar="DIR", help="Where records are kept.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(cell: str, runs: Path, *, as_json: bool, **options: Any) -> None:
    """Compare a stored identity with today's."""
    from srbench.results.store import Store

    store = Store(runs)
    if any(options.values()):
        document = explain_planned(store, plan_asked(cell, options))
    else:
        document = explain_stored(store, find_cell(store, cell))
    if as_json:
        output().document(document)
    else:
        output().answer(as_text(document))


def plan_asked(method: str, options: dict[str, Any]) -> Cell:
    """The one cell that a method and options of ``srbench run`` stand for.

    Raises
    ------
    UsageError
        If they stand for several.
    """
    from srbench.cli.config import merge_config
    from srbench.plan import make_plan
    from srbench.registry.catalog import discover
    from srbench.running.request import make_request

    dataset = options.pop("dataset")
    given = merge_config({**options, "dataset": [dataset] if dataset else [], "methods": [method]})
    catalog = discover([Path(path) for path in given["plugin"] or ()])
    cells = make_plan(make_request(given), catalog, "explain")
    if len(cells) != 1:
        names = "; ".join(cell.name for cell in cells[:3])
        raise UsageError(f"these are {len(cells)} cells: {names}{'; ...' if cells[3:] else ''}",
                         hint="name one method, one dataset and one seed, with a value for each "
                              "parameter of a sweep")
    return cells[0]


def find_cell(store: Store, prefix: str) -> Stored:
    """The one stored cell whose key starts with ``prefix``.

    Raises
    ------
    UsageError
        If none or several match.
    StoreError
        If its ``cell.json`` is no JSON object.
    """
    from srbench.cli.differences import read_stored

    folders = sorted(store.runs.glob(f"cells/{prefix}*")) if prefix.isalnum() else []
    if len(folders) != 1:
        raise UsageError(f"{len(folders)} cells in {store.runs} have a key that starts with "
                         f"{prefix!r}", hint=HINT)
    return read_stored(store, folders[0].name)


def explain_stored(store: Store, stored: Stored) -> dict[str, Any]:
    """Compare a stored cell with the cell the same command would plan today."""
    from srbench.errors import SrbenchError

    try:
        today = plan_again(store, stored)
    except SrbenchError as error:
        rows = [Row(part, value, f"unknown: {error}") for part, value in stored.parts.items()]
        document = _document(store, stored.key, stored.name, None, rows, stored)
        return {**document, "first": f"the cell cannot be planned: {error}"}
    return _document(store, stored.key, stored.name, today.key, _rows(stored, today), stored)


def explain_planned(store: Store, today: Cell) -> dict[str, Any]:
    """Compare a cell planned now with the stored cell that is most like it."""
    from srbench.cli.differences import nearest, read_stored, status_of
    from srbench.errors import StoreError

    stored: Stored | None = None
    if status_of(store, today.key)[0] == NO_RECORD:
        stored = nearest(store, today.parts)
    else:
        with contextlib.suppress(StoreError):  # a record is reused whatever lies beside it
            stored = read_stored(store, today.key)
    rows = [] if stored is None else _rows(stored, today)
    return _document(store, today.key, today.name, today.key, rows, stored)


def plan_again(store: Store, stored: Stored) -> Cell:
    """Plan a stored cell as the same command would today.

    Raises
    ------
    SrbenchError
        If it cannot be planned, or its ``cell.json`` does not say how.
    """
    from pydantic import ValidationError

    from srbench.errors import StoreError
    from srbench.plan import Cell, Request, make_plan
    from srbench.registry.catalog import discover
    from srbench.spec import Spec

    path = store.cell_folder(stored.key) / "cell.json"
    try:
        cell = Cell.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise StoreError(f"its cell.json is broken or of another srbench: "
                         f"{'.'.join(map(str, first['loc']))}: {first['msg']}",
                         hint=f"delete {path.parent} and run the cell again") from error
    identity = cell.identity
    request = Request(
        methods=[Spec(identity.method, dict(identity.method_given))],
        datasets=[Spec(identity.dataset.partition("[")[0], dict(identity.dataset_given))],
        seeds=[identity.seed], preset=identity.preset, precision=identity.precision,
        device=cell.device, threads=identity.threads, budget=cell.budget, metrics=cell.metrics,
        validations=cell.validations, ranks=cell.ranks)
    # Relative paths among the parameters start where the command was typed.
    place = contextlib.chdir(cell.cwd) if Path(cell.cwd or "?").is_dir() else (
        contextlib.nullcontext())
    with place:
        planned, = make_plan(request, discover([Path(name) for name in cell.plugins]), "explain")
    return planned


def _rows(stored: Stored, today: Cell) -> list[Row]:
    from srbench.cli.differences import rows

    parts = json.loads(json.dumps(today.parts))  # as they would come back from the file
    return rows(stored.parts, parts, stored_code=stored.code, code=today.code)


def _document(store: Store, key: str, name: str, today: str | None, rows: list[Row],
              stored: Stored | None) -> dict[str, Any]:
    """What is known, as JSON data."""
    from srbench.cli.differences import status_of

    status, problem = (NO_RECORD, "") if today is None else status_of(store, today)
    shown = stored if stored is not None and (stored.key == key) else None
    differing = [row for row in rows if not row.same]
    if differing:
        first = differing[0].sentence()
    elif stored is None:
        first = f"{store.runs} has no record to compare it with"
    else:
        first = "" if status == "ok" else f"its record says {status}"
    problem = shown.problem if shown is not None else problem
    return {
        "key": key, "name": name, "today": today,
        "status": shown.status if shown is not None else status, "problem": problem,
        "reused": status == "ok", "first": "" if status == "ok" else first,
        "compared_with": None if stored is None else {
            "key": stored.key, "name": stored.name, "status": stored.status},
        "parts": [{"part": row.part, "stored": row.stored, "now": row.now, "same": row.same,
                   "detail": list(row.detail)} for row in rows]}


def as_text(document: dict[str, Any]) -> str:
    """The document in lines for a person."""
    problem = f": {document['problem']}" if document["problem"] else ""
    lines = [f"{document['key'][:12]}  {document['name']}",
             f"status    {document['status']}{problem}"]
    other = document["compared_with"]
    if other is not None and other["key"] != document["key"]:
        lines.append(f"nearest   {other['key'][:12]}  {other['name']} ({other['status']})")
    for row in document["parts"]:
        mark = "same   " if row["same"] else "DIFFERS"
        change = "" if row["same"] else f"  ->  {brief(row['now'])}"
        lines.append(f"  {mark}  {row['part']:20} {brief(row['stored'])}{change}")
        lines += [f"           {text}" for text in row["detail"]]
    if document["reused"]:
        where = "" if document["today"] == document["key"] else (
            f": its key is now {document['today'][:12]}, which is done")
        lines.append(f"hit: a run of the same command reuses this cell{where}")
    else:
        lines += [f"miss: {document['first']}",
                  "a run of the same command runs this cell again" if document["status"] not in
                  (NO_RECORD, BROKEN) else "a run of the same command runs this cell"]
    return "\n".join(lines)
