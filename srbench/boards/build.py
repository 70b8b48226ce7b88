"""Leaderboard pages: one HTML file per dataset and preset, complete in itself.

A page fetches nothing and runs no script. Its table is also written beside it as CSV (one line per
cell) and JSON (what the page shows).
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from srbench.boards.board import Board
from srbench.boards.finding import caution, finding
from srbench.boards.gallery import Gallery, make_gallery
from srbench.boards.provenance import Provenance, provenance
from srbench.boards.table import make_boards
from srbench.boards.text import board_data, records_csv
from srbench.errors import StoreError
from srbench.files import atomic_write
from srbench.foreign.paths import plain_file
from srbench.foreign.text import printable, printable_lines
from srbench.results.record import Record
from srbench.results.store import Invalid, Store

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
LONGEST = 20_000  # characters of one text in a page
IMAGE = re.compile(r"data:image/webp;base64,[A-Za-z0-9+/=]*")
REFERENCES = {"hr": "HR images", "lr": "LR images"}


def build_board(records: Sequence[Record], out: Path, *, runs: Path,
                definitions: Mapping[str, str] | None = None,
                invalid: Sequence[Invalid] = ()) -> Path:
    """Write the pages of all boards the records make, and an index where there are several.

    Parameters
    ----------
    records : sequence of Record
        Of any datasets and presets, ok or not.
    out : Path
        Folder; created.
    runs : Path
        The runs folder the records are from: sample images, logs and plans are looked up there.
    definitions : mapping of str to str, optional
        What each metric measures, by its name; the installed metrics' summaries by default.
    invalid : sequence of Invalid
        Records that cannot be used: every page lists them, since they may belong to any.

    Returns
    -------
    Path
        The page to open.

    Raises
    ------
    ValueError
        If there is no record.
    StoreError
        If the disk refuses.
    """
    if not records:
        raise ValueError("a board needs at least one record")
    boards = make_boards(records)
    words = installed_definitions() if definitions is None else definitions
    names = page_names(boards)
    out.mkdir(parents=True, exist_ok=True)
    for board, name in zip(boards, names, strict=True):
        gallery = make_gallery(board.records, runs / "cells")
        page = render(board, gallery, provenance(board, plan_commands(board, Store(runs))),
                      definitions=words, data=name, log_link=log_linker(runs, out),
                      index="index.html" if len(boards) > 1 else "", invalid=invalid)
        atomic_write(out / f"{name}.html", page.encode())
        atomic_write(out / f"{name}.csv", records_csv(board.records).encode())
        atomic_write(out / f"{name}.json", json.dumps(board_data(board), indent=1,
                                                      allow_nan=False).encode())
    if len(boards) == 1:
        return out / f"{names[0]}.html"
    atomic_write(out / "index.html", render_index(boards, names).encode())
    return out / "index.html"


def render(board: Board, gallery: Gallery | None, source: Provenance, *,
           definitions: Mapping[str, str], data: str = "", index: str = "",
           log_link: Callable[[str], str] = str, invalid: Sequence[Invalid] = ()) -> str:
    """HTML of one board; pure.

    Parameters
    ----------
    board, gallery, source
        What the page says.
    definitions : mapping of str to str
        Sentences by metric name.
    data : str
        File name of the CSV and JSON beside the page, without suffix; empty where there are none.
    index : str
        File name of the index; empty where there is none.
    log_link : callable
        Log path below the runs folder -> relative link, or "" where it cannot be linked.
    invalid : sequence of Invalid
        Records that cannot be used.
    """
    references = [(REFERENCES.get(kind, kind), kind) for kind in dict.fromkeys(
        kind for column in board.final.columns for kind in column.reference)]
    return _environment().get_template("board.html").render(
        board=board, gallery=gallery, source=source, finding=finding(board),
        caution=caution(board), definitions=definitions, references=references, data=data,
        index=index, log_link=log_link, **_style(),
        invalid=[(f"{broken.path.parent.name}/{broken.path.name}", broken.reason)
                 for broken in invalid])


def render_index(boards: Sequence[Board], names: Sequence[str]) -> str:
    """HTML of the page that lists the boards; pure."""
    entries = [(board, f"{name}.html", finding(board))
               for board, name in zip(boards, names, strict=True)]
    return _environment().get_template("index.html").render(entries=entries, **_style())


def page_names(boards: Iterable[Board]) -> list[str]:
    """File names without suffix, unique and safe whatever the titles hold."""
    names: list[str] = []
    for board in boards:
        name = re.sub(r"[^a-z0-9.]+", "-", f"{board.title}-{board.preset}".lower()).strip("-.")
        name = name[:120]
        if not name or name == "index" or name in names:
            digest = hashlib.sha256(f"{board.title}\0{board.preset}".encode()).hexdigest()
            name = f"{name or 'board'}-{digest[:8]}"
        names.append(name)
    return names


def plan_commands(board: Board, store: Store) -> list[str]:
    """Commands of the plans that the board's cells first ran in, where they are still there."""
    commands = []
    for plan in dict.fromkeys(record.identity.plan for record in board.records):
        try:
            command = store.read_plan(plan).get("command")
        except StoreError:  # the plan was deleted: the settings below still say everything
            continue
        if isinstance(command, str):
            commands.append(command)
    return list(dict.fromkeys(commands))


def log_linker(runs: Path, out: Path) -> Callable[[str], str]:
    """Return the function that turns a path below ``runs`` into a link from ``out``."""
    def link(log: str) -> str:
        try:
            path = plain_file(runs, log)
        except StoreError:  # absent, or not a file of the cell
            return ""
        return quote(Path(os.path.relpath(path, out)).as_posix())

    return link


def installed_definitions() -> dict[str, str]:
    """Summaries of the installed metrics by name."""
    from srbench.registry.catalog import discover

    return {name: entry.info.summary for name, entry in discover([]).metrics.items()}


def _style() -> dict[str, str]:
    """Style sheet and the hash by which the page allows it, and no other, to apply."""
    from markupsafe import Markup

    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return {"style": Markup(style), "style_hash": f"sha256-{digest}"}


def breakable(label: str) -> Markup:
    """HTML of a label whose lines break after brackets and commas, elsewhere only if they must."""
    from markupsafe import Markup

    parts = re.split(r"(?<=,)|(?=\[)", printable(label))
    return Markup("").join(Markup('<span class="part">{}</span>').format(part) for part in parts)


def _fit(value: object) -> object:
    """What stands in the page for a value: of text, nothing that turns it around, nor all of it."""
    return value if type(value) is not str else printable_lines(value, most=LONGEST)


def _embedded(uri: str) -> Markup:
    """Address of an image inside the page, whole however long."""
    from markupsafe import Markup

    if not IMAGE.fullmatch(uri):
        raise ValueError("an image of the page is not embedded in it")
    return Markup(uri)


def amount(number: float) -> str:
    """Format a large count with three digits.

    >>> amount(7_032_131), amount(1280), amount(0)
    ('7.03 M', '1.28 k', '0')
    """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size * 0.9995:
            digits = max(0, 2 - int(math.log10(max(number, size) / size)))
            return f"{number / size:.{digits}f} {unit}"
    return f"{number:.0f}"


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, finalize=_fit,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"breakable": breakable, "amount": amount, "embedded": _embedded}
    return environment
