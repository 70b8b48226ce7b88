"""`srbench.Results`: what a run or a runs folder holds, as tables, pages and comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.errors import StoreError, UsageError
from srbench.python.versus import Versus
from srbench.results.record import Record, Status
from srbench.results.store import Invalid, Store

if TYPE_CHECKING:
    import pandas as pd

    from srbench.boards.board import Board
    from srbench.registry.catalog import Catalog

WIDTH = 100  # columns of the plain table
FAILURE = ("title", "preset", "label", "seed", "status", "reason", "log")


class Results:
    """Records of cells, and what can be said of them.

    A notebook shows it as the table of the leaderboard page, a shell as the table of
    ``srbench show``.

    Parameters
    ----------
    records : sequence of Record
        Of any datasets and presets, ok or not.
    runs : path
        The runs folder they are from.
    page : path, optional
        Page that was built of them.
    invalid : sequence of Invalid
        Records that cannot be used, and why.
    catalog : Catalog, optional
        Says what metrics measure; the installed plugins by default.

    Attributes
    ----------
    records : list of Record
        As given, in the order of the plan.
    runs : Path
        As given.
    """

    def __init__(self, records: Sequence[Record], runs: Path | str = "runs", *,
                 page: Path | None = None, invalid: Sequence[Invalid] = (),
                 catalog: Catalog | None = None) -> None:
        self.records, self.runs, self.invalid = list(records), Path(runs), list(invalid)
        self._page, self._catalog = page, catalog

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.records)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per cell: key, dataset, preset, label, seed, status, cost, and its metrics."""
        from srbench.results.frame import to_frame

        return to_frame(self.records)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per method: mean (``psnr``), deviation over seeds (``psnr.sd``), ``psnr.n``.

        Of two records of one cell the newer counts; cells that are not ok do not.
        """
        from srbench.results.frame import newest, summarise, to_frame

        return summarise(to_frame(newest(self.records)))

    @cached_property
    def failures(self) -> pd.DataFrame:
        """One row per cell that is not ok: what it was, its status and reason, path of its log."""
        import pandas as pd

        from srbench.results.frame import shown_labels, shown_titles

        names = zip(self.records, shown_titles(self.records), shown_labels(self.records),
                    strict=True)
        rows = [(title, one.identity.preset, label, one.identity.seed, str(one.outcome.status),
                 one.outcome.reason or one.outcome.exit_detail,
                 str(self.runs / "cells" / one.identity.key / one.outcome.log))
                for one, title, label in names if one.outcome.status is not Status.OK]
        return pd.DataFrame(rows, columns=list(FAILURE))

    @cached_property
    def boards(self) -> list[Board]:
        """One `Board` for each dataset and preset: ranked rows with intervals and differences."""
        from srbench.boards.build import metric_infos
        from srbench.boards.table import make_boards
        from srbench.results.evidence import Evidence

        return make_boards(self.records, evidence=Evidence(self.runs / "cells"),
                           metrics=metric_infos(self._installed()))

    @property
    def page(self) -> Path | None:
        """Path of the page of the run; None where results were opened and none was built."""
        return self._page

    def compare(self, a: str, b: str, metric: str | Sequence[str] | None = None, *,
                dataset: str | None = None, preset: str | None = None) -> Versus:
        """Say what the data support about two methods, as ``srbench compare`` does.

        Parameters
        ----------
        a, b : str
            Methods as tables show them, or the beginning of one.
        metric : str or sequence of str, optional
            Only these; all that both have by default. p values are Holm's over those compared.
        dataset, preset : str, optional
            Needed where both were measured on several.

        Raises
        ------
        UsageError
            If a name is unknown or stands for several.
        """
        from srbench.boards.pair import compare_pair, finished
        from srbench.results.evidence import Evidence

        metrics = [metric] if isinstance(metric, str) else list(metric or ())
        return Versus(compare_pair(finished(self.records), a, b, Evidence(self.runs / "cells"),
                                   metrics=metrics, dataset=dataset, preset=preset))

    def to_html(self, path: Path | str) -> Path:
        """Write the leaderboard page.

        Parameters
        ----------
        path : path
            A name that ends in ``.html``: the page of the only board, complete in one file. Any
            other: a folder for pages, tables as CSV, JSON, LaTeX and BibTeX, as ``srbench board
            build`` writes them.

        Returns
        -------
        Path
            The page to open.

        Raises
        ------
        UsageError
            If there is no record, or a file is named for several boards.
        StoreError
            If the disk refuses.
        """
        from srbench.boards.build import build_board, render_alone
        from srbench.files import atomic_write

        path = Path(path)
        if not self.records:
            raise UsageError(f"there are no records in {self.runs} to make a page of")
        if path.suffix != ".html":
            return build_board(self.records, path, runs=self.runs, catalog=self._installed(),
                               invalid=self.invalid)
        if len(self.boards) > 1:
            raise UsageError(f"{path}: these are {len(self.boards)} boards, which make a page each",
                             hint=f"name a folder, as in to_html({path.stem!r})")
        path.parent.mkdir(parents=True, exist_ok=True)
        html = render_alone(self.boards[0], self.runs, path.parent, catalog=self._installed(),
                            invalid=self.invalid)
        atomic_write(path, html.encode())
        return path

    def _installed(self) -> Catalog:
        if self._catalog is None:
            from srbench.boards.build import installed

            self._catalog = installed()
        return self._catalog

    def _repr_html_(self) -> str:
        """Tables of the boards, for a notebook."""
        from srbench.boards.notebook import notebook_html

        return notebook_html(self.boards, self.invalid)

    def __repr__(self) -> str:
        """Plain tables, those of ``srbench show``."""
        from rich.console import Console
        from rich.text import Text

        from srbench.cli.tables import results_tables

        screen = Console(file=StringIO(), width=WIDTH, color_system=None, force_jupyter=False,
                         markup=False, emoji=False, highlight=False)
        for part in results_tables(self.records, self.runs, width=WIDTH):
            screen.print(part, soft_wrap=isinstance(part, Text))
        text: str = screen.file.getvalue()  # type: ignore[attr-defined]
        lines = [line.rstrip() for line in text.splitlines()]
        lines += [f"left out: {broken.path}: {broken.reason}" for broken in self.invalid]
        return "\n".join(lines).strip() or f"no records in {self.runs}"


def open_runs(runs: Path | str = "runs", *, plan: str | None = None) -> Results:
    """Open the records of a runs folder.

    Parameters
    ----------
    runs : path
        ``runs/`` of a run, or a published board's folder of records.
    plan : str, optional
        Only the cells of the plan with this id; ``"latest"`` is the plan written last.

    Raises
    ------
    StoreError
        If there is no record, or no such plan.
    """
    store = Store(Path(runs))
    chosen = store.latest_plan() if plan == "latest" else plan
    if chosen is None:
        records, invalid = store.records()
    else:
        records, invalid, _ = store.records_of(chosen)
    if not records and not invalid:
        raise StoreError(f"no records in {store.runs}" + (f" for {plan}" if plan else ""),
                         hint='srbench.run("ots,wgan-gp", "w2-early")')
    folder = store.runs / "boards" / chosen if chosen else store.runs / "boards"
    return Results(records, store.runs, invalid=invalid, page=_page(folder))


def _page(folder: Path) -> Path | None:
    """The page in a folder: the front page, or the only one."""
    front = folder / "index.html"
    if front.is_file():
        return front
    pages = [path for path in folder.glob("*.html") if not path.stem.endswith("-pixels")]
    return pages[0] if len(pages) == 1 else None
