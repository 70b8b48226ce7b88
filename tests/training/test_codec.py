"""State dicts survive as tensors and JSON with exactly their structure."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srbench.errors import StoreError
from srbench.training.codec import decode, encode

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-2**70, 2**70), st.floats(allow_nan=False), st.text(),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8,
                     torch.bool]).map(lambda kind: torch.arange(6).reshape(2, 3).to(kind)),
    st.integers(0, 9).map(torch.tensor))
KEYS = st.one_of(st.integers(), st.text())
TREES = st.recursive(LEAVES, lambda inner: st.one_of(
    st.lists(inner, max_size=4), st.lists(inner, max_size=4).map(tuple),
    st.dictionaries(KEYS, inner, max_size=4)), max_leaves=12)


def same(left, right):
    assert type(left) is type(right)
    if isinstance(left, torch.Tensor):
        assert left.dtype == right.dtype
        assert torch.equal(left, right)
    elif isinstance(left, dict):
        assert list(left) == list(right)
        assert [type(key) for key in left] == [type(key) for key in right]
        for key in left:
            same(left[key], right[key])
    elif isinstance(left, list | tuple):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            same(one, other)
    else:
        assert left == right


def through(value):
    tensors = {}
    data = json.loads(json.dumps(encode(value, "state", tensors)))
    return decode(data, tensors)


@settings(max_examples=200, deadline=None)
@given(TREES)
def test_trees_come_back_as_they_were(value):
    same(through(value), value)


def test_names_that_collide_as_paths_stay_apart():
    """1 and "1", "a/b" and a, b: the path of one is the path of the other."""
    value = {1: torch.zeros(1), "1": torch.ones(1),
             "a/b": torch.tensor([2.0]), "a": {"b": torch.tensor([3.0])}}
    same(through(value), value)


def test_layout_survives_and_memory_is_not_shared():
    value = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    back = through(value)
    assert torch.equal(back, value)
    assert back.stride() == value.stride()
    back.zero_()
    assert value.abs().sum() > 0


def test_infinite_learning_rates_survive():
    assert through({"lr": float("inf")}) == {"lr": float("inf")}


@pytest.mark.parametrize("value", [{"f": print}, [object()], {"k": {1.5: 2}}, {"s": {1, 2}}])
def test_what_cannot_be_kept_is_named(value):
    with pytest.raises(StoreError, match="state/"):
        encode(value, "state", {})
