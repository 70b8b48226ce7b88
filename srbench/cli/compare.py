"""``srbench compare``: what the data support about two methods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli.console import output
from srbench.cli.exits import ExitCode
from srbench.cli.options import json_option

if TYPE_CHECKING:
    from srbench.boards.pair import Pair


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
    from srbench.boards.pair import compare_pair, finished
    from srbench.cli.verdicts import document
    from srbench.results.evidence import Evidence
    from srbench.results.store import Store

    store = Store(runs)
    records, invalid = store.records()
    found = finished(records)
    for broken in invalid:
        output().warn(f"{broken.path} is left out: {broken.reason}")
    if not found:
        output().error(f"no finished cells in {store.runs}",
                       "srbench run --methods ots,wgan-gp --dataset w2-early --seeds 0,1,2")
        context.exit(ExitCode.NOTHING)
    pair = compare_pair(found, a, b, Evidence(store.runs / "cells"), metrics=metrics,
                        dataset=dataset, preset=preset)
    if as_json:
        output().document(document(pair))
    else:
        _print(pair)
    if not pair.comparison.compared:
        context.exit(ExitCode.NOTHING)


def _print(pair: Pair) -> None:
    from srbench.cli.verdicts import lines

    heading, *said = lines(pair)
    output().heading(heading)
    for line in said:
        output().answer(line)
    if not pair.comparison.compared and not pair.comparison.refused:
        output().error(f"{pair.names[0]} and {pair.names[1]} share no metric with a value",
                       "srbench show")
