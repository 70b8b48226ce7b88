"""Palettes as clouds: what is read, drawn, measured and said of them."""

from __future__ import annotations

import io

import numpy as np
import ot
import pandas as pd
import pytest
from PIL import Image

from srbench.boards.pixels import make, make_pixels
from srbench.boards.pixels import palettes as module
from srbench.boards.pixels.cells import cells_with_images
from srbench.boards.pixels.clouds import (
    DIRECTIONS,
    HEIGHT,
    WIDTH,
    distance,
    draw,
    palette,
    read_clouds,
    variance,
)
from srbench.boards.pixels.palettes import make_palettes
from tests.boards.pictures import board_of, put
from tests.results.factory import make_metric, make_record, make_samples


def cloud(seed: int, shift: float = 0.0, spread: float = 1.0) -> np.ndarray:
    return spread * np.random.default_rng(seed).uniform(0, 1, (1024, 3)) + shift


def clouds(prediction: np.ndarray) -> dict[str, np.ndarray]:
    return {"lr": cloud(1, 0.3, 0.3), "prediction": prediction, "hr": cloud(2)}


def sw2(value: float | None, interval: tuple[float, float] | None = None):
    return make_metric("palette-sw2", value, title="palette SW2", direction="lower",
                       reference={"lr": 1.0}, interval=list(interval) if interval else None)


def with_cloud(runs, label: str, prediction: np.ndarray, **metrics):
    record = make_record(label, metrics={"l2-uvp": 5.0, **metrics})
    return put(runs, record, make_samples(count=1, side=8), palettes=clouds(prediction))


def made(runs, records):
    board = board_of(records)
    return make_palettes(board, cells_with_images(board, runs / "cells"))


def test_a_cloud_comes_back_as_whole_levels(tmp_path):
    record = with_cloud(tmp_path, "a", cloud(3, -0.2))
    found = read_clouds(tmp_path / "cells" / record.identity.key / "palettes.parquet")
    assert set(found) == {"lr", "prediction", "hr"}
    assert np.array_equal(found["prediction"],
                          np.rint(255 * cloud(3, -0.2).astype(np.float32).astype(np.float64)))


def wrong_files():
    frame = pd.DataFrame({"kind": ["lr"] * 3072, "r": 0.5, "g": 0.5, "b": 0.5})
    kinds = np.repeat(["lr", "prediction", "hr"], 1024)
    good = frame.assign(kind=kinds)
    return {"one kind": frame, "few": good[:3000], "many": pd.concat([good, good]),
            "infinite": good.assign(r=np.inf), "nan": good.assign(g=np.nan),
            "far": good.assign(b=1e30), "text": good.assign(r="red"),
            "no channel": good.drop(columns="b")}


@pytest.mark.parametrize("name", [*wrong_files(), "no parquet", "absent"])
def test_a_file_that_is_none_of_ours_is_no_cloud(tmp_path, name):
    path = tmp_path / "palettes.parquet"
    if name in wrong_files():
        wrong_files()[name].to_parquet(path)
    elif name == "no parquet":
        path.write_bytes(b"PAR1 and nothing more")
    assert read_clouds(path) == {}


def test_a_file_that_unpacks_to_much_more_is_not_read(tmp_path):
    path = tmp_path / "palettes.parquet"
    kinds = np.repeat(["lr", "prediction", "hr"], 1024)
    pd.DataFrame({"kind": kinds, "r": 0.5, "g": 0.5, "b": 0.5,
                  "more": [f"{place}" * 2000 for place in range(3072)]}).to_parquet(path)
    assert read_clouds(path) == {}


def image(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as png:
        assert png.size == (WIDTH, HEIGHT)
        return np.asarray(png.convert("RGBA")).astype(int)


@pytest.mark.parametrize(("colour", "where"), [
    ((0, 0, 0), (91, 170)), ((255, 255, 255), (91, 11)), ((255, 0, 0), (165, 139)),
    ((0, 0, 255), (16, 139)), ((0, 255, 0), (91, 74))])
def test_corners_lie_where_the_projection_puts_them(colour, where):
    """Black below, white above, blue left, red right: x = 0.707 (r - b), y up."""
    shown = image(draw(np.array([colour])))
    column, row = where
    assert shown[row, column].tolist() == [*colour, 255]
    assert shown[row + 1, column + 1].tolist() == [*colour, 255]


def test_a_colour_is_drawn_within_half_a_level():
    for colour in np.random.default_rng(0).integers(0, 256, (12, 3)):
        shown = image(draw(colour[None]))
        inks = {tuple(ink) for ink in np.unique(shown[shown[..., 3] > 0][:, :3], axis=0).tolist()}
        dot, = inks - {palette()[1]}
        assert dot in palette()
        assert abs(np.array(dot) - colour).max() <= 26


def test_the_nearer_of_two_points_covers_the_other():
    """Green is nearest to the eye; grey of the same place in the picture lies behind."""
    green, behind = [0, 255, 0], [116, 116, 116]
    shown = image(draw(np.array([behind, green])))
    again = image(draw(np.array([green, behind])))
    assert np.array_equal(shown, again)


def test_points_far_outside_break_nothing_and_size_stays_small():
    shown = draw(np.array([[9999, -9999, 9999], [-400, -400, -400], [128, 128, 128]]))
    assert image(shown).shape == (HEIGHT, WIDTH, 4)
    noise = np.random.default_rng(0).integers(0, 256, (1024, 3))
    assert len(draw(noise)) < 8 * 1024  # the worst case; real palettes take half of it


def test_the_distance_is_the_sliced_one_of_pot():
    first, second = (np.rint(255 * cloud(seed)).astype(np.int64) for seed in (4, 5))
    directions = np.array(DIRECTIONS, dtype=float)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    wanted = ot.sliced_wasserstein_distance(first / 255, second / 255, projections=directions.T)
    assert distance(first, second) == pytest.approx(wanted, rel=1e-9)
    assert len(DIRECTIONS) == 13
    assert distance(first, first) == 0


def test_a_shift_moves_a_cloud_by_its_mean_square_length():
    """Over these directions a grey shift c is worth c sqrt(mean of the squared cosines)."""
    first = np.rint(255 * cloud(4)).astype(np.int64)
    directions = np.array(DIRECTIONS, dtype=float)
    cosines = directions.sum(1) / np.linalg.norm(directions, axis=1)
    assert distance(first, first + 51) == pytest.approx(0.2 * np.sqrt((cosines**2).mean()))


def test_variance_is_that_of_numpy():
    first = np.rint(255 * cloud(4)).astype(np.int64)
    assert variance(first) == pytest.approx((first / 255).var(0).sum(), rel=1e-12)


def test_the_row_is_lr_methods_hr_with_values_of_the_board(tmp_path):
    variance_metric = make_metric("palette-variance", 0.144, title="palette variance",
                                  direction="target", decimals=3,
                                  reference={"hr": 0.172, "lr": 0.073})
    record = with_cloud(tmp_path, "ots", cloud(2, 0.01), **{
        "palette-variance": variance_metric, "palette-sw2": sw2(0.257)})
    row = made(tmp_path, [record])
    assert [entry.label for entry in row.clouds] == ["LR", "ots", "HR"]
    assert [dict(entry.facts) for entry in row.clouds] == [
        {"variance": "0.073", "palette SW2": "1.000"},
        {"variance": "0.144", "palette SW2": "0.257"},
        {"variance": "0.172", "palette SW2": "0.000"}]
    assert row.finding == ("The palette of ots lies closer to HR than that of LR (by palette SW2 "
                           "over all test images, where LR has 1.000).")


def test_without_such_columns_the_pixels_shown_are_measured(tmp_path):
    near, far = cloud(2, 0.01), cloud(2, 0.9)
    row = made(tmp_path, [with_cloud(tmp_path, "near", near), with_cloud(tmp_path, "far", far)])
    facts = {entry.label: dict(entry.facts) for entry in row.clouds}
    assert facts["HR"]["distance to HR"] == "0.000"
    assert float(facts["near"]["distance to HR"]) < float(facts["LR"]["distance to HR"])
    assert float(facts["near"]["variance"]) == pytest.approx(near.var(0).sum(), abs=5e-3)
    assert row.finding == ("The palette of near lies closer to HR than that of LR; that of far "
                           "lies further away (by the sliced distance of the 1,024 pixels shown).")


def test_an_interval_around_lr_leaves_it_open(tmp_path):
    """Two seeds far apart: their interval holds 1, the distance of LR."""
    records = []
    for label, values in (("sure", (0.30, 0.31)), ("open", (0.2, 1.7)), ("bad", (2.1, 2.11))):
        for seed, value in enumerate(values):
            record = make_record(label, seed=seed,
                                 metrics={"l2-uvp": 5.0, "palette-sw2": sw2(value)})
            records.append(put(tmp_path, record, make_samples(count=1, side=8),
                               palettes=clouds(cloud(3))))
    row = made(tmp_path, records)
    assert row.finding.startswith("The palette of sure lies closer to HR than that of LR; that of "
                                  "bad lies further away; for open this is open (by palette SW2")
    assert "[" in dict(row.clouds[1].facts)["palette SW2"]


def test_what_looks_the_same_is_called_as_close(tmp_path):
    records = [with_cloud(tmp_path, "copy", cloud(3), **{"palette-sw2": sw2(1.00004)})]
    assert made(tmp_path, records).finding.startswith(
        "The palette of copy is as close to HR as that of LR (by palette SW2")
    records.append(with_cloud(tmp_path, "near", cloud(3), **{"palette-sw2": sw2(0.5)}))
    assert "; that of copy is as close as that of LR (" in made(tmp_path, records).finding


def test_methods_without_a_cloud_and_many_methods(tmp_path, monkeypatch):
    records = [with_cloud(tmp_path, f"m{number}", cloud(number)) for number in range(4)]
    broken = put(tmp_path, make_record("broken"), make_samples(count=1, side=8))
    assert [entry.label for entry in made(tmp_path, [*records, broken]).clouds] == [
        "LR", "m0", "m1", "m2", "m3", "HR"]
    monkeypatch.setattr(module, "MOST_CLOUDS", 2)
    row = made(tmp_path, records)
    assert [entry.label for entry in row.clouds] == ["LR", "m0", "m1", "HR"]
    assert row.left_out.startswith("2 of 4 methods have no room here")
    assert made(tmp_path, [broken]) is None


def test_clouds_count_towards_the_weight_of_the_page(tmp_path, monkeypatch):
    records = [with_cloud(tmp_path, f"m{number}", cloud(number)) for number in range(3)]
    pixels = make_pixels(board_of(records), tmp_path / "cells")
    clouds = [len(entry.picture.uri) for entry in pixels.palettes.clouds]
    monkeypatch.setattr(make, "BUDGET", sum(clouds) + 10)
    assert len(make_pixels(board_of(records), tmp_path / "cells").options) == 3
