"""Values of a record computed again from the files beside it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from srbench.errors import StoreError
from srbench.foreign.paths import plain_file
from srbench.results.artefacts import PER_IMAGE
from srbench.results.per_image import read_per_image
from srbench.results.record import MetricValue, Record, Status
from srbench.results.samples import open_rgb
from srbench.results.store import RECORD
from srbench.verify.findings import Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Columns = Mapping[str, NDArray[np.float64]]

PSNR_PROTOCOL = "psnr/rgb-float-clamped/piq-eps1e-8/v1"
PSNR_EPSILON = 1e-8  # as that protocol has it
WHOLE = 256  # an image with a side of this many pixels may be the centre of a larger one
ROUNDING = 1 / 255  # most that rounding both images to 8 bits changes the root of their squared gap
SLACK = 1e-9  # relative; sums may be made in another order


def check_values(folder: Path, record: Record) -> tuple[list[Finding], str]:
    """Compare a record's values with its per-image values and sample images.

    Returns
    -------
    findings : list of Finding
        What does not agree.
    signature : str
        Digest of the per-image values, or of the values where there are none; empty for a cell
        that nothing was trained in: there all seeds agree.
    """
    findings = list(_check_numbers(record))
    named = {name: value for name, value in record.values.final.items() if value.per_image}
    columns: Columns = {}
    if named:
        try:
            columns = read_per_image(plain_file(folder, PER_IMAGE))
        except StoreError as error:
            findings.append(Finding(PER_IMAGE, error.message))
        else:
            for name, value in named.items():
                findings += _check_mean(name, value, columns)
            findings += check_psnr(folder, record, columns)
    return findings, _signature(record, columns)


def _check_numbers(record: Record) -> Iterator[Finding]:
    for block, values in (("final", record.values.final), ("oracle", record.values.oracle)):
        for name, value in values.items():
            if value.value is None or value.interval is None:
                continue
            low, high = (value.interval + [math.nan] * 2)[:2]
            if not low <= value.value <= high:
                yield Finding(RECORD, f"values.{block}.{name} is {value.value!r}, outside of its "
                                      f"interval {value.interval!r}")


def _check_mean(name: str, value: MetricValue, columns: Columns) -> Iterator[Finding]:
    """A metric that has per-image values is their mean; rows it was not computed for are NaN."""
    file, _, column = (value.per_image or "").partition("#")
    if file != PER_IMAGE or column not in columns:
        yield Finding(PER_IMAGE, f"it has no column for {name}; the record names "
                                 f"{value.per_image!r}")
        return
    measured = columns[column][~np.isnan(columns[column])]
    if len(measured) != value.count:
        yield Finding(PER_IMAGE, f"column {column} has {len(measured):,} values; the record says "
                                 f"{value.count:,}")
    if value.value is None or not len(measured):
        return
    mean = math.fsum(measured) / len(measured)
    if not math.isclose(mean, value.value, rel_tol=SLACK, abs_tol=SLACK):
        yield Finding(RECORD, f"values.final.{name} is {value.value!r}; the mean of {PER_IMAGE} is "
                              f"{mean!r}")


def check_psnr(folder: Path, record: Record, columns: Columns) -> Iterator[Finding]:
    """Compute PSNR from the sample images that are whole; rounded to 8 bits they bound it.

    The root of the mean squared gap of two images is a distance, so rounding both to 8 bits, by
    half a step each at most, changes it by one step at most.
    """
    psnr = record.values.final.get("psnr")
    if psnr is None or psnr.protocol != PSNR_PROTOCOL or record.identity.scale != 1:
        return
    for index, value in enumerate(columns.get("psnr", [])):
        file = f"images/prediction_{index}.png"
        if file not in record.artefacts or math.isnan(value):
            return
        try:
            prediction, hr = (np.asarray(open_rgb(plain_file(folder, name)), dtype=np.float64) / 255
                              for name in (file, f"images/hr_{index}.png"))
        except (StoreError, OSError) as error:
            yield Finding(file, str(error))
            continue
        if prediction.shape != hr.shape:
            yield Finding(file, f"it has the shape {prediction.shape}, its HR image {hr.shape}")
        elif max(hr.shape) < WHOLE:
            stored = math.sqrt(np.square(prediction - hr).mean())
            said = math.sqrt(max(0.0, 10 ** (-value / 10) - PSNR_EPSILON))
            if not abs(stored - said) <= ROUNDING + SLACK:
                found = -10 * math.log10(stored**2 + PSNR_EPSILON)
                yield Finding(file, f"its PSNR is {found:.2f} dB; {PER_IMAGE} says {value:.2f}, "
                                    "and rounding to 8 bits does not explain it")


def _signature(record: Record, columns: Columns) -> str:
    trained = any(stage.steps for stage in record.cost.stages)
    if record.outcome.status is not Status.OK or not trained:
        return ""
    digest = hashlib.sha256(record.origin.dataset_fingerprint.encode())
    for name in sorted(columns):
        digest.update(name.encode() + b"\0" + columns[name].tobytes())
    values = {name: value.value for name, value in record.values.final.items()
              if value.value is not None}
    if not columns and len(values) < 2:
        return ""
    if not columns:
        digest.update(repr(sorted(values.items())).encode())
    return digest.hexdigest()
