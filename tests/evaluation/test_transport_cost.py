"""Transport cost: closed forms, torch's bicubic as its definition says, scale 1 and vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from srbench.api.problem import Problem
from srbench.errors import DataError, SrbenchError
from srbench.evaluation import transport_cost as module
from srbench.evaluation.evaluate import evaluate
from srbench.evaluation.transport_cost import TransportCost, cost, upsampled

CPU = torch.device("cpu")
A = -0.75  # the coefficient of torch's cubic kernel


def noise(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def kernel(t):
    """Keys' cubic convolution kernel."""
    t = abs(t)
    if t <= 1:
        return (A + 2) * t**3 - (A + 3) * t**2 + 1
    return A * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0


def matrix(size, scale):
    """Bicubic upsampling of a line as a matrix, edges repeated."""
    rows = np.zeros((size * scale, size))
    for i in range(size * scale):
        place = (i + 0.5) / scale - 0.5
        for j in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            rows[i, min(max(j, 0), size - 1)] += kernel(place - j)
    return rows


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_up_is_keys_kernel_with_edges_repeated(scale):
    x = noise(0, 1, 3, 9, 7)
    wanted = matrix(9, scale) @ x[0].double().numpy() @ matrix(7, scale).T
    np.testing.assert_allclose(upsampled(x, scale)[0], wanted, atol=1e-5)
    assert upsampled(x, 1) is x


def test_cost_of_a_map_at_scale_4(context, photographs):
    dataset = photographs()
    metric = TransportCost(replace(context, problem=dataset.problem))
    outputs = [noise(n, *y.shape) for n, y in enumerate(dataset.hr)]
    for t, y, x in zip(outputs, dataset.hr, dataset.lr, strict=True):
        metric.update(t, y, x)
    found = metric.compute()
    ups = [matrix(x.shape[2], 4) @ x[0].double().numpy() @ matrix(x.shape[3], 4).T
           for x in dataset.lr]
    for values, images in ((found.per_image, outputs),
                           (found.reference["hr"], dataset.hr)):
        costs = [np.square(up - y[0].double().numpy()).mean()
                 for up, y in zip(ups, images, strict=True)]
        wanted = np.mean(costs) if isinstance(values, float) else costs
        assert values == pytest.approx(wanted, rel=1e-5)
    assert found.value == pytest.approx(np.mean(found.per_image), rel=1e-12)
    assert found.count == 3


@pytest.mark.parametrize("shape", [(12, 3, 6, 6), (12, 5)])
def test_shifts_identity_and_the_true_map_have_closed_forms(context, shape):
    problem = Problem(domain="vector" if len(shape) == 2 else "image", lr_shape=shape[1:],
                      hr_shape=shape[1:])
    x = noise(1, *shape)
    for t, wanted in ((x, 0.0), (x + 0.5, 0.25), (-x, 4 * float(x.double().square().mean()))):
        metric = TransportCost(replace(context, problem=problem))
        for part in zip(t.split(5), (x - 0.3).split(5), x.split(5), strict=True):
            metric.update(*part)
        found = metric.compute()
        assert found.value == pytest.approx(wanted, rel=1e-5, abs=1e-12)
        assert found.reference["hr"] == pytest.approx(0.09, rel=1e-5)


def test_distance_and_cost_tell_two_maps_apart_that_error_does_not(make_dataset, make_method,
                                                                   builtin):
    """A constant map of half the way and a map to HR of another input: one is not at Q, one far."""
    y = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    dataset = make_dataset(y + 1, y)
    metrics = {"transport-cost": builtin["transport-cost"]}
    lazy, shuffling = (make_method(dataset.problem, f) for f in (
        lambda x: x - 0.5, lambda x: (x - 1).flip(0)))
    values = [evaluate(m, dataset, metrics, device=CPU, batch_size=400).values["transport-cost"]
              for m in (lazy, shuffling)]
    assert values[0].value == pytest.approx(0.25, rel=1e-5)
    assert values[0].reference["hr"] == pytest.approx(1, rel=1e-5)
    assert values[1].value == pytest.approx(3, rel=0.15)  # 1 + E|y - y'|^2 per value
    assert values[0].direction == "target"


def test_the_interval_is_over_samples(context, pairs):
    metric = TransportCost(context)
    for x, y in pairs.test_batches(7):
        metric.update(y, y, x)
    found = metric.compute()
    values = (pairs.lr - pairs.hr).double().square().mean((1, 2, 3)).numpy()
    half = 1.959964 * values.std(ddof=1) / 24**0.5
    assert found.interval == pytest.approx((values.mean() - half, values.mean() + half), rel=1e-5)
    assert found.value == pytest.approx(found.reference["hr"], rel=1e-12)


def test_failures_are_said(context, monkeypatch):
    with pytest.raises(DataError, match=r"of one shape, got \(3, 4, 4\) and \(3, 8, 8\)"):
        cost(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 8, 8))
    with pytest.raises(SrbenchError, match="before any image"):
        TransportCost(context).compute()
    TransportCost(context).self_check()
    monkeypatch.setattr(module, "cost", lambda x, y: 2 * cost(x, y))
    with pytest.raises(SrbenchError, match=r"shift by 0\.3 gives 0\.1[78]"):
        TransportCost(context).self_check()
