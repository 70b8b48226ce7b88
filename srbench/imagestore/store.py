"""A folder of images of different sizes, read as views of one memory-mapped file.

``images.raw`` holds the pixels of every image, (h, w, c) each; ``index.json`` names, shapes,
offsets and hashes. The index is written last: a folder without it is no store, whatever else lies
there. Until then ``unfinished.json`` says what is being stored and ``put.log`` what is there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from srbench.atomic import atomic_write, sync, told_as_store_error
from srbench.errors import CorruptFile, DataError, StoreError
from srbench.imagestore.crops import cut
from srbench.imagestore.layout import (
    INDEX,
    LOG,
    RAW,
    UNFINISHED,
    Layout,
    PixelType,
    pixel_hash,
    read_announced,
    read_index,
    read_log,
)


class ImageStore:
    """Images of different sizes; ``store[i]`` is a read-only view (h, w, c) of image ``i``.

    Made by `create`, `resume` or `open`. One process at a time may write.

    Attributes
    ----------
    folder, channels, dtype
        As given.
    names : tuple of str
        Of the images; their numbers where none were given.
    shapes : ndarray of shape (images, 2)
        Heights and widths, int64.
    finished : bool
        Whether it is complete; nothing can be put then.
    """

    def __init__(self, folder: Path, layout: Layout, hashes: dict[int, str], *,
                 finished: bool) -> None:
        self.folder, self.finished = folder, finished
        self.names, self.channels, self.dtype = layout.names, layout.channels, layout.dtype
        self.shapes = np.array(layout.shapes, dtype=np.int64)
        self._layout, self._hashes = layout, hashes
        self._lock = threading.Lock()
        mapped = np.asarray(np.memmap(folder / RAW, dtype=np.uint8, mode="r"))
        self._images = [mapped[start:end].view(self.dtype).reshape(*shape, self.channels)
                        for start, end, shape in zip(layout.starts, layout.ends, layout.shapes,
                                                     strict=True)]

    @classmethod
    def create(cls, folder: Path, shapes: Sequence[tuple[int, int]], *, channels: int = 3,
               dtype: PixelType = "uint8", names: Sequence[str] | None = None) -> ImageStore:
        """Begin a store; whatever store lay in ``folder`` is discarded.

        Parameters
        ----------
        folder : Path
            Made where it is not there.
        shapes : sequence of (int, int)
            Height and width of each image to come.
        channels : int
            Values of a pixel.
        dtype : {"uint8", "float32"}
            Of a value.
        names : sequence of str, optional
            One for each image, all different.

        Raises
        ------
        DataError
            If there is no image, a side is not positive, or names are not one for each image.
        StoreError
            If it cannot be written.
        """
        folder, layout = Path(folder), Layout.of(shapes, channels, dtype, names)
        with told_as_store_error(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for name in (INDEX, UNFINISHED, LOG, RAW):
                (folder / name).unlink(missing_ok=True)
            with (folder / RAW).open("wb") as file:
                file.truncate(layout.total)  # no disk space is taken before images come
            (folder / LOG).touch()
        atomic_write(folder / UNFINISHED, layout.announce())
        return cls._writer(folder, layout)

    @classmethod
    def resume(cls, folder: Path, shapes: Sequence[tuple[int, int]], *, channels: int = 3,
               dtype: PixelType = "uint8", names: Sequence[str] | None = None) -> ImageStore:
        """Go on with the store of these images in ``folder``, or `create` it; see there.

        What was put before is there if its hash is right; a finished store is returned as it is.

        Raises
        ------
        DataError
            If a store of other images lies there, or a finished one that cannot be opened.
        """
        folder, layout = Path(folder), Layout.of(shapes, channels, dtype, names)
        finished = cls.open(folder) if (folder / INDEX).exists() else None
        present = read_announced(folder) if finished is None else finished._layout
        if present is None:
            return cls.create(folder, shapes, channels=channels, dtype=dtype, names=names)
        if present != layout:
            raise DataError(f"{folder} holds a store of other images", hint=f"delete {folder}")
        return cls._writer(folder, layout) if finished is None else finished

    @classmethod
    def open(cls, folder: Path) -> ImageStore:
        """Open a finished store; of the pixels only the size is checked, see `verify`.

        Raises
        ------
        CorruptFile
            If there is no finished store or its file has another size.
        """
        folder = Path(folder)
        layout, hashes = read_index(folder)
        size = (folder / RAW).stat().st_size if (folder / RAW).is_file() else 0
        if size != layout.total:
            raise CorruptFile(f"{folder / RAW} has {size:,} bytes instead of {layout.total:,}",
                              hint=f"delete {folder} and have it made again")
        return cls(folder, layout, dict(enumerate(hashes)), finished=True)

    @classmethod
    def _writer(cls, folder: Path, layout: Layout) -> ImageStore:
        """Open an unfinished store, with what is rightly in it."""
        with told_as_store_error(folder):
            put = read_log(folder)
            with (folder / LOG).open("ab") as log:
                log.write(b"\n")  # ends a torn line
            store = cls(folder, layout, {}, finished=False)
        store._hashes = {i: digest for i, digest in put.items()
                         if i < len(store) and pixel_hash(store._images[i]) == digest}
        return store

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int) -> np.ndarray:
        if not self.has(i):
            raise DataError(f"image {i} of the unfinished store {self.folder} is not there yet")
        return self._images[i]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def shape(self, i: int) -> tuple[int, int]:
        """Height and width of image ``i``."""
        return self._layout.shapes[i]

    @property
    def smallest_side(self) -> int:
        """Side of the largest square that every image holds."""
        return int(self.shapes.min())

    @property
    def hashes(self) -> tuple[str, ...]:
        """SHA-256 (hex) of the pixels of each image; empty where it is not there yet."""
        return tuple(self._hashes.get(i, "") for i in range(len(self)))

    def has(self, i: int) -> bool:
        """Whether image ``i`` is there; IndexError if there can be none of that number."""
        return range(len(self))[i] in self._hashes

    def put(self, i: int, image: np.ndarray) -> None:
        """Store image ``i``, (h, w, c); it stays if the process is killed afterwards.

        Threads may call it. Storing the same image again does nothing.

        Raises
        ------
        DataError
            If shape or dtype are not those announced.
        StoreError
            If the store is finished and holds other pixels, or the disk is full.
        """
        i = range(len(self))[i]
        expected = (*self.shape(i), self.channels)
        if image.shape != expected or image.dtype != self.dtype:
            raise DataError(f"image {self.names[i]} is {image.shape} {image.dtype}, announced was "
                            f"{expected} {self.dtype}")
        digest = pixel_hash(image)
        if self._hashes.get(i) == digest:
            return
        if self.finished:
            raise StoreError(f"{self.folder} is finished: nothing can be put")
        with self._lock, told_as_store_error(self.folder):
            with (self.folder / RAW).open("r+b") as raw:
                raw.seek(self._layout.starts[i])
                raw.write(np.ascontiguousarray(image).data)
            with (self.folder / LOG).open("ab") as log:  # only once the pixels are there
                log.write(f"{i} {digest}\n".encode())
            self._hashes[i] = digest

    def finish(self) -> ImageStore:
        """Write all through to the disk, then the index; `DataError` if an image is missing."""
        missing = [name for i, name in enumerate(self.names) if not self.has(i)]
        if missing:
            raise DataError(f"{self.folder} lacks {len(missing)} of {len(self)} images, the first "
                            f"is {missing[0]}")
        if not self.finished:
            with told_as_store_error(self.folder):
                sync(self.folder / RAW)
            atomic_write(self.folder / INDEX, self._layout.index(self.hashes))
            self.finished = True
            for name in (UNFINISHED, LOG):
                (self.folder / name).unlink(missing_ok=True)
        return self

    def verify(self) -> None:
        """Hash every image again; raises `CorruptFile` with the name of a wrong one."""
        for i, name in enumerate(self.names):
            if self.has(i) and pixel_hash(self._images[i]) != self._hashes[i]:
                raise CorruptFile(f"image {name} of {self.folder} is damaged",
                                  hint=f"delete {self.folder} and have it made again")

    def crops(self, which: ArrayLike, tops: ArrayLike, lefts: ArrayLike, size: int,
              turns: ArrayLike | None = None) -> np.ndarray:
        """Cut square crops; (n, size, size, c), contiguous.

        Parameters
        ----------
        which, tops, lefts : array_like of shape (n,)
            Image and upper left corner of each crop.
        size : int
            Side.
        turns : array_like of shape (n,), optional
            Flip and rotation of each crop, 0 to 7 as numbered by `turned`; none unless given.

        Raises
        ------
        DataError
            If a crop reaches beyond its image, or a turn is not one of the eight.
        """
        return cut(self._images, self.shapes, which, tops, lefts, size, turns)
