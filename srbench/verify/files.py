"""The files beside a record are those it lists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from srbench.errors import StoreError
from srbench.files import sha256
from srbench.foreign.paths import plain_file
from srbench.results.artefacts import files_beside
from srbench.results.record import Record, Status
from srbench.results.store import RECORD
from srbench.verify.findings import Finding


def check_files(folder: Path, record: Record) -> Iterator[Finding]:
    """Compare each file's size and SHA-256 with the record; list what is missing and what is more.

    Files of a cell that did not finish may be more than its record knows: it was written for it.
    """
    for name, artefact in record.artefacts.items():
        if name != artefact.path:
            yield Finding(RECORD, f"artefact {name!r} has the path {artefact.path!r}")
            continue
        try:
            path = plain_file(folder, name)
        except StoreError as error:
            yield Finding(name, error.message.removeprefix(f"{name}: "))
            continue
        size = path.stat().st_size
        if size != artefact.size:
            yield Finding(name, f"it has {size:,} bytes; the record says {artefact.size:,}")
        elif (found := sha256(path)) != artefact.sha256:
            yield Finding(name, f"its SHA-256 is {found}; the record says {artefact.sha256}")
    if record.outcome.status is Status.OK:
        known = {artefact.path for artefact in record.artefacts.values()}
        for name in files_beside(folder, links=True):
            if name not in known:
                yield Finding(name, "the record does not list it")
