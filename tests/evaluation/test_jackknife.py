"""Jackknife intervals against brute force, closed forms, and the spread of repeated draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from srbench import files
from srbench.evaluation import frechet_jackknife, patch_kid
from srbench.evaluation.evaluate import evaluate, evaluation_context
from srbench.evaluation.frechet import frechet_of_features
from srbench.evaluation.frechet_jackknife import distances_left_out
from srbench.evaluation.inception import PROTOCOL as INCEPTION
from srbench.evaluation.inception import InceptionFeatures
from srbench.evaluation.jackknife import (
    NONE,
    deviations,
    group_index,
    jackknife,
    standard_error,
)
from srbench.evaluation.kid import mmds_left_out, squared_mmd
from srbench.evaluation.reducers import joint_moments, moments, without
from srbench.evaluation.spool import Spool

CPU = torch.device("cpu")


def features(count, width, seed=0, offset=0.0):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=torch.Generator().manual_seed(7))
    return torch.randn(count, width, generator=generator) @ mixing / width**0.5 + offset


# Groups.

def test_groups_take_scenes_in_turn_and_keep_them_whole():
    assert group_index(range(7), 3).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert group_index([4, 4, 9, 4, 2, 9], 2).tolist() == [1, 1, 0, 1, 0, 0]
    assert group_index([5, 5, 5], 10).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("count", "groups"), [(1024, 20), (1025, 10), (6, 6)])
def test_many_images_have_fewer_groups(count, groups):
    assert len(set(group_index(range(count)).tolist())) == groups


# The standard error.

def test_of_a_mean_it_is_the_textbook_standard_error():
    values = np.random.default_rng(0).normal(size=20)
    left_out = (values.sum() - values) / 19
    assert standard_error(left_out) == pytest.approx(values.std(ddof=1) / math.sqrt(20), rel=1e-12)
    assert deviations(left_out) == pytest.approx(values - values.mean(), rel=1e-9)


def test_of_a_mean_of_unequal_groups_it_is_busings_formula():
    draw = np.random.default_rng(1)
    sizes = np.array([3, 5, 4, 8])
    groups = np.repeat(np.arange(4), sizes)
    values = draw.normal(size=20)
    left_out = np.array([values[groups != g].mean() for g in range(4)])
    ratio = 20 / sizes
    centre = 4 * values.mean() - ((1 - 1 / ratio) * left_out).sum()
    pseudo = ratio * values.mean() - (ratio - 1) * left_out
    wanted = np.mean((pseudo - centre)**2 / (ratio - 1))
    assert standard_error(left_out, sizes) == pytest.approx(math.sqrt(wanted), rel=1e-12)


def test_the_interval_has_a_t_quantile_and_the_detail_gives_it_back():
    left_out = np.array([1.0, 1.4, 0.9, 1.1, 1.3])
    found = jackknife(1.2, left_out)
    error = found.detail["jackknife_se"]
    half = stats.t.ppf(0.975, 4) * error
    assert found.interval == pytest.approx((1.2 - half, 1.2 + half))
    moves = np.array(found.detail["jackknife"])
    assert moves.std(ddof=1) / math.sqrt(5) == pytest.approx(error, rel=1e-7)
    assert found.detail["groups"] == 5


@pytest.mark.parametrize("left_out", [[], [1.0], [1.0, math.nan, 2.0]])
def test_what_cannot_be_told_has_no_interval(left_out):
    assert jackknife(1.0, np.array(left_out)) == NONE


# Fréchet distances.

@pytest.mark.parametrize(("n", "m", "width"), [(30, 30, 60), (30, 41, 60), (41, 30, 60),
                                               (200, 200, 12), (30, 300, 12)])
def test_frechet_distances_left_out_are_those_of_the_rest(n, m, width):
    x, y = features(n, width, 1, 5.0), features(m, width, 2, 5.2) * 1.1
    groups = group_index(range(n), 7), group_index(range(m), 7)
    found = distances_left_out(x.numpy(), y.numpy(), *groups)
    for g in range(7):
        wanted = frechet_of_features([x[groups[0] != g]], [y[groups[1] != g]]).distance
        assert found[g] == pytest.approx(wanted, rel=1e-5)


def test_few_images_and_many_agree_where_both_can_be_used(monkeypatch):
    x, y = features(90, 20, 1), features(90, 20, 2) + 0.3
    groups = group_index(range(90), 9)
    many = distances_left_out(x.numpy(), y.numpy(), groups, groups)
    few = frechet_jackknife._of_few(x.double().numpy(), y.double().numpy(), groups, groups, 9)
    assert few == pytest.approx(many, rel=1e-6)


@pytest.mark.parametrize("groups", [[0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]])
def test_groups_that_leave_too_little_have_no_distance(groups):
    side = features(4, 3).numpy()
    index = np.array(groups)
    assert np.isnan(distances_left_out(side, side, index, index)).all()


@pytest.mark.parametrize("width", [3, 30])
def test_a_group_may_have_rows_on_one_side_only(width):
    x, y = features(24, width, 1), features(24, width, 2)
    groups = np.arange(24) % 3, np.arange(24) % 2
    found = distances_left_out(x.numpy(), y.numpy(), *groups)
    assert found[2] == pytest.approx(frechet_of_features([x[groups[0] != 2]], [y]).distance)


def test_the_jackknife_tells_how_much_frechet_distances_of_other_images_vary():
    """500 images of 6 features: mean standard error against the deviation of 200 draws."""
    values, errors = [], []
    for seed in range(200):
        x = features(500, 6, 2 * seed) + 0.3
        y = features(500, 6, 2 * seed + 1) * 1.2
        values.append(frechet_of_features([x], [y]).distance)
        if seed < 40:
            groups = group_index(range(500))
            errors.append(standard_error(distances_left_out(x.numpy(), y.numpy(), groups, groups)))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.2)


def test_taking_out_is_putting_in_turned_round():
    rows = features(40, 5)
    for of in (moments, joint_moments):
        rest = without(of(rows), of(rows[:13]))
        wanted = of(rows[13:])
        assert rest.count == 27
        torch.testing.assert_close(rest.mean, wanted.mean)
        torch.testing.assert_close(rest.m2, wanted.m2)


# Kernel distances.

@pytest.mark.parametrize(("n", "m"), [(24, 24), (23, 31)])
def test_kernel_distances_left_out_are_those_of_the_rest(n, m):
    x, y = features(n, 9, 1), features(m, 9, 2)
    groups = group_index(range(n), 5), group_index(range(m), 5)
    found = mmds_left_out([x[:10], x[10:]], [y], groups)
    for g in range(5):
        wanted = squared_mmd([x[groups[0] != g]], [y[groups[1] != g]])
        assert found[g] == pytest.approx(wanted, rel=1e-9, abs=1e-12)


def test_a_group_may_be_absent_from_a_block():
    x = features(6, 4)
    index = np.array([0, 0, 1, 1, 0, 1])
    found = mmds_left_out([x], [x.flip(0)], (index, index), 3)
    assert found[2] == pytest.approx(squared_mmd([x], [x.flip(0)]))
    assert np.isnan(mmds_left_out([x[:3]], [x[:3]], (index[:3] * 0, index[:3]), 2)).all()


# The metrics.

class Averages(nn.Module):
    """Stands in for Inception: 12 averages of an image."""

    def forward(self, images):
        return [nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)[:, :, None, None]]


def with_stub(dataset):
    context = evaluation_context(dataset, CPU)
    context.store[INCEPTION] = InceptionFeatures(Averages(), "content", dataset.fingerprint())
    return dataset


def averages(images):
    return nn.functional.adaptive_avg_pool2d((images + 1) / 2, 2).flatten(1)


def brute(compute, x, y, groups):
    """Interval of a metric from recomputing it without each group."""
    left_out = [compute([x[groups[0] != g]], [y[groups[1] != g]])
                for g in range(1 + int(groups[0].max()))]
    sizes = np.bincount(np.concatenate(groups))
    return jackknife(compute([x], [y]), np.array(left_out), sizes).interval


def test_fid_and_kid_leave_out_test_images(make_dataset, make_method, builtin):
    lr, hr = torch.rand(2, 45, 3, 16, 16, generator=torch.Generator().manual_seed(3)) * 2 - 1
    scenes = [i // 3 for i in range(45)]
    dataset = with_stub(make_dataset(lr, hr, test_scenes=scenes))
    found = evaluate(make_method(dataset.problem, lambda x: 0.5 * x), dataset,
                     {name: builtin[name] for name in ("fid", "kid")}, device=CPU).values
    x, y, groups = averages(0.5 * lr), averages(hr), group_index(scenes)
    assert found["fid"].detail["groups"] == 15
    assert found["fid"].interval == pytest.approx(
        brute(lambda a, b: frechet_of_features(a, b).distance, x, y, (groups, groups)), rel=1e-6)
    assert found["kid"].interval == pytest.approx(
        brute(squared_mmd, x, y, (groups, groups)), rel=1e-6)


@pytest.fixture
def known_photographs(photographs):
    """Photographs whose patches say which of 12 scenes they are of."""
    def make(count, name="known"):
        dataset = photographs(count, name=name)
        draw = np.random.default_rng(4)
        scenes = draw.integers(0, 12, count).tolist(), draw.integers(0, 12, count).tolist()
        dataset.patch_scenes = lambda: scenes
        return with_stub(dataset), scenes
    return make


def restored(x):
    return 1.5 * nn.functional.interpolate(x, scale_factor=4) + 0.2


@pytest.mark.parametrize("count", [150, 20])
def test_patch_metrics_leave_out_photographs(known_photographs, make_method, builtin, count):
    dataset, scenes = known_photographs(count)
    found = evaluate(make_method(dataset.problem, restored), dataset,
                     {name: builtin[name] for name in ("patch-fid", "patch-kid")},
                     device=CPU).values
    low, high = dataset.all_patches()
    groups = [np.array(side) % 10 for side in scenes]  # 12 scenes to 10 groups in turn
    x, y = averages(restored(low)), averages(high)
    assert found["patch-fid"].detail["groups"] == 10
    assert found["patch-fid"].interval == pytest.approx(
        brute(lambda a, b: frechet_of_features(a, b).distance, x, y, groups), rel=1e-5)
    assert found["patch-kid"].interval == pytest.approx(
        brute(squared_mmd, x, y, groups), rel=1e-6)


def test_patch_kid_leaves_photographs_out_of_every_block(known_photographs, make_method, builtin,
                                                         monkeypatch):
    monkeypatch.setattr(patch_kid, "BLOCK", 60)
    dataset, scenes = known_photographs(150)
    found = evaluate(make_method(dataset.problem, restored), dataset,
                     {"patch-kid": builtin["patch-kid"]}, device=CPU).values["patch-kid"]
    low, high = dataset.all_patches()
    groups = [np.array(side) % 10 for side in scenes]
    x, y = averages(restored(low)), averages(high)
    left_out = [np.mean([squared_mmd([x[part][groups[0][part] != g]],
                                     [y[part][groups[1][part] != g]])
                         for part in (slice(0, 60), slice(60, 120))]) for g in range(10)]
    assert found.detail["blocks"] == 2
    assert found.interval == pytest.approx(
        jackknife(found.value, np.array(left_out), np.bincount(np.concatenate(groups))).interval,
        rel=1e-6)


def test_patches_of_unknown_photographs_have_a_value_and_no_interval(photographs, make_method,
                                                                     builtin):
    dataset = with_stub(photographs(40))
    found = evaluate(make_method(dataset.problem, restored), dataset,
                     {name: builtin[name] for name in ("patch-fid", "patch-kid")},
                     device=CPU).values
    for value in found.values():
        assert value.value is not None
        assert value.interval is None
        assert "jackknife_se" not in value.detail


def test_scenes_of_other_patches_are_not_believed(known_photographs, make_method, builtin):
    dataset, scenes = known_photographs(40)
    dataset.patch_scenes = lambda: (scenes[0][:-1], scenes[1])
    found = evaluate(make_method(dataset.problem, restored), dataset,
                     {"patch-fid": builtin["patch-fid"]}, device=CPU).values["patch-fid"]
    assert (found.interval, found.value is None) == (None, False)


# Rows that wait on disk.

def test_a_spool_gives_back_what_it_was_given():
    spool = Spool()
    assert spool.rows() is None
    parts = [np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((1, 3), np.float32)]
    for part in parts:
        spool.add(part)
    np.testing.assert_array_equal(spool.rows(), np.concatenate(parts))
    assert list((files.cache_dir() / "features").iterdir()) == []  # it has no name


def test_a_full_disk_costs_the_interval_alone(known_photographs, make_method, builtin, monkeypatch,
                                              caplog):
    def refuse(**options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("srbench.evaluation.spool.tempfile.TemporaryFile", refuse)
    dataset, _ = known_photographs(40)
    found = evaluate(make_method(dataset.problem, restored), dataset,
                     {"patch-fid": builtin["patch-fid"]}, device=CPU).values["patch-fid"]
    assert (found.interval, found.value is None) == (None, False)
    assert "No space left" in caplog.text
