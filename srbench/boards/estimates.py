"""From the values of seeds and test images to the entries of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from srbench.boards.board import Column, Entry, Row
from srbench.results.frame import Block, values_of
from srbench.results.record import Record
from srbench.results.statistics import Bootstrap, Sample, estimate_all

Evidence = Callable[[Sequence[Record], str], Sample]
Data = Mapping[str, Mapping[str, Sequence[Record]]]  # dataset title -> label -> records of seeds


class Samples:
    """Samples of one table, each made once; methods of a dataset share a bootstrap.

    Parameters
    ----------
    data : mapping
        Finished records by dataset title, then label.
    block : {"final", "oracle"}
        Which values. Of the oracle's iterates no values of single images are kept.
    evidence : callable, optional
        Records of one method's seeds and a metric's name -> their values of each test image.
    """

    def __init__(self, data: Data, block: Block, evidence: Evidence | None = None) -> None:
        self._data, self._block = data, block
        self._evidence = evidence if block == "final" else None
        self._known: dict[tuple[str, str], Sample | None] = {}
        self._bootstraps: dict[str, Bootstrap] = {}

    def get(self, label: str, column: Column) -> Sample | None:
        """Values of a method in a column; None where it has none."""
        key = label, column.name
        if key not in self._known:
            records = [record for record in self._data.get(column.dataset, {}).get(label, ())
                       if (value := values_of(record, self._block).get(column.metric))
                       and value.protocol == column.protocol and value.value is not None]
            self._known[key] = self._sample(records, column.metric) if records else None
        return self._known[key]

    def estimated(self, rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
        """Rows with the estimate of each value that there is."""
        entries: list[tuple[Entry, ...]] = [()] * len(rows)
        for column in columns:
            samples = [self.get(row.label, column) for row in rows]
            estimates = iter(estimate_all(
                [sample for sample in samples if sample is not None],
                self._bootstraps.setdefault(column.dataset, Bootstrap())))
            entries = [(*before, Entry() if sample is None else Entry(estimate=next(estimates)))
                       for before, sample in zip(entries, samples, strict=True)]
        return [replace(row, entries=own) for row, own in zip(rows, entries, strict=True)]

    def _sample(self, records: Sequence[Record], metric: str) -> Sample:
        if self._evidence is not None:
            return self._evidence(records, metric)
        return from_record(records, metric, self._block)


def from_record(records: Sequence[Record], metric: str, block: Block = "final") -> Sample:
    """Values of one method's seeds as the records have them, without those of single images."""
    return Sample(seeds=tuple(record.identity.seed for record in records),
                  values=np.array([values_of(record, block)[metric].value for record in records],
                                  dtype=np.float64),
                  trained=any(record.cost.stages for record in records))
