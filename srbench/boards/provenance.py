"""How the numbers of a board came about: data, code, machine, settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from srbench.boards.board import Board
from srbench.errors import StoreError
from srbench.results.record import Record
from srbench.results.store import Store

MOST_VALUES = 4  # of one fact of the environment
Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Everything below "How it was measured".

    ``environment`` says what the cells ran on; values that differ among cells are counted.
    """

    facts: Facts
    environment: Facts
    commands: tuple[str, ...]


def provenance(board: Board, commands: Sequence[str] = ()) -> Provenance:
    """Collect it from the board's records and the commands of their plans."""
    return Provenance(facts=_facts(board), environment=_environment(board.records),
                      commands=tuple(commands))


def stamp(board: Board) -> str:
    """Say when the last cell finished and what ran it: ``Run 2026-11-25 by srbench 0.1.0, ...``."""
    if not board.records:
        return ""
    last = max(board.records, key=lambda record: (record.outcome.finished, record.identity.key))
    what = _commit(last) and f"commit {_commit(last)}"
    return (f"Run {last.outcome.finished[:10]} by srbench {last.origin.srbench_version}, "
            f"{what or 'sources ' + last.origin.srbench_digest[:12]}.")


def plan_commands(board: Board, store: Store) -> list[str]:
    """Commands of the plans that the board's cells first ran in, where they are still there."""
    commands = []
    for plan in dict.fromkeys(record.identity.plan for record in board.records):
        try:
            command = store.read_plan(plan).get("command")
        except StoreError:  # the plan was deleted: the methods' own commands still say everything
            continue
        if isinstance(command, str):
            commands.append(command)
    return list(dict.fromkeys(commands))


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
        ("Dataset", _listed(board.datasets or [record.identity.title for record in records])),
        ("Source of the data", _listed(record.identity.source for record in records)),
        ("Fingerprint of the data (SHA-256)", _listed(r.origin.dataset_fingerprint
                                                      for r in records)),
        ("Preset", board.preset),
        ("Cells", f"{len(records)}, {len(board.failures)} of them not ok" if records else "none"),
        ("Seeds", _listed(str(seed) for seed in seeds)),
        ("Result", "last iterate of training" if records else ""),
        ("Precision", _listed(record.identity.precision for record in records)),
        ("Training budget", _listed(record.cost.budget or "the preset's" for record in records)),
        ("Commit", _listed(_commit(record) for record in records)),
        ("srbench", _listed(f"{record.origin.srbench_version}, sources "
                            f"{record.origin.srbench_digest[:12]}" for record in records)),
        ("First cell finished", min((record.outcome.finished for record in records), default="")),
        ("Last cell finished", max((record.outcome.finished for record in records), default="")),
    ]
    if board.superseded:
        facts.append(("Left out", f"{board.superseded} older records of the same cells, made with "
                                  "other versions of the code"))
    return tuple((term, value) for term, value in facts if value)


def _commit(record: Record) -> str:
    """Commit of the harness that ran a cell, shortened."""
    found = dict(flatten(record.environment)).get("git.commit", "")
    return found[:12]


def _environment(records: Sequence[Record]) -> Facts:
    counts: dict[str, dict[str, int]] = {}
    for record in records:
        for name, value in flatten(record.environment):
            values = counts.setdefault(name, {})
            values[value] = values.get(value, 0) + 1
    return tuple((name, _counted(values)) for name, values in counts.items())


def _counted(values: Mapping[str, int]) -> str:
    if len(values) == 1:
        return next(iter(values))
    shown = [f"{value} ({number} cells)" for value, number in
             sorted(values.items(), key=lambda item: (-item[1], item[0]))[:MOST_VALUES]]
    more = len(values) - len(shown)
    return ", ".join(shown) + (f" and {more} other values" if more else "")


def _listed(values: Any) -> str:
    return ", ".join(dict.fromkeys(value for value in values if value))
