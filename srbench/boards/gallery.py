"""The image rows of a board.

Every method is shown on the same images at the same place: the first test images, the central
square of each, never chosen by hand.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from srbench.boards.table import natural_key
from srbench.results.frame import shown_labels
from srbench.results.record import Record, Status
from srbench.results.samples import encode, open_rgb

ROWS = 8
SIDE = 64  # pixels of the HR square that is shown, on images of one size
PHOTOGRAPH_SIDE = 128  # the same on photographs with super-resolution
BUDGET = 1_500_000  # bytes of all images in a page, as base64; the page itself may have 2 MiB


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One image of the page: a data URI, or None where the file is missing."""

    alt: str
    uri: str | None


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """One row of pictures per test image; ``available`` counts the images before any were cut."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Picture, ...], ...]
    available: int
    crop: str


def make_gallery(records: Sequence[Record], cells: Path) -> Gallery | None:
    """Collect the sample images of one board's records.

    Parameters
    ----------
    records : sequence of Record
        Of one board. Of each method the lowest seed that has images is shown; sweeps are in
        numerical order.
    cells : Path
        Folder of the cells' folders.

    Returns
    -------
    Gallery or None
        None where no cell has images. Images are cut from the end to stay below `BUDGET`.
    """
    shown = _shown(records, cells)
    if not shown:
        return None
    labels = sorted(shown, key=natural_key)
    seed = {label: shown[label][0] for label in labels}
    folders = [shown[label][1] for label in labels]
    sources = [("LR input", "lr", folders[0]),
               *((f"{label}, seed {seed[label]}", "prediction", shown[label][1])
                 for label in labels), ("HR target", "hr", folders[0])]
    available = max(index + 1 for kind in ("hr", "prediction") for index in range(ROWS)
                    if (folders[0] / f"{kind}_{index}.png").is_file())
    side = SIDE if records[0].identity.scale == 1 else PHOTOGRAPH_SIDE
    rows: list[tuple[Picture, ...]] = []
    size = 0
    for index in range(available):
        row = tuple(_picture(f"Test image {index + 1}: {name}", folder / f"{kind}_{index}.png",
                             folders[0] / f"hr_{index}.png", side)
                    for name, kind, folder in sources)
        size += sum(len(picture.uri or "") for picture in row)
        if size > BUDGET:
            break
        rows.append(row)
    return Gallery(headings=("LR input", *labels, "HR target"), rows=tuple(rows),
                   available=available, crop=_crop_words(folders[0], side))


def _shown(records: Sequence[Record], cells: Path) -> dict[str, tuple[int, Path]]:
    """Label -> lowest seed with images, and their folder."""
    shown: dict[str, tuple[int, Path]] = {}
    for record, label in zip(records, shown_labels(records), strict=True):
        folder = cells / record.identity.key / "images"
        done = (record.outcome.status is Status.OK and not folder.is_symlink()
                and (folder / "prediction_0.png").is_file())
        if done and record.identity.seed < shown.get(label, (math.inf, folder))[0]:
            shown[label] = record.identity.seed, folder
    return shown


def _picture(alt: str, file: Path, hr_file: Path, side: int) -> Picture:
    """Crop one file as its HR image is cropped and embed it."""
    try:
        image, hr = open_rgb(file), open_rgb(hr_file)
    except OSError:  # absent, or not an image
        return Picture(alt=f"{alt} (missing)", uri=None)
    square = image.crop(crop_box(image.size, hr.size, side))
    return Picture(alt=alt, uri="data:image/webp;base64,"
                   + base64.b64encode(encode(square, "WEBP")).decode())


def crop_box(size: tuple[int, int], hr_size: tuple[int, int],
             shown: int = SIDE) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the central square of HR pixels, in pixels of an image.

    Parameters
    ----------
    size, hr_size : tuple of int
        (width, height) of the image and of its HR image; the image may be smaller by the scale.
    shown : int
        Side of the square in HR pixels.
    """
    box = []
    for length, hr_length in zip(size, hr_size, strict=True):
        scale = max(1, round(hr_length / length))
        side = min(shown, hr_length) // scale
        start = (hr_length - side * scale) // 2 // scale
        box.append((start, start + side))
    return box[0][0], box[1][0], box[0][1], box[1][1]


def _crop_words(folder: Path, side: int) -> str:
    try:
        width, height = open_rgb(folder / "hr_0.png").size
    except OSError:  # absent, or not an image: its row says so
        return f"at most {side} x {side} px of the centre"
    if max(width, height) <= side:
        return f"whole images of {width} x {height} px"
    return f"the central {side} x {side} px of {width} x {height}"
