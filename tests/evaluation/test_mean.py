"""Means over images, their intervals, and the helpers of the self checks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from srbench.errors import SrbenchError
from srbench.evaluation.mean import NORMAL_975, MeanMetric, expect, mean_interval, pattern


class Brightness(MeanMetric):
    protocol = "brightness/v1"

    def values(self, prediction, target, lr):
        return prediction.flatten(1).mean(1)


def test_mean_count_and_values_in_test_order(context):
    metric = Brightness(context)
    images = torch.arange(7.0)[:, None, None, None].expand(7, 3, 4, 4)
    for part in images.split(3):
        metric.update(part, part, part)
    score = metric.compute()
    assert score.per_image == list(range(7))
    assert (score.value, score.count) == (3.0, 7)
    half = stats.norm.ppf(0.975) * np.arange(7).std(ddof=1) / math.sqrt(7)
    assert score.interval == pytest.approx((3 - half, 3 + half))


def test_shards_merge_into_the_same_score(context):
    """The values of a shard are a list, so shards merge by joining it; order changes nothing."""
    values = torch.rand(50, generator=torch.Generator().manual_seed(0)).double().tolist()
    shuffled = values[25:] + values[:25]
    assert math.fsum(values) / 50 == math.fsum(shuffled) / 50
    assert mean_interval(values) == pytest.approx(mean_interval(shuffled), rel=1e-12)


def test_one_image_has_no_interval_and_none_no_score(context):
    metric = Brightness(context)
    with pytest.raises(SrbenchError, match="brightness/v1 was computed before any image"):
        metric.compute()
    metric.update(*[torch.ones(1, 3, 2, 2)] * 3)
    assert metric.compute().interval is None
    assert pytest.approx(stats.norm.ppf(0.975), rel=1e-12) == NORMAL_975


@pytest.mark.parametrize("value", [1.2, -1.0, math.nan, math.inf])
def test_expect_refuses_what_is_off(value):
    expect("a case", 1.05, 1, tolerance=0.1)
    with pytest.raises(SrbenchError, match=r"self check failed: a case gives .* where 1 is known"):
        expect("a case", value, 1, tolerance=0.1)


def test_pattern_is_the_same_each_time_and_in_range():
    first, second = pattern(3, (3, 8, 8)), pattern(3, (3, 8, 8))
    assert torch.equal(first, second)
    assert first.dtype == torch.float32
    assert first.abs().max() <= 1
    assert first.flatten(1).var(0).min() > 0
