"""Leaderboard pages: one HTML file per board, complete in itself.

A page fetches nothing. Everything it says is in its markup; its one script only sorts, filters,
makes the charts interactive, and keeps the reader's view in the address. Beside it lie the same
numbers as CSV (one line per cell), JSON, LaTeX and BibTeX.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.boards.board import Board
from srbench.boards.citation import board_bibtex
from srbench.boards.figures import Figures, make_figures
from srbench.boards.page import log_linker, page_names, render, render_index
from srbench.boards.pixels import make_pixels, pixels_page
from srbench.boards.provenance import plan_commands, provenance
from srbench.boards.table import make_board, make_boards
from srbench.boards.text import board_data, board_latex, records_csv
from srbench.files import atomic_write
from srbench.results.evidence import Evidence
from srbench.results.record import Record
from srbench.results.store import Invalid, Store

if TYPE_CHECKING:
    from srbench.boards.definition import Definition
    from srbench.registry.catalog import Catalog
    from srbench.registry.infos import MetricInfo

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class PageJob:
    """A board to build: its definition, its records, and the runs folder they are from."""

    definition: Definition
    records: Sequence[Record]
    runs: Path


def build_board(records: Sequence[Record], out: Path, *, runs: Path,
                definitions: Sequence[Definition] = (), catalog: Catalog | None = None,
                invalid: Sequence[Invalid] = (), pixels: bool = True,
                progress: Progress | None = None) -> Path:
    """Write the pages of all boards the records make, and an index where there are several.

    Parameters
    ----------
    records : sequence of Record
        Of any datasets and presets, ok or not.
    out : Path
        Folder; created.
    runs : Path
        The runs folder the records are from: sample images, logs and plans are looked up there.
    definitions : sequence of Definition
        Boards that take the records of their datasets and preset.
    catalog : Catalog, optional
        Says what metrics measure and what to cite; the installed plugins by default.
    invalid : sequence of Invalid
        Records that cannot be used: every page lists them, since they may belong to any.
    pixels : bool
        Whether each board gets a second page with whole images, where its cells kept some.
    progress : callable, optional
        Called with a board's name, how many are done, and how many there are.

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
    catalog = catalog or installed()
    boards = make_boards(records, definitions=definitions, evidence=Evidence(runs / "cells"),
                         metrics=metric_infos(catalog))
    return write_pages([(board, runs) for board in boards], out, catalog=catalog, invalid=invalid,
                       pixels=pixels, progress=progress)


def build_pages(jobs: Sequence[PageJob], out: Path, *, catalog: Catalog | None = None,
                invalid: Sequence[Invalid] = (), pixels: bool = True,
                progress: Progress | None = None) -> Path:
    """Write the pages of defined boards, also of those without a record; see `build_board`."""
    if not jobs:
        raise ValueError("there is no board to build")
    catalog = catalog or installed()
    boards = [(make_board(job.definition, job.records, evidence=Evidence(job.runs / "cells"),
                          metrics=metric_infos(catalog)), job) for job in jobs]
    return write_pages([(board, job.runs) for board, job in boards], out, catalog=catalog,
                       invalid=invalid, pixels=pixels, progress=progress, index=True,
                       definitions={board.name: job.definition for board, job in boards})


def write_pages(boards: Sequence[tuple[Board, Path]], out: Path, *, catalog: Catalog,
                invalid: Sequence[Invalid] = (), pixels: bool = True, index: bool = False,
                progress: Progress | None = None,
                definitions: Mapping[str, Definition] | None = None) -> Path:
    """Write each board's files, and the front page where there are several or it is asked for."""
    names = page_names([board for board, _ in boards])
    front = "index.html" if len(boards) > 1 or index else ""
    out.mkdir(parents=True, exist_ok=True)
    for number, ((board, runs), name) in enumerate(zip(boards, names, strict=True)):
        if progress is not None:
            progress(name, number, len(boards))
        definition = (definitions or {}).get(board.name)
        command = definition.command if definition else ""
        source = provenance(board, [command] if command else plan_commands(board, Store(runs)))
        figures = make_figures(board, runs / "cells")
        shown = make_pixels(board, runs / "cells")
        second = f"{name}-pixels" if pixels and shown is not None else ""
        if second:
            page = pixels_page(board, runs / "cells", out, second)
            atomic_write(out / f"{second}.html", page.encode())
        html = render(board, source, figures, shown, catalog=catalog, data=name, index=front,
                      invalid=invalid, pixels_link=f"{second}.html" if second else "",
                      log_link=log_linker(runs, out))
        atomic_write(out / f"{name}.html", html.encode())
        _write_data(board, out, name, catalog, definition.cite if definition else ())
    if not front:
        return out / f"{names[0]}.html"
    atomic_write(out / front, render_index([board for board, _ in boards], names).encode())
    return out / front


def render_alone(board: Board, runs: Path, out: Path, *, catalog: Catalog,
                 invalid: Sequence[Invalid] = ()) -> str:
    """HTML of a board's page as the only file, which lies in ``out``: no exports beside it."""
    return render(board, provenance(board, plan_commands(board, Store(runs))),
                  make_figures(board, runs / "cells"), make_pixels(board, runs / "cells"),
                  catalog=catalog, invalid=invalid, log_link=log_linker(runs, out))


def _write_data(board: Board, out: Path, name: str, catalog: Catalog,
                cite: Sequence[str]) -> None:
    """Write the exports beside a page."""
    data = json.dumps(board_data(board), indent=1, allow_nan=False)
    for suffix, text in (("csv", records_csv(board.records)), ("json", data),
                         ("tex", board_latex(board)),
                         ("bib", board_bibtex(board, catalog, cite=cite))):
        atomic_write(out / f"{name}.{suffix}", text.encode())


def installed() -> Catalog:
    """Everything installed, without plugins given as files."""
    from srbench.registry.catalog import discover

    return discover([])


def metric_infos(catalog: Catalog) -> dict[str, MetricInfo]:
    """Return what the metrics say of themselves, by name."""
    return {name: entry.info for name, entry in catalog.metrics.items()}


__all__ = ["Figures", "PageJob", "build_board", "build_pages", "render_alone",
           "write_pages"]
