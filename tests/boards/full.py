"""A board that has everything: three charts, images, palettes, an oracle, a gap, failures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from srbench.results.record import Record
from tests.boards.pictures import put
from tests.results.factory import log_file, make_metric, make_record, make_samples

IMAGES = 8
CHARTS = ["scatter", "path", "anytime"]
SECTIONS = ["results", "charts", "pixels", "flags", "failures", "methods", "measured"]
TITLE = "w2-early@embedded"


def full_records(runs: Path, word: str = "", *, images: bool = True) -> list[Record]:
    """Cells of two methods (two seeds), a sweep of two values, the identity and two failures.

    Parameters
    ----------
    runs : Path
        Gets their logs and all files that a page reads.
    word : str
        Stands wherever a plugin or a record can say anything, if there is one.
    images : bool
        Whether there are any beside the records, and palettes.
    """
    given: list[tuple[str, str, int, dict[str, Any], float]] = [
        ("ots", "ots", 0, {}, 6.0), ("ots", "ots", 1, {}, 6.5), ("identity", "identity", 0, {}, 30),
        ("gan", "gan[lambda=1]", 0, {"lambda": 1.0}, 14.0),
        ("gan", "gan[lambda=10]", 0, {"lambda": 10.0}, 9.0)]
    records = []
    for method, label, seed, parameters, value in given:
        if word:
            method, label = f"{method}{word}", f"{label}{word}"
            parameters = {f"{name}{word}": number for name, number in parameters.items()}
        record = _finished(label, value, word, seed=seed, method=method, method_given=parameters,
                           seconds_fit=0.0 if method == "identity" else 12.5)
        records.append(_with_files(runs, record, value, images))
    for place, (status, reason) in enumerate([("diverged", "the loss is nan"), ("crashed", "")]):
        record = _record(f"lost{word}", word, seed=place, status=status, reason=word or reason)
        record.outcome.log_tail = [word or "gradient is NaN"]
        log_file(runs, record)
        records.append(record)
    return records


def _finished(label: str, value: float, word: str, **changes: Any) -> Record:
    more = {"title": word, "unit": word, "protocol": word} if word else {}
    metrics = {"l2-uvp": make_metric("l2-uvp", value, count=IMAGES, **more,
                                     per_image="per_image.parquet#l2-uvp"),
               "lpips": make_metric("lpips", value / 100, **more),
               "ssim": make_metric("ssim", None, **more, unavailable=word or "no weights",
                                   remedy=word or "fetch them"),
               "fid": make_metric("fid", None, title=word or "FID",
                                  unavailable=f"does not apply: {word or 'vectors'}")}
    record = _record(label, word, metrics=metrics, oracle={"l2-uvp": value - 0.5}, **changes)
    record.outcome.flags = ["colour-cast", *([word] if word else [])]
    record.outcome.notes = [word or "trained on half the data"]
    return record


def _record(label: str, word: str, **changes: Any) -> Record:
    if word:
        changes = {"notice": word, "source": word, "precision": word, "budget": word,
                   "fingerprint": word, "method_params": {word: word}, "title": word,
                   "dataset": word, "preset": word, "dataset_given": {word: word}, **changes}
    record = make_record(label, **{"title": TITLE, "notice": "A stand-in.", **changes})
    if word:
        record.environment = {word: {word: word}}
        for name in ("method_distribution", "method_version", "method_digest", "srbench_version"):
            setattr(record.origin, name, word)
        for stage in record.cost.stages:
            stage.name, stage.calls = word, {word: 5}
    return record


def _with_files(runs: Path, record: Record, value: float, images: bool) -> Record:
    values = value + np.linspace(-1, 1, IMAGES)
    draw = np.random.default_rng(round(10 * value))
    clouds = {kind: draw.uniform(size=(1024, 3)) for kind in ("lr", "prediction", "hr")}
    put(runs, record, make_samples(round(value), count=IMAGES, side=16, noise=value / 100)
        if images else None, {"l2-uvp": values.tolist()}, clouds if images else None)
    if record.cost.stages:
        history(runs, record, [value + 4, value + 1, value])
    return record


def history(runs: Path, record: Record, values: Sequence[float]) -> Path:
    """Write validations of L2-UVP at steps 1, 2, ... as the history of a training."""
    steps = np.arange(1, len(values) + 1, dtype=np.int64)
    path = runs / "cells" / record.identity.key / "history.parquet"
    pd.DataFrame({"stage": "fit", "step": steps, "seconds": steps / 2, "images": 8 * steps,
                  "calls": 4 * steps, "name": "validation/l2-uvp", "value": values}
                 ).to_parquet(path)
    return path
