"""What a store holds and where: names, shapes and offsets, and the files that say so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from srbench.errors import CorruptFile, DataError

VERSION = 1
RAW, INDEX, UNFINISHED, LOG = "images.raw", "index.json", "unfinished.json", "put.log"
PixelType = Literal["uint8", "float32"]
_TYPES: dict[str, np.dtype[Any]] = {"uint8": np.dtype("u1"), "float32": np.dtype("<f4")}


@dataclass(frozen=True)
class Layout:
    """Images of a store, one after the other in its file.

    Parameters
    ----------
    shapes : tuple of (int, int)
        Height and width of each.
    channels : int
        Values of a pixel.
    type : {"uint8", "float32"}
        Of a value.
    names : tuple of str
        One for each image.
    """

    shapes: tuple[tuple[int, int], ...]
    channels: int
    type: PixelType
    names: tuple[str, ...]

    @classmethod
    def of(cls, shapes: Sequence[tuple[int, int]], channels: int, dtype: PixelType,
           names: Sequence[str] | None) -> Layout:
        """Check and complete what a caller announces; images without names are numbered.

        Raises
        ------
        DataError
            If there is no image, a side is not positive, or names are not one for each image.
        """
        sides = tuple((int(height), int(width)) for height, width in shapes)
        named = tuple(map(str, range(len(sides)) if names is None else names))
        if not sides or min(map(min, sides)) < 1:
            raise DataError("an image store needs images with positive sides, not "
                            f"{sorted(sides)[:1] or 'none'}")
        if dtype not in _TYPES or channels < 1:
            raise DataError(f"an image store keeps {' or '.join(_TYPES)}, not {dtype!r} with "
                            f"{channels} channels")
        if len(named) != len(sides) or len(set(named)) != len(named):
            raise DataError(f"{len(sides)} images have {len(set(named))} different names")
        return cls(sides, int(channels), dtype, named)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values, little-endian."""
        return _TYPES[self.type]

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Offset behind each image in bytes."""
        sizes = np.array(self.shapes, dtype=np.int64).prod(1) * self.channels * self.dtype.itemsize
        return tuple(np.cumsum(sizes).tolist())

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Offset of each image in bytes."""
        return (0, *self.ends[:-1])

    @property
    def total(self) -> int:
        """Size of the file in bytes."""
        return self.ends[-1]

    def announce(self) -> bytes:
        """Content of ``unfinished.json``."""
        return json.dumps({"version": VERSION, **asdict(self)}).encode()

    def index(self, hashes: Sequence[str]) -> bytes:
        """Content of ``index.json``."""
        images = [{"name": name, "shape": shape, "offset": offset, "sha256": digest}
                  for name, shape, offset, digest
                  in zip(self.names, self.shapes, self.starts, hashes, strict=True)]
        return json.dumps({"version": VERSION, "dtype": self.type, "channels": self.channels,
                           "images": images}).encode()


def read_index(folder: Path) -> tuple[Layout, tuple[str, ...]]:
    """Read ``index.json``.

    Returns
    -------
    layout : Layout
        What the store holds.
    hashes : tuple of str
        SHA-256 of each image.

    Raises
    ------
    CorruptFile
        If it is absent, of another version or no such index.
    """
    path, mend = folder / INDEX, f"delete {folder} and have it made again"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["version"] != VERSION:
            raise CorruptFile(f"{path} has version {document['version']}, this srbench reads "
                              f"{VERSION}", hint=mend)
        images = document["images"]
        layout = Layout.of([image["shape"] for image in images], document["channels"],
                           document["dtype"], [image["name"] for image in images])
        hashes = tuple(str(image["sha256"]) for image in images)
    except FileNotFoundError as error:
        state = "was not finished" if (folder / UNFINISHED).exists() else "does not exist"
        raise CorruptFile(f"the image store {folder} {state}", hint=mend) from error
    except (OSError, KeyError, TypeError, ValueError, DataError) as error:
        if isinstance(error, CorruptFile):
            raise
        raise CorruptFile(f"{path} is no index of an image store: {error!r}", hint=mend) from error
    return layout, hashes


def read_announced(folder: Path) -> Layout | None:
    """Read ``unfinished.json``; None where nothing usable was begun."""
    try:
        document = json.loads((folder / UNFINISHED).read_text(encoding="utf-8"))
        if document.pop("version") != VERSION:
            return None
        layout = Layout.of(document["shapes"], document["channels"], document["type"],
                           document["names"])
        return layout if (folder / RAW).stat().st_size == layout.total else None
    except (OSError, KeyError, TypeError, ValueError, AttributeError, DataError):
        return None


def read_log(folder: Path) -> dict[int, str]:
    """Images that were put and their hashes; the last line of each counts, a torn one does not."""
    found = {}
    for line in (folder / LOG).read_bytes().split(b"\n"):
        number, _, digest = line.decode("ascii", "replace").partition(" ")
        if number.isdecimal() and len(digest) == 64:
            found[int(number)] = digest
    return found


def pixel_hash(image: np.ndarray) -> str:
    """SHA-256 (hex) of the values of an image, row by row."""
    return hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()
