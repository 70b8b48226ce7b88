"""Clouds of colours: read from a cell, drawn, compared. Whole numbers only, so no bit can differ.

Colours are whole numbers of 255ths, not clamped. The picture is an orthographic view of the RGB
cube from above its green corner: grey runs up from black to white, blue lies left, red right.
"""

from __future__ import annotations

import math
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srbench.boards.pixels.png import encode_indexed

SHOWN = 1024  # pixels of each kind that a cell keeps
LARGEST = 2**20  # bytes of the file
KINDS = ("lr", "prediction", "hr")
WIDTH, HEIGHT = 184, 184
SCALE, LOW = 106, 170  # pixels of the unit length; row of the black corner
# Thousandths by which a channel moves a point right, up, and away from the eye.
RIGHT, UP, AWAY = (707, 0, -707), (296, 908, 296), (642, -418, 642)
LEVELS = (6, 7, 6)  # colours that dots are drawn in
EDGE = 1  # index of the cube's edges; 0 is transparent
GREY_EDGE = (122, 122, 122)
# One of each pair of opposite neighbours in the lattice: 13 directions.
DIRECTIONS = tuple((r, g, b) for r in (-1, 0, 1) for g in (-1, 0, 1) for b in (-1, 0, 1)
                   if (r, g, b) > (0, 0, 0))

Colours = NDArray[np.int64]


def read_clouds(path: Path) -> dict[str, Colours]:
    """Clouds by kind, of shape (1024, 3); empty where the file is none of ours.

    What the file says of itself is looked at before anything is unpacked.
    """
    parquet: Any = import_module("pyarrow.parquet")  # its functions carry no types
    try:
        if path.stat().st_size > LARGEST:
            return {}
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            rows = file.metadata.num_rows
            sizes = [file.metadata.row_group(index).total_byte_size
                     for index in range(file.metadata.num_row_groups)]
            if rows != len(KINDS) * SHOWN or file.metadata.num_columns > 8 or sum(sizes) > LARGEST:
                return {}
            table = file.read(columns=["kind", "r", "g", "b"], use_threads=False)
        kinds = np.array(table.column("kind").to_pylist(), dtype=object)
        colours = np.stack([table.column(name).to_numpy().astype(np.float64) for name in "rgb"], 1)
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError, MemoryError):
        return {}
    if not np.isfinite(colours).all() or abs(colours).max() > 1e6:
        return {}
    whole = np.rint(255 * colours).astype(np.int64)
    clouds = {kind: whole[kinds == kind] for kind in KINDS}
    return clouds if all(len(cloud) == SHOWN for cloud in clouds.values()) else {}


def draw(cloud: Colours) -> bytes:
    """PNG of a cloud, 184 x 184 pixels, transparent around it.

    Parameters
    ----------
    cloud : array of shape (N, 3)
        Those outside the cube are drawn where they are, in the colour of its nearest point, unless
        the picture has no room for them.
    """
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    corners = [(255 * (n >> 2), 255 * (n >> 1 & 1), 255 * (n & 1)) for n in range(8)]
    for n, start in enumerate(corners):
        for bit in (1, 2, 4):
            if not n & bit:
                _line(canvas, start, corners[n | bit])
    order = np.argsort(-(cloud * np.array(AWAY)).sum(1), kind="stable")
    x, y = _places(cloud[order])
    colours = _indices(cloud[order])
    for column, row, colour in zip(x.tolist(), y.tolist(), colours.tolist(), strict=True):
        if 0 <= column < WIDTH - 1 and 0 <= row < HEIGHT - 1:
            canvas[row:row + 2, column:column + 2] = colour
    return encode_indexed(canvas, palette())


def palette() -> list[tuple[int, int, int]]:
    """Colours of the picture's indices."""
    steps = [[255 * step // (count - 1) for step in range(count)] for count in LEVELS]
    return [(0, 0, 0), GREY_EDGE, *((r, g, b) for r in steps[0] for g in steps[1]
                                    for b in steps[2])]


def _indices(cloud: Colours) -> NDArray[np.uint8]:
    inside = np.clip(cloud, 0, 255)
    r, g, b = ((2 * inside[:, channel] * (count - 1) + 255) // 510
               for channel, count in enumerate(LEVELS))
    return ((r * LEVELS[1] + g) * LEVELS[2] + b + 2).astype(np.uint8)


def _places(cloud: Colours) -> tuple[Colours, Colours]:
    """Column and row of the left upper pixel of each dot."""
    right = (cloud * np.array(RIGHT)).sum(1) * SCALE // 255_000
    up = (cloud * np.array(UP)).sum(1) * SCALE // 255_000
    return WIDTH // 2 - 1 + right, LOW - up


def _line(canvas: NDArray[np.uint8], start: tuple[int, int, int],
          end: tuple[int, int, int]) -> None:
    ends = np.array([start, end])
    steps = np.arange(256)[:, None]
    x, y = _places((ends[0] * (255 - steps) + ends[1] * steps) // 255)
    canvas[y, x] = EDGE


def distance(cloud: Colours, other: Colours) -> float:
    """Sliced Wasserstein-2 distance of two clouds of one size, for colours in [0, 1].

    Over the 13 directions to the neighbours in a lattice, each pair of opposite ones once.
    """
    total = 0.0
    for direction in DIRECTIONS:
        first, second = (np.sort((part * np.array(direction)).sum(1)) for part in (cloud, other))
        gap = first - second
        total += int((gap * gap).sum()) / sum(part * part for part in direction)
    return math.sqrt(total / len(DIRECTIONS) / len(cloud)) / 255


def variance(cloud: Colours) -> float:
    """Total variance of a cloud, the population variances of the channels summed."""
    count = len(cloud)
    squares, sums = int((cloud * cloud).sum()), [int(part) for part in cloud.sum(0)]
    return (count * squares - sum(part * part for part in sums)) / (count * 255) ** 2
