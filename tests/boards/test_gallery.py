"""The image rows: which cell stands for a method, what is cropped, what missing files look like."""

from __future__ import annotations

import pytest

from srbench.boards.build import build_board
from srbench.boards.gallery import SIDE, crop_box, make_gallery
from srbench.results.samples import write_samples
from tests.boards.conftest import Page
from tests.results.factory import make_record, make_samples


@pytest.fixture
def put(tmp_path):
    """Write the samples of a record and return it."""
    def write(record, **options):
        write_samples(tmp_path / "cells" / record.identity.key / "images", make_samples(**options))
        return record
    return write


def images(tmp_path, record):
    return tmp_path / "cells" / record.identity.key / "images"


def test_each_method_is_shown_by_its_lowest_seed_with_images(tmp_path, put):
    records = [make_record("ots", seed=0), put(make_record("ots", seed=1), count=1),
               put(make_record("ots", seed=2), count=1), put(make_record("gan", seed=5), count=1)]
    gallery = make_gallery(records, tmp_path / "cells")
    assert gallery.headings == ("LR input", "gan", "ots", "HR target")
    assert [picture.alt for picture in gallery.rows[0]] == [
        "Test image 1: LR input", "Test image 1: gan, seed 5", "Test image 1: ots, seed 1",
        "Test image 1: HR target"]


def test_a_seed_that_failed_is_not_shown_even_with_images(tmp_path, put):
    records = [put(make_record("ots", seed=0, status="diverged"), count=1),
               put(make_record("ots", seed=1), count=1)]
    gallery = make_gallery(records, tmp_path / "cells")
    assert "ots, seed 1" in gallery.rows[0][1].alt


@pytest.mark.parametrize("damage", ["missing", "no image", "empty"])
@pytest.mark.parametrize("file", ["hr_0.png", "lr_0.png", "prediction_1.png"])
def test_no_file_that_is_lost_costs_the_page(tmp_path, put, damage, file):
    record = put(make_record(), count=2)
    path = images(tmp_path, record) / file
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"" if damage == "empty" else b"<html>")

    page = Page.of(build_board([record], tmp_path / "out", runs=tmp_path,
                               definitions={}).read_text(encoding="utf-8"))

    kind, index = file.removesuffix(".png").split("_")
    what = {"hr": "HR target", "lr": "LR input", "prediction": "ots, seed 0"}[kind]
    assert f"Test image {int(index) + 1}: {what} (missing)" in page.text
    lost = 3 if kind == "hr" else 1  # without its HR image nothing tells how to crop a row
    assert len(page.all("img")) == 6 - lost
    assert page.unbalanced == []


def test_a_method_with_fewer_images_than_the_others(tmp_path, put):
    records = [put(make_record("a"), count=3), put(make_record("b"), count=1)]
    gallery = make_gallery(records, tmp_path / "cells")
    assert [row[2].uri is None for row in gallery.rows] == [False, True, True]
    assert gallery.rows[2][2].alt == "Test image 3: b, seed 0 (missing)"


def test_what_is_cropped_is_said(tmp_path, put):
    small, large = put(make_record(), count=1, side=20), put(make_record("b"), count=1, side=96)
    assert make_gallery([small], tmp_path / "cells").crop == "whole images of 20 x 20 px"
    assert make_gallery([large], tmp_path / "cells").crop == "the central 64 x 64 px of 96 x 96"


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
    assert box[2] - box[0] == min(SIDE, width)
    assert box[3] - box[1] == min(SIDE, height)
    assert abs(box[0] + box[2] - width) <= 1
    assert abs(box[1] + box[3] - height) <= 1


def test_labels_that_look_like_markup_stay_text(tmp_path, put):
    record = put(make_record('<img src=x onerror="alert(1)">'), count=1)
    page = Page.of(build_board([record], tmp_path / "out", runs=tmp_path,
                               definitions={}).read_text(encoding="utf-8"))
    assert all("onerror" not in attributes for attributes in page.all("img"))
    assert [attributes["alt"] for attributes in page.all("img")][1] == (
        'Test image 1: <img src=x onerror="alert(1)">, seed 0')
    assert all(attributes["src"].startswith("data:image/webp;base64,")
               for attributes in page.all("img"))


def test_no_cell_with_images_is_no_gallery(tmp_path):
    assert make_gallery([make_record()], tmp_path / "cells") is None
    assert make_gallery([], tmp_path / "cells") is None


def test_photographs_show_a_larger_square(tmp_path):
    """At scale 4 a square of 64 would be 16 LR pixels: too few to see anything."""
    record = make_record("ots", scale=4)
    samples = make_samples(side=256, count=2)
    samples["lr"] = samples["lr"][:, :, ::4, ::4]
    write_samples(tmp_path / record.identity.key / "images", samples)
    gallery = make_gallery([record], tmp_path)
    assert gallery.crop == "the central 128 x 128 px of 256 x 256"
    assert crop_box((64, 64), (256, 256), 128) == (16, 16, 48, 48)
    assert crop_box((256, 256), (256, 256), 128) == (64, 64, 192, 192)
