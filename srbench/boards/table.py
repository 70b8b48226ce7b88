"""From records to boards: pure functions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from srbench.boards.board import Board, Column, Entry, Failure, Gap, Row, Table
from srbench.results.frame import (
    Block,
    column_names,
    newest,
    shown_labels,
    shown_titles,
    summarise,
    to_frame,
    values_of,
)
from srbench.results.record import MetricValue, Record, Status

if TYPE_CHECKING:
    import pandas as pd

# The first of these that a board has values of is what it is sorted by.
RANKING = ("l2-uvp", "patch-fid", "lpips", "psnr")
INAPPLICABLE = "does not apply"  # how evaluation begins to say so


def make_boards(records: Sequence[Record]) -> list[Board]:
    """Sort records into boards, one for each dataset title and preset.

    The result does not depend on the order of the records.
    """
    current = sorted(newest(records), key=lambda record: (
        natural_key(record.identity.title), record.identity.preset,
        natural_key(record.identity.label), record.identity.seed, record.identity.key))
    groups: dict[tuple[str, str], list[Record]] = {}
    for record, title in zip(current, shown_titles(current), strict=True):
        groups.setdefault((title, record.identity.preset), []).append(record)
    given: dict[tuple[str, str], int] = {}
    for record, title in zip(records, shown_titles(records), strict=True):
        board = title, record.identity.preset
        given[board] = given.get(board, 0) + 1
    return [_make_board(title, preset, group, given[title, preset] - len(group))
            for (title, preset), group in groups.items()]


def natural_key(label: str) -> tuple[tuple[bool, float, str], ...]:
    """Sort key under which numbers inside labels count as numbers: lambda=2 before lambda=10."""
    parts = re.split(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)", label)
    return tuple((index % 2 == 0, float(part) if index % 2 else 0.0, part)
                 for index, part in enumerate(parts))


def _make_board(title: str, preset: str, records: list[Record], superseded: int) -> Board:
    labels = shown_labels(records)
    failures = [_failure(record, label) for record, label in zip(records, labels, strict=True)
                if record.outcome.status is not Status.OK]
    return Board(
        title=title, preset=preset, superseded=superseded, records=tuple(records),
        notice=next((r.identity.notice for r in records if r.identity.notice), ""),
        final=make_table(records, block="final"), oracle=make_table(records, block="oracle"),
        failures=tuple(sorted(failures, key=lambda f: (natural_key(f.label), f.seed))),
        notes=_notes(records, labels))


def _notes(records: Sequence[Record],
           labels: Sequence[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Notes of the finished cells, each once, with the labels they belong to."""
    found: dict[str, list[str]] = {}
    for record, label in zip(records, labels, strict=True):
        if record.outcome.status is Status.OK:
            for note in record.outcome.notes:
                found.setdefault(note, []).append(label)
    return tuple((note, tuple(dict.fromkeys(whose))) for note, whose in found.items())


def _failure(record: Record, label: str) -> Failure:
    return Failure(label=label, seed=record.identity.seed, status=str(record.outcome.status),
                   reason=record.outcome.reason or record.outcome.exit_detail,
                   log=f"cells/{record.identity.key}/{record.outcome.log}",
                   tail=tuple(record.outcome.log_tail))


def make_table(records: Sequence[Record], *, block: Block) -> Table:
    """Build the table of one board's records; rows only for methods with a cell that is ok.

    The oracle's table has rows only for methods whose iterates were validated.
    """
    done = [record for record in records if record.outcome.status is Status.OK
            and (block == "final" or record.values.oracle)]
    columns = _columns(done, block)
    rows = _rows(columns, summarise(to_frame(done, block=block)), _flags(done))
    rows.sort(key=lambda row: (badness(row, columns, 0) if columns else 0.0,
                               natural_key(row.label)))
    rows = _best_marked(rows, columns)
    gaps = _gaps(columns, rows, done, block)
    numbers = {(gap.column, label): number for number, gap in enumerate(gaps, 1)
               for label in gap.labels}
    return Table(columns=columns, gaps=tuple(gaps), inapplicable=_inapplicable(done, block),
                 rows=tuple(_gaps_numbered(row, columns, numbers) for row in rows))


def badness(row: Row, columns: Sequence[Column], index: int) -> float:
    """Smaller the better the row's value in that column; infinite where that cannot be told."""
    mean = row.entries[index].mean
    value = math.nan if mean is None else columns[index].badness(mean)
    return math.inf if math.isnan(value) else value


def _columns(records: Sequence[Record], block: Block) -> tuple[Column, ...]:
    """Columns in order of first appearance, the one the board is sorted by in front."""
    columns, valued = [], set()
    for (metric, protocol), name in column_names(records, block=block).items():
        values = [value for record in records
                  if (value := values_of(record, block).get(metric)) and value.protocol == protocol]
        if not all(map(_is_inapplicable, values)):
            columns.append(_column(name, metric, values))
            if any(value.value is not None for value in values):
                valued.add(name)
    rank = {metric: index for index, metric in enumerate(RANKING)}
    chosen = min(columns, default=None, key=lambda column: (
        column.name not in valued, rank.get(column.metric, len(rank))))
    return tuple(sorted(columns, key=lambda column: column is not chosen))


def _is_inapplicable(value: MetricValue) -> bool:
    return (value.unavailable or "").startswith(INAPPLICABLE)


def _inapplicable(records: Sequence[Record],
                  block: Block) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Titles of the metrics that apply to no record, by the reason they give."""
    values: dict[str, list[MetricValue]] = {}
    for record in records:
        for name, value in values_of(record, block).items():
            values.setdefault(name, []).append(value)
    found: dict[str, list[str]] = {}
    for several in values.values():
        if all(map(_is_inapplicable, several)):
            found.setdefault(several[0].unavailable or "", []).append(several[0].title)
    return tuple((why, tuple(titles)) for why, titles in found.items())


def _column(name: str, metric: str, values: list[MetricValue]) -> Column:
    reference = next((value.reference for value in values if value.reference), {})
    first = values[0]
    return Column(name=name, metric=metric, title=first.title, unit=first.unit,
                  direction=first.direction, decimals=first.decimals, protocol=first.protocol,
                  reference=dict(reference), count=max(value.count for value in values))


def _flags(records: Sequence[Record]) -> dict[str, tuple[str, ...]]:
    """Collect the flags of any seed by label."""
    flags: dict[str, set[str]] = {}
    for record, label in zip(records, shown_labels(records), strict=True):
        flags.setdefault(label, set()).update(record.outcome.flags)
    return {label: tuple(sorted(found)) for label, found in flags.items()}


def _rows(columns: Sequence[Column], summary: pd.DataFrame,
          flags: Mapping[str, tuple[str, ...]]) -> list[Row]:
    return [Row(label=str(line["label"]), flags=flags[line["label"]], method=str(line["method"]),
                seeds=int(line["seeds"]), seconds_fit=float(line["seconds_fit"]),
                images=float(line["images"]), parameters=float(line["parameters"]),
                entries=tuple(_entry(line, column.name) for column in columns))
            for line in summary.to_dict("records")]


def _entry(line: dict[Any, Any], name: str) -> Entry:
    return Entry(mean=_number(line[name]), sd=_number(line[f"{name}.sd"]),
                 seeds=int(line[f"{name}.n"]))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _best_marked(rows: list[Row], columns: Sequence[Column]) -> list[Row]:
    """Mark the best value of each column; values that look the same share the mark."""
    if len(rows) < 2:
        return rows
    best = [min(badness(row, columns, index) for row in rows) for index in range(len(columns))]

    def mark(row: Row) -> Row:
        return replace(row, entries=tuple(
            replace(entry, best=math.isfinite(best[index]) and
                    round(badness(row, columns, index) - best[index], columns[index].decimals) <= 0)
            for index, entry in enumerate(row.entries)))

    return [mark(row) for row in rows]


def _gaps_numbered(row: Row, columns: Sequence[Column],
                   numbers: Mapping[tuple[str, str], int]) -> Row:
    return replace(row, entries=tuple(
        replace(entry, gap=numbers.get((column.name, row.label)))
        for entry, column in zip(row.entries, columns, strict=True)))


def _gaps(columns: Sequence[Column], rows: Sequence[Row], records: Sequence[Record],
          block: Block) -> list[Gap]:
    """One gap for each column and reason, in the order of columns and rows."""
    found: dict[tuple[str, str, str], list[str]] = {}
    by_label = dict(zip(reversed(shown_labels(records)), reversed(records), strict=True))
    for index, column in enumerate(columns):
        for row in rows:
            if row.entries[index].mean is None:
                why, remedy = _why(by_label[row.label], column, block)
                found.setdefault((column.name, why, remedy), []).append(row.label)
    return [Gap(column=name, labels=tuple(labels), why=why, remedy=remedy)
            for (name, why, remedy), labels in found.items()]


def _why(record: Record, column: Column, block: Block) -> tuple[str, str]:
    """Reason and remedy for a value that a finished cell does not have."""
    value = values_of(record, block).get(column.metric)
    if value is None:
        return "not measured in this run", ""
    if value.protocol != column.protocol:
        return f"measured by another protocol, {value.protocol}", ""
    return value.unavailable or "no value was computed", value.remedy or ""
