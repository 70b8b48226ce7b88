"""Records and plans on disk: every write is whole or not there.

::

    runs/cells/<key>/record.json       how the cell ended; written last
                     per_image.parquet one row per test image, one column per metric
                     images/           lr_0.png, prediction_0.png, hr_0.png, ...
                     log.txt
    runs/plans/<id>.json               the cells of one run, written before the first starts
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from srbench.errors import StoreError
from srbench.files import atomic_write
from srbench.results.record import SCHEMA_VERSION, Artefact, MetricValue, Record

RECORD = "record.json"
PER_IMAGE = "per_image.parquet"
IMAGES = "images"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")

logger = logging.getLogger(__name__)

MIGRATIONS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""Version -> pure function that turns its JSON data into that of the next version."""


@dataclass(frozen=True)
class Invalid:
    """A record file that cannot be used, and why."""

    path: Path
    reason: str


class NewerSchema(StoreError):
    """A record written by a newer srbench."""


class Store:
    """The records and plans below one folder.

    Parameters
    ----------
    runs : Path
        ``runs/`` of the working directory, or what ``--runs`` names. Created when first written.
    """

    def __init__(self, runs: Path) -> None:
        self.runs = runs

    def cell_folder(self, key: str) -> Path:
        """Folder of the cell ``key``; not created.

        Raises
        ------
        StoreError
            If ``key`` is not a plain file name.
        """
        return self.runs / "cells" / _plain_name("cell key", key)

    def commit(self, record: Record) -> Path:
        """Write ``record.json`` of the record's cell and return its path.

        Numbers that are not finite become null with a flag, see `finite`.

        Raises
        ------
        StoreError
            If the disk refuses; the record that was there before is untouched.
        """
        path = self.cell_folder(record.identity.key) / RECORD
        _write(path, finite(record).model_dump_json(indent=1).encode() + b"\n")
        return path

    def read(self, key: str) -> Record | None:
        """Return the record of ``key``, or None where there is none that can be read.

        A damaged record counts as none, so that its cell runs again and replaces it.

        Raises
        ------
        StoreError
            If the record is of a newer srbench, which running again would overwrite.
        """
        path = self.cell_folder(key) / RECORD
        if not path.is_file():
            return None
        try:
            return load(path)
        except NewerSchema:
            raise
        except StoreError as error:
            logger.warning("%s is ignored: %s", path, error.message)
            return None

    def records(self) -> tuple[list[Record], list[Invalid]]:
        """Read all records, in the order of their keys, and list those that cannot be used."""
        good: list[Record] = []
        bad: list[Invalid] = []
        for path in sorted((self.runs / "cells").glob(f"*/{RECORD}")):
            try:
                record = load(path)
            except StoreError as error:
                bad.append(Invalid(path, error.message))
                continue
            if record.identity.key == path.parent.name:
                good.append(record)
            else:
                bad.append(Invalid(path, f"its key {record.identity.key} is not its folder's name"))
        return good, bad

    def write_per_image(self, key: str, columns: Mapping[str, Sequence[float]]) -> Artefact:
        """Write per-image values (one column per metric, one row per test image) as Parquet.

        Raises
        ------
        ValueError
            If the columns differ in length.
        StoreError
            If the disk refuses.
        """
        import pyarrow as pa
        import pyarrow.parquet as parquet

        table = pa.table({name: pa.array(list(values), pa.float64())
                          for name, values in columns.items()})
        sink = pa.BufferOutputStream()
        parquet.write_table(table, sink)
        path = self.cell_folder(key) / PER_IMAGE
        _write(path, sink.getvalue().to_pybytes())
        return artefact(path, self.cell_folder(key))

    def read_per_image(self, key: str) -> dict[str, list[float]]:
        """Return what `write_per_image` wrote; empty where nothing was written."""
        import pyarrow as pa
        import pyarrow.parquet as parquet

        path = self.cell_folder(key) / PER_IMAGE
        if not path.is_file():
            return {}
        try:
            columns: dict[str, list[float]] = parquet.read_table(path).to_pydict()
        except (pa.ArrowException, OSError) as error:
            raise StoreError(f"cannot read {path}: {error}",
                             hint="delete its folder and run the cell again") from error
        return columns

    def write_plan(self, plan_id: str, plan: Mapping[str, Any]) -> Path:
        """Write a plan; raises `StoreError` if the disk refuses."""
        path = self._plan_path(plan_id)
        _write(path, json.dumps(plan, indent=1, allow_nan=False).encode() + b"\n")
        return path

    def read_plan(self, plan_id: str) -> dict[str, Any]:
        """Read a plan; raises `StoreError` if there is none or it is damaged."""
        path = self._plan_path(plan_id)
        if not path.is_file():
            known = ", ".join(self.plans()) or "there are none"
            raise StoreError(f"no plan {plan_id!r} in {self.runs}", hint=f"known: {known}")
        return _json_object(path)

    def plans(self) -> list[str]:
        """Ids of all plans, the oldest first."""
        paths = list((self.runs / "plans").glob("*.json"))
        return [path.stem for path in sorted(paths, key=lambda p: (p.stat().st_mtime_ns, p.name))]

    def latest_plan(self) -> str | None:
        """Id of the plan written last, or None."""
        return next(reversed(self.plans()), None)

    def _plan_path(self, plan_id: str) -> Path:
        return self.runs / "plans" / f"{_plain_name('plan id', plan_id)}.json"


def load(path: Path) -> Record:
    """Read one record file, whatever its schema version.

    Raises
    ------
    NewerSchema
        If a newer srbench wrote it.
    StoreError
        If it cannot be read, is not JSON or does not follow the schema.
    """
    data = migrate(_json_object(path))
    try:
        return Record.model_validate_json(json.dumps(data))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the record"
        count = error.error_count()
        more = f" and {count - 1} more" if count > 1 else ""
        raise StoreError(f"{where}: {first['msg']}{more}",
                         hint=f"delete {path} and run the cell again") from error


def migrate(data: dict[str, Any]) -> dict[str, Any]:
    """Bring a record's JSON data to `SCHEMA_VERSION`, one version after the other.

    Raises
    ------
    NewerSchema
        If its version is above `SCHEMA_VERSION`.
    StoreError
        If it has no version, or one this srbench cannot migrate from.
    """
    version = data.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise StoreError(f"schema_version is {version!r}, not a number")
    if version > SCHEMA_VERSION:
        raise NewerSchema(f"schema version {version} is newer than {SCHEMA_VERSION}, the one this "
                          "srbench reads", hint="pip install --upgrade srbench")
    while version < SCHEMA_VERSION:
        if version not in MIGRATIONS:
            raise StoreError(f"schema version {version} cannot be migrated")
        data = MIGRATIONS[version](data)
        version += 1
    return data


def finite(record: Record) -> Record:
    """Return the record with numbers that are not finite as null and the flag ``nan``.

    JSON has no NaN. A metric whose value is not finite becomes unavailable and says which value it
    had; an interval with such an end and such references are left out.
    """
    values = record.values
    blocks = {name: {metric: _finite_metric(value) for metric, value in block.items()}
              for name, block in (("final", values.final), ("oracle", values.oracle))}
    changed = any(block[metric].value != value.value
                  for name, block in blocks.items()
                  for metric, value in getattr(values, name).items())
    outcome = record.outcome
    if changed and "nan" not in outcome.flags:
        outcome = outcome.model_copy(update={"flags": [*outcome.flags, "nan"]})
    return record.model_copy(update={"values": values.model_copy(update=blocks),
                                     "outcome": outcome})


def artefact(path: Path, folder: Path) -> Artefact:
    """Describe a file beside the record: path below ``folder``, SHA-256, size in bytes."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Artefact(path=path.relative_to(folder).as_posix(), sha256=digest,
                    size=path.stat().st_size)


def _finite_metric(metric: MetricValue) -> MetricValue:
    update: dict[str, Any] = {
        "reference": {name: number for name, number in metric.reference.items()
                      if math.isfinite(number)},
    }
    if metric.interval is not None and not all(map(math.isfinite, metric.interval)):
        update["interval"] = None
    if metric.value is not None and not math.isfinite(metric.value):
        update |= {"value": None, "unavailable": f"the value is {metric.value}"}
    return metric.model_copy(update=update)


def _write(path: Path, data: bytes) -> None:
    """Write below ``runs/``, making the folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot create {path.parent}: {error.strerror}",
                         hint="choose a folder you may write to with --runs") from error
    atomic_write(path, data)


def _json_object(path: Path) -> dict[str, Any]:
    hint = f"delete {path} and run again"
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}", hint=hint) from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path.name} is not JSON: {error}", hint=hint) from error
    if not isinstance(data, dict):
        raise StoreError(f"{path.name} is not a JSON object", hint=hint)
    return data


def _plain_name(kind: str, name: str) -> str:
    if not NAME.fullmatch(name):
        raise StoreError(f"the {kind} {name!r} cannot be a file name",
                         hint=f"it must match {NAME.pattern}")
    return name
