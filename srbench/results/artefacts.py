"""Files a cell leaves beside its record: images, palettes, per-image values, their hashes."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from srbench.files import sha256, write_atomically
from srbench.foreign.paths import is_plain_path
from srbench.results.record import Artefact
from srbench.results.samples import write_samples

if TYPE_CHECKING:
    from srbench.evaluation.evaluate import Evaluation

PER_IMAGE = "per_image.parquet"
PALETTES = "palettes.parquet"
_NOT_ARTEFACTS = {"record.json", "cell.json", "log.txt", "live.json", "scalars.jsonl"}
WORK = "work"  # working directory of the cell: whatever a plugin wrote there is its own business


def keep_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Write sample images, palettes and per-image values of an evaluation into the cell's folder.

    ``palettes.parquet`` has the columns ``kind`` (``lr``, ``prediction`` or ``hr``) and ``r``,
    ``g``, ``b`` (float32 in [0, 1], not clamped). The n-th rows of the three kinds belong together.

    Parameters
    ----------
    folder : Path
        ``runs/cells/<key>``.
    evaluation : Evaluation
        Its values get the file and column their per-image values are found in.
    """
    if evaluation.samples and evaluation.samples["prediction"].ndim == 4:
        write_samples(folder / "images", evaluation.samples)
    if evaluation.palettes:
        with write_atomically(folder / PALETTES) as path:
            _palette_table(evaluation).to_parquet(path)
    if evaluation.per_image:
        with write_atomically(folder / PER_IMAGE) as path:
            columns = {name: pd.Series(values, dtype="float64")
                       for name, values in evaluation.per_image.items()}
            pd.DataFrame(columns).to_parquet(path)
        for name in evaluation.per_image:
            evaluation.values[name].per_image = f"{PER_IMAGE}#{name}"


def _palette_table(evaluation: Evaluation) -> pd.DataFrame:
    """One row for each colour of each kind."""
    parts = [pd.DataFrame(colours.numpy(), columns=["r", "g", "b"]).assign(kind=kind)
             for kind, colours in evaluation.palettes.items()]
    return pd.concat(parts, ignore_index=True)[["kind", "r", "g", "b"]]


def list_artefacts(folder: Path) -> dict[str, Artefact]:
    """Hash every file beside the record, but no link, and none whose name a record cannot hold."""
    return {name: Artefact(path=name, sha256=sha256(folder / name),
                           size=(folder / name).stat().st_size)
            for name in files_beside(folder) if is_plain_path(name)}


def files_beside(folder: Path, *, links: bool = False) -> list[str]:
    """Relative paths of the files that belong to a record, in order.

    With ``links`` those of links, sockets and the like are listed too, which a record never names.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name in _NOT_ARTEFACTS or name.startswith((".", f"{WORK}/")):
            continue
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode) or (links and not stat.S_ISDIR(mode)):
            found.append(name)
    return found
