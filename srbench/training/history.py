"""History of a training: values over three clocks, a Parquet file beside the record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from srbench.atomic import sync, told_as_store_error
from srbench.training.clocks import Ledger

FILE = "history.parquet"
VALIDATION = "validation/"
CLOCKS = ("seconds", "images", "calls")
TYPES = {"stage": "str", "step": "int64", "seconds": "float64", "images": "int64",
         "calls": "int64", "name": "str", "value": "float64"}


class History:
    """Rows (stage, step, seconds, images, calls, name, value) in the order they came.

    ``step`` counts the finished steps of the stage; ``seconds``, ``images`` and ``calls`` count
    from the start of the training over all stages. A logged name's value is its mean over the
    steps since its last row; names of validation metrics begin with ``"validation/"``.
    """

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in TYPES}

    def __len__(self) -> int:
        return len(self.columns["stage"])

    def add(self, ledger: Ledger, stage: str, step: int, values: dict[str, float]) -> None:
        """Append a row for each of ``values`` at the present clocks."""
        clocks = (stage, step, ledger.seconds, ledger.images, ledger.calls)
        for item in values.items():
            for column, value in zip(TYPES, (*clocks, *item), strict=True):
                self.columns[column].append(value)

    def frame(self) -> pd.DataFrame:
        """Return the rows as a table with the columns' types."""
        return pd.DataFrame(self.columns).astype(TYPES)

    def write(self, folder: Path) -> Path:
        """Write ``history.parquet`` in ``folder``, replacing the old one in one step.

        Raises
        ------
        StoreError
            If it cannot be written; the old file is as it was.
        """
        path, temporary = folder / FILE, folder / f".tmp-{FILE}"
        try:
            with told_as_store_error(path):
                self.frame().to_parquet(temporary, index=False)
                sync(temporary)
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return path
