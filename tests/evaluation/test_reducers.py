"""Sums taken in shards are those taken at once, in whatever order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from srbench.errors import SrbenchError
from srbench.evaluation.reducers import joint_moments, merge, merge_all, moments, shards


@pytest.fixture
def samples():
    generator = torch.Generator().manual_seed(0)
    return 1e4 + torch.randn(1000, 5, generator=generator) @ torch.randn(5, 5, generator=generator)


@pytest.mark.parametrize("take", [moments, joint_moments])
def test_one_shard_two_shards_and_shuffled_shards_agree(samples, take):
    whole = take(samples)
    two = merge(take(samples[:137]), take(samples[137:]))
    parts = shards(samples, 64)
    order = torch.randperm(len(parts), generator=torch.Generator().manual_seed(1)).tolist()
    many = merge_all(take(parts[i]) for i in order)
    for other in (two, many):
        assert other.count == whole.count
        torch.testing.assert_close(other.mean, whole.mean, rtol=1e-13, atol=0)
        torch.testing.assert_close(other.m2, whole.m2, rtol=1e-10, atol=1e-7)


def test_variance_and_covariance_are_numpys(samples):
    array = samples.double().numpy()
    joint = merge_all(joint_moments(part) for part in shards(samples, 100))
    np.testing.assert_allclose(joint.covariance(), np.cov(array, rowvar=False), rtol=1e-10)
    np.testing.assert_allclose(joint.variance(), array.var(0), rtol=1e-10)
    np.testing.assert_allclose(moments(samples).variance(), array.var(0), rtol=1e-12)


def test_shards_keep_every_row():
    rows = torch.arange(10)
    assert [len(part) for part in shards(rows, 4)] == [4, 4, 2]
    assert torch.equal(torch.cat(shards(rows, 4)), rows)


def test_merging_nothing_is_an_error():
    with pytest.raises(SrbenchError, match="no samples"):
        merge_all([])
