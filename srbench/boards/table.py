"""From records to boards: pure functions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from srbench.boards.board import Board, Column, Failure, Gap, Row, Table
from srbench.boards.columns import finished, first_shown, inapplicable, make_columns
from srbench.boards.definition import default_definition
from srbench.boards.estimates import Data, Evidence, Samples
from srbench.boards.published import absent_rows, is_label, judged
from srbench.boards.ranking import badness, compared, ranked
from srbench.boards.rows import make_rows
from srbench.boards.sweeps import choose
from srbench.results.frame import Block, newest, shown_labels, shown_titles, values_of
from srbench.results.record import Record, Status

if TYPE_CHECKING:
    from srbench.boards.definition import Definition
    from srbench.registry.infos import MetricInfo



def make_boards(records: Sequence[Record], *, definitions: Sequence[Definition] = (),
                evidence: Evidence | None = None,
                metrics: Mapping[str, MetricInfo] | None = None) -> list[Board]:
    """Sort records into boards: those defined, and one for each other dataset title and preset.

    The result does not depend on the order of the records. A definition of which there is no
    record makes no board here; see `make_board`.

    Parameters
    ----------
    records : sequence of Record
        Of any datasets and presets.
    definitions : sequence of Definition
        Boards that take the records of their datasets and preset.
    evidence : callable, optional
        Records of one method's seeds and a metric's name -> their values of each test image;
        without it only what stands in the records counts.
    metrics : mapping of str to MetricInfo, optional
        The installed metrics.
    """
    boards = []
    for preset in dict.fromkeys(record.identity.preset for record in records):
        # Presets differ in their test images, which is no reason to tell data of one title apart.
        own = [record for record in records if record.identity.preset == preset]
        wanted = [definition for definition in definitions if definition.preset == preset]
        groups: dict[str, list[Record]] = {}
        for title, record in zip(shown_titles(own), own, strict=True):
            groups.setdefault(title, []).append(record)
        taken = [(definition, [record for title in definition.datasets
                               for record in groups.get(title, ())]) for definition in wanted]
        free = set(groups).difference(*(definition.datasets for definition in wanted))
        taken += [(default_definition(title, preset), groups[title]) for title in free]
        boards += [make_board(definition, group, evidence=evidence, metrics=metrics)
                   for definition, group in taken if any(map(definition.wants, group))]
    return sorted(boards, key=lambda board: (natural_key(board.title), board.preset, board.name))


def make_board(definition: Definition, records: Sequence[Record], *,
               evidence: Evidence | None = None,
               metrics: Mapping[str, MetricInfo] | None = None) -> Board:
    """Make the board of a definition from the records that belong to it; there may be none."""
    current = sorted(newest(records), key=lambda record: (
        natural_key(record.identity.title), record.identity.preset,
        natural_key(record.identity.label), record.identity.seed, record.identity.key))
    current = [record for record in current if definition.wants(record)]
    labels = shown_labels(current)
    failures = [_failure(record, label) for record, label in zip(current, labels, strict=True)
                if record.outcome.status is not Status.OK]
    make = partial(_table, definition, current, labels, evidence=evidence, metrics=metrics or {})
    final, criterion = make("final")
    return Board(
        name=definition.name, title=definition.title, summary=definition.summary,
        preset=definition.preset, datasets=tuple(definition.datasets), records=tuple(current),
        notice=next((r.identity.notice for r in current if r.identity.notice), ""),
        final=final, oracle=make("oracle")[0], criterion=criterion,
        reference=_reference(definition, [row.label for row in final.rows]),
        scenes=definition.scenes, shown=first_shown(final, definition.columns),
        superseded=sum(map(definition.wants, records)) - len(current),
        failures=tuple(sorted(failures, key=lambda f: (natural_key(f.label), f.dataset, f.seed))),
        notes=_notes(current, labels))


def natural_key(label: str) -> tuple[tuple[bool, float, str], ...]:
    """Sort key under which numbers inside labels count as numbers: lambda=2 before lambda=10."""
    parts = re.split(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)", label)
    return tuple((index % 2 == 0, float(part) if index % 2 else 0.0, part)
                 for index, part in enumerate(parts))


def _table(definition: Definition, records: Sequence[Record], labels: Sequence[str], block: Block,
           *, evidence: Evidence | None, metrics: Mapping[str, MetricInfo]) -> tuple[Table, str]:
    """Table of one block, and the title of the metric that sweeps were chosen by."""
    data = _by_dataset(definition, records, labels, block)
    done = [record for methods in data.values() for group in methods.values() for record in group]
    columns = make_columns({title: [record for group in methods.values() for record in group]
                            for title, methods in data.items()}, block, definition,
                           metrics=metrics)
    samples = Samples(data, block, evidence)
    rows = samples.estimated(make_rows(data), columns)
    criterion = ""
    if columns:
        rows.sort(key=lambda row: (badness(row.entries[0], columns[0]), natural_key(row.label)))
        rows = ranked(rows, columns)
    if block == "final":
        rows, criterion = choose(rows, columns)
        reference = _reference(definition, [row.label for row in rows])
        rows = compared(rows, columns, samples.get, reference)
        rows = judged(rows, columns, definition)
    gaps = _gaps(columns, rows, data, block)
    return Table(columns=columns, rows=tuple(_numbered(rows, columns, gaps)), gaps=tuple(gaps),
                 inapplicable=inapplicable(done, block),
                 absent=absent_rows(rows, columns, definition) if block == "final" else ()
                 ), criterion


def _by_dataset(definition: Definition, records: Sequence[Record], labels: Sequence[str],
                block: Block) -> dict[str, dict[str, list[Record]]]:
    """Finished records by dataset, in the definition's order, then label, then seed."""
    ok = {record.identity.key for record in finished(records, block)}
    data: dict[str, dict[str, list[Record]]] = {}
    titles = _titles(definition, records)
    order = {title: index for index, title in enumerate(definition.datasets)}
    for title in sorted(set(titles), key=lambda title: (order.get(title, len(order)),
                                                        natural_key(title))):
        for record, label, own in zip(records, labels, titles, strict=True):
            if own == title and record.identity.key in ok:
                data.setdefault(title, {}).setdefault(label, []).append(record)
    return data


def _titles(definition: Definition, records: Sequence[Record]) -> list[str]:
    """Titles of the records' datasets as the definition has them, where it does."""
    exact = (f"{record.identity.title} (data {record.origin.dataset_fingerprint[:8]})"
             for record in records)
    return [named if named in definition.datasets else title
            for named, title in zip(exact, shown_titles(records), strict=True)]


def _reference(definition: Definition, labels: Sequence[str]) -> str:
    """The method that others are compared with: the one defined, else an anchor that is there."""
    wanted = (definition.reference,) if definition.reference else ("bicubic", "identity")
    return next((label for name in wanted for label in labels if is_label(label, name)), "")


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
                   tail=tuple(record.outcome.log_tail), dataset=record.identity.title)


def _numbered(rows: Sequence[Row], columns: Sequence[Column], gaps: Sequence[Gap]) -> list[Row]:
    """Give each missing value the number of the gap that explains it."""
    numbers = {(gap.column, label): number for number, gap in enumerate(gaps, 1)
               for label in gap.labels}
    return [replace(row, entries=tuple(
        replace(entry, gap=numbers.get((column.name, row.label)))
        for entry, column in zip(row.entries, columns, strict=True))) for row in rows]


def _gaps(columns: Sequence[Column], rows: Sequence[Row], data: Data, block: Block) -> list[Gap]:
    """One gap for each column and reason, in the order of columns and rows."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for index, column in enumerate(columns):
        for row in rows:
            mean = row.entries[index].mean
            if mean is None or not math.isfinite(mean):
                records = data.get(column.dataset, {}).get(row.label, ())
                why, remedy = _why(records, column, block)
                found.setdefault((column.name, why, remedy), []).append(row.label)
    return [Gap(column=name, labels=tuple(labels), why=why, remedy=remedy)
            for (name, why, remedy), labels in found.items()]


def _why(records: Sequence[Record], column: Column, block: Block) -> tuple[str, str]:
    """Reason and remedy for a value that a method does not have."""
    if not records:
        return f"not run, or not finished, on {column.dataset}", ""
    value = values_of(records[0], block).get(column.metric)
    if value is None:
        return "not measured in this run", ""
    if value.protocol != column.protocol:
        return f"measured by another protocol, {value.protocol}", ""
    return value.unavailable or "no value was computed", value.remedy or ""
