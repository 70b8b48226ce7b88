"""L2-UVP and cosine on maps whose scores are known in closed form."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from srbench.errors import DataError, SrbenchError
from srbench.evaluation.cosine import Cosine, cosine
from srbench.evaluation.l2_uvp import L2UVP, L2UVPOfficial, l2_uvp
from srbench.evaluation.psnr import psnr


def score(kind, context, prediction, y, x):
    metric = kind(context)
    for part in zip(prediction.split(7), y.split(7), x.split(7), strict=True):
        metric.update(*part)
    return metric.compute()


@pytest.mark.parametrize("kind", [L2UVP, L2UVPOfficial])
def test_true_map_is_0_and_constant_map_100(kind, context, pairs):
    x, y = pairs.lr, pairs.hr
    assert score(kind, context, y, y, x).value == 0
    constant = y.double().mean(0, keepdim=True).expand_as(y)
    assert score(kind, context, constant, y, x).value == pytest.approx(100, rel=1e-9)


def test_identity_map_scores_the_transport_cost(context, pairs):
    x, y = pairs.lr, pairs.hr
    found = score(L2UVP, context, x, y, x)
    squared = (x - y).double().flatten(1).square().sum(1)
    assert found.value == pytest.approx(100 * float(squared.mean()) / context.facts["hr_variance"])
    half = (found.interval[1] - found.interval[0]) / 2
    sd = float(squared.std()) * 100 / context.facts["hr_variance"]
    assert half == pytest.approx(1.96 * sd / math.sqrt(24), rel=1e-4)
    assert found.count == len(found.per_image) == 24


def test_interval_covers_the_truth_as_often_as_it_says():
    generator = torch.Generator().manual_seed(0)
    covered = 0
    for _ in range(300):
        y = torch.randn(200, 6, generator=generator)
        x = y + 0.3 * torch.randn(200, 6, generator=generator)
        values = l2_uvp(x, y, 6.0)
        half = 1.96 * float(values.std()) / math.sqrt(200)
        covered += abs(float(values.mean()) - 9.0) < half
    assert 0.91 < covered / 300 < 0.99


def test_psnr_and_l2_uvp_of_the_paper_tell_the_same_error():
    """Relation of the paper's Table 2: UVP = 100 * 4 * D * 10^(-PSNR/10) / Var(Q)."""
    y = torch.zeros(1, 3, 64, 64)
    x = y + 0.05
    uvp, decibel = float(l2_uvp(x, y, 3550.0)), float(psnr(x, y))
    assert uvp == pytest.approx(100 * 4 * 12288 * 10 ** (-decibel / 10) / 3550, rel=1e-4)


def test_modes_and_protocols_differ():
    assert (L2UVP.mode, L2UVPOfficial.mode) == ("eval", "train10")
    assert L2UVP.protocol != L2UVPOfficial.protocol


@pytest.mark.parametrize("variance", [None, 0.0, -1.0, math.nan])
def test_without_a_variance_there_is_no_percentage(context, variance):
    with pytest.raises(DataError, match="hr_variance"):
        L2UVP(replace(context, facts={"hr_variance": variance}))


def test_self_check_notices_another_denominator(context, monkeypatch):
    L2UVP(context).self_check()
    monkeypatch.setattr("srbench.evaluation.l2_uvp.l2_uvp",
                        lambda x, y, v: l2_uvp(x, y, 1.01 * v))
    with pytest.raises(SrbenchError, match="constant map gives 99"):
        L2UVP(context).self_check()


def test_cosine_of_true_opposite_identity_and_halfway_maps(context, pairs):
    x, y = pairs.lr, pairs.hr
    for prediction, wanted in ((y, 1), (2 * x - y, -1), (x, 0), ((x + y) / 2, 1)):
        assert score(Cosine, context, prediction, y, x).value == pytest.approx(wanted, abs=1e-6)


def test_cosine_reports_the_costs_of_the_map_and_of_the_truth(context, pairs):
    x, y = pairs.lr, pairs.hr
    detail = score(Cosine, context, x + 2 * (y - x), y, x).detail
    wanted = float((y - x).double().square().sum()) / 2 / 24
    assert detail["transport_cost"] == pytest.approx(wanted, rel=1e-6)
    assert detail["cost_of_map"] == pytest.approx(4 * wanted, rel=1e-6)


@given(st.lists(st.floats(-100, 100), min_size=4, max_size=4))
def test_cosine_never_exceeds_one(numbers):
    a, b = torch.tensor(numbers[:2]).double(), torch.tensor(numbers[2:]).double()
    value = cosine(float(a @ b), float(a @ a), float(b @ b))
    assert abs(value) <= 1 + 1e-9


def test_cosine_of_shapes_that_differ_is_refused(context):
    with pytest.raises(SrbenchError, match="of one shape"):
        Cosine(context).update(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8),
                               torch.zeros(1, 3, 2, 2))
    Cosine(context).self_check()
