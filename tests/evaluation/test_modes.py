"""Running a method for measurement leaves no trace."""

from __future__ import annotations

import random
from contextlib import suppress

import numpy as np
import pytest
import torch
from torch import nn

from srbench.evaluation.modes import (
    Rebatch,
    eval_mode,
    full_precision,
    preserved_randomness,
    train_mode_copy,
)


def draws():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_random_states_come_back_even_after_an_error():
    def seed():
        random.seed(4), np.random.seed(4), torch.manual_seed(4)

    seed()
    wanted = draws()
    seed()
    with suppress(KeyError), preserved_randomness():
        draws(), torch.manual_seed(99), random.seed(1), np.random.seed(1)
        raise KeyError
    assert draws() == wanted


def test_eval_mode_restores_each_part_even_after_an_error():
    net = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()))
    net.train()
    net[1].eval()
    net[1][1].train()
    before = [part.training for part in net.modules()]
    with suppress(KeyError), eval_mode(net):
        assert not any(part.training for part in net.modules())
        raise KeyError
    assert [part.training for part in net.modules()] == before
    assert before == [True, True, False, False, True]


def test_copy_in_train_mode_shares_nothing():
    net = nn.BatchNorm1d(2).eval()
    copied = train_mode_copy(net)
    copied(torch.randn(5, 2))
    assert copied.training
    assert not net.training
    assert net.num_batches_tracked == 0
    assert copied.num_batches_tracked == 1
    assert torch.equal(net.running_mean, torch.zeros(2))


@pytest.mark.parametrize("sizes", [[10, 10, 4], [3, 25], [1] * 23, [64]])
def test_batches_of_exactly_ten_in_order(sizes):
    total = sum(sizes)
    lr, hr = torch.arange(total)[:, None], torch.arange(total)[:, None] + 100
    rebatch, found = Rebatch(10), []
    for x, y in zip(lr.split(sizes), hr.split(sizes), strict=True):
        found.extend(rebatch.add(x, y))
    assert [len(x) for x, _ in found] == [10] * (total // 10)
    assert torch.equal(torch.cat([x for x, _ in found]), lr[: total // 10 * 10])
    assert torch.equal(torch.cat([y for _, y in found]), hr[: total // 10 * 10])


def test_metric_networks_run_in_ieee_float32_and_flags_come_back():
    matmul, conv = torch.backends.cuda.matmul, torch.backends.cudnn.conv
    before = matmul.fp32_precision, conv.fp32_precision
    try:
        matmul.fp32_precision = conv.fp32_precision = "tf32"
        with suppress(KeyError), full_precision():
            assert (matmul.fp32_precision, conv.fp32_precision) == ("ieee", "ieee")
            raise KeyError
        assert (matmul.fp32_precision, conv.fp32_precision) == ("tf32", "tf32")
    finally:
        matmul.fp32_precision, conv.fp32_precision = before
