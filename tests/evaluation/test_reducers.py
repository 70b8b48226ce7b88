"""Sums taken in shards are those taken at once, in whatever order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from srbench.errors import SrbenchError
from srbench.evaluation.reducers import (
    Blocks,
    JointMoments,
    joint_moments,
    merge,
    merge_all,
    moments,
    shards,
)


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


@pytest.mark.parametrize("sizes", [[1000], [1] * 1000, [300, 1, 699], [7] * 142 + [6]])
@pytest.mark.parametrize("size", [64, 1000, 4096])
def test_a_stream_of_rows_has_the_moments_of_all_at_once(samples, sizes, size):
    streamed = JointMoments(size)
    for part in samples.split(sizes):
        streamed.add(part)
    found, whole = streamed.total(), joint_moments(samples)
    assert found.count == whole.count
    torch.testing.assert_close(found.mean, whole.mean, rtol=1e-13, atol=0)
    torch.testing.assert_close(found.m2, whole.m2, rtol=1e-10, atol=1e-7)
    again = streamed.total()  # asking twice changes nothing
    assert torch.equal(found.m2, again.m2)


def test_moments_may_be_asked_for_in_between(samples):
    streamed = JointMoments(300)
    streamed.add(samples[:450])
    assert streamed.total().count == 450
    streamed.add(samples[450:])
    torch.testing.assert_close(streamed.total().m2, joint_moments(samples).m2, rtol=1e-10,
                               atol=1e-7)


def test_a_stream_without_rows_has_no_moments():
    with pytest.raises(SrbenchError, match="no samples"):
        JointMoments().total()


@pytest.mark.parametrize("sizes", [[23], [1] * 23, [10, 10, 3], [4, 19]])
def test_blocks_of_exactly_one_size_in_order(sizes):
    rows = torch.arange(46).reshape(23, 2)
    blocks, found = Blocks(5), []
    for part in rows.split(sizes):
        found.extend(blocks.add(part))
    assert [len(block) for block in found] == [5] * 4
    assert torch.equal(torch.cat(found), rows[:20])
    assert torch.equal(blocks.rest(), rows[20:])
    assert blocks.rest() is None


def test_blocks_keep_no_more_than_what_waits():
    blocks = Blocks(8)
    for _ in range(100):
        list(blocks.add(torch.zeros(3, 2)))
        assert sum(len(part) for part in blocks._parts) < 8
