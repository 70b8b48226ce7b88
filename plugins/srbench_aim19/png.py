"""PNG files read strictly: 8-bit RGB, whole, every checksum right.

Pillow alone is too kind for a benchmark: it turns 16 bits into 8, drops alpha on conversion and
does not compare the checksums of pixel data.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = {0: "is grey", 3: "has a palette", 4: "is grey with alpha", 6: "has alpha"}
_LARGEST = 1 << 26  # pixels: 8192 x 8192
_BYTES, _BESIDE = 4, 1 << 24  # of a file: for each pixel, and for what is written beside them


class BadImage(Exception):
    """An image that cannot be used; its text says why, after the name of the file."""


def read_shape(path: Path) -> tuple[int, int]:
    """Height and width of an 8-bit RGB PNG from its first bytes.

    Raises
    ------
    BadImage
        If it is none.
    """
    try:
        with path.open("rb") as file:
            head = file.read(33)
    except OSError as error:
        raise BadImage(f"cannot be read: {error.strerror}") from error
    return _shape(head)


def _shape(head: bytes) -> tuple[int, int]:
    if head[:8] != _SIGNATURE:
        raise BadImage("is no PNG" if head else "is empty")
    if len(head) < 33:
        raise BadImage("is truncated")
    length, kind, width, height, depth, colour = struct.unpack(">I4sIIBB", head[8:26])
    if (length, kind) != (13, b"IHDR") or zlib.crc32(head[12:29]) != int.from_bytes(head[29:33]):
        raise BadImage("is corrupt: its header is damaged")
    if colour != 2:
        raise BadImage(_COLOURS.get(colour, f"has the unknown colour type {colour}"))
    if depth != 8:
        raise BadImage(f"has {depth} bits per channel")
    if not 0 < width * height <= _LARGEST:
        raise BadImage(f"claims {width} x {height} pixels")
    return height, width


def read_png(path: Path) -> np.ndarray:
    """Read an 8-bit RGB PNG as (h, w, 3) uint8.

    Raises
    ------
    BadImage
        If it is none, is truncated or corrupt.
    """
    height, width = read_shape(path)
    try:
        size = path.stat().st_size
        if size > _BYTES * height * width + _BESIDE:
            raise BadImage(f"has {size:,} bytes for {width} x {height} pixels")
        content = path.read_bytes()
    except OSError as error:
        raise BadImage(f"cannot be read: {error.strerror}") from error
    if b"tRNS" in set(_chunks(content)):
        raise BadImage("has a transparent colour")
    try:
        with Image.open(io.BytesIO(content)) as image:
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, zlib.error) as error:  # Pillow's for damaged files
        raise BadImage(f"is corrupt: {error}") from error
    if pixels.shape != (height, width, 3) or pixels.dtype != np.uint8:
        raise BadImage(f"is corrupt: it decodes to {pixels.shape} {pixels.dtype}")
    return pixels


def _chunks(content: bytes) -> Iterator[bytes]:
    """Yield the type of each chunk up to IEND, whose checksums are right."""
    place, view = len(_SIGNATURE), memoryview(content)
    while True:
        if place + 12 > len(content):
            raise BadImage("is truncated")
        length, kind = struct.unpack_from(">I4s", content, place)
        end = place + 8 + length
        if end + 4 > len(content):
            raise BadImage("is truncated")
        if zlib.crc32(view[place + 4:end]) != int.from_bytes(view[end:end + 4]):
            raise BadImage(f"is corrupt: wrong checksum at byte {place:,}")
        yield kind
        if kind == b"IEND":
            return
        place = end + 4
