"""The light table: files beside the page, its columns, ranks and strips."""

from __future__ import annotations

import hashlib
import json
import re

import numpy as np
import pytest
from PIL import Image

from srbench.boards.markup import csp_hash
from srbench.boards.pixels import lighttable, pixels_page, shelf
from srbench.boards.pixels.strips import HEIGHT, WIDTH, common_ends, make_strip
from tests.boards.conftest import Page
from tests.boards.hostile import SCRIPTS
from tests.boards.pictures import board_of, put, random_samples, scored_cells
from tests.results.factory import make_record, make_samples

ROWS = {"a": [3.0, 9, 1, 4], "b": [4.0, 8, 2, 4], "c": [5.0, 7, 9, 1]}


def page_of(runs, records, out=None) -> Page:
    out = out or runs / "out"
    out.mkdir(exist_ok=True)
    return Page.of(pixels_page(board_of(records), runs / "cells", out, "toy-pixels"))


def names(runs) -> list[str]:
    return sorted(path.name for path in (runs / "out" / "toy-pixels").iterdir())


def test_files_are_the_bytes_that_the_cells_kept(tmp_path):
    records = scored_cells(tmp_path, ROWS)
    page = page_of(tmp_path, records)
    assert names(tmp_path) == sorted(f"{number}-{key}.png" for number in (1, 2, 3, 4)
                                     for key in ("lr", "m-a", "m-b", "m-c", "hr"))
    for record, key in zip(records, ("m-a", "m-b", "m-c"), strict=True):
        kept = tmp_path / "cells" / record.identity.key / "images" / "prediction_2.png"
        assert (tmp_path / "out" / "toy-pixels" / f"3-{key}.png").read_bytes() == kept.read_bytes()
    shown = {attributes["src"] for attributes in page.all("img")
             if not attributes["src"].startswith("data:")}
    assert shown == {f"toy-pixels/{name}" for name in names(tmp_path)}
    assert page.unbalanced == []


def test_a_file_with_more_than_an_image_is_written_anew(tmp_path):
    record, = scored_cells(tmp_path, {"a": [1.0]})
    path = tmp_path / "cells" / record.identity.key / "images" / "prediction_0.png"
    with Image.open(path) as image:
        pixels = np.asarray(image)
        image.save(path, save_all=True, append_images=[Image.new("RGB", image.size)])
    page_of(tmp_path, [record])
    written = tmp_path / "out" / "toy-pixels" / "1-m-a.png"
    assert b"acTL" in path.read_bytes()
    assert b"acTL" not in written.read_bytes()
    with Image.open(written) as image:
        assert np.array_equal(np.asarray(image), pixels)


def test_files_of_an_earlier_page_go_and_those_of_others_stay(tmp_path):
    records = scored_cells(tmp_path, ROWS)
    page_of(tmp_path, records)
    (tmp_path / "out" / "toy-pixels" / "notes.txt").write_text("mine")
    page_of(tmp_path, records[:1])
    assert names(tmp_path) == sorted(["notes.txt", *(f"{number}-{key}.png"
                                                     for number in (1, 2, 3, 4)
                                                     for key in ("lr", "m-a", "hr"))])


def test_the_same_records_give_the_same_page_and_files(tmp_path):
    records = scored_cells(tmp_path, ROWS)

    def digest(given, out):
        out.mkdir()
        html = pixels_page(board_of(given), tmp_path / "cells", out, "toy-pixels")
        files = sorted((out / "toy-pixels").iterdir())
        return hashlib.sha256(html.encode() + b"".join(
            path.name.encode() + path.read_bytes() for path in files)).hexdigest()

    assert digest(records, tmp_path / "x") == digest(records[::-1], tmp_path / "y")


def test_a_board_without_images_has_no_light_table(tmp_path):
    with pytest.raises(ValueError, match="no cell of"):
        page_of(tmp_path, [make_record()])


def test_ranks_are_of_the_scene_and_equal_values_share_one(tmp_path):
    text = page_of(tmp_path, scored_cells(tmp_path, ROWS)).text
    # Scenes in the order of the page: 2 (worst), 1 (median of four), 4 (best), 3.
    # Of a: 9, 3, 4, 1 against b: 8, 4, 4, 2 and c: 7, 5, 1, 9; lower is better.
    found = re.findall(r"Rank (\d) of 3 on this scene", text)
    order = [row for row in ("a", "b", "c")]
    shown = sorted(order, key=lambda label: float(np.mean(ROWS[label])))
    scenes = [int(number) - 1 for number in re.findall(r"image (\d)", text)[:4]]
    wanted = [str(1 + sum(other[scene] < ROWS[label][scene] for other in ROWS.values()))
              for label in shown for scene in scenes]
    assert found == wanted
    assert wanted.count("2") >= 2


def test_the_policy_allows_what_the_page_holds_and_siblings_only(tmp_path):
    records = scored_cells(tmp_path, ROWS)
    (tmp_path / "out").mkdir()
    html = pixels_page(board_of(records), tmp_path / "cells", tmp_path / "out", "toy-pixels")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    script = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert policy == (f"default-src 'none'; img-src 'self' data:; style-src '{csp_hash(style)}'; "
                      f"script-src '{csp_hash(script[0])}'; base-uri 'none'; form-action 'none'")
    assert len(script) == 1
    assert " style=" not in html
    assert not re.search(r"<[^>]* on[a-z]+=", html)


def test_a_lost_image_is_said_and_the_others_stay(tmp_path):
    records = scored_cells(tmp_path, ROWS)
    folder = tmp_path / "cells" / records[0].identity.key / "images"
    (folder / "prediction_1.png").write_bytes(b"no image")
    Image.new("RGB", (5, 5)).save(folder / "prediction_2.png")
    text = page_of(tmp_path, records).text
    assert "No image: no image was kept, or its file is damaged." in text
    assert "No image: the image has another size than HR." in text
    assert len(names(tmp_path)) == 20 - 2


def test_scenes_are_left_out_where_files_would_weigh_too_much(tmp_path, monkeypatch):
    records = [put(tmp_path, make_record(), random_samples(6, 32))]
    monkeypatch.setattr(shelf, "BUDGET", 4 * 3 * 32 * 32 * 3 + 4000)
    page = page_of(tmp_path, records)
    assert len(names(tmp_path)) == 4 * 3
    assert "Left out to keep the folder small: 2 scenes." in page.text
    monkeypatch.setattr(shelf, "BUDGET", 1)
    page_of(tmp_path, records)
    assert len(names(tmp_path)) == shelf.FEWEST_SCENES * 3


def test_methods_are_left_out_where_there_are_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(lighttable, "MOST_COLUMNS", 2)
    page = page_of(tmp_path, scored_cells(tmp_path, ROWS))
    assert [text for tag, text in page.texts if tag == "h3" and text][:4] == ["LR", "a", "b", "HR"]
    assert "1 methods" in page.text


def test_hostile_labels_flags_and_titles_stay_text(tmp_path):
    records = []
    for place, label in enumerate(SCRIPTS):
        record = put(tmp_path, make_record(label, title=SCRIPTS[0], notice=SCRIPTS[1],
                                           metrics={"l2-uvp": float(place)}),
                     make_samples(count=1, side=8))
        record.outcome.flags = [SCRIPTS[place]]
        record.environment["git"] = {"commit": SCRIPTS[1]}
        records.append(record)
    page = page_of(tmp_path, records)
    assert len(page.all("script")) == 2
    assert not page.all("iframe") + page.all("object") + page.all("base")
    assert all(re.fullmatch(r"(data:image/png;base64,.*|toy-pixels/1-[a-zA-Z0-9._-]+\.png)",
                            attributes["src"]) for attributes in page.all("img"))
    for name in names(tmp_path):
        assert shelf.OURS.fullmatch(name)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_the_data_of_the_script_are_numbers_by_key(tmp_path):
    records = scored_cells(tmp_path, {**ROWS, "d": [np.nan, 1, 2, 3]})
    (tmp_path / "out").mkdir()
    html = pixels_page(board_of(records), tmp_path / "cells", tmp_path / "out", "toy-pixels")
    data = json.loads(re.search(r'id="lt-data">(.*?)</script>', html)[1])
    scenes = [int(number) - 1 for number in re.findall(r'name="pix-scene".*?value="(\d)"', html)]
    values = {**ROWS, "d": [None, 1, 2, 3]}
    assert dict(zip(data["keys"], data["badness"], strict=True)) == {
        f"m-{label}": [row[scene] for scene in scenes] for label, row in values.items()}


def test_strips_put_values_where_they_belong():
    strip = make_strip(np.array([0.0, 5.0, 5.0, 10.0, np.nan, 20.0]), [1, 4, 3, 99, 5], (0.0, 10.0))
    assert strip.marks == (50, None, 99, None, 99)
    assert strip.count == 5
    bars = {int(place): int(height) for place, height in
            re.findall(r"M(\d+) 20v-(\d+)h1V20z", strip.path)}
    assert bars == {0: HEIGHT // 2, 50: HEIGHT, 99: HEIGHT}


def test_strips_of_one_value_or_none():
    assert make_strip(np.array([3.0, 3.0]), [0], (3.0, 3.0)).marks == (WIDTH // 2,)
    empty = make_strip(np.array([np.nan]), [0], (0.0, 1.0))
    assert (empty.path, empty.marks, empty.count) == ("", (None,), 0)
    assert common_ends([np.array([np.nan]), np.array([2.0, np.inf, -1])]) == (-1, 2)
    assert common_ends([np.array([np.nan])]) is None
    assert common_ends([]) is None
