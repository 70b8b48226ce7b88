"""PNG files: read exactly or refused with the reason."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image
from skimage.io import imread

from srbench_aim19.png import BadImage, read_png, read_shape
from tests.aim19.conftest import chunk, picture, png

PIXELS = picture((40, 53), 1)
WHOLE = png(PIXELS)


def saved(mode: str, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def damaged(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1:]


def test_pixels_and_shape(tmp_path):
    path = tmp_path / "a.png"
    for content in (WHOLE, saved("RGB"), saved("RGB", compress_level=0), WHOLE + b"behind the end",
                    png(PIXELS, extra=chunk(b"gAMA", (45455).to_bytes(4)))):
        path.write_bytes(content)
        assert read_shape(path) == (40, 53)
        assert np.array_equal(read_png(path), PIXELS)
        assert read_png(path).dtype == np.uint8


@pytest.mark.parametrize("name", ["astronaut.png", "coffee.png", "motorcycle_left.png"])
def test_photographs_as_another_library_reads_them(name):
    path = Path(skimage.__file__).parent / "data" / name
    assert np.array_equal(read_png(path), imread(path))
    assert read_shape(path) == read_png(path).shape[:2]


@pytest.mark.parametrize(("content", "reason"), [
    (b"", "is empty"),
    (saved("RGB", "JPEG"), "is no PNG"),
    (b"<html>please log in</html>", "is no PNG"),
    (WHOLE[:20], "is truncated"),
    (saved("L"), "is grey"),
    (saved("LA"), "is grey with alpha"),
    (saved("P"), "has a palette"),
    (saved("RGBA"), "has alpha"),
    (png(PIXELS.astype(np.uint16) * 257), "has 16 bits per channel"),
    (png(PIXELS, colour=7), "has the unknown colour type 7"),
    (damaged(WHOLE, 18), "is corrupt: its header is damaged"),
    (WHOLE[:8] + chunk(b"IHDR", (60000).to_bytes(4) * 2 + b"\x08\x02\0\0\0"),
     "claims 60000 x 60000 pixels"),
    (WHOLE[:8] + chunk(b"IHDR", bytes(8) + b"\x08\x02\0\0\0"), "claims 0 x 0 pixels"),
])
def test_faults_the_header_shows(tmp_path, content, reason):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for read in (read_shape, read_png):
        with pytest.raises(BadImage) as caught:
            read(path)
        assert str(caught.value) == reason


@pytest.mark.parametrize(("content", "reason"), [
    (WHOLE[:len(WHOLE) // 2], "is truncated"),
    (WHOLE[:-12], "is truncated"),
    (WHOLE[:-4], "is truncated"),
    (damaged(WHOLE, len(WHOLE) // 2), "is corrupt: wrong checksum at byte 33"),
    (damaged(WHOLE, 60), "is corrupt: wrong checksum at byte 33"),
    (png(PIXELS, extra=chunk(b"tRNS", bytes(6))), "has a transparent colour"),
    (WHOLE[:33] + chunk(b"IDAT", zlib.compress(b"\0" * 500)) + chunk(b"IEND", b""), "is corrupt:"),
    (WHOLE[:33] + chunk(b"IDAT", b"no deflate stream") + chunk(b"IEND", b""), "is corrupt:"),
    (WHOLE[:33] + chunk(b"IEND", b""), "is corrupt:"),
])
def test_faults_the_pixels_show(tmp_path, content, reason):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert read_shape(path) == (40, 53)
    with pytest.raises(BadImage) as caught:
        read_png(path)
    assert str(caught.value).startswith(reason)


def test_pillow_alone_would_take_some_of_them(tmp_path):
    """Why this module exists: 16 bits and a wrong checksum go unnoticed without it."""
    deep = Image.open(io.BytesIO(png(PIXELS.astype(np.uint16) * 257)))
    assert deep.mode == "RGB"
    assert np.asarray(deep).dtype == np.uint8


def test_absent_files(tmp_path):
    for read in (read_shape, read_png):
        with pytest.raises(BadImage, match="cannot be read: No such file"):
            read(tmp_path / "absent.png")
