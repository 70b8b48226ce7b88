"""HTML of a board and of the front page: pure functions from data to text."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from srbench.boards.board import Board
from srbench.boards.figures import Figures
from srbench.boards.finding import basis, finding, p_words
from srbench.boards.markup import PACKAGE, csp_hash, environment
from srbench.boards.methods import Method, methods
from srbench.boards.pixels import flag_notes
from srbench.boards.provenance import Provenance, stamp
from srbench.boards.sweeps import UNPAIRED
from srbench.errors import StoreError
from srbench.foreign.paths import plain_file
from srbench.results.store import Invalid

if TYPE_CHECKING:
    from srbench.boards.pixels import Pixels
    from srbench.registry.catalog import Catalog

REFERENCES = {"hr": "HR images", "lr": "LR images"}
# Above so many rows, what is told of each method or pair of methods is left to the JSON beside the
# page, which would weigh too much otherwise.
MOST_SECTIONS = 100
MOST_COMPARED = 60
STYLES = ("templates/style.css", "charts/charts.css", "pixels/pixels.css")
SCRIPTS = ("templates/board.js", "pixels/pixels.js", "charts/charts.js")


def render(board: Board, source: Provenance, figures: Figures | None = None,
           pixels: Pixels | None = None, *, catalog: Catalog | None = None, data: str = "",
           index: str = "", pixels_link: str = "", log_link: Callable[[str], str] = str,
           invalid: Sequence[Invalid] = ()) -> str:
    """HTML of one board.

    Parameters
    ----------
    board, source, figures, pixels
        What the page says; the last two may be missing.
    catalog : Catalog, optional
        What to cite for the methods.
    data : str
        File name of the exports beside the page, without suffix; empty where there are none.
    index, pixels_link : str
        File names of the front page and of the page with whole images; empty where there is none.
    log_link : callable
        Log path below the runs folder -> relative link, or "" where it cannot be linked.
    invalid : sequence of Invalid
        Records that cannot be used.
    """
    library = figures.library if figures is not None else ""
    return environment().get_template("board.html").render(
        board=board, source=source, figures=figures, pixels=pixels, finding=finding(board),
        basis=basis(board), flags=flag_notes(board), stamp=stamp(board),
        references=references(board), data=data, index=index, pixels_link=pixels_link,
        log_link=log_link, library=library,
        methods=_sections(board, catalog), opponents=_opponents(board), p_words=p_words,
        oracle_sees_targets=bool(board.final.columns)
        and board.final.columns[0].metric not in UNPAIRED,
        **_assets([library] if library else []),
        invalid=[(f"{broken.path.parent.name}/{broken.path.name}", broken.reason)
                 for broken in invalid])


def references(board: Board) -> list[tuple[str, str]]:
    """Rows of the data itself below a table: what they are called, and their key."""
    kinds = dict.fromkeys(kind for column in board.final.columns for kind in column.reference)
    return [(REFERENCES.get(kind, kind), kind) for kind in kinds]


def render_index(boards: Sequence[Board], names: Sequence[str]) -> str:
    """HTML of the front page that lists the boards."""
    entries = [(board, f"{name}.html", finding(board), basis(board))
               for board, name in zip(boards, names, strict=True)]
    entries.sort(key=lambda entry: not entry[0].records)  # those nobody ran come last
    return environment().get_template("index.html").render(entries=entries, **_assets([]))


def _sections(board: Board, catalog: Catalog | None) -> tuple[Method, ...]:
    if len(board.final.rows) > MOST_SECTIONS:
        return ()
    return methods(board, catalog)


def _opponents(board: Board) -> list[str]:
    """Labels that others are compared with in the first column, the best in front."""
    if not board.final.columns or len(board.final.rows) > MOST_COMPARED:
        return []
    found = dict.fromkeys(label for row in board.final.rows for label, _ in row.entries[0].against)
    return sorted(found, key=lambda label: label == board.reference)  # the best, then that one


def _assets(more: Sequence[str]) -> dict[str, Any]:
    """Style sheet and script, and the hashes by which the page allows them and nothing else."""
    from markupsafe import Markup

    style, script = _joined(STYLES), _joined(SCRIPTS)
    return {"style": Markup(style), "style_hash": csp_hash(style),
            "script": Markup(script),
            "script_hashes": [csp_hash(text) for text in (script, *more)]}


@cache
def _joined(names: tuple[str, ...]) -> str:
    return "\n".join((PACKAGE / name).read_text(encoding="utf-8") for name in names)


def page_names(boards: Iterable[Board]) -> list[str]:
    """File names without suffix, unique and safe whatever the titles hold."""
    names: list[str] = []
    for board in boards:
        name = re.sub(r"[^a-z0-9.@_]+", "-", board.name.lower()).strip("-.")[:120]
        if not name or name == "index" or name in names:
            digest = hashlib.sha256(f"{board.name}\0{board.preset}".encode()).hexdigest()
            name = f"{name or 'board'}-{digest[:8]}"
        names.append(name)
    return names


def log_linker(runs: Path, out: Path) -> Callable[[str], str]:
    """Return the function that turns a path below ``runs`` into a link from ``out``."""
    def link(log: str) -> str:
        try:
            path = plain_file(runs, log)
        except StoreError:  # absent, or not a file of the cell
            return ""
        return quote(Path(os.path.relpath(path, out)).as_posix())

    return link
