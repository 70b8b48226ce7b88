"""What publishing would change: which records, which of their files, and whether they may.

::

    leaderboards/NAME.toml                       the definition
                 records/NAME/cells/<key>/       record.json, tables, sample images
                 records/NAME/plans/<id>.json    the command its cells ran in
                 pages/                          what they give
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.boards.local_paths import clean_record, clean_text, refuse_merged
from srbench.boards.mixing import Candidate, refuse_mixed
from srbench.boards.publication import Cell, Publication
from srbench.errors import StoreError
from srbench.results.artefacts import PALETTES, PER_IMAGE
from srbench.results.frame import newest
from srbench.results.record import Record, Status
from srbench.results.store import RECORD, Store, finite
from srbench.verify.cells import check_cells

if TYPE_CHECKING:
    from srbench.boards.definition import Definition
    from srbench.verify.findings import Checked

TABLES = (PER_IMAGE, PALETTES, "history.parquet")
IMAGES = "images/"


def prepare(definition: Definition, runs: Path, boards: Path, *,
            replace: bool = False) -> Publication:
    """Find out what publishing the records of one board would change; writes nothing.

    Parameters
    ----------
    definition : Definition
        Of the board.
    runs : Path
        Where new records are.
    boards : Path
        ``leaderboards``.
    replace : bool
        Whether the records published before are given up; a board without new ones keeps them.

    Raises
    ------
    StoreError
        If a record or a file of it is not what was committed.
    UsageError
        If the board would mix presets, protocols or data; see `refuse_mixed`.
    """
    folder = boards / "records" / definition.name
    found, invalid = Store(runs).records()
    fresh = {record.identity.key: record for record in found if definition.wants(record)}
    known, damaged = Store(folder).records()
    if damaged and not (replace and fresh):
        raise StoreError(f"{damaged[0].path} cannot be used: {damaged[0].reason}",
                         hint="restore it, or publish with --replace to give up what was published")
    before = {} if replace and fresh else {record.identity.key: record for record in known}
    chosen = _chosen(fresh, before)
    refuse_mixed(definition, [
        Candidate(record, str(runs) if record is fresh.get(key) else str(folder))
        for key, record in chosen.items()],
        remedy=f"delete those cells from {folder / 'cells'}, or publish with --replace to give up "
               "all that was published on this board before")
    new = {key for key, record in chosen.items() if record is fresh.get(key)}
    _refuse_damaged([runs / "cells" / key for key in chosen if key in new],
                    [folder / "cells" / key for key in chosen if key not in new])
    cleaned = {key: clean_record(record) for key, record in chosen.items() if key in new}
    refuse_merged((chosen[key], record) for key, (record, _) in cleaned.items())
    shown = _with_images(list(chosen.values()))
    publication = Publication(name=definition.name, folder=folder, invalid=invalid, cells=[
        _cell(key, record, runs if key in new else folder, images=key in shown,
              cleaned=cleaned.get(key)) for key, record in sorted(chosen.items())])
    publication.plans = _plans(chosen.values(), new, Store(runs), Store(folder))
    return publication


def _chosen(fresh: dict[str, Record], before: dict[str, Record]) -> dict[str, Record]:
    """The newest record of each label and seed; of one key the one that finished last."""
    both = {**fresh, **{key: record for key, record in before.items() if key not in fresh
                        or record.outcome.finished > fresh[key].outcome.finished}}
    return {record.identity.key: record for record in newest([*both.values()])}


def _with_images(records: Sequence[Record]) -> set[str]:
    """Keys of the cells whose sample images are shown: the lowest seed of each label that is ok."""
    lowest: dict[tuple[str, str], Record] = {}
    for record in sorted(records, key=lambda record: record.identity.seed):
        if record.outcome.status is Status.OK and any(
                name.startswith(IMAGES) for name in record.artefacts):
            lowest.setdefault((record.identity.title, record.identity.label), record)
    return {record.identity.key for record in lowest.values()}


def _cell(key: str, record: Record, runs: Path, *, images: bool,
          cleaned: tuple[Record, tuple[str, ...]] | None) -> Cell:
    """Choose the files of a cell; of one published before those that are still there."""
    folder = runs / "cells" / key
    names = [name for name in record.artefacts if name in TABLES
             or (images and name.startswith(IMAGES) and name.endswith(".png"))]
    files: dict[str, bytes | None] = {
        name: None for name in names if cleaned is not None or (folder / name).is_file()}
    after, cut = cleaned or (record, ())
    content = None
    if cut:
        content = finite(after).model_dump_json(indent=1).encode() + b"\n"
    return Cell(key=key, folder=folder, files={**files, RECORD: content},
                fresh=cleaned is not None, cut=cut)


def _refuse_damaged(fresh: Sequence[Path], published: Sequence[Path]) -> None:
    """Refuse cells of which something that is to be published is not as it was committed."""
    wrong = [(cell, finding, folder) for folder, cell in zip(
        [*fresh, *published], check_cells([*fresh, *published]), strict=True)
        for finding in cell.findings
        if _counts(cell, finding.file, folder, published=folder in published)]
    if wrong:
        cell, finding, folder = wrong[0]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise StoreError(
            f"{folder} ({cell.name}) is not as it was committed: {finding.file}: "
            f"{finding.problem}{more}",
            hint=f"srbench verify --runs {folder.parent.parent} lists all; run the cell again or "
                 "delete its folder")


def _counts(cell: Checked, file: str, folder: Path, *, published: bool) -> bool:
    """Whether a finding is about something that is published.

    Checkpoints, logs and files of plugins' own are not, and neither is ``cell.json``, which is
    compared where it is there. Published cells have fewer files than their records name.
    """
    there = (folder / file).exists()
    if file == RECORD:
        return True
    if file == "cell.json":
        return there
    listed = cell.record is not None and file in cell.record.artefacts
    return listed and (file in TABLES or file.startswith(IMAGES)) and (there or not published)


def _plans(records: Iterable[Record], new: set[str], runs: Store, folder: Store,
           ) -> dict[str, bytes]:
    """The command of each plan that the records ran in, where it is known."""
    plans: dict[str, bytes] = {}
    for record in sorted(records, key=lambda record: record.identity.key):
        plan, store = record.identity.plan, runs if record.identity.key in new else folder
        try:
            command = store.read_plan(plan).get("command")
        except StoreError:  # deleted; the record says what was run
            continue
        if isinstance(command, str):
            data = {"id": plan, "command": clean_text(command)}
            plans.setdefault(f"{plan}.json", json.dumps(data, indent=1).encode() + b"\n")
    return plans
