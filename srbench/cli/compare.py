"""``srbench compare``: what the data support about two methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from srbench.cli.console import output
from srbench.cli.exits import ExitCode
from srbench.cli.options import json_option
from srbench.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from srbench.results.comparison import Comparison
    from srbench.results.evidence import Evidence
    from srbench.results.record import Record
    from srbench.results.store import Store


class Run(NamedTuple):
    """A finished record under the names that tables show it by."""

    title: str
    preset: str
    label: str
    record: Record


@click.command(help="""\b
Examples:
  srbench compare ots bicubic
  srbench compare ots 'wgan-gp[lambda=100]' --dataset w2-early --metric l2-uvp
  srbench compare ots 'wgan-gp[lambda=1]' --runs shared/runs --json

Say what the data support about methods A and B, metric by metric: which is better, by how much, and
whether that may be chance. Trainings and test images both count; p values are Holm's over the
metrics shown. With one seed of a trained method nothing is said about training. A and B are methods
as tables show them, or the beginning of one. docs/statistics.md has the model.
""")
@click.argument("a")
@click.argument("b")
@click.option("--runs", type=click.Path(path_type=Path), metavar="DIR", default=Path("runs"),
              help="Where records are kept.  [default: runs]")
@click.option("--dataset", metavar="TITLE",
              help="Dataset as tables show it, e.g. w2-early@embedded.")
@click.option("--preset", metavar="NAME", help="Records of this preset.")
@click.option("--metric", "metrics", metavar="NAMES", multiple=True,
              help="Compare only these metrics.  [default: all that both have]")
@json_option
@click.pass_context
def command(context: click.Context, a: str, b: str, runs: Path, dataset: str | None,
            preset: str | None, metrics: tuple[str, ...], as_json: bool) -> None:
    """Choose the records of two methods and print the comparison."""
    from srbench.results.evidence import Evidence
    from srbench.results.store import Store

    store = Store(runs)
    found, invalid = _finished(store)
    for path, reason in invalid:
        output().warn(f"{path} is left out: {reason}")
    if not found:
        output().error(f"no finished cells in {store.runs}",
                       "srbench run --methods ots,wgan-gp --dataset w2-early --seeds 0,1,2")
        context.exit(ExitCode.NOTHING)
    board, names, sides = _choose(found, (a, b), dataset, preset)
    _one_data(sides)
    comparison = _compare(sides, metrics, Evidence(store.runs / "cells"), names)
    if as_json:
        _print_json(comparison, board, names, sides)
    else:
        _print(comparison, board, names)
    if not comparison.compared:
        context.exit(ExitCode.NOTHING)


def _finished(store: Store) -> tuple[list[Run], list[tuple[Path, str]]]:
    """Newest record of each finished cell, under shown names, and files that cannot be used."""
    from srbench.results.frame import newest, shown_labels, shown_titles
    from srbench.results.record import Status

    records, invalid = store.records()
    current = newest(records)
    runs = [Run(title, record.identity.preset, label, record) for record, title, label
            in zip(current, shown_titles(current), shown_labels(current), strict=True)
            if record.outcome.status is Status.OK]
    return runs, [(broken.path, broken.reason) for broken in invalid]


def _choose(runs: Sequence[Run], asked: tuple[str, str], dataset: str | None, preset: str | None,
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
    from srbench.boards.columns import RANKING
    from srbench.results.comparison import compare_methods, has_value, shared_metrics

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


def _print(comparison: Comparison, board: tuple[str, str], names: tuple[str, str]) -> None:
    from srbench.cli.verdicts import sentence, summary

    title, preset = board
    output().heading(f"{names[0]} and {names[1]} on {title} ({preset})")
    if comparison.compared:
        output().answer(summary(comparison, names))
        output().answer()
    for one in comparison.compared:
        output().answer(sentence(one, names, comparison.family))
    for metric, why in comparison.refused.items():
        output().answer(f"{metric}: not compared: {why}")
    if not comparison.compared and not comparison.refused:
        output().error(f"{names[0]} and {names[1]} share no metric with a value", "srbench show")


def _print_json(comparison: Comparison, board: tuple[str, str], names: tuple[str, str],
                sides: tuple[list[Record], list[Record]]) -> None:
    from srbench.cli.verdicts import data, summary

    output().document({
        "a": names[0], "b": names[1], "dataset": board[0], "preset": board[1],
        "seeds": [sorted(record.identity.seed for record in side) for side in sides],
        "dataset_fingerprint": sides[0][0].origin.dataset_fingerprint,
        "holm_family": comparison.family,
        "summary": summary(comparison, names) if comparison.compared else "",
        "metrics": data(comparison, names), "refused": comparison.refused})
