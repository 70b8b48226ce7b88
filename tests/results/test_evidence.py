"""Samples from records and the files beside them, and what is not believed."""

from __future__ import annotations

import math
import time

import numpy as np
import pandas as pd
import pytest

from srbench.results.evidence import MISSING, NO_MEAN, OTHER_IMAGES, Evidence, samples
from srbench.results.per_image import read_per_image
from srbench.results.statistics import compare, estimate
from tests.results.factory import make_metric, make_record

RNG = np.random.default_rng(5)


def cell(cells, values, *, metric="psnr", seed=0, label="ots", write=True, value=None, **changes):
    """A record with values of images beside it."""
    values = np.asarray(values, float)
    known = values[~np.isnan(values)]
    number = float(known.mean()) if value is None else value
    record = make_record(label, seed=seed, metrics={metric: make_metric(
        metric, number, count=len(known), per_image=f"per_image.parquet#{metric}")}, **changes)
    folder = cells / record.identity.key
    folder.mkdir(parents=True)
    if write:
        pd.DataFrame({metric: values, "other": 0.0}).to_parquet(folder / "per_image.parquet")
    return record


def test_seeds_and_images_are_told(tmp_path):
    images = RNG.normal(20, 1, (3, 30))
    records = [cell(tmp_path, row, seed=seed) for seed, row in enumerate(images)]
    sample = samples(records, "psnr", tmp_path)
    assert sample.seeds == (0, 1, 2)
    np.testing.assert_array_equal(sample.scenes, images)
    np.testing.assert_allclose(sample.values, images.mean(1))
    assert (sample.trained, sample.note, sample.clusters, sample.spread) == (True, "", None, None)
    assert estimate(sample).scenes == 30


def test_without_stages_nothing_was_trained(tmp_path):
    record = cell(tmp_path, [1.0, 2.0], seconds_fit=0.0)
    assert not samples([record], "psnr", tmp_path).trained


def test_a_file_is_read_once(tmp_path, monkeypatch):
    reads = []
    record = cell(tmp_path, [1.0, 2.0])
    monkeypatch.setattr("srbench.results.evidence.read_per_image",
                        lambda path: reads.append(path) or read_per_image(path))
    evidence = Evidence(tmp_path)
    for _ in range(3):
        evidence([record], "psnr")
    assert len(reads) == 1


@pytest.mark.parametrize("damage", ["gone", "cut", "not parquet", "link", "text", "empty"])
def test_files_that_cannot_be_used_cost_the_images_alone(tmp_path, damage):
    records = [cell(tmp_path, RNG.normal(20, 1, 9), seed=seed) for seed in range(2)]
    path = tmp_path / records[1].identity.key / "per_image.parquet"
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[:-9])
    elif damage == "not parquet":
        path.write_text("values: 1, 2")
    elif damage == "link":
        path.symlink_to(tmp_path / records[0].identity.key / "per_image.parquet")
    elif damage == "text":
        pd.DataFrame({"psnr": ["a"] * 9}).to_parquet(path)
    elif damage == "empty":
        pd.DataFrame({"psnr": pd.Series([], dtype=float)}).to_parquet(path)
    sample = samples(records, "psnr", tmp_path)
    assert (sample.scenes, sample.note) == (None, MISSING)
    found = estimate(sample)
    assert found.interval is not None
    assert found.why == f"test images not accounted for: {MISSING}"


def test_without_a_folder_the_records_stand_alone(tmp_path):
    record = cell(tmp_path, [1.0, 2.0])
    assert samples([record], "psnr").note == MISSING


def test_seeds_of_different_images_have_no_grid(tmp_path):
    records = [cell(tmp_path, np.ones(5 + seed), seed=seed) for seed in range(2)]
    assert samples(records, "psnr", tmp_path).note == OTHER_IMAGES


def test_values_that_do_not_make_up_the_record_are_not_believed(tmp_path):
    record = cell(tmp_path, [1.0, 2.0], value=1.6)
    assert samples([record], "psnr", tmp_path).note == NO_MEAN


def test_an_incomplete_last_batch_is_left_out(tmp_path):
    record = cell(tmp_path, [1.0, 2.0, 4.0, math.nan, math.nan])
    assert samples([record], "psnr", tmp_path).scenes.tolist() == [[1.0, 2.0, 4.0]]


@pytest.mark.parametrize("values", [[1.0, math.nan, 4.0], [math.nan, math.nan]])
def test_other_images_without_value_are_no_mean(tmp_path, values):
    record = cell(tmp_path, values, value=2.5)
    assert samples([record], "psnr", tmp_path).scenes is None


def test_a_metric_that_never_had_values_of_images_is_no_mishap():
    sample = samples([make_record(metrics={"cosine": 0.9})], "cosine")
    assert (sample.scenes, sample.spread, sample.note) == (None, None, "")


def test_jackknives_are_read_from_the_detail():
    moves = [[0.1, -0.2, 0.1], [0.2, -0.1, -0.1]]
    records = [make_record(seed=seed, metrics={"fid": make_metric("fid", 30.0 + seed, detail={
        "jackknife_se": float(np.std(own, ddof=1) / math.sqrt(3)), "groups": 3, "jackknife": own})})
        for seed, own in enumerate(moves)]
    sample = samples(records, "fid")
    assert sample.jackknife.tolist() == moves
    assert sample.spread == pytest.approx(np.std(moves, ddof=1, axis=1) / math.sqrt(3))
    assert compare(sample, sample).p == 1.0
    assert estimate(sample).why == ""


@pytest.mark.parametrize("detail", [
    {}, {"jackknife_se": "0.2", "jackknife": "0.1"}, {"jackknife_se": None, "jackknife": [None]},
    {"jackknife_se": True, "jackknife": [True, False]}, {"jackknife": {"0": 1}},
    {"jackknife_se": 10**400, "jackknife": [10**400, 1]}, {"jackknife": [0.5]}])
def test_details_of_another_kind_are_not_believed(detail):
    sample = samples([make_record(metrics={"fid": make_metric("fid", 3.0, detail=detail)})], "fid")
    assert (sample.spread, sample.jackknife) == (None, None)


def test_jackknives_of_different_groups_are_no_grid():
    records = [make_record(seed=seed, metrics={"fid": make_metric("fid", 3.0, detail={
        "jackknife_se": 0.1, "jackknife": [0.1] * (2 + seed)})}) for seed in range(2)]
    sample = samples(records, "fid")
    assert (sample.jackknife, sample.spread.tolist()) == (None, [0.1, 0.1])


def test_scenes_of_the_dataset_are_clusters(tmp_path):
    record = cell(tmp_path, RNG.normal(size=6))
    record = record.model_copy(update={"facts": {"test_scenes": [3, 3, 3, 8, 8, 8, 9]}})
    assert samples([record], "psnr", tmp_path).clusters.tolist() == [3, 3, 3, 8, 8, 8]


@pytest.mark.parametrize("scenes", [[1, 2], "abcdef", [1.0] * 6, [True] * 6, [10**30] * 6, None])
def test_scenes_of_another_kind_are_not_believed(tmp_path, scenes):
    record = cell(tmp_path, RNG.normal(size=6))
    record = record.model_copy(update={"facts": {"test_scenes": scenes}})
    assert samples([record], "psnr", tmp_path).clusters is None


@pytest.mark.parametrize("records", [[], [make_record(metrics={"psnr": None})], [make_record()]])
def test_records_without_a_value_are_refused(records):
    with pytest.raises(ValueError, match="have no value of 'lpips'"):
        samples(records, "lpips")


def test_a_file_takes_a_millisecond_at_most(tmp_path):
    """Of 512 images and 6 metrics: 10,000 cells in some seconds."""
    record = cell(tmp_path, RNG.normal(size=512))
    frame = pd.DataFrame({f"m{i}": RNG.normal(size=512) for i in range(5)})
    frame["psnr"] = record.values.final["psnr"].value
    frame.to_parquet(tmp_path / record.identity.key / "per_image.parquet")
    started = time.process_time()
    for _ in range(100):
        assert samples([record], "psnr", tmp_path).scenes is not None
    assert time.process_time() - started < 0.3
