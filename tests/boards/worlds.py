"""Boards whose numbers are known: records, and values of test images behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from srbench.boards.board import Board, Entry, Row
from srbench.boards.definition import Definition
from srbench.boards.table import make_board, make_boards
from srbench.results.record import Record
from srbench.results.statistics import Sample
from srbench.spec import parse_specs
from tests.results.factory import make_record


def only(records: Sequence[Record], **options) -> Board:
    """The single board of some records."""
    board, = make_boards(records, **options)
    return board


def labels(board: Board) -> list[str]:
    return [row.label for row in board.final.rows]


def names(board: Board) -> list[str]:
    return [column.name for column in board.final.columns]


def row_of(board: Board, label: str) -> Row:
    return next(row for row in board.final.rows if row.label == label)


def entry(board: Board, label: str, column: str = "") -> Entry:
    """A method's entry in a column, by default the first."""
    return row_of(board, label).entries[names(board).index(column) if column else 0]


def given_of(label: str) -> dict:
    """Parameters as the user gave them, read from a label."""
    spec, = parse_specs([label])
    return dict(spec.given)


def scored(label: str, values: Sequence[float] | float, *, metric: str = "l2-uvp",
           **changes) -> list[Record]:
    """Cells of a method, one seed for each value."""
    values = [values] if isinstance(values, int | float) else values
    changes = {"method_given": given_of(label), **changes}
    return [make_record(label, seed=seed, metrics={metric: value}, **changes)
            for seed, value in enumerate(values)]


def untrained(label: str, value: float, **changes) -> list[Record]:
    """One cell of a method that trains nothing."""
    return scored(label, value, seconds_fit=0.0, **changes)


def pictured(images: Mapping[str, np.ndarray], *, metric: str = "l2-uvp", trained: bool = True,
             clusters: np.ndarray | None = None, **changes):
    """Records and evidence of methods whose values of images, shape (S, N), are given.

    With ``trained`` false nobody is, and the seeds of a method must repeat one value.
    """
    images = {label: np.atleast_2d(values) for label, values in images.items()}
    records = [record for label, values in images.items()
               for record in scored(label, values.mean(1).tolist(), metric=metric,
                                    seconds_fit=12.5 if trained else 0.0, **changes)]

    def evidence(own: Sequence[Record], name: str) -> Sample:
        assert name == metric
        seeds = tuple(record.identity.seed for record in own)
        values = images[own[0].identity.label][list(seeds)]
        return Sample(seeds=seeds, values=values.mean(1), scenes=values, clusters=clusters,
                      trained=trained)

    return records, evidence


MIX = ("mix3tomix10[dim=2]", "mix3tomix10[dim=4]", "mix3tomix10[dim=16]")


def mix_records(values: Mapping[str, Mapping[int, float]], **changes) -> list[Record]:
    """Cells of methods on dimensions of the mixtures: label -> dimension -> L2-UVP."""
    return [record for label, by_dim in values.items() for dim, value in by_dim.items()
            for record in scored(label, value, title=f"mix3tomix10[dim={dim}]",
                                 dataset=f"mix3tomix10[dim={dim}]", dataset_given={"dim": dim},
                                 fingerprint=f"{dim:064d}", **changes)]


def mix_board(records: Sequence[Record], **changes) -> Board:
    """One board of all dimensions."""
    definition = Definition(**{"name": "mix", "title": "Mixtures", "preset": "quick",
                               "datasets": MIX, "rank": MIX[0], **changes})
    return make_board(definition, records)
