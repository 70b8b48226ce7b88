"""What the records of one method say of a metric: values of seeds and of test images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from srbench.errors import StoreError
from srbench.foreign.paths import plain_file
from srbench.results.per_image import read_per_image
from srbench.results.record import MetricValue, Record
from srbench.results.statistics import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Evidence:
    """Makes samples of records; each file of values of images is read once.

    Parameters
    ----------
    cells : Path, optional
        Folder of the cells' folders; without it only what stands in the records counts.
    """

    def __init__(self, cells: Path | None = None) -> None:
        self._cells = cells
        self._files: dict[tuple[str, str], dict[str, Floats]] = {}

    def __call__(self, records: Sequence[Record], metric: str) -> Sample:
        """Sample of one method's records, one of each seed, all with a value of the metric.

        Files that are missing, broken, or of other images than those of another seed are told in
        ``note``; the sample then has no values of images.

        Raises
        ------
        ValueError
            If there is no record, or one has no value.
        """
        found = [record.values.final.get(metric) for record in records]
        values = [value.value for value in found if value is not None and value.value is not None]
        if len(values) < len(records):
            raise ValueError(f"{len(records) - len(values)} records have no value of {metric!r}")
        scenes, note = self._scenes(records, metric)
        return Sample(seeds=tuple(record.identity.seed for record in records),
                      values=np.array(values, dtype=np.float64), scenes=scenes, note=note,
                      spread=None if scenes is not None else _spread(found),
                      jackknife=None if scenes is not None else _moves(found),
                      trained=any(record.cost.stages for record in records))

    def _scenes(self, records: Sequence[Record], metric: str) -> tuple[Floats | None, str]:
        """Values of images, seeds x images, or why there are none."""
        columns = [self._column(record, record.values.final[metric]) for record in records]
        told = [column for column in columns if column is not None]
        if len(told) < len(columns):
            named = any(record.values.final[metric].per_image for record in records)
            return None, "values of single images are missing" if named else ""
        if len({len(column) for column in told}) > 1 or not len(told[0]):
            return None, "seeds were measured on different images"
        return np.stack(told), ""

    def _column(self, record: Record, value: MetricValue) -> Floats | None:
        if self._cells is None or not value.per_image:
            return None
        name, _, column = value.per_image.partition("#")
        key = record.identity.key, name
        if key not in self._files:
            try:
                path = plain_file(self._cells / record.identity.key, name)
                self._files[key] = read_per_image(path)
            except StoreError:
                self._files[key] = {}
        return self._files[key].get(column)


def _spread(values: Sequence[MetricValue | None]) -> Floats | None:
    """Jackknife standard errors over test images, where every record has one."""
    found = [value.detail.get("jackknife_se") for value in values if value is not None]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in found):
        return None
    return np.array(found, dtype=np.float64)


def _moves(values: Sequence[MetricValue | None]) -> Floats | None:
    """How much each group of test images moves the values, where all have the same groups."""
    found = [value.detail.get("jackknife") for value in values if value is not None]
    if not all(isinstance(one, list) and one and all(
            isinstance(move, int | float) and not isinstance(move, bool) for move in one)
            for one in found) or len({len(one) for one in found if one}) != 1:
        return None
    return np.array(found, dtype=np.float64)
