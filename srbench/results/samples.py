"""Sample images of a cell as 8-bit files: written by its process, read by boards."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from srbench.errors import StoreError
from srbench.files import atomic_write
from srbench.foreign.paths import read_capped

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

KINDS = ("lr", "prediction", "hr")
PNG = b"\x89PNG\r\n\x1a\n"
LARGEST = 64 * 2**20  # bytes of an image file
MOST_PIXELS = 2**24


def write_samples(folder: Path, samples: Mapping[str, Tensor | NDArray[Any]]) -> list[Path]:
    """Write images as 8-bit RGB PNG files ``<kind>_<i>.png`` and return their paths.

    Parameters
    ----------
    folder : Path
        ``images/`` of the cell; created.
    samples : mapping
        ``lr``, ``prediction`` and ``hr``, each of shape (N, 3, h, w), nominal range [-1, 1].

    Raises
    ------
    ValueError
        If a kind is unknown or its array is not (N, 3, h, w).
    StoreError
        If the disk refuses.
    """
    paths = []
    folder.mkdir(parents=True, exist_ok=True)
    for kind, batch in samples.items():
        if kind not in KINDS:
            raise ValueError(f"samples of kind {kind!r}; known: {', '.join(KINDS)}")
        for index, pixels in enumerate(to_bytes(batch)):
            path = folder / f"{kind}_{index}.png"
            atomic_write(path, encode(_image(pixels), "PNG"))
            paths.append(path)
    return paths


def to_bytes(batch: Tensor | NDArray[Any]) -> NDArray[np.uint8]:
    """Map (N, 3, h, w) of nominal range [-1, 1] to 8-bit (N, h, w, 3).

    Values outside are clamped, NaN becomes black: 255 (x + 1) / 2, rounded half to even.
    """
    values = batch if isinstance(batch, np.ndarray) else batch.detach().float().cpu().numpy()
    if values.ndim != 4 or values.shape[1] != 3:
        raise ValueError(f"images of shape {tuple(values.shape)} are not (N, 3, h, w)")
    unit = np.clip(np.nan_to_num(values, nan=-1.0), -1, 1)
    return np.ascontiguousarray(np.rint((unit + 1) * 127.5).astype(np.uint8).transpose(0, 2, 3, 1))


def open_rgb(path: Path) -> Image:
    """Read a sample image of anybody's; raises OSError where that fails.

    Only what `write_samples` writes is read, PNG of 8-bit RGB, of at most `MOST_PIXELS`, which the
    header tells before anything is decoded; a link is not followed.
    """
    from PIL import Image

    try:
        content = read_capped(path, LARGEST)
        header = struct.unpack_from(">IIBB", content, 16) if len(content) > 32 else (0, 0, 0, 0)
        if content[:8] != PNG or header[2:] != (8, 2):
            raise OSError(f"{path.name} is no PNG of 8-bit RGB")
        if not 0 < header[0] * header[1] <= MOST_PIXELS:
            raise OSError(f"{path.name} claims {header[0]} x {header[1]} pixels")
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.load()
            return image.convert("RGB")
    except (StoreError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        raise OSError(str(error)) from error


def _image(pixels: NDArray[np.uint8]) -> Image:
    from PIL import Image

    return Image.fromarray(pixels)


def encode(image: Image, kind: str) -> bytes:
    """PNG or WebP bytes, both lossless."""
    sink = io.BytesIO()
    image.save(sink, kind, lossless=True) if kind == "WEBP" else image.save(sink, kind)
    return sink.getvalue()
