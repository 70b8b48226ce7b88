"""Histories of trainings of anybody's, and their mean over seeds on a common clock."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench.errors import StoreError

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 64 * 2**20  # bytes of the file
MOST_ROWS, MOST_NAMES, LONGEST = 1_000_000, 10_000, 500
# As srbench.training.history writes them; that module is not imported, for it imports pandas.
TEXTS = ("stage", "name")
WHOLE = ("step", "images", "calls")
NUMBERS = ("seconds", "value")
_DAMAGE = (OSError, ValueError, KeyError, TypeError, NotImplementedError, MemoryError)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A step function of a clock: mean over seeds, and the lowest and highest seed.

    ``times`` ascend; all four have the same length. A seed that has ended stays where it ended.
    """

    times: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    seeds: int


def read_history(path: Path) -> pd.DataFrame:
    """Rows of a ``history.parquet``: stage, step, seconds, images, calls, name, value.

    Columns that are not known are not read. A file that is missing gives no rows. Texts stay
    encoded by a dictionary, so that a small file cannot become a large table.

    Raises
    ------
    StoreError
        If it is no such file, or larger than any training's.
    """
    parquet: Any = import_module("pyarrow.parquet")  # its functions carry no types
    frames: Any = import_module("pandas")
    if not path.exists():
        empty: pd.DataFrame = frames.DataFrame({name: [] for name in (*TEXTS, *WHOLE, *NUMBERS)})
        return empty
    size = path.stat().st_size
    if size > LARGEST:
        raise StoreError(f"{path.name} has {size:,} bytes; at most {LARGEST:,} are read")
    try:
        with parquet.ParquetFile(path, read_dictionary=list(TEXTS),
                                 page_checksum_verification=True) as file:
            _check(path.name, file)
            table = file.read(columns=[*TEXTS, *WHOLE, *NUMBERS], use_threads=False)
        _check_texts(path.name, table)
        frame: pd.DataFrame = table.to_pandas()
    except _DAMAGE as error:
        raise StoreError(f"{path.name} is no history: {str(error)[:200]}") from error
    return frame


def _check(name: str, file: Any) -> None:
    rows = file.metadata.num_rows
    if rows > MOST_ROWS:
        raise StoreError(f"{name} has {rows:,} rows; at most {MOST_ROWS:,} are read")
    kinds = {field.name: str(field.type) for field in file.schema_arrow}
    for columns, wanted in ((TEXTS, "string"), (WHOLE, "int64"), (NUMBERS, "double")):
        for column in columns:
            kind = kinds.get(column, "nothing")
            if wanted not in (kind, kind.removeprefix("large_")) and not (
                    wanted == "string" and kind.startswith("dictionary<values=string,")):
                raise StoreError(f"{name}: column {column!r} holds {kind[:100]}, not {wanted}")
    groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
    unpacked = sum(group.total_byte_size for group in groups)
    if unpacked > 256 * rows + 2**20:
        raise StoreError(f"{name} unpacks to {unpacked:,} bytes, which its rows do not explain")


def _check_texts(name: str, table: Any) -> None:
    for column in TEXTS:
        for chunk in table.column(column).chunks:
            words = chunk.dictionary
            longest = max((len(word) for word in words.to_pylist() if word), default=0)
            if len(words) > MOST_NAMES or longest > LONGEST:
                raise StoreError(f"{name}: column {column!r} has {len(words):,} different texts of "
                                 f"up to {longest:,} characters; no training logs so many")


def steps(frame: pd.DataFrame, name: str, clock: str) -> tuple[list[float], list[float]]:
    """Times and values of one logged name; non-finite ones and those before the clock are out."""
    rows = frame[frame["name"] == name]
    found: dict[float, float] = {}
    for time, value in zip(rows[clock].astype(float), rows["value"].astype(float), strict=True):
        if math.isfinite(time) and math.isfinite(value) and time > 0:
            found[time] = value  # the later of two at the same time
    times = sorted(found)
    return times, [found[time] for time in times]


def average(runs: Sequence[tuple[Sequence[float], Sequence[float]]], *, most: int = 60,
            ) -> Curve | None:
    """Mean of step functions from when all have begun to when the last has ended.

    Parameters
    ----------
    runs : sequence of (times, values)
        Of each seed, times ascending. A value holds from its time to the next.
    most : int
        Points of the common grid: all times of all seeds, or as many of them evenly in log time.

    Returns
    -------
    Curve or None
        None without any value.
    """
    known = [(times, values) for times, values in runs if times]
    if not known:
        return None
    start = max(times[0] for times, _ in known)
    grid = _thinned(sorted({time for times, _ in known for time in times if time >= start}), most)
    columns = [[_at(times, values, time) for times, values in known] for time in grid]
    return Curve(times=tuple(grid), mean=tuple(sum(column) / len(column) for column in columns),
                 low=tuple(map(min, columns)), high=tuple(map(max, columns)), seeds=len(known))


def _thinned(times: list[float], most: int) -> list[float]:
    if len(times) <= most:
        return times
    low, high = math.log(times[0]), math.log(times[-1])
    kept: list[float] = []
    index = 0
    for step in range(most):
        bound = math.exp(low + (high - low) * step / (most - 1)) * (1 + 1e-12)
        while index + 1 < len(times) and times[index + 1] <= bound:
            index += 1
        if not kept or kept[-1] != times[index]:
            kept.append(times[index])
    return kept


def _at(times: Sequence[float], values: Sequence[float], time: float) -> float:
    """Return the value that holds at ``time``: the last one before it or at it."""
    return values[max(bisect_right(times, time) - 1, 0)]
