"""In what two cells differ, part by part of their identity."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from srbench.results.store import Store

NO_RECORD = "no record"
BROKEN = "broken record"
CODE_UNKNOWN = "which files changed is not known: the stored cell does not list them"


@dataclass(frozen=True)
class Stored:
    """One cell as it lies in the store, whatever version of srbench wrote it.

    Parameters
    ----------
    key, name : str
        As in `srbench.plan.Cell`.
    parts, code : mapping
        As in ``cell.json``; empty where it has none.
    status : str
        Of its record; `NO_RECORD` or `BROKEN`.
    problem : str
        Why the record cannot be read.
    """

    key: str
    name: str
    parts: Mapping[str, Any]
    code: Mapping[str, Mapping[str, str]]
    status: str
    problem: str = ""


@dataclass(frozen=True)
class Row:
    """One part of the identity, stored and now."""

    part: str
    stored: Any
    now: Any
    detail: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the part still holds."""
        return bool(self.stored == self.now)

    def sentence(self) -> str:
        """The part and what differs in it."""
        changes = self.detail or (f"{brief(self.stored)} -> {brief(self.now)}",)
        more = f" (and {len(changes) - 3} more)" if len(changes) > 3 else ""
        return f"{self.part}: {', '.join(changes[:3])}{more}"


def read_stored(store: Store, key: str) -> Stored:
    """What is stored of a cell; raises `StoreError` if its ``cell.json`` is no JSON object."""
    from srbench.results.reading import json_object

    document = json_object(store.cell_folder(key) / "cell.json")
    identity = _mapping(document.get("identity"))
    status, problem = status_of(store, key)
    name = (f"{identity.get('label', '?')} on {identity.get('title', '?')}, "
            f"seed {identity.get('seed', '?')}")
    return Stored(key, name, _mapping(document.get("parts")), _mapping(document.get("code")),
                  status, problem)


def status_of(store: Store, key: str) -> tuple[str, str]:
    """Status of the record of ``key``, and why it cannot be read where it is broken."""
    from srbench.errors import StoreError
    from srbench.results.reading import load
    from srbench.results.store import RECORD

    path = store.cell_folder(key) / RECORD
    if not path.is_file():
        return NO_RECORD, ""
    try:
        return str(load(path).outcome.status), ""
    except StoreError as error:
        return BROKEN, str(error)


def rows(stored: Mapping[str, Any], now: Mapping[str, Any], *,
         stored_code: Mapping[str, Any], code: Mapping[str, Any]) -> list[Row]:
    """Compare two identities, in the order of ``now``; parts that only one of them has differ."""
    found = []
    for part in [*now, *(part for part in stored if part not in now)]:
        before, after = stored.get(part), now.get(part)
        detail: Iterable[str] = ()
        if before == after:
            pass
        elif part in code:
            detail = _files(_mapping(stored_code.get(part)), code[part])
        elif isinstance(before, Mapping) and isinstance(after, Mapping):
            detail = _values(before, after)
        found.append(Row(part, before, after, tuple(detail)))
    return found


def nearest(store: Store, parts: Mapping[str, Any]) -> Stored | None:
    """The stored cell with a record whose identity agrees most with ``parts``.

    Cells of the same method on the same data come first, among equals one that is ok, then the
    newest. Cells whose ``cell.json`` cannot be read are passed over.
    """
    from srbench.errors import StoreError
    from srbench.results.reading import json_object
    from srbench.results.store import RECORD

    best: tuple[bool, bool, float] | None = None
    equals: list[Path] = []
    for path in (store.runs / "cells").glob(f"*/{RECORD}"):
        try:
            found = _mapping(json_object(path.with_name("cell.json")).get("parts"))
        except StoreError:
            continue
        score = _agreement(found, parts)
        if best is None or score > best:
            best, equals = score, [path]
        elif score == best:
            equals.append(path)
    if not equals:
        return None
    chosen = max(equals, key=lambda path: (status_of(store, path.parent.name)[0] == "ok",
                                           path.stat().st_mtime_ns))
    return read_stored(store, chosen.parent.name)


def _agreement(found: Mapping[str, Any], parts: Mapping[str, Any]) -> tuple[bool, bool, float]:
    """How far two identities agree: method, data, and the number of equal parts."""
    equal = 0.0
    for part, value in parts.items():
        other = found.get(part)
        if other == value:
            equal += 1
        elif isinstance(value, Mapping) and isinstance(other, Mapping) and value:
            equal += sum(other.get(name) == item for name, item in value.items()) / len(value)
    return (found.get("method") == parts.get("method"),
            found.get("dataset_fingerprint") == parts.get("dataset_fingerprint"), equal)


def _files(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Which files of a part are not what they were."""
    if not before:
        return [CODE_UNKNOWN]
    words = {True: "changed", False: "is new"}
    return [*(f"{name} {words[name in before]}" for name in after
              if after[name] != before.get(name)),
            *(f"{name} is gone" for name in before if name not in after)]


def _values(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Which values of a part are not what they were."""
    missing = object()
    return [f"{name} {brief(before.get(name, '(none)'))} -> {brief(after.get(name, '(none)'))}"
            for name in dict.fromkeys([*before, *after])
            if before.get(name, missing) != after.get(name, missing)]


def brief(value: Any) -> str:
    """A value on one line: digests cut to 12 digits, long values to 60 characters."""
    text = value if isinstance(value, str) else json.dumps(value)
    is_digest = len(text) == 64 and all(letter in "0123456789abcdef" for letter in text)
    return text[:12] if is_digest else (text if len(text) <= 60 else text[:57] + "...")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
