"""Image files for a map: read as they are meant, written whole, refused where values are lost."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from torch.nn.functional import interpolate

from srbench.errors import CorruptFile, DataError, StoreError, UsageError
from srbench.python import pictures
from srbench.python.pictures import Picture, format_of, read_picture, write_picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
COLOURS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def saved(tmp_path, image, name="in.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def enlarged(picture):
    """What a map that repeats pixels makes of a picture."""
    return picture.restored(interpolate(picture.pixels, scale_factor=picture.scale)[0])


def rgb():
    return Image.fromarray(COLOURS)


@pytest.mark.parametrize("name", ["in.png", "in.webp", "in.tif", "in.bmp", "in.ppm"])
def test_every_level_of_a_colour_survives(tmp_path, name):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    options = {"lossless": True} if name.endswith("webp") else {}
    picture = read_picture(saved(tmp_path, Image.fromarray(levels), name, **options), 1)
    assert picture.pixels.shape == (1, 3, 16, 16)
    assert float(picture.pixels.min()) == -1
    assert float(picture.pixels.max()) == 1
    assert np.array_equal(np.array(enlarged(picture)), levels)
    assert picture.notes == ()


def test_grey_and_palette_become_rgb(tmp_path):
    grey = rgb().convert("L")
    picture = read_picture(saved(tmp_path, grey), 2)
    assert picture.notes == ("restored as RGB",)
    assert np.array_equal(np.array(enlarged(picture))[::2, ::2, 1], np.array(grey))
    listed = rgb().quantize(8)
    picture = read_picture(saved(tmp_path, listed), 1)
    assert np.array_equal(np.array(enlarged(picture)), np.array(listed.convert("RGB")))
    assert read_picture(saved(tmp_path, grey.convert("1")), 1).pixels.unique().tolist() == [-1, 1]


def test_alpha_is_enlarged_beside_the_colours(tmp_path):
    image = rgb()
    image.putalpha(Image.linear_gradient("L").resize((9, 6)))
    for kind in (image, image.convert("LA")):
        picture = read_picture(saved(tmp_path, kind), 2)
        restored = enlarged(picture)
        assert restored.mode == "RGBA"
        assert restored.size == (18, 12)
        wanted = kind.getchannel("A").resize((18, 12), Image.Resampling.BICUBIC)
        assert np.array_equal(np.array(restored.getchannel("A")), np.array(wanted))
    assert "alpha is enlarged" in " ".join(picture.notes)


def test_transparent_colours_of_a_palette_are_alpha(tmp_path):
    path = saved(tmp_path, rgb().quantize(4), transparency=1)
    assert read_picture(path, 1).alpha is not None
    assert enlarged(read_picture(path, 1)).getchannel("A").getextrema() == (0, 255)


def test_exif_orientation_is_applied_once(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    path = saved(tmp_path, rgb(), exif=exif)
    picture = read_picture(path, 1)
    assert picture.size == (6, 9)
    assert np.array_equal(np.array(enlarged(picture)), np.rot90(COLOURS, -1))
    assert picture.notes == ("turned upright as its EXIF orientation says",)
    write_picture(enlarged(picture), tmp_path / "out.png")
    assert read_picture(tmp_path / "out.png", 1).size == (6, 9)


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.webp", "out.tiff"])
def test_a_colour_profile_is_kept_and_said(tmp_path, name):
    picture = read_picture(saved(tmp_path, rgb(), icc_profile=SRGB), 1)
    assert "sRGB" in picture.notes[0]
    write_picture(enlarged(picture), tmp_path / name)
    with Image.open(tmp_path / name) as written:
        assert written.info["icc_profile"] == SRGB


def test_a_profile_of_grey_is_left_out_and_said(tmp_path):
    profile = SRGB[:16] + b"GRAY" + SRGB[20:]
    picture = read_picture(saved(tmp_path, rgb().convert("L"), icc_profile=profile), 1)
    assert picture.profile == b""
    assert "left out" in picture.notes[0]
    odd = SRGB[:130] + b"\0" * (len(SRGB) - 130)  # its description cannot be read
    assert "unnamed" in read_picture(saved(tmp_path, rgb(), icc_profile=odd), 1).notes[0]


def chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, bits, colour, rows=b""):
    """A PNG file as its parts say, whatever its pixels are."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


def sixteen_bit_tiff():
    sink = io.BytesIO()
    Image.fromarray(COLOURS[..., 0].astype(np.uint16)).save(sink, "TIFF")
    return sink.getvalue()


@pytest.mark.parametrize(("content", "words"), [
    (png(2, 1, 16, 2, b"\0" + bytes(12)), "16 bits per value"),
    (png(2, 1, 16, 0, b"\0" + bytes(4)), "16 bits per value"),
    (png(2, 1, 16, 6, b"\0" + bytes(16)), "16 bits per value"),
    (sixteen_bit_tiff(), "16 bits per value"),
    (b"P6 2 1 65535\n" + bytes(12), "16 bits per value"),
    (b"P5 2 1 65535\n" + bytes(4), "more than 8 bits"),
    (png(2**15, 2**15, 8, 2), "more than the 268 million"),
    (png(2**31 - 1, 2**31 - 1, 8, 0), "more than the 268 million")])
def test_what_would_lose_values_or_fill_memory_is_refused_by_its_header(tmp_path, content, words):
    path = tmp_path / "in.any"
    path.write_bytes(content)
    with pytest.raises(DataError) as told:
        read_picture(path, 4)
    assert words in told.value.message
    assert told.value.hint


def test_the_limit_is_that_of_the_restored_image(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_PIXELS", 9 * 6 * 4)
    path = saved(tmp_path, rgb())
    assert read_picture(path, 2).size == (18, 12)
    with pytest.raises(DataError, match="9 x 6 pixels"):
        read_picture(path, 3)


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "HSV", "I", "F"])
def test_kinds_of_colour_that_depend_on_more_are_refused(mode):
    image = Image.new(mode, (4, 4))
    with pytest.raises(DataError, match=r"mode|bits"):
        Picture.of(image, 1)


def test_animations_and_several_pages_are_refused(tmp_path):
    frames = [rgb(), rgb().rotate(90)]
    for name in ("in.gif", "in.webp", "in.tif"):
        path = saved(tmp_path, frames[0], name, save_all=True, append_images=frames[1:])
        with pytest.raises(DataError, match="2 frames or pages"):
            read_picture(path, 1)


def cut(content):
    return content[:len(content) // 2]


def flipped(content):
    return content[:60] + bytes(b ^ 0xFF for b in content[60:80]) + content[80:]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("damage", [cut, flipped, lambda content: content[:10],
                                    lambda content: b"", lambda content: b"<svg/>"])
def test_damaged_files_are_named_or_read_but_never_crash(tmp_path, kind, damage):
    big = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    sink = io.BytesIO()
    big.save(sink, kind, **({"lossless": True} if kind == "WEBP" else {}))
    path = tmp_path / "in.any"
    path.write_bytes(damage(sink.getvalue()))
    if damage is flipped and kind in ("JPEG", "TIFF"):  # no check sum over their pixels
        with contextlib.suppress(CorruptFile):
            assert read_picture(path, 1).pixels.isfinite().all()
        return
    with pytest.raises(CorruptFile) as told:
        read_picture(path, 1)
    assert str(path) in told.value.message


def test_what_is_no_file_or_may_not_be_read(tmp_path, monkeypatch):
    for path in (tmp_path, tmp_path / "absent.png"):
        with pytest.raises(DataError, match="no image file"):
            read_picture(path, 1)
    path = saved(tmp_path, rgb())
    monkeypatch.setattr(pictures, "MOST_BYTES", 10)
    with pytest.raises(DataError, match="at most 10"):
        read_picture(path, 1)


def test_the_limit_of_pillow_is_as_it_was(tmp_path):
    before = Image.MAX_IMAGE_PIXELS
    read_picture(saved(tmp_path, rgb()), 1)
    assert before == Image.MAX_IMAGE_PIXELS


def test_an_output_that_is_not_finite_is_refused():
    picture = Picture.of(rgb(), 1)
    with pytest.raises(DataError, match="not finite"):
        picture.restored(picture.pixels[0] * float("nan"))
    loud = picture.restored(torch.full((3, 6, 9), 7.0))
    assert loud.getextrema() == ((255, 255),) * 3


@pytest.mark.parametrize(("name", "alpha", "words"), [
    ("out.gif", False, "'.gif' names no format"), ("out", False, "'' names no format"),
    ("out.jpg", True, "no place for the alpha"), ("out.bmp", True, "no place for the alpha")])
def test_formats_that_are_not_written(tmp_path, name, alpha, words):
    with pytest.raises(UsageError) as told:
        format_of(tmp_path / name, alpha=alpha)
    assert words in told.value.message


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "out.png"
    write_picture(rgb(), path)
    before = path.read_bytes()

    def fail(self, file, *args, **options):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(StoreError, match="No space left"):
        write_picture(rgb(), path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["out.png"]
