"""Two methods chosen among finished records by the names that tables show, and compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from srbench.boards.columns import RANKING
from srbench.errors import UnknownName, UsageError
from srbench.results.comparison import Comparison, compare_methods, has_value, shared_metrics
from srbench.results.evidence import Evidence
from srbench.results.frame import newest, shown_labels, shown_titles
from srbench.results.record import Record, Status


class Finished(NamedTuple):
    """A finished record under the names that tables show it by."""

    title: str
    preset: str
    label: str
    record: Record


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What the data support about two methods.

    Attributes
    ----------
    names : (str, str)
        Labels of A and B.
    title, preset : str
        What both were measured on.
    sides : (list of Record, list of Record)
        Records of A and of B, one for each seed.
    comparison : Comparison
        Metric by metric.
    """

    names: tuple[str, str]
    title: str
    preset: str
    sides: tuple[list[Record], list[Record]]
    comparison: Comparison


def compare_pair(found: Sequence[Finished], a: str, b: str, evidence: Evidence, *,
                 metrics: Sequence[str] = (), dataset: str | None = None,
                 preset: str | None = None) -> Pair:
    """Compare two methods.

    Parameters
    ----------
    found : sequence of Finished
        See `finished`.
    a, b : str
        Methods as tables show them, or the beginning of one.
    evidence : Evidence
        Where values of single images are.
    metrics : sequence of str
        Only these; all that both have a value of by default, the ranking one first.
    dataset, preset : str, optional
        Needed where both were measured on several.

    Raises
    ------
    UsageError
        If a name is unknown or stands for several, or the methods share no or several datasets, or
        the records are of different data.
    """
    board, names, sides = _choose(found, (a, b), dataset, preset)
    _one_data(sides)
    return Pair(names=names, title=board[0], preset=board[1], sides=sides,
                comparison=_compare(sides, metrics, evidence, names))


def finished(records: Sequence[Record]) -> list[Finished]:
    """Newest record of each finished cell, under the names that tables show it by."""
    current = newest(records)
    return [Finished(title, record.identity.preset, label, record) for record, title, label
            in zip(current, shown_titles(current), shown_labels(current), strict=True)
            if record.outcome.status is Status.OK]


def _choose(runs: Sequence[Finished], asked: tuple[str, str], dataset: str | None,
            preset: str | None,
            ) -> tuple[tuple[str, str], tuple[str, str], tuple[list[Record], list[Record]]]:
    """Dataset and preset, both labels, and their records.

    Raises
    ------
    UsageError
        If a name is unknown or stands for several, or the methods share no or several datasets.
    """
    if dataset is not None:
        dataset = _named("dataset", dataset, {run.title for run in runs})
        runs = [run for run in runs if run.title == dataset]
    if preset is not None:
        preset = _named("preset", preset, {run.preset for run in runs})
        runs = [run for run in runs if run.preset == preset]
    labels = {run.label for run in runs}
    first, second = (_named("method", name, labels) for name in asked)
    if first == second:
        raise UsageError(f"{first} is compared with itself", hint="name two methods")
    boards = [{(run.title, run.preset): None for run in runs if run.label == label}
              for label in (first, second)]
    shared = sorted(board for board in boards[0] if board in boards[1])
    if not shared:
        raise UsageError(
            f"{first} and {second} were not measured on one dataset with one preset",
            hint="; ".join(f"{label}: {_boards(own)}" for label, own
                           in zip((first, second), boards, strict=True)))
    if len(shared) > 1:
        raise UsageError(f"{first} and {second} were both measured on {_boards(shared)}",
                         hint="choose one with --dataset or --preset")
    sides = tuple([run.record for run in runs if run.label == label
                   and (run.title, run.preset) == shared[0]] for label in (first, second))
    return shared[0], (first, second), (sides[0], sides[1])


def _named(kind: str, name: str, known: Iterable[str]) -> str:
    """The name that is given, or the only one that it is the beginning of."""
    names = sorted(known)
    if name in names:
        return name
    found = [one for one in names if one.startswith(name)] if name else []
    if len(found) > 1:
        raise UsageError(f"{name!r} may be any of {len(found)} {kind}s",
                         hint=f"one of: {', '.join(found)}")
    if not found:
        raise UnknownName(f"finished {kind}", name, names)
    return found[0]


def _boards(boards: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{title} ({preset})" for title, preset in boards)


def _one_data(sides: tuple[list[Record], list[Record]]) -> None:
    """Refuse records of different data; shown titles keep them apart where they are known."""
    prints = {record.origin.dataset_fingerprint for side in sides for record in side}
    if len(prints) > 1:
        raise UsageError(f"the records are of different data: fingerprints "
                         f"{', '.join(sorted(own[:12] or 'unknown' for own in prints))}",
                         hint="run both methods on the same data")


def _compare(sides: tuple[list[Record], list[Record]], asked: Sequence[str],
             evidence: Evidence, names: tuple[str, str]) -> Comparison:
    """Compare the metrics asked for, or all that both have a value of, the ranking one first."""
    shared = shared_metrics(*sides)
    if asked:
        words = [name.strip() for text in asked for name in text.split(",")]
        metrics = list(dict.fromkeys(_named("metric", name, shared) for name in words))
    else:
        place = {metric: index for index, metric in enumerate(RANKING)}
        valued = [name for name in shared if all(has_value(side, name) for side in sides)]
        first = min(valued, default="", key=lambda name: place.get(name, len(place)))
        metrics = sorted(valued, key=lambda name: name != first)
    return compare_methods(*sides, metrics, evidence, names)
