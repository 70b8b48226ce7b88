"""MIND on images of one size: its definition, its closed form, features shared with FID."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from srbench.api.problem import Problem
from srbench.errors import MissingWeights, SrbenchError
from srbench.evaluation.evaluate import evaluate
from srbench.evaluation.fid import FID, InceptionMetric
from srbench.evaluation.inception import PROTOCOL, InceptionFeatures
from srbench.evaluation.kid import KID
from srbench.evaluation.mind import DIRECTIONS, MIND, check_mind, mind, mind_directions

CPU = torch.device("cpu")
PHOTOGRAPHS = Problem(domain="sr", lr_shape=(3, 8, 8), hr_shape=(3, 32, 32), scale=4)


class Thumbnails(nn.Module):
    """Stands in for Inception: twelve averages of an image."""

    def forward(self, images):
        return [nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)[:, :, None, None]]


@pytest.fixture
def stub(context):
    """A context whose Inception is a stub."""
    context.store[PROTOCOL] = InceptionFeatures(Thumbnails(), "content", "")
    return context


def by_definition(x, y):
    """3 d times the mean over the directions of mean |sort - sort|^2, in numpy."""
    theta = mind_directions(x.shape[1]).double().numpy()
    gaps = np.sort(x @ theta.T, axis=0) - np.sort(y @ theta.T, axis=0)
    return 3 * x.shape[1] * float(np.square(gaps).mean())


def test_it_is_the_papers_formula(stub, pairs):
    metric = MIND(stub)
    for x, y in pairs.test_batches(7):
        metric.update(1.4 * x, y, x)
    score = metric.compute()
    sides = (nn.functional.adaptive_avg_pool2d((images + 1) / 2, 2).flatten(1).double().numpy()
             for images in (1.4 * pairs.lr, pairs.hr))
    assert score.value == pytest.approx(by_definition(*sides), rel=1e-4)
    assert (score.count, score.detail) == (24, {"features": 12})


def test_gaussian_features_have_a_closed_form():
    """3 d mean over theta of (theta.D)^2 + (s1 - s2)^2 for N(0, s1^2 I) and N(D, s2^2 I)."""
    generator = torch.Generator().manual_seed(0)
    d, theta = 16, mind_directions(16)
    shift = torch.linspace(-0.5, 0.5, d)
    x = torch.randn(20_000, d, generator=generator)
    y = 1.5 * torch.randn(20_000, d, generator=generator) + shift
    wanted = 3 * d * (float((theta @ shift).square().mean()) + 0.25)
    assert mind(x @ theta.T, y @ theta.T, d) == pytest.approx(wanted, rel=0.02)
    assert wanted == pytest.approx(3 * float(shift.square().sum()) + 3 * d * 0.25, rel=0.05)


def test_it_stands_beside_fid_and_takes_the_features_once(pairs, make_method, builtin,
                                                          monkeypatch):
    shared = InceptionFeatures(Thumbnails(), "content", "")
    calls, forward = [], shared.network.forward
    shared.network.forward = lambda images: calls.append(len(images)) or forward(images)
    monkeypatch.setattr(InceptionFeatures, "shared", classmethod(lambda cls, context: shared))
    found = evaluate(make_method(pairs.problem, lambda x: x), pairs,
                     {name: builtin[name] for name in ("fid", "kid", "mind")}, device=CPU,
                     batch_size=12).values
    assert calls == [12] * 4
    assert found["mind"].value > 0
    assert found["mind"].count == found["fid"].count == 24


def test_its_directions_are_a_thousand_and_always_the_same():
    theta = mind_directions(2048)
    assert theta.shape == (DIRECTIONS, 2048)
    assert DIRECTIONS == 1000
    assert torch.equal(theta, mind_directions(2048))


def test_the_self_check_notices_another_factor(stub, monkeypatch):
    MIND(stub).self_check()
    monkeypatch.setattr("srbench.evaluation.mind.sliced_w2", lambda x, y, theta: 1.0)
    with pytest.raises(SrbenchError, match="MIND of a shift gives 24"):
        check_mind()


def test_missing_weights_say_the_command(context):
    with pytest.raises(MissingWeights) as caught:
        MIND(context)
    assert caught.value.hint == "srbench fetch weights inception"


@pytest.mark.parametrize("kind", [FID, KID, MIND])
def test_whole_photographs_are_never_squeezed(context, kind):
    assert kind.unsuited(context) == ""
    reason = kind.unsuited(replace(context, problem=PHOTOGRAPHS))
    assert reason == ("does not apply: whole photographs of different sizes are never squeezed to "
                      f"299 pixels; see patch-{kind.protocol.partition('/')[0]}")
    assert InceptionMetric.unsuited(replace(context, problem=PHOTOGRAPHS)).endswith("299 pixels")
