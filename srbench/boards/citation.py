"""What to cite for a board, as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from srbench import __version__
from srbench.boards.board import Board
from srbench.foreign.text import printable, printable_lines

if TYPE_CHECKING:
    from srbench.registry.catalog import Catalog
    from srbench.registry.infos import PluginInfo

PAPER = """\
@article{gazdieva2022optimal,
  title   = {An Optimal Transport Perspective on Unpaired Image Super-Resolution},
  author  = {Gazdieva, Milena and Mokrov, Petr and Rout, Litu and Korotin, Alexander
             and Filippov, Alexander and Burnaev, Evgeny},
  journal = {arXiv preprint arXiv:2202.01116},
  year    = {2022}
}"""
HARNESS = """\
@software{srbench,
  title   = {srbench: the harness in which unpaired image super-resolution methods are compared},
  version = {VERSION},
  year    = {YEAR}
}"""
OPENING = re.compile(r"@\s*(\w+)\s*\{\s*([^\s,{}]+)\s*,")
NO_ENTRIES = ("comment", "preamble", "string")
PLAIN = re.compile(r"[^A-Za-z0-9.+ ,-]")  # what a version needs, and nothing that BibTeX reads


def board_bibtex(board: Board, catalog: Catalog | None = None, *,
                 cite: Sequence[str] = ()) -> str:
    """Entries for srbench, the paper it grew from, and the methods and datasets of a board.

    Parameters
    ----------
    board : Board
        What it shows is cited, whether it was run or is only published.
    catalog : Catalog, optional
        Whose plugins say what to cite; the installed ones by default.
    cite : sequence of str
        More entries, as in `Definition.cite`.

    Returns
    -------
    str
        BibTeX, each key once: the first entry of a key stays. The versions and the year of srbench
        are those of the records.
    """
    if catalog is None:
        from srbench.registry.catalog import discover

        catalog = discover([])
    texts = [_harness(board), PAPER, *cite, *(info.citation for info in _infos(board, catalog))]
    found: dict[str, str] = {}
    for text in texts:
        for key, entry in entries(text):
            found.setdefault(key.lower(), entry)
    return "\n\n".join(found.values()) + "\n"


def entries(text: str) -> Iterator[tuple[str, str]]:
    """Yield (key, entry) of each entry of BibTeX text whose braces close; the rest is left out."""
    place = 0
    while opening := OPENING.search(text, place):
        end = _closing(text, text.index("{", opening.start()))
        place = opening.end() if end is None else end
        if end is not None and opening[1].lower() not in NO_ENTRIES:
            yield opening[2], printable_lines(text[opening.start():end])


def _closing(text: str, start: int) -> int | None:
    """Where the group ends that opens at ``start``; None if it never does."""
    depth = 0
    for place in range(start, len(text)):
        if text[place - 1:place] == "\\":
            continue
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return place + 1
    return None


def _infos(board: Board, catalog: Catalog) -> Iterator[PluginInfo]:
    """What plugins say of the board's datasets, then of its methods, in the order of names."""
    datasets = {*board.datasets, *(record.identity.dataset for record in board.records)}
    for name in sorted({_name(text) for text in datasets} & set(catalog.datasets)):
        yield catalog.datasets[name].info
    methods: set[str] = {record.identity.method for record in board.records}
    methods |= {_name(label) for label, _ in board.final.absent}
    for name in sorted(methods & set(catalog.methods)):
        yield catalog.methods[name].info


def _name(text: str) -> str:
    """Name of a dataset or method in its title or label: ``w2-early@embedded``, ``ots[lr=1]``."""
    return re.split(r"[@\[ ]", text, maxsplit=1)[0]


def _harness(board: Board) -> str:
    records = board.records
    versions = _sorted(record.origin.srbench_version for record in records) or [__version__]
    years = _sorted(record.outcome.finished[:4] for record in records)
    entry = HARNESS.replace("VERSION", ", ".join(versions))
    return entry.replace("YEAR", years[-1]) if years else re.sub(r",\n  year .*", "", entry)


def _sorted(texts: Iterable[str]) -> list[str]:
    return sorted({PLAIN.sub("", printable(text, most=40)) for text in texts} - {""})
