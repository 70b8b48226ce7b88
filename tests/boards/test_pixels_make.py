"""The comparator's data: which cell is shown, what is missing, what the page may weigh."""

from __future__ import annotations

import base64
import io
import shutil
import zlib

import numpy as np
import pytest
from PIL import Image

from srbench.boards.pixels import album as album_module
from srbench.boards.pixels import make as module
from srbench.boards.pixels.make import BUDGET, keys, make_pixels
from tests.boards.conftest import Page
from tests.boards.pictures import (
    board_of,
    decoded,
    put,
    random_samples,
    rendered,
    scored_cells,
)
from tests.results.factory import make_record, make_samples


def pixels_of(runs, records):
    return make_pixels(board_of(records), runs / "cells")


def folder(runs, record):
    return runs / "cells" / record.identity.key / "images"


def weight(pixels) -> int:
    uris = [part.uri for option in pixels.options for shot in option.shots
            for part in (shot.picture, shot.difference) if part]
    uris += [scene.thumbnail.uri for scene in pixels.scenes]
    return sum(map(len, uris))


def test_options_are_lr_the_reference_the_methods_in_table_order_and_hr(tmp_path):
    rows = {"worse": [9, 9], "bicubic": [20, 20], "better": [1, 1]}
    pixels = pixels_of(tmp_path, scored_cells(tmp_path, rows))
    assert [option.label for option in pixels.options] == ["LR", "bicubic", "better", "worse", "HR"]
    assert [option.key for option in pixels.options] == [
        "lr", "m-bicubic", "m-better", "m-worse", "hr"]
    assert pixels.options[pixels.option].label == "better"


def test_each_method_is_shown_by_its_lowest_seed_with_images(tmp_path):
    records = [make_record("ots", seed=0), put(tmp_path, make_record("ots", seed=2),
                                               make_samples(count=1)),
               put(tmp_path, make_record("ots", seed=1), make_samples(1, count=1, noise=0.5)),
               put(tmp_path, make_record("gan", seed=5), make_samples(count=1))]
    pixels = pixels_of(tmp_path, records)
    assert {option.label: option.note for option in pixels.options[1:-1]} == {
        "ots": "seed 1", "gan": ""}
    with Image.open(folder(tmp_path, records[2]) / "prediction_0.png") as image:
        ots = next(option for option in pixels.options if option.label == "ots")
        assert np.array_equal(decoded(ots.shots[0].picture.uri), np.asarray(image))


def test_a_seed_that_failed_is_not_shown_even_with_images(tmp_path):
    records = [put(tmp_path, make_record("ots", seed=0, status="diverged"), make_samples(count=1)),
               put(tmp_path, make_record("ots", seed=1), make_samples(count=1))]
    assert [option.label for option in pixels_of(tmp_path, records).options] == ["LR", "ots", "HR"]
    assert pixels_of(tmp_path, records).options[1].note == ""


def test_vectors_failed_cells_and_nothing_have_no_pixels(tmp_path):
    failed = put(tmp_path, make_record("b", status="crashed"), make_samples(count=1))
    assert pixels_of(tmp_path, [make_record(), failed]) is None


def test_values_are_those_of_the_image_shown(tmp_path):
    records = scored_cells(tmp_path, {"a": [3.04, 9, 1], "b": [4, 8, 2]})
    pixels = pixels_of(tmp_path, records)
    row = next(option for option in pixels.options if option.label == "a")
    assert [scene.number for scene in pixels.scenes] == [2, 1, 3]
    assert [shot.values for shot in row.shots] == [
        (("L2-UVP", "9.0\u00a0%"),), (("L2-UVP", "3.0\u00a0%"),), (("L2-UVP", "1.0\u00a0%"),)]
    assert pixels.scenes[pixels.scene].role == "median"


@pytest.mark.parametrize("damage", [b"", b"<html>", None, b"\x89PNG\r\n\x1a\n" + b"0" * 40])
@pytest.mark.parametrize("file", ["lr_0.png", "prediction_0.png", "prediction_2.png"])
def test_a_file_that_is_lost_is_said_and_costs_nothing_else(tmp_path, damage, file):
    record = put(tmp_path, make_record(), make_samples(count=3, side=8))
    path = folder(tmp_path, record) / file
    path.write_bytes(damage) if damage is not None else path.unlink()
    pixels = pixels_of(tmp_path, [record])
    missing = [(option.label, pixels.scenes[place].number, shot.why)
               for option in pixels.options for place, shot in enumerate(option.shots)
               if shot.picture is None]
    kind, _, number = file.removesuffix(".png").partition("_")
    label = {"lr": "LR", "prediction": "ots"}[kind]
    wanted = [(label, int(number) + 1, "no image was kept, or its file is damaged")]
    # A last prediction that is gone is as if two had been kept.
    assert missing == (wanted if file != "prediction_2.png" or damage is not None else [])
    page = Page.of(rendered(pixels))
    assert page.unbalanced == []
    assert ("No image: no image was kept" in page.text) == bool(missing)


def test_hr_is_taken_from_whichever_cell_has_it(tmp_path):
    records = scored_cells(tmp_path, {"a": [1.0, 2], "b": [3.0, 4]})
    (folder(tmp_path, records[0]) / "hr_0.png").unlink()
    pixels = pixels_of(tmp_path, records)
    assert len(pixels.scenes) == 2
    assert all(shot.picture for shot in pixels.options[-1].shots)


def test_an_image_of_another_size_is_not_compared(tmp_path):
    records = scored_cells(tmp_path, {"a": [1.0], "b": [3.0]})
    Image.new("RGB", (9, 16)).save(folder(tmp_path, records[1]) / "prediction_0.png")
    shot = pixels_of(tmp_path, records).options[2].shots[0]
    assert (shot.picture, shot.difference) == (None, None)
    assert shot.why == "the image has another size than HR"


def test_a_bomb_and_links_are_not_opened(tmp_path):
    """A header of 2^30 pixels behind a few bytes; a picture of somebody else's."""
    records = scored_cells(tmp_path, {"a": [1.0, 2], "b": [3.0, 4]})
    head = b"\0\0\0\rIHDR" + (2**15).to_bytes(4) * 2 + b"\x08\x02\0\0\0"
    bomb = b"\x89PNG\r\n\x1a\n" + head + zlib.crc32(head[4:]).to_bytes(4) + b"\0" * 20
    (folder(tmp_path, records[0]) / "prediction_0.png").write_bytes(bomb)
    secret = tmp_path / "secret.png"
    Image.new("RGB", (16, 16), "red").save(secret)
    (folder(tmp_path, records[1]) / "prediction_1.png").unlink()
    (folder(tmp_path, records[1]) / "prediction_1.png").symlink_to(secret)
    pixels = pixels_of(tmp_path, records)
    shown = {(option.label, pixels.scenes[place].number): shot.picture is not None
             for option in pixels.options for place, shot in enumerate(option.shots)}
    assert {key for key, there in shown.items() if not there} == {("a", 1), ("b", 2)}


def test_photographs_show_a_larger_square_and_a_smaller_lr(tmp_path):
    samples = make_samples(side=256, count=1)
    samples["lr"] = samples["lr"][:, :, ::4, ::4]
    pixels = pixels_of(tmp_path, [put(tmp_path, make_record(scale=4), samples)])
    assert pixels.crop == "the central 128 x 128 px"
    lr, method, hr = (option.shots[0] for option in pixels.options)
    assert decoded(lr.picture.uri).shape == (32, 32, 3)
    assert decoded(hr.picture.uri).shape == (128, 128, 3)
    assert lr.difference is None
    assert method.difference is not None
    assert (lr.picture.width, hr.picture.width, pixels.zoom) == (128, 128, 4)


@pytest.mark.parametrize(("side", "crop", "zoom"), [
    (20, "whole images of 20 x 20 px", 8), (96, "the central 64 x 64 px", 4)])
def test_what_is_cropped_is_said(tmp_path, side, crop, zoom):
    record = put(tmp_path, make_record(), make_samples(count=1, side=side))
    pixels = pixels_of(tmp_path, [record])
    assert (pixels.crop, pixels.zoom) == (crop, zoom)


def test_forty_methods_of_twelve_scenes_stay_within_the_budget(tmp_path):
    noise = random_samples(12, 64)
    records = [put(tmp_path, make_record("m0", metrics={"l2-uvp": 0.0}), noise)]
    for number in range(1, 40):
        records.append(make_record(f"m{number}", metrics={"l2-uvp": float(number)}))
        shutil.copytree(folder(tmp_path, records[0]), folder(tmp_path, records[-1]))
    pixels = pixels_of(tmp_path, records)
    assert BUDGET / 2 < weight(pixels) <= BUDGET == 700_000
    assert len(pixels.scenes) == 3
    shown = [option.label for option in pixels.options[1:-1]]
    assert shown == [f"m{number}" for number in range(len(shown))]
    assert pixels.left_out == (f"Left out to keep the page small: the {40 - len(shown)} methods at "
                               "the end of the table, 9 of 12 scenes.")


def swept(runs, count=6, side=32):
    noise = random_samples(count, side)
    rows = {f"gan[lambda={value}]": 10.0 + value for value in (0, 1, 10)}
    return [put(runs, make_record(label, metrics={"l2-uvp": value}, method_given=given), noise)
            for label, value, given in [
                ("ots", 1.0, {}), *((label, value, {"lambda": value - 10})
                                    for label, value in rows.items())]]


def test_members_of_sweeps_give_way_first_then_scenes_then_methods(tmp_path, monkeypatch):
    records = swept(tmp_path)
    whole = pixels_of(tmp_path, records)
    assert (len(whole.options), len(whole.scenes), whole.left_out) == (6, 6, "")
    seen = []
    for share in (1, 0.9, 0.6, 0.45, 0.3, 0.27):
        monkeypatch.setattr(module, "BUDGET", int(weight(whole) * share))
        pixels = pixels_of(tmp_path, records)
        assert weight(pixels) <= module.BUDGET
        seen.append((len(pixels.options) - 2, len(pixels.scenes)))
    assert seen[:2] == [(4, 6), (2, 6)]
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == (1, 3)
    assert pixels.left_out == ("Left out to keep the page small: 2 members of sweeps that are not "
                               "chosen, the 1 methods at the end of the table, 3 of 6 scenes.")


def test_a_budget_for_nearly_nothing_leaves_one_scene(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BUDGET", 10)
    pixels = pixels_of(tmp_path, swept(tmp_path))
    assert (len(pixels.options), len(pixels.scenes), pixels.scenes[0].role) == (3, 1, "worst")


def test_large_crops_become_smaller_before_a_method_gives_way(tmp_path, monkeypatch):
    samples = random_samples(1, 128)
    samples["lr"] = samples["lr"][:, :, ::4, ::4]
    records = [put(tmp_path, make_record(label, scale=4), samples) for label in ("a", "b")]
    whole = pixels_of(tmp_path, records)
    monkeypatch.setattr(module, "BUDGET", weight(whole) // 2)
    pixels = pixels_of(tmp_path, records)
    assert (whole.crop, pixels.crop) == ("whole images of 128 x 128 px", "the central 64 x 64 px")
    assert len(pixels.options) == 4


def test_the_same_records_give_the_same_bytes(tmp_path):
    records = scored_cells(tmp_path, {"a": [3, 9, 1], "b": [4, 8, 2]}, side=80)
    assert rendered(pixels_of(tmp_path, records)) == rendered(pixels_of(tmp_path, records[::-1]))


def test_no_picture_is_made_by_an_encoder_of_the_machine(tmp_path, monkeypatch):
    """What Pillow or zlib would compress differs between their builds."""
    records = scored_cells(tmp_path, {"a": [3, 9, 1]}, side=80)

    def refuse(*_args, **_options):
        raise AssertionError("an encoder of the machine was asked")

    monkeypatch.setattr(Image.Image, "save", refuse)
    monkeypatch.setattr(zlib, "compress", refuse)
    monkeypatch.setattr(zlib, "compressobj", refuse)
    assert pixels_of(tmp_path, records) is not None


def test_each_picture_is_made_once(tmp_path, monkeypatch):
    made = []
    picture = album_module.picture
    monkeypatch.setattr(album_module, "picture", lambda *args: made.append(args) or picture(*args))
    monkeypatch.setattr(module, "BUDGET", 30_000)
    pixels_of(tmp_path, swept(tmp_path, count=4, side=16))
    assert len(made) == len({(args[0].content, args[2]) for args in made}) or len(made) <= 4 * 6


def test_keys_fit_into_ids_and_are_unique():
    assert keys(["m-a", "m-a", "lr", 'x"y', "m-b"]) == [
        "m-a", "1-method", "2-method", "3-method", "m-b"]


def test_labels_that_look_like_markup_stay_text(tmp_path):
    label = '<img src=x onerror="alert(1)">'
    pixels = pixels_of(tmp_path, [put(tmp_path, make_record(label), make_samples(count=1))])
    page = Page.of(rendered(pixels, script=False))
    assert all("onerror" not in attributes for attributes in page.all("img"))
    assert any(attributes["alt"] == f"{label}, image 1" for attributes in page.all("img"))
    assert all(attributes["src"].startswith("data:image/png;base64,")
               for attributes in page.all("img"))
    for attributes in page.all("input"):
        assert label not in attributes.get("value", "") + attributes["id"]


def test_pictures_of_the_page_decode_to_what_was_kept(tmp_path):
    record = put(tmp_path, make_record(), make_samples(count=1, side=96, noise=0.3))
    pixels = pixels_of(tmp_path, [record])
    for option, kind in zip(pixels.options, ("lr", "prediction", "hr"), strict=True):
        with Image.open(folder(tmp_path, record) / f"{kind}_0.png") as image:
            kept = np.asarray(image)
        content = base64.b64decode(option.shots[0].picture.uri.partition(",")[2])
        with Image.open(io.BytesIO(content)) as image:
            assert np.array_equal(np.asarray(image), kept[16:80, 16:80])
