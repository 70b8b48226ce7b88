"""Reading the per-image values of a record of anybody's."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench.errors import StoreError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LARGEST = 64 * 2**20  # bytes of the file
MOST_ROWS, MOST_COLUMNS = 1_000_000, 200
MOST_VALUES = 16_000_000
_DAMAGE = (OSError, ValueError, KeyError, TypeError, NotImplementedError, MemoryError)


def read_per_image(path: Path) -> dict[str, NDArray[np.float64]]:
    """Columns of a ``per_image.parquet`` by name.

    What the file says of itself is looked at before anything is unpacked: only plain numbers, no
    more of them than any test set has images, and no more bytes than such numbers take.

    Raises
    ------
    StoreError
        If it is no such file.
    """
    parquet: Any = import_module("pyarrow.parquet")  # its functions carry no types
    size = path.stat().st_size
    if size > LARGEST:
        raise StoreError(f"{path.name} has {size:,} bytes; at most {LARGEST:,} are read")
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            _check(path.name, file)
            table = file.read(use_threads=False)
        return {name: table.column(name).to_numpy() for name in table.column_names}
    except _DAMAGE as error:
        raise StoreError(f"{path.name} is no parquet file: {str(error)[:200]}") from error


def _check(name: str, file: Any) -> None:
    rows, columns = file.metadata.num_rows, file.metadata.num_columns
    if rows > MOST_ROWS or columns > MOST_COLUMNS or rows * columns > MOST_VALUES:
        raise StoreError(f"{name} has {rows:,} rows of {columns:,} columns; at most {MOST_ROWS:,} "
                         f"of {MOST_COLUMNS:,} are read")
    for field in file.schema_arrow:
        if str(field.type) != "double":
            raise StoreError(f"{name}: column {field.name[:100]!r} holds {field.type}, not numbers")
    groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
    unpacked = sum(group.total_byte_size for group in groups)
    if unpacked > 32 * rows * columns + 2**20:
        raise StoreError(f"{name} unpacks to {unpacked:,} bytes, which its numbers do not explain")
