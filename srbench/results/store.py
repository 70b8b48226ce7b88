"""Records and plans on disk: every write is whole or not there.

::

    runs/cells/<key>/cell.json         what was to run
                     record.json       how it ended; written last
                     per_image.parquet one row per test image, one column per metric
                     images/           lr_0.png, prediction_0.png, hr_0.png, ...
                     log.txt
    runs/plans/<id>.json               the cells of one run, written before the first starts
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srbench.errors import StoreError
from srbench.files import atomic_write
from srbench.results.reading import NewerSchema, json_object, load
from srbench.results.record import MetricValue, Record

RECORD = "record.json"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Invalid:
    """A record file that cannot be used, and why."""

    path: Path
    reason: str


class Store:
    """The records and plans below one folder.

    Parameters
    ----------
    runs : Path
        ``runs/`` of the working directory, or what ``--runs`` names. Created when first written.
    """

    def __init__(self, runs: Path) -> None:
        self.runs = runs

    @classmethod
    def of_cell(cls, folder: Path) -> Store:
        """Return the store that the cell folder ``runs/cells/<key>`` lies in."""
        return cls(folder.parent.parent)

    def cell_folder(self, key: str) -> Path:
        """Folder of the cell ``key``; not created.

        Raises
        ------
        StoreError
            If ``key`` is not a plain file name.
        """
        return self.runs / "cells" / _plain_name("cell key", key)

    def commit(self, record: Record, *, durable: bool = True) -> Path:
        """Write ``record.json`` of the record's cell and return its path.

        Numbers that are not finite become null with a flag, see `finite`. With ``durable`` it is
        on the disk when this returns.

        Raises
        ------
        StoreError
            If the disk refuses; the record that was there before is untouched.
        """
        path = self.cell_folder(record.identity.key) / RECORD
        _write(path, finite(record).model_dump_json(indent=1).encode() + b"\n", durable=durable)
        return path

    def read(self, key: str) -> Record | None:
        """Return the record of ``key``, or None where there is none that can be read.

        A damaged record counts as none, so that its cell runs again and replaces it.

        Raises
        ------
        NewerSchema
            If a newer srbench wrote it: running again would overwrite it.
        """
        path = self.cell_folder(key) / RECORD
        if not path.is_file():
            return None
        try:
            record = load(path)
            if record.identity.key != key:
                raise StoreError(_not_its_folder(record))
            return record
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
                bad.append(Invalid(path, _not_its_folder(record)))
        return good, bad

    def records_of(self, plan_id: str) -> tuple[list[Record], list[Invalid], int]:
        """Read the records of a plan, in its order.

        Returns
        -------
        tuple of list of Record, list of Invalid and int
            The records, those that cannot be used, and how many cells have none yet.

        Raises
        ------
        StoreError
            If there is no such plan.
        """
        keys = [str(key) for key in self.read_plan(plan_id).get("cells", [])]
        records, invalid = self.records()
        found = {record.identity.key: record for record in records if record.identity.key in keys}
        bad = [broken for broken in invalid if broken.path.parent.name in keys]
        return [found[key] for key in keys if key in found], bad, len(keys) - len(found) - len(bad)

    def write_plan(self, plan_id: str, plan: Mapping[str, Any]) -> Path:
        """Write a plan and return its path; raises `StoreError` if the disk refuses."""
        path = self._plan_path(plan_id)
        _write(path, json.dumps(plan, indent=1, allow_nan=False).encode() + b"\n")
        return path

    def read_plan(self, plan_id: str) -> dict[str, Any]:
        """Read a plan; raises `StoreError` if there is none or it is damaged."""
        path = self._plan_path(plan_id)
        if not path.is_file():
            known = ", ".join(self.plans()[-5:]) or "there are none"
            raise StoreError(f"no plan {plan_id!r} in {self.runs}", hint=f"newest plans: {known}")
        return json_object(path, constants=False)

    def plans(self) -> list[str]:
        """Ids of all plans, the oldest first."""
        paths = list((self.runs / "plans").glob("*.json"))
        return [path.stem for path in sorted(paths, key=lambda p: (p.stat().st_mtime_ns, p.name))]

    def latest_plan(self) -> str | None:
        """Id of the plan written last, or None."""
        return next(reversed(self.plans()), None)

    def _plan_path(self, plan_id: str) -> Path:
        return self.runs / "plans" / f"{_plain_name('plan id', plan_id)}.json"


def finite(record: Record) -> Record:
    """Return the record with numbers that are not finite as null and the flag ``nan``.

    JSON has no NaN. A metric whose value is not finite becomes unavailable and says which value it
    had; an interval with such an end and such references are left out.
    """
    blocks = {name: {metric: _finite_metric(value) for metric, value in block.items()}
              for name, block in (("final", record.values.final), ("oracle", record.values.oracle))}
    outcome = record.outcome
    lost = any(not _is_finite(metric.value) for metric in
               (*record.values.final.values(), *record.values.oracle.values()))
    if lost and "nan" not in outcome.flags:
        outcome = outcome.model_copy(update={"flags": [*outcome.flags, "nan"]})
    return record.model_copy(update={"values": record.values.model_copy(update=blocks),
                                     "outcome": outcome})


def _finite_metric(metric: MetricValue) -> MetricValue:
    update: dict[str, Any] = {"reference": {name: number for name, number
                                            in metric.reference.items() if _is_finite(number)}}
    if metric.interval is not None and not all(map(_is_finite, metric.interval)):
        update["interval"] = None
    if not _is_finite(metric.value):
        update |= {"value": None, "unavailable": f"the value is {metric.value}"}
    return metric.model_copy(update=update)


def _is_finite(number: float | None) -> bool:
    return number is None or math.isfinite(number)


def _not_its_folder(record: Record) -> str:
    return f"its key {record.identity.key} is not its folder's name"


def _write(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write below ``runs/``, making the folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot create {path.parent}: {error.strerror}",
                         hint="name a folder you may write to with --runs") from error
    atomic_write(path, data, durable=durable)


def _plain_name(kind: str, name: str) -> str:
    if not NAME.fullmatch(name):
        raise StoreError(f"the {kind} {name!r} cannot be a file name",
                         hint=f"it must match {NAME.pattern}")
    return name
