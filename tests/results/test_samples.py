"""Sample images: the bytes on disk, the crop, the picture in the page."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from srbench.boards import gallery as module
from srbench.boards.gallery import crop_box, make_gallery
from srbench.results.samples import to_bytes, write_samples
from tests.results.factory import make_record, make_samples


def pixels(uri: str) -> np.ndarray:
    """Decode a data URI."""
    head, _, data = uri.partition(",")
    assert head == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return np.asarray(image.convert("RGB"))


def put(runs, record, samples):
    """Write a cell's sample images."""
    write_samples(runs / "cells" / record.identity.key / "images", samples)
    return record


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


@pytest.mark.parametrize(("size", "hr_size", "box"), [
    ((64, 64), (64, 64), (0, 0, 64, 64)),
    ((32, 32), (32, 32), (0, 0, 32, 32)),
    ((256, 200), (256, 200), (96, 68, 160, 132)),
    ((64, 50), (256, 200), (24, 17, 40, 33)),  # scale 4: the same place, a quarter of the pixels
])
def test_the_crop_is_the_same_place_at_any_scale(size, hr_size, box):
    assert crop_box(size, hr_size) == box


def test_the_gallery_is_lr_methods_in_numerical_order_hr(tmp_path):
    samples = make_samples(count=3)
    records = [put(tmp_path, make_record(label, seed=seed), samples) for label, seed in
               [("wgan-gp[lambda=10]", 0), ("wgan-gp[lambda=2]", 0), ("ots", 1), ("ots", 0)]]
    gallery = make_gallery(records, tmp_path / "cells")

    assert gallery.headings == ("LR input", "ots", "wgan-gp[lambda=2]", "wgan-gp[lambda=10]",
                                "HR target")
    assert len(gallery.rows) == gallery.available == 3
    assert [picture.alt for picture in gallery.rows[1]] == [
        "Test image 2: LR input", "Test image 2: ots, seed 0",
        "Test image 2: wgan-gp[lambda=2], seed 0", "Test image 2: wgan-gp[lambda=10], seed 0",
        "Test image 2: HR target"]
    assert gallery.crop == "whole images of 64 x 64 px"


def test_pictures_hold_the_exact_pixels_of_the_central_crop(tmp_path):
    samples = make_samples(count=1, side=96)
    record = put(tmp_path, make_record(), samples)
    lr, prediction, hr = make_gallery([record], tmp_path / "cells").rows[0]

    for picture, kind in ((lr, "lr"), (prediction, "prediction"), (hr, "hr")):
        assert np.array_equal(pixels(picture.uri), to_bytes(samples[kind])[0, 16:80, 16:80])


def test_at_most_eight_images(tmp_path):
    record = put(tmp_path, make_record(), make_samples(count=10, side=8))
    assert len(make_gallery([record], tmp_path / "cells").rows) == 8


def test_vectors_and_failed_cells_have_no_gallery(tmp_path):
    failed = put(tmp_path, make_record("b", status="crashed"), make_samples(count=1))
    assert make_gallery([make_record(), failed], tmp_path / "cells") is None


def test_a_missing_or_damaged_file_is_said_not_hidden(tmp_path):
    record = put(tmp_path, make_record(), make_samples(count=2))
    images = tmp_path / "cells" / record.identity.key / "images"
    (images / "prediction_1.png").unlink()
    (images / "lr_0.png").write_bytes(b"no image")

    first, second = make_gallery([record], tmp_path / "cells").rows

    assert first[0].uri is None
    assert first[0].alt == "Test image 1: LR input (missing)"
    assert second[1].uri is None
    assert second[0].uri is not None


def test_rows_are_cut_to_stay_within_the_budget(tmp_path, monkeypatch):
    record = put(tmp_path, make_record(), make_samples(count=8, noise=1.0))
    whole = make_gallery([record], tmp_path / "cells")
    size = sum(len(picture.uri) for row in whole.rows for picture in row)
    monkeypatch.setattr(module, "BUDGET", size // 2)

    cut = make_gallery([record], tmp_path / "cells")

    assert 0 < len(cut.rows) < 8
    assert cut.available == 8
    assert cut.rows == whole.rows[:len(cut.rows)]
