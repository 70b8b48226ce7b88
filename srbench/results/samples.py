"""Sample images of a cell as 8-bit files: written by its process, read by boards."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from srbench.files import atomic_write

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

KINDS = ("lr", "prediction", "hr")


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
    """Read an image file as RGB; raises OSError where that fails."""
    from PIL import Image

    with Image.open(path) as image:
        return image.convert("RGB")


def _image(pixels: NDArray[np.uint8]) -> Image:
    from PIL import Image

    return Image.fromarray(pixels)


def encode(image: Image, kind: str) -> bytes:
    """PNG or WebP bytes, both lossless."""
    sink = io.BytesIO()
    image.save(sink, kind, lossless=True) if kind == "WEBP" else image.save(sink, kind)
    return sink.getvalue()
