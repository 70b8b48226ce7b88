"""Runs folders with whole cells, for tests of what is published from them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pandas as pd

from srbench.results.artefacts import list_artefacts
from srbench.results.record import Record
from srbench.results.samples import write_samples
from srbench.results.store import Store
from tests.results.factory import make_metric, make_record, make_samples

TITLE = "w2-early@embedded"
BOARD = f'title = "W2"\npreset = "quick"\ndatasets = ["{TITLE}"]\ncolumns = ["psnr"]\n'
_SECONDS = itertools.count(10.0)  # no two trainings take the same time to the last digit


def whole_cell(runs: Path, label: str = "ots", *, seed: int = 0, psnr: float | None = None,
               images: bool = True, **changes: Any) -> Record:
    """Write a finished cell with every kind of file into ``runs`` and return its record."""
    changes.setdefault("title", TITLE)
    changes.setdefault("seconds_fit", next(_SECONDS))
    psnr = 20.0 + seed if psnr is None else psnr  # two seeds never agree
    values = [psnr - 1, psnr, psnr + 1]
    metric = make_metric("psnr", float(psnr), count=3, per_image="per_image.parquet#psnr",
                         protocol=changes.pop("protocol", "psnr/v1"))
    record = make_record(label, seed=seed, metrics=changes.pop("metrics", {"psnr": metric}),
                         **changes)
    folder = Store(runs).cell_folder(record.identity.key)
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"psnr": values}, dtype="float64").to_parquet(folder / "per_image.parquet")
    pd.DataFrame({"kind": ["lr"], "r": [0.1], "g": [0.2], "b": [0.3]}).to_parquet(
        folder / "palettes.parquet")
    pd.DataFrame({"stage": "fit", "step": [1, 2], "seconds": [0.5, 1.0], "images": [8, 16],
                  "calls": [8, 16], "name": "loss", "value": [0.5, 0.4]}).to_parquet(
        folder / "history.parquet")
    if images:
        write_samples(folder / "images", make_samples(seed, count=2, side=8, noise=0.1))
    (folder / "checkpoint").mkdir(exist_ok=True)
    (folder / "checkpoint" / "tensors.safetensors").write_bytes(b"weights")
    (folder / "log.txt").write_text("step 1\n")
    (folder / "work").mkdir(exist_ok=True)
    (folder / "work" / "scratch").write_text("of the plugin\n")
    record = record.model_copy(update={"artefacts": list_artefacts(folder)})
    Store(runs).commit(record)
    return record


def define(boards: Path, name: str = "w2", text: str = BOARD) -> Path:
    """Write a definition and return the folder of boards."""
    boards.mkdir(parents=True, exist_ok=True)
    (boards / f"{name}.toml").write_text(text, encoding="utf-8")
    return boards


def tree(folder: Path) -> dict[str, bytes]:
    """Content of every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file()}
