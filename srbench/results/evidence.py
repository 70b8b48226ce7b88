"""What the records of one method say of a metric: values of seeds and of test images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from srbench.errors import StoreError
from srbench.foreign.paths import plain_file
from srbench.results.per_image import read_per_image
from srbench.results.record import MetricValue, Record
from srbench.results.statistics import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

MISSING = "values of single images are missing"
OTHER_IMAGES = "seeds were measured on different images"
NO_MEAN = "values of single images do not have the value as their mean"
TOLERANCE = 1e-6  # of a value, or of 1, by which the mean of its images may differ
MOST_GROUPS = 10_000  # of a jackknife; a test set of more has images, not groups


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

        Files that are missing, broken, of other images than those of another seed, or that do not
        make up the value are told in ``note``; the sample then has no values of images.

        Raises
        ------
        ValueError
            If there is no record, or one has no value.
        """
        found = [record.values.final.get(metric) for record in records]
        measured = [value for value in found if value is not None and value.value is not None]
        if len(measured) < len(records) or not records:
            raise ValueError(f"{len(records) - len(measured)} of {len(records)} records have no "
                             f"value of {metric!r}; leave them out")
        values = np.array([value.value for value in measured], dtype=np.float64)
        scenes, note = self._scenes(records, measured)
        about: dict[str, Any] = {} if scenes is not None else {
            "spread": _spread(measured), "jackknife": _moves(measured)}
        return Sample(
            seeds=tuple(record.identity.seed for record in records), values=values, scenes=scenes,
            clusters=None if scenes is None else _clusters(records[0], scenes.shape[1]), note=note,
            trained=any(record.cost.stages for record in records), **about)

    def _scenes(self, records: Sequence[Record],
                values: Sequence[MetricValue]) -> tuple[Floats | None, str]:
        """Values of images, seeds x images, or why there are none."""
        if not any(value.per_image for value in values):
            return None, ""
        columns: list[Floats] = []
        for record, value in zip(records, values, strict=True):
            column = self._column(record, value)
            if column is None or not len(column):
                return None, MISSING
            mean, number = float(column.sum()) / len(column), value.value or 0.0
            if not math.isclose(mean, number, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
                return None, NO_MEAN
            columns.append(column)
        if len({len(column) for column in columns}) > 1:
            return None, OTHER_IMAGES
        return np.stack(columns), ""

    def _column(self, record: Record, value: MetricValue) -> Floats | None:
        """Values of images of one record, less those at the end that were not measured."""
        if self._cells is None or not value.per_image:
            return None
        name, _, title = value.per_image.partition("#")
        key = record.identity.key, name
        if key not in self._files:
            try:
                path = plain_file(self._cells / record.identity.key, name)
                self._files[key] = read_per_image(path)
            except (StoreError, OSError):
                self._files[key] = {}
        column = self._files[key].get(title)
        if column is None or not math.isnan(float(column[-1]) if len(column) else 0.0):
            return column
        # A metric of batches leaves out an incomplete last one.
        known = np.flatnonzero(~np.isnan(column))
        return column[:known[-1] + 1] if len(known) else None


def samples(records: Sequence[Record], metric: str, cells: Path | None = None) -> Sample:
    """Sample of one method's records; of many methods an `Evidence` reads each file only once."""
    return Evidence(cells)(records, metric)


def _clusters(record: Record, count: int) -> Integers | None:
    """Scene of each image as the dataset's facts have it; None where each is its own."""
    scenes = record.facts.get("test_scenes")
    if not isinstance(scenes, list) or len(scenes) < count or not all(
            type(scene) is int and abs(scene) < 2**62 for scene in scenes):
        return None
    return np.array(scenes[:count], dtype=np.int64)


def _spread(values: Sequence[MetricValue]) -> Floats | None:
    """Jackknife standard errors over test images, where every record has one."""
    found = [value.detail.get("jackknife_se") for value in values]
    return np.array(found, dtype=np.float64) if all(map(_is_number, found)) else None


def _moves(values: Sequence[MetricValue]) -> Floats | None:
    """How much each group of test images moves the values, where all have the same groups."""
    found = [value.detail.get("jackknife") for value in values]
    if not all(isinstance(one, list) and 1 < len(one) <= MOST_GROUPS and all(map(_is_number, one))
               for one in found):
        return None
    groups = {len(one) for one in found if one}
    return np.array(found, dtype=np.float64) if len(groups) == 1 else None


def _is_number(value: Any) -> bool:
    """Whether JSON data is a number that a float can hold."""
    return (isinstance(value, int | float) and not isinstance(value, bool)
            and abs(value) <= 1e300)
