"""What is cut from the kept images, and how it becomes a picture of the page."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from srbench.boards.pixels.cells import Stored
from srbench.boards.pixels.model import Picture
from srbench.boards.pixels.png import encode_rgb, plain_chunks

if TYPE_CHECKING:
    from markupsafe import Markup

SIDE = 64  # pixels of the HR square that is shown, on images of one size
PHOTOGRAPH_SIDE = 128  # the same on photographs with super-resolution
GAINS = (8, 4, 2, 1)
STEP = 8  # grey levels of a difference map lie so far apart, which makes it a third as large
GREY = 128
THUMBNAIL = 32  # most pixels of a side

Pixels8 = NDArray[np.uint8]
Box = tuple[int, int, int, int]


def crop_box(size: tuple[int, int], hr_size: tuple[int, int], shown: int = SIDE) -> Box:
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


def cut(pixels: Pixels8, box: Box) -> Pixels8:
    """Cut a box from an image of shape (h, w, 3)."""
    left, top, right, bottom = box
    return np.ascontiguousarray(pixels[top:bottom, left:right])


def picture(image: Stored, hr_size: tuple[int, int], shown: int) -> Picture:
    """Embed what is shown of an image; the file's own bytes where that is all of it."""
    box = crop_box(image.size, hr_size, shown)
    whole = box == (0, 0, *image.size)
    content = image.content if whole and plain_chunks(image.content) \
        and len(image.content) <= image.pixels.size + 1024 else encode_rgb(cut(image.pixels, box))
    scale = max(1, round(hr_size[0] / image.size[0]))
    return Picture(uri=data_uri(content), width=(box[2] - box[0]) * scale,
                   height=(box[3] - box[1]) * scale)


def difference_map(image: Pixels8, hr: Pixels8, gain: int) -> Pixels8:
    """Signed difference ``image - hr``: grey 128 is none, lighter is too much, darker too little.

    ``128 + gain (image - hr)`` of each channel, to the nearest multiple of 8, ends clamped.
    """
    error = gain * (image.astype(np.int64) - hr.astype(np.int64))
    return np.clip(GREY + STEP * ((error + STEP // 2) // STEP), 0, 255).astype(np.uint8)


def difference_picture(image: Stored, hr: Stored, shown: int, gain: int) -> Picture:
    """Embed the difference map of what is shown."""
    box = crop_box(image.size, hr.size, shown)
    pixels = difference_map(cut(image.pixels, box), cut(hr.pixels, box), gain)
    return Picture(uri=data_uri(encode_rgb(pixels)), width=box[2] - box[0],
                   height=box[3] - box[1])


def choose_gain(errors: list[Pixels8]) -> int:
    """The largest factor at which half of the images have at most 5 % of their values clamped.

    Parameters
    ----------
    errors : list of arrays
        Absolute differences to HR in levels of 255, one array for each image.
    """
    if not errors:
        return GAINS[-1]
    tails = sorted(int(np.sort(error, axis=None)[(error.size - 1) * 95 // 100])
                   for error in errors)
    typical = tails[(len(tails) - 1) // 2]
    return next((gain for gain in GAINS if gain * typical < GREY), GAINS[-1])


def thumbnail(hr: Stored) -> Picture:
    """Embed a small view of a whole image: means of blocks, those at the edges left out."""
    pixels = hr.pixels
    block = -(-max(pixels.shape[:2]) // THUMBNAIL)
    tall, wide = (min(block, length) for length in pixels.shape[:2])  # a thin image has one row
    height, width = pixels.shape[0] // tall, pixels.shape[1] // wide
    blocks = pixels[:height * tall, :width * wide].astype(np.int64)
    means = blocks.reshape(height, tall, width, wide, 3).sum((1, 3)) // (tall * wide)
    small = np.ascontiguousarray(means.astype(np.uint8))
    return Picture(uri=data_uri(encode_rgb(small)), width=small.shape[1], height=small.shape[0])


def data_uri(content: bytes) -> Markup:
    """Address of a PNG file inside the page."""
    from markupsafe import Markup

    return Markup("data:image/png;base64," + base64.b64encode(content).decode())
