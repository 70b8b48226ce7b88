"""Sample images: the bytes on disk."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from srbench.results.samples import to_bytes, write_samples


def test_the_range_maps_onto_bytes():
    values = np.array([-1.5, -1.0, 0.0, 1.0, 3.0, np.nan, np.inf, -np.inf], np.float32)
    batch = np.broadcast_to(values, (1, 3, 1, 8))
    assert to_bytes(batch)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255, 0, 255, 0]


def test_every_byte_survives_the_way_there_and_back():
    ramp = torch.arange(256, dtype=torch.float32) / 127.5 - 1
    batch = ramp.expand(1, 3, 1, 256)
    assert to_bytes(batch)[0, 0, :, 1].tolist() == list(range(256))


def test_files_hold_the_pixels_in_rgb_order(tmp_path):
    red = torch.full((2, 3, 4, 6), -1.0)
    red[:, 0] = 1.0
    paths = write_samples(tmp_path / "images", {"hr": red, "prediction": red.bfloat16()})

    assert [path.name for path in paths] == ["hr_0.png", "hr_1.png", "prediction_0.png",
                                             "prediction_1.png"]
    with Image.open(paths[0]) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (6, 4))
        assert image.getpixel((5, 3)) == (255, 0, 0)
    assert [path.name for path in sorted((tmp_path / "images").iterdir())] == sorted(
        path.name for path in paths)


@pytest.mark.parametrize("shape", [(2, 12), (2, 1, 8, 8), (3, 8, 8)])
def test_what_is_no_batch_of_rgb_images_is_refused(tmp_path, shape):
    with pytest.raises(ValueError, match="are not"):
        write_samples(tmp_path, {"hr": np.zeros(shape, np.float32)})


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match="sharp"):
        write_samples(tmp_path, {"sharp": np.zeros((1, 3, 8, 8), np.float32)})
