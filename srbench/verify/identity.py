"""Record, ``cell.json``, key and folder tell the same."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from srbench.engine.identity import key_of
from srbench.errors import StoreError
from srbench.results.reading import json_object
from srbench.results.record import Record, Status
from srbench.results.store import RECORD
from srbench.verify.findings import Finding

CELL = "cell.json"
BOTH = ("method", "method_params", "preset", "seed", "precision", "threads")
DIGESTS = {"method_digest": "method_code", "dataset_digest": "dataset_code",
           "srbench_digest": "srbench_code"}
NAMES_THE_RUN = ("plan",)  # a cell that is asked for again may be described anew before it runs


def check_identity(folder: Path, record: Record) -> Iterator[Finding]:
    """Compare a record with its folder's name and with ``cell.json`` beside it."""
    if record.identity.key != folder.name:
        yield Finding(RECORD, f"its key {record.identity.key} is not its folder's name")
    try:
        cell = json_object(folder / CELL)
    except StoreError as error:
        yield Finding(CELL, error.message)
        return
    parts = cell.get("parts")
    if not isinstance(parts, dict):
        yield Finding(CELL, "it holds no parts of the identity")
        return
    if (key := key_of(parts)) != folder.name:
        yield Finding(CELL, f"the parts of the identity have the key {key}, not the folder's name")
    for group in ("identity", "origin"):
        said = getattr(record, group).model_dump(mode="json")
        yield from _differences(group, cell.get(group), said)
    yield from _against_parts(parts, record)
    code = cell.get("code")
    for name, files in (code if isinstance(code, dict) else {}).items():
        if isinstance(files, dict) and key_of(files) != parts.get(name):
            yield Finding(CELL, f"its list of files in {name} is not the one its key stands for")


def _differences(group: str, stored: Any, said: Mapping[str, Any]) -> Iterator[Finding]:
    if not isinstance(stored, dict):
        yield Finding(CELL, f"it holds no {group}")
        return
    for name in sorted({*stored, *said} - {*NAMES_THE_RUN}):
        here, there = _plain(stored.get(name)), _plain(said.get(name))
        if here != there:
            yield Finding(RECORD, f"{group}.{name} is {_short(there)}; {CELL} has {_short(here)}")


def _against_parts(parts: Mapping[str, Any], record: Record) -> Iterator[Finding]:
    """The key hashes the parts alone: what the record says beside them must be the same."""
    identity = record.identity.model_dump(mode="json")
    pairs = {f"identity.{name}": (identity[name], parts[name]) for name in BOTH if name in parts}
    pairs["origin.dataset_fingerprint"] = (record.origin.dataset_fingerprint,
                                           parts.get("dataset_fingerprint"))
    if record.outcome.status is Status.OK and "budget" in parts:
        pairs["cost.budget"] = (record.cost.budget, parts["budget"])
    protocols = parts.get("protocols")
    if isinstance(protocols, dict):
        pairs |= {f"values.{block}.{name}.protocol": (value.protocol, protocols.get(name))
                  for block, values in (("final", record.values.final),
                                        ("oracle", record.values.oracle))
                  for name, value in values.items()}
    pairs |= {f"origin.{name}": (getattr(record.origin, name), parts[code])
              for name, code in DIGESTS.items() if code in parts}
    for name, (said, hashed) in pairs.items():
        if _plain(said) != _plain(hashed):
            yield Finding(RECORD, f"{name} is {_short(said)}; its key stands for {_short(hashed)}")


def _plain(value: Any) -> Any:
    """JSON data as a record holds it: tuples are lists, numbers that are not finite null."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _short(value: Any) -> str:
    text = json.dumps(_plain(value), ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
