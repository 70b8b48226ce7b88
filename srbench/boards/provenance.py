"""How the numbers of a board came about: data, code, machine, settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from srbench.boards.board import Board
from srbench.boards.table import natural_key
from srbench.results.record import Record

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Resolved parameters of one method on the board."""

    label: str
    plugin: str
    values: Facts


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Everything below "How it was measured".

    ``environments`` pairs the number of cells with what they ran on.
    """

    facts: Facts
    settings: tuple[Settings, ...]
    environments: tuple[tuple[int, Facts], ...]
    commands: tuple[str, ...]


def provenance(board: Board, commands: Sequence[str] = ()) -> Provenance:
    """Collect it from the board's records and the commands of their plans."""
    return Provenance(facts=_facts(board), settings=_settings(board.records),
                      environments=_environments(board.records), commands=tuple(commands))


def flatten(data: Mapping[str, Any], prefix: str = "") -> Facts:
    """Nested JSON data as (dotted name, text), absent values left out.

    >>> flatten({"cpu": {"cores": 2, "model": None}, "gpu": None})
    (('cpu.cores', '2'),)
    """
    facts: list[tuple[str, str]] = []
    for name, value in data.items():
        if isinstance(value, Mapping):
            facts += flatten(value, f"{prefix}{name}.")
        elif value is not None:
            facts.append((prefix + name, value if isinstance(value, str) else json.dumps(value)))
    return tuple(facts)


def _facts(board: Board) -> Facts:
    records = board.records
    seeds = sorted({record.identity.seed for record in records})
    facts = [
        ("Dataset", _listed(record.identity.title for record in records)),
        ("Source of the data", _listed(record.identity.source for record in records)),
        ("Fingerprint of the data (SHA-256)", _listed(r.origin.dataset_fingerprint
                                                      for r in records)),
        ("Preset", board.preset),
        ("Seeds", _listed(str(seed) for seed in seeds)),
        ("Result", "last iterate of training"),
        ("Precision", _listed(record.identity.precision for record in records)),
        ("Training budget", _listed(record.cost.budget or "the preset's" for record in records)),
        ("srbench", _listed(f"{record.origin.srbench_version}, sources "
                            f"{record.origin.srbench_digest[:12]}" for record in records)),
        ("First cell finished", min(record.outcome.finished for record in records)),
        ("Last cell finished", max(record.outcome.finished for record in records)),
    ]
    if board.superseded:
        facts.append(("Left out", f"{board.superseded} older records of the same cells, made with "
                                  "other versions of the code"))
    return tuple((term, value) for term, value in facts if value)


def _settings(records: Sequence[Record]) -> tuple[Settings, ...]:
    by_label = {record.identity.label: Settings(
        label=record.identity.label, values=flatten(record.identity.method_params),
        plugin=f"{record.origin.method_distribution} {record.origin.method_version}, sources "
               f"{record.origin.method_digest[:12]}") for record in reversed(records)}
    return tuple(sorted(by_label.values(), key=lambda settings: natural_key(settings.label)))


def _environments(records: Sequence[Record]) -> tuple[tuple[int, Facts], ...]:
    counts: dict[Facts, int] = {}
    for record in records:
        facts = flatten(record.environment)
        if facts:
            counts[facts] = counts.get(facts, 0) + 1
    return tuple((count, facts) for facts, count in counts.items())


def _listed(values: Any) -> str:
    return ", ".join(dict.fromkeys(value for value in values if value))
