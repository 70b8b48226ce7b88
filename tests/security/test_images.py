"""Images of data sets: what is no 8-bit RGB PNG, or claims too much, is refused by its header."""

from __future__ import annotations

import io
import os
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from srbench.errors import DataError
from srbench_aim19 import layout, png
from srbench_aim19.layout import list_images, locate
from srbench_aim19.png import BadImage, read_png, read_shape
from tests.aim19.conftest import chunk, make_copy, opened, picture
from tests.aim19.conftest import png as png_file


def saved(mode, kind):
    buffer = io.BytesIO()
    Image.fromarray(picture((9, 9), 0)).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def header(width, height, depth=8, colour=2):
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", width.to_bytes(4) + height.to_bytes(4)
                                         + bytes([depth, colour, 0, 0, 0])))


@pytest.mark.parametrize(("content", "reason"), [
    (saved("CMYK", "JPEG"), "is no PNG"), (saved("L", "JPEG"), "is no PNG"),
    (saved("RGB", "WEBP"), "is no PNG"), (saved("CMYK", "TIFF"), "is no PNG"),
    (saved("RGBA", "PNG"), "has alpha"), (saved("L", "PNG"), "is grey"),
    (saved("1", "PNG"), "is grey"), (saved("I;16", "PNG"), "is grey"), (b"", "is empty"),
    (header(9, 9, depth=16), "has 16 bits per channel"),
    (header(20_000, 20_000), "claims 20000 x 20000 pixels"),
    (header(2**31 - 1, 2**31 - 1), "claims 2147483647 x 2147483647 pixels")])
def test_what_is_refused_by_its_header(tmp_path, content, reason):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for read in (read_shape, read_png):
        with pytest.raises(BadImage) as caught:
            read(path)
        assert str(caught.value) == reason


def test_a_bomb_takes_no_memory(tmp_path):
    """A whole PNG of 20,000 x 20,000 pixels, 1.2 GB unpacked."""
    squeeze, row = zlib.compressobj(1), bytes(1 + 3 * 20_000)
    data = b"".join(squeeze.compress(row * 100) for _ in range(200)) + squeeze.flush()
    path = tmp_path / "a.png"
    path.write_bytes(header(20_000, 20_000) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    del data
    tracemalloc.start()
    try:
        with pytest.raises(BadImage, match="claims 20000 x 20000 pixels"):
            read_png(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_more_bytes_than_pixels_explain(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(png_file(picture((9, 9), 0), extra=chunk(b"teXt", bytes(2**25))))
    with pytest.raises(BadImage, match="bytes for 9 x 9 pixels"):
        read_png(path)
    monkeypatch.setattr(png, "_BESIDE", 2**26)
    assert read_png(path).shape == (9, 9, 3)


def test_missing_extra_and_renamed_pairs_are_listed_by_side(tmp_path):
    copy = make_copy(tmp_path / "copy")
    copy.path("lr-test", "0801").unlink()  # missing
    copy.path("hr-test", "0802").rename(copy.path("hr-test", "0802_x4"))  # renamed
    copy.put("lr-test", "9999", picture((33, 41), 77))  # extra
    for complete in (True, False):  # the names, also where the counts are wrong
        with pytest.raises(DataError) as caught:
            opened(root=str(copy.root), complete=complete)
        assert caught.value.message == (
            "4 validation images have no partner of the same name: LR without HR: 0802, 9999; "
            "HR without LR: 0801, 0802_x4")


def test_every_name_that_is_there_twice_is_listed(tmp_path):
    copy = make_copy(tmp_path / "copy")
    (copy.folder("hr") / "more").mkdir()
    for stem in ("0001", "0003"):
        (copy.folder("hr") / "more" / f"{stem}.PNG").write_bytes(
            copy.path("hr", stem).read_bytes())
    with pytest.raises(DataError) as caught:
        copy.open()
    assert caught.value.message.count("two HR training images have the name") == 2
    assert "name 0001: " in caught.value.message
    assert "name 0003: " in caught.value.message


def test_a_hundred_names_and_the_number_of_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "SHOWN", 3)
    copy = make_copy(tmp_path / "copy")
    for index in range(5):
        copy.put("hr-test", f"x{index}", picture((132, 164), index))
    with pytest.raises(DataError, match=r"HR without LR: x0, x1, x2, and 2 more \(LR and HR"):
        copy.open()


def test_a_file_changed_with_its_size_and_time_kept_is_noticed(tmp_path):
    copy = make_copy(tmp_path / "copy")
    path, pixels = copy.path("lr", "000002"), copy.pixels["lr"]["000002"]

    def listing():
        return list_images(*locate(str(copy.root))).digest

    path.write_bytes(png_file(pixels).ljust(20_000, b"\0"))  # bytes behind the end are no fault
    before, state, first = copy.open().fingerprint(), path.stat(), listing()
    path.write_bytes(png_file(255 - pixels).ljust(20_000, b"\0"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (state.st_mtime_ns, state.st_size)
    assert listing() != first
    assert copy.open().fingerprint() != before


def test_arrays_of_images_are_what_was_written(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_file(picture((9, 9), 0)))
    assert np.array_equal(read_png(path), picture((9, 9), 0))
