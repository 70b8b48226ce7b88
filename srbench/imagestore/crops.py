"""Square crops of images of different sizes: where, which way round, and cutting them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import ArrayLike

from srbench.errors import DataError

TURNS: Final = 8  # elements of the dihedral group of the square


def turned(image: np.ndarray, turn: int) -> np.ndarray:
    """Return one of the eight flips and rotations of an image (h, w, c), as a view.

    Turn ``t`` mirrors left and right if ``t >= 4``, then rotates by ``t % 4`` quarter turns
    counter-clockwise; 0 changes nothing. The same turn leaves aligned crops of two scales aligned.
    """
    return np.rot90(image[:, ::-1] if turn >= 4 else image, turn % 4)


def random_places(shapes: ArrayLike, n: int, size: int, generator: torch.Generator,
                  grid: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw ``n`` places of square crops: the image uniformly, then the position within it.

    Parameters
    ----------
    shapes : array_like of shape (images, 2)
        Heights and widths, e.g. `ImageStore.shapes`.
    n, size : int
        Number and side of the crops.
    generator : torch.Generator
        On the CPU; the places are a function of its state alone.
    grid : int
        Positions are multiples of it.

    Returns
    -------
    which, tops, lefts : ndarray of shape (n,)
        int64, as `ImageStore.crops` takes them.

    Raises
    ------
    DataError
        If some image does not hold a crop.
    """
    sides = np.asarray(shapes, dtype=np.int64).reshape(-1, 2)
    smallest = int(sides.min(initial=np.iinfo(np.int64).max)) if len(sides) else 0
    if size > smallest:
        raise DataError(f"not every image holds a crop of {size}: the smallest side is {smallest}")
    draws = torch.rand(n, 3, dtype=torch.float64, generator=generator).numpy()
    which = (draws[:, 0] * len(sides)).astype(np.int64)
    room = (sides[which] - size) // grid + 1
    corners = (draws[:, 1:] * room).astype(np.int64) * grid
    return which, corners[:, 0].copy(), corners[:, 1].copy()


def cut(images: Sequence[np.ndarray], shapes: np.ndarray, which: ArrayLike, tops: ArrayLike,
        lefts: ArrayLike, size: int, turns: ArrayLike | None) -> np.ndarray:
    """Copy crops out of ``images``; see `ImageStore.crops`."""
    places = np.stack([np.asarray(part, dtype=np.int64) for part in (which, tops, lefts)], 1)
    ways = np.zeros(len(places), dtype=np.int64) if turns is None else np.asarray(turns)
    if ways.shape != places.shape[:1] or ((ways < 0) | (ways >= TURNS)).any():
        raise DataError(f"turns must be {len(places)} numbers from 0 to {TURNS - 1}")
    if ((places < 0).any() or (places[:, 0] >= len(shapes)).any()
            or (places[:, 1:] + size > shapes[places[:, 0]]).any()):
        raise DataError(f"a crop of {size} reaches beyond its image")
    channels = images[0].shape[2]
    crops = np.empty((len(places), size, size, channels), images[0].dtype)
    for crop, (image, top, left), way in zip(crops, places.tolist(), ways.tolist(), strict=True):
        piece = images[image][top:top + size, left:left + size]
        if way == 0:
            crop[...] = piece
            continue
        # Long strides within the mapped file are slow, and so are loops over three values.
        view = turned(piece.copy(), way)
        for channel in range(channels):
            crop[..., channel] = view[..., channel]
    return crops
