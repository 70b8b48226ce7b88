"""The deterministic PNG writer: what decoders read back, exact bytes, size beside zlib's."""

from __future__ import annotations

import hashlib
import io
import itertools
import zlib

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from srbench.boards.pixels.png import (
    code_lengths,
    compress,
    encode_indexed,
    encode_rgb,
    plain_chunks,
)

PHOTOGRAPH = skimage.data.astronaut()[100:164, 150:214]


def read(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def images():
    draw = np.random.default_rng(0)
    ramp = np.arange(256, dtype=np.uint8)[:, None].repeat(64, 1)
    return {"photograph": PHOTOGRAPH, "flat": np.full((300, 200, 3), 7, np.uint8),
            "noise": draw.integers(0, 256, (150, 160, 3), np.uint8),
            "pixel": np.array([[[1, 2, 3]]], np.uint8), "row": PHOTOGRAPH[:1],
            "column": PHOTOGRAPH[:, :1], "ramp": np.stack([ramp, ramp.copy() // 2, 255 - ramp], 2)}


@pytest.mark.parametrize("name", images())
def test_pillow_reads_back_every_pixel(name):
    pixels = images()[name]
    assert np.array_equal(read(encode_rgb(pixels)), pixels)


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=2000), st.integers(1, 40))
def test_zlib_reads_back_any_bytes(data, times):
    content = np.frombuffer(data * times, np.uint8)
    assert zlib.decompress(compress(content)) == content.tobytes()


@pytest.mark.parametrize("length", [1, 2, 3, 4, 258, 259, 260, 261, 262, 516, 65_535, 65_536])
def test_runs_of_every_awkward_length(length):
    content = np.concatenate([np.zeros(length, np.uint8), [9], np.full(length, 3, np.uint8)]
                             ).astype(np.uint8)
    assert zlib.decompress(compress(content)) == content.tobytes()


def test_photographs_are_as_small_as_those_of_zlib():
    sink = io.BytesIO()
    Image.fromarray(PHOTOGRAPH).save(sink, "PNG")
    assert len(encode_rgb(PHOTOGRAPH)) < 1.05 * len(sink.getvalue())


def test_noise_costs_no_more_than_its_bytes():
    noise = images()["noise"]
    assert noise.size < len(encode_rgb(noise)) < noise.size + 400


def test_bytes_are_those_of_every_other_machine():
    """A changed digest means that every committed page changes."""
    digests = {name: hashlib.sha256(encode_rgb(np.ascontiguousarray(pixels))).hexdigest()[:16]
               for name, pixels in (("ramp", images()["ramp"]), ("flat", images()["flat"]))}
    assert digests == {"ramp": "9a482eea26bb020f", "flat": "3fd6a4bb3be1fa28"}


def test_indexed_images_keep_their_colours_and_their_transparent_ground():
    indices = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    content = encode_indexed(indices, [(0, 0, 0), (255, 0, 0), (1, 2, 3)])
    with Image.open(io.BytesIO(content)) as png:
        assert png.mode == "P"
        rgba = np.asarray(png.convert("RGBA"))
    assert rgba[0].tolist() == [[0, 0, 0, 0], [255, 0, 0, 255], [1, 2, 3, 255]]
    assert rgba[1, 0].tolist() == [1, 2, 3, 255]


@pytest.mark.parametrize("pixels", [
    np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)),
    np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_rgb_image_is_refused(pixels):
    with pytest.raises(ValueError, match="not 8-bit"):
        encode_rgb(pixels)


@pytest.mark.parametrize("palette", [[], [(0, 0, 0)] * 257, [(0, 0, 0)]])
def test_indices_without_a_colour_are_refused(palette):
    with pytest.raises(ValueError, match="no indexed image"):
        encode_indexed(np.array([[0, 1]], np.uint8), palette)


def cost(counts, lengths):
    return sum(count * length for count, length in zip(counts, lengths, strict=True))


def test_lengths_are_optimal_under_their_limit():
    """Against every code of five words that the limit allows."""
    counts = [1, 1, 2, 5, 40]
    for most in (3, 4):
        best = min(cost(counts, lengths) for lengths in
                   itertools.product(range(1, most + 1), repeat=5)
                   if sum(2.0**-length for length in lengths) <= 1)
        assert cost(counts, code_lengths(counts, most)) == best
        assert max(code_lengths(counts, most)) <= most


def test_fibonacci_counts_stay_within_the_limit_and_fill_the_code():
    counts = [1, 1]
    while len(counts) < 40:
        counts.append(counts[-1] + counts[-2])
    lengths = code_lengths(counts, 15)
    assert max(lengths) == 15
    assert sum(2.0**-length for length in lengths) == 1
    assert code_lengths([0, 3, 0], 15) == [0, 1, 0]


def test_only_files_without_anything_beside_the_image_are_plain(tmp_path):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("comment", "hello")
    with_text, without, animated = io.BytesIO(), io.BytesIO(), io.BytesIO()
    picture = Image.fromarray(PHOTOGRAPH)
    picture.save(with_text, "PNG", pnginfo=info)
    picture.save(without, "PNG")
    picture.save(animated, "PNG", save_all=True, append_images=[Image.new("RGB", (64, 64), "red")])
    assert plain_chunks(without.getvalue())
    assert plain_chunks(encode_rgb(PHOTOGRAPH))
    for content in (with_text.getvalue(), animated.getvalue(), without.getvalue() + b"more",
                    without.getvalue()[:-1], b"", b"GIF89a", without.getvalue()[:8]):
        assert not plain_chunks(content)
