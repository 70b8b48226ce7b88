"""The boards of a folder: built from their own records, compared with the pages that are there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.boards.definition import Definition, default_definition
from srbench.errors import StoreError
from srbench.files import atomic_write
from srbench.results.frame import shown_titles
from srbench.results.store import Invalid, Store

if TYPE_CHECKING:
    from srbench.boards.build import PageJob, Progress
    from srbench.results.record import Record

Difference = tuple[str, str]  # "added", "changed" or "removed", and a path below the pages
INDEX = "index.html"


def committed_jobs(definitions: Sequence[Definition],
                   folder: Path) -> tuple[list[PageJob], list[Invalid]]:
    """What to build for defined boards: each from ``folder/records/NAME``, with records or without.

    Returns
    -------
    jobs : list of PageJob
        In the order of the definitions.
    invalid : list of Invalid
        Records that cannot be used.
    """
    from srbench.boards.build import PageJob

    jobs, invalid = [], []
    for definition in definitions:
        runs = folder / "records" / definition.name
        records, bad = Store(runs).records()
        invalid += bad
        jobs.append(PageJob(definition=definition, records=records, runs=runs))
    return jobs, invalid


def jobs_of(records: Sequence[Record], definitions: Sequence[Definition],
            runs: Path) -> list[PageJob]:
    """What to build from a runs folder, in the order of names.

    A definition that wants a record makes a board; records that none wants make one for each of
    their datasets and presets.
    """
    from srbench.boards.build import PageJob

    groups: dict[Definition, list[Record]] = {}
    for title, record in zip(shown_titles(records), records, strict=True):
        wanting = [definition for definition in definitions if definition.wants(record)]
        for definition in wanting or [default_definition(title, record.identity.preset)]:
            groups.setdefault(definition, []).append(record)
    return [PageJob(definition=definition, records=group, runs=runs)
            for definition, group in sorted(groups.items(), key=lambda item: item[0].name)]


@contextmanager
def built_beside(out: Path, build: Callable[[Path], object]) -> Iterator[Path]:
    """Give a folder beside ``out`` in which pages were built; it is deleted at the end.

    Beside, because links from pages to other files are relative.

    Raises
    ------
    StoreError
        If there can be no such folder.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise StoreError(f"cannot build pages in {out.parent}: {error.strerror}",
                         hint="name a folder you may write to") from error
    try:
        build(beside)
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def differences(there: Path, fresh: Path, *, only: Sequence[str] = ()) -> list[Difference]:
    """Compare two folders byte by byte.

    Parameters
    ----------
    there, fresh : Path
        What is there, and what should be.
    only : sequence of str
        Names of boards: other boards' files and the front page do not count.

    Returns
    -------
    list of (str, str)
        ``"added"`` for files that are not there, ``"removed"`` for those that should not be,
        ``"changed"``, each with the path; in the order of paths.
    """
    before, after = _files(there), _files(fresh)
    found: list[Difference] = []
    for name in sorted(before | after):
        if only and not any(is_of(name, board) for board in only):
            continue
        if name not in before:
            found.append(("added", name))
        elif name not in after:
            found.append(("removed", name))
        elif (there / name).read_bytes() != (fresh / name).read_bytes():
            found.append(("changed", name))
    return found


def is_of(name: str, board: str) -> bool:
    """Whether a file of the pages is a board's: ``NAME.html``, ``NAME-pixels/lr_0.png``."""
    first = name.split("/")[0]
    return first == board or first.startswith(f"{board}-pixels") or (
        first.startswith(f"{board}.") and "." not in first[len(board) + 1:])


def take_over(out: Path, fresh: Path, found: Sequence[Difference]) -> None:
    """Make the differences true in ``out``, each file in one step; raises `StoreError`."""
    try:
        for kind, name in sorted(found, key=lambda one: one[1] == INDEX):  # the front page last
            if kind == "removed":
                (out / name).unlink()
                continue
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            atomic_write(out / name, (fresh / name).read_bytes(), durable=False)
    except OSError as error:
        raise StoreError(f"cannot write {out}: {error.strerror or error}",
                         hint="free space, or name another folder with --out") from error


def build_committed(definitions: Sequence[Definition], folder: Path, *, pixels: bool,
                    progress: Progress | None = None) -> Callable[[Path], Path]:
    """Return the function that builds the pages of defined boards into the folder it is given."""
    from srbench.boards.build import build_pages

    def build(out: Path) -> Path:
        jobs, invalid = committed_jobs(definitions, folder)
        return build_pages(jobs, out, invalid=invalid, pixels=pixels, progress=progress)

    return build


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
