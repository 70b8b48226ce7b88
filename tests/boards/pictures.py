"""Cells with images, values of single images and palettes, whose content is known."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from srbench.boards.board import Board
from srbench.boards.markup import environment
from srbench.results.record import Record
from srbench.results.samples import write_samples
from tests.boards.worlds import given_of, only
from tests.results.factory import make_metric, make_record, make_samples

HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:;
 style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>Pixels</title><style>%s</style></head><body><main><h1>Board</h1><h2>Pixels</h2>"""


def put(runs: Path, record: Record, samples: Mapping[str, np.ndarray] | None = None,
        values: Mapping[str, Sequence[float]] | None = None,
        palettes: Mapping[str, np.ndarray] | None = None) -> Record:
    """Write what the cell of a record leaves behind, and return the record."""
    folder = runs / "cells" / record.identity.key
    folder.mkdir(parents=True, exist_ok=True)
    if samples:
        write_samples(folder / "images", samples)
    if values:
        pd.DataFrame({name: pd.Series(row, dtype="float64") for name, row in values.items()}
                     ).to_parquet(folder / "per_image.parquet")
    if palettes:
        parts = [pd.DataFrame(cloud.astype(np.float32), columns=["r", "g", "b"]).assign(kind=kind)
                 for kind, cloud in palettes.items()]
        pd.concat(parts)[["kind", "r", "g", "b"]].to_parquet(folder / "palettes.parquet")
    return record


def measured(label: str, values: Sequence[float], *, metric: str = "l2-uvp", **changes) -> Record:
    """Record of a method whose per-image values are those of `put`."""
    fields = {"per_image": f"per_image.parquet#{metric}", "count": len(values)}
    value = make_metric(metric, float(np.nanmean(values)), **fields)
    return make_record(label, metrics={metric: value}, method_given=given_of(label), **changes)


def scored_cells(runs: Path, rows: Mapping[str, Sequence[float]], *, metric: str = "l2-uvp",
                 side: int = 16, **changes) -> list[Record]:
    """One cell for each label, with images and these per-image values."""
    return [put(runs, measured(label, row, metric=metric, **changes),
                make_samples(count=min(12, len(row)), side=side, noise=0.1), {metric: row})
            for label, row in rows.items()]


def board_of(records: Sequence[Record]) -> Board:
    """The single board of some records."""
    return only(records)


def decoded(uri: str) -> np.ndarray:
    """Pixels of an embedded PNG."""
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return np.asarray(image.convert("RGB"))


def random_samples(count: int, side: int, seed: int = 0) -> dict[str, np.ndarray]:
    """White noise, which no file format makes smaller."""
    draw = np.random.default_rng(seed)
    return {kind: draw.uniform(-1, 1, (count, 3, side, side)).astype(np.float32)
            for kind in ("lr", "prediction", "hr")}


def rendered(pixels, *, script: bool = True) -> str:
    """The macros in a page of their own, with the style and script of boards."""
    from srbench.boards.markup import PACKAGE

    def read(*names: str) -> str:
        return "\n".join((PACKAGE / name).read_text(encoding="utf-8") for name in names)

    body = environment().from_string(
        '{% import "_pixels.html" as pics %}{{ pics.comparator(pixels) }}'
        "{% if pixels.palettes %}{{ pics.palettes(pixels.palettes) }}{% endif %}"
        "{{ pics.flags(pixels.flags) }}").render(pixels=pixels)
    code = f"<script>{read('pixels/pixels.js')}</script>" if script else ""
    style = read("templates/style.css", "pixels/pixels.css")
    return f"{HEAD % style}{body}</main>{code}</body></html>"
