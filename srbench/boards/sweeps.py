"""Rows that differ in one number are a sweep: which they are, and which of them would be picked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from srbench.boards.board import Column, Row, Sweep
from srbench.errors import SpecError
from srbench.results.record import Record
from srbench.spec import label as label_of

# Metrics that need no pairs of LR and HR images, so that one could choose by them on real data.
UNPAIRED = ("fid", "patch-fid", "kid", "patch-kid", "mind", "patch-mind",
            "palette-variance")
Rule = Literal["oracle", "validation"]


def find_sweeps(records: Mapping[str, Record]) -> dict[str, Sweep]:
    """Tell which methods are members of a sweep.

    Parameters
    ----------
    records : mapping of str to Record
        One record of each label.

    Returns
    -------
    dict of str to Sweep
        By label. Methods of one name whose given parameters differ in a single number, at least
        two of them, are a sweep; where they would be of two, the one with more members counts.
    """
    families: dict[tuple[str, str, str], dict[str, float]] = {}
    for label, record in records.items():
        given = record.identity.method_given
        for parameter, value in given.items():
            if _is_number(value):
                rest = {name: other for name, other in given.items() if name != parameter}
                suffix = label.removeprefix(record.identity.label)
                family = _family(record.identity.method, rest) + suffix
                key = (record.identity.method, family, parameter)
                families.setdefault(key, {})[label] = float(value)
    found: dict[str, Sweep] = {}
    for (_, family, parameter), members in sorted(
            families.items(), key=lambda item: (-len(set(item[1].values())), item[0])):
        free = {label: value for label, value in members.items() if label not in found}
        if len(set(free.values())) > 1:
            found |= {label: Sweep(family=family, parameter=parameter, value=value)
                      for label, value in free.items()}
    return found


def _is_number(value: object) -> bool:
    """Whether a value can be a place on an axis; records may hold integers of any size."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _family(method: str, rest: Mapping[str, object]) -> str:
    """The label without the parameter that varies; equal for 1 and 1.0, in whatever order."""
    try:
        return label_of(method, rest)
    except SpecError:  # of a record that no command of ours made
        settings = ",".join(f"{name}={value}" for name, value in sorted(rest.items()))
        return f"{method}[{settings}]"


def choose(rows: Sequence[Row], columns: Sequence[Column]) -> tuple[list[Row], str]:
    """Mark which member of each sweep two rules would pick; return the rows and the second rule.

    ``oracle`` picks by the first column. ``validation`` picks by the first column of `UNPAIRED`
    that has values; its title is returned, empty where there is none.
    """
    by_name = {metric: index for index, column in reversed(list(enumerate(columns)))
               for metric in [column.metric]}
    unpaired = next((by_name[metric] for metric in UNPAIRED if metric in by_name and any(
        row.sweep and row.entries[by_name[metric]].mean is not None for row in rows)), None)
    rules: list[tuple[Rule, int | None]] = [("oracle", 0 if columns else None),
                                            ("validation", unpaired)]
    picked: dict[str, list[Rule]] = {}
    for rule, index in rules:
        if index is not None:
            for label in _best(rows, columns[index], index).values():
                picked.setdefault(label, []).append(rule)
    marked = [replace(row, sweep=replace(row.sweep, chosen=tuple(picked.get(row.label, ()))))
              if row.sweep else row for row in rows]
    return marked, "" if unpaired is None else columns[unpaired].title


def _best(rows: Sequence[Row], column: Column, index: int) -> dict[tuple[str, str], str]:
    """Label of the best member of each family in a column."""
    best: dict[tuple[str, str], tuple[float, str]] = {}
    for row in rows:
        mean = row.entries[index].mean
        if row.sweep and mean is not None and math.isfinite(column.badness(mean)):
            family = row.sweep.family, row.sweep.parameter
            best[family] = min(best.get(family, (math.inf, "")),
                               (column.badness(mean), row.label))
    return {family: label for family, (_, label) in best.items()}
