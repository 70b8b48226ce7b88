"""What is cut, what a difference map says, which bytes stand in the page."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from srbench.boards.pixels.cells import Stored, psnr
from srbench.boards.pixels.crops import (
    choose_gain,
    crop_box,
    difference_map,
    difference_picture,
    picture,
    thumbnail,
)
from tests.boards.pictures import decoded


def stored(pixels: np.ndarray, **options) -> Stored:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG", **options)
    return Stored(pixels, sink.getvalue())


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(("size", "hr_size", "box"), [
    ((64, 64), (64, 64), (0, 0, 64, 64)),
    ((32, 32), (32, 32), (0, 0, 32, 32)),
    ((256, 200), (256, 200), (96, 68, 160, 132)),
    ((64, 50), (256, 200), (24, 17, 40, 33)),  # scale 4: the same place, a quarter of the pixels
])
def test_the_crop_is_the_same_place_at_any_scale(size, hr_size, box):
    assert crop_box(size, hr_size) == box


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("size", [(64, 64), (100, 84), (40, 200), (256, 180)])
def test_crops_of_any_scale_cover_the_same_place(scale, size):
    width, height = size[0] // scale * scale, size[1] // scale * scale
    box = crop_box((width, height), (width, height))
    small = crop_box((width // scale, height // scale), (width, height))
    for low, large in zip(small, box, strict=True):
        assert abs(low * scale - large) < 2 * scale
    assert 0 <= small[0] < small[2] <= width // scale
    assert 0 <= small[1] < small[3] <= height // scale
    assert box[2] - box[0] == min(64, width)
    assert abs(box[0] + box[2] - width) <= 1
    assert abs(box[1] + box[3] - height) <= 1


def test_photographs_show_a_larger_square():
    assert crop_box((64, 64), (256, 256), 128) == (16, 16, 48, 48)
    assert crop_box((256, 256), (256, 256), 128) == (64, 64, 192, 192)


def test_a_whole_image_is_embedded_byte_by_byte():
    image = stored(noise(32, 32))
    shown = picture(image, (32, 32), 64)
    assert base64.b64decode(shown.uri.partition(",")[2]) == image.content
    assert (shown.width, shown.height) == (32, 32)


@pytest.mark.parametrize("options", [
    {"pnginfo": "text"}, {"save_all": True, "append_images": [Image.new("RGB", (32, 32))]}])
def test_a_file_with_more_than_its_image_is_written_anew(options):
    """Text could carry anything, an animation would show what was never measured."""
    if "pnginfo" in options:
        from PIL.PngImagePlugin import PngInfo
        options = {"pnginfo": PngInfo()}
        options["pnginfo"].add_text("note", "secret" * 9)
    image = stored(noise(32, 32), **options)
    content = base64.b64decode(picture(image, (32, 32), 64).uri.partition(",")[2])
    assert content != image.content
    assert b"secret" not in content
    assert b"acTL" not in content
    assert np.array_equal(decoded(picture(image, (32, 32), 64).uri), image.pixels)


def test_a_crop_holds_the_exact_pixels_of_the_centre():
    image = stored(noise(100, 90))
    assert np.array_equal(decoded(picture(image, (90, 100), 64).uri), image.pixels[18:82, 13:77])


def test_an_lr_picture_is_as_large_as_the_hr_pixels_it_covers():
    shown = picture(stored(noise(64, 64)), (256, 256), 128)
    assert decoded(shown.uri).shape == (32, 32, 3)
    assert (shown.width, shown.height) == (128, 128)


def test_differences_are_signed_around_grey():
    hr = np.full((1, 6, 3), 100, np.uint8)
    image = np.array([[100, 101, 104, 92, 255, 0]], np.uint8)[..., None].repeat(3, 2)
    # 128 + 2 (image - hr): 128, 130, 136, 112, 438, -72; to multiples of 8, clamped.
    assert difference_map(image, hr, 2)[0, :, 0].tolist() == [128, 128, 136, 112, 255, 0]


def test_channels_are_told_apart():
    hr, image = np.full((1, 1, 3), 90, np.uint8), np.array([[[106, 90, 74]]], np.uint8)
    assert difference_map(image, hr, 4).tolist() == [[[192, 128, 64]]]


def test_a_map_is_within_half_a_step_of_the_true_difference():
    image, hr = noise(40, 40, 1), noise(40, 40, 2)
    true = 128 + 2 * (image.astype(int) - hr.astype(int))
    inside = (true >= 4) & (true <= 251)
    assert abs(difference_map(image, hr, 2).astype(int) - true)[inside].max() <= 4
    assert (difference_map(hr, hr, 8) == 128).all()


def test_the_map_of_a_page_is_of_what_is_shown():
    image, hr = stored(noise(100, 100, 1)), stored(noise(100, 100, 2))
    shown = decoded(difference_picture(image, hr, 64, 1).uri)
    assert np.array_equal(shown, difference_map(image.pixels, hr.pixels, 1)[18:82, 18:82])


@pytest.mark.parametrize(("size", "gain"), [(3, 8), (16, 4), (40, 2), (90, 1)])
def test_the_gain_leaves_typical_errors_unclamped(size, gain):
    typical = np.full((4, 4, 3), size, np.uint8)
    broken = np.full((4, 4, 3), 255, np.uint8)
    assert choose_gain([typical, typical, broken]) == gain
    assert choose_gain([]) == 1


@pytest.mark.parametrize("shape", [(32, 32), (64, 64), (256, 256), (100, 90), (300, 2), (1, 1)])
def test_thumbnails_are_small_means(shape):
    image = stored(noise(*shape))
    shown = decoded(thumbnail(image).uri)
    assert max(shown.shape[:2]) <= 32
    block = -(-max(shape) // 32)
    tall, wide = min(block, shape[0]), min(block, shape[1])
    assert shown[0, 0].tolist() == (image.pixels[:tall, :wide].reshape(-1, 3).astype(int).sum(0)
                                    // (tall * wide)).tolist()


def test_psnr_is_that_of_scikit_image():
    from skimage.metrics import peak_signal_noise_ratio

    first, second = noise(20, 20, 1), noise(20, 20, 2)
    assert psnr(first, second) == pytest.approx(peak_signal_noise_ratio(second, first), rel=1e-12)
    assert psnr(first, first) == float("inf")
