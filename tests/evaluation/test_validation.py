"""Scores during training: right, the same for every batch size, and without a trace."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from srbench.errors import DataError, PluginError
from srbench.evaluation.validation import validation_scores

CPU = torch.device("cpu")


def by_hand(prediction, hr):
    """L2-UVP and PSNR by NumPy, from their definitions."""
    a, b = (t.double().numpy() for t in (prediction, hr))
    variance = b.reshape(len(b), -1).var(0).sum()
    uvp = 100 * np.square(a - b).reshape(len(b), -1).sum(1) / variance
    unit = [(np.clip(images, -1, 1) + 1) / 2 for images in (a, b)]
    mse = np.square(unit[0] - unit[1]).reshape(len(b), -1).mean(1)
    return {"l2-uvp": uvp.mean(), "psnr": (10 * np.log10(1 / (mse + 1e-8))).mean()}


@pytest.mark.parametrize("batch_size", [1, 5, 24, 100])
def test_scores_are_those_of_the_definitions_at_any_batch_size(pairs, make_method, batch_size):
    method = make_method(pairs.problem, lambda x: 1.4 * x - 0.2)
    wanted = by_hand(1.4 * pairs.lr - 0.2, pairs.hr)
    scores = validation_scores(method, pairs, CPU, batch_size=batch_size)
    assert scores == {name: pytest.approx(value, rel=1e-5) for name, value in wanted.items()}
    assert pairs.passes == [batch_size]


def test_it_asks_for_validation_pairs_and_never_for_test_pairs(pairs, make_method):
    batches = list(zip(pairs.lr[:6].split(4), pairs.hr[:6].split(4), strict=True))

    def refuse(batch_size):
        raise AssertionError("test pairs were looked at during training")

    pairs.validation_batches, pairs.test_batches = lambda n: iter(batches), refuse
    scores = validation_scores(make_method(pairs.problem, lambda x: x), pairs, CPU)
    few = by_hand(pairs.lr[:6], pairs.hr[:6])
    assert scores["psnr"] == pytest.approx(few["psnr"], rel=1e-5)
    whole = pairs.hr.double().var(0, correction=0).sum()
    part = pairs.hr[:6].double().var(0, correction=0).sum()
    assert scores["l2-uvp"] == pytest.approx(few["l2-uvp"] * float(part / whole), rel=1e-6)


def test_it_leaves_no_trace(pairs, make_method):
    def disturbing(x):
        random.random(), np.random.rand(), torch.rand(3)
        return method.norm(x) * method.gain

    method = make_method(pairs.problem, disturbing)
    method.gain = nn.Parameter(torch.ones(()))
    method.train()
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    buffers = {name: value.clone() for name, value in method.state_dict().items()}
    precision = torch.backends.cuda.matmul.fp32_precision

    validation_scores(method, pairs, CPU)

    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[:2]
    assert torch.equal(torch.get_rng_state(), states[2])
    assert all(torch.equal(value, buffers[name]) for name, value in method.state_dict().items())
    assert method.training
    assert method.norm.training
    assert method.gain.grad is None
    assert torch.is_grad_enabled()
    assert torch.backends.cuda.matmul.fp32_precision == precision


def test_it_looks_at_the_map_in_eval_mode(pairs, make_method):
    method = make_method(pairs.problem, lambda x: method.norm(x))
    method.train()
    wanted = (pairs.lr - 0.1) / np.sqrt(1 + 1e-5)  # the buffers' mean is 0.1, their variance 1
    scores = validation_scores(method, pairs, CPU)
    assert scores["psnr"] == pytest.approx(by_hand(wanted, pairs.hr)["psnr"], rel=1e-5)


def test_a_failure_leaves_no_trace_either(pairs, make_method):
    def failing(x):
        torch.rand(3)
        raise ZeroDivisionError

    method = make_method(pairs.problem, failing)
    method.train()
    state = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError):
        validation_scores(method, pairs, CPU)
    assert method.training
    assert torch.equal(torch.get_rng_state(), state)


def test_one_bad_image_makes_the_score_nan_not_better(pairs, make_method):
    def broken(x):
        out = x.clone()
        out[0] = torch.nan
        return out

    scores = validation_scores(make_method(pairs.problem, broken), pairs, CPU, batch_size=24)
    assert np.isnan(scores["l2-uvp"])
    assert np.isnan(scores["psnr"])


def test_vectors_have_no_psnr(make_dataset, make_method):
    y = torch.randn(40, 5, generator=torch.Generator().manual_seed(1))
    dataset = make_dataset(y + 1, y)
    scores = validation_scores(make_method(dataset.problem, lambda x: x), dataset, CPU)
    variance = float(y.double().var(0, correction=0).sum())
    assert scores == {"l2-uvp": pytest.approx(100 * 5 / variance)}


@pytest.mark.parametrize("variance", [None, 0.0])
def test_without_a_variance_there_is_only_psnr(pairs, make_method, variance):
    pairs._facts["hr_variance"] = variance
    assert set(validation_scores(make_method(pairs.problem, lambda x: x), pairs, CPU)) == {"psnr"}


def test_vectors_without_a_known_map_cannot_be_scored(make_dataset, make_method):
    y = torch.randn(10, 5)
    dataset = make_dataset(y, y, known_map=False)
    with pytest.raises(DataError, match="'toy' has no validation pairs to score"):
        validation_scores(make_method(dataset.problem, lambda x: x), dataset, CPU)


def test_a_map_to_another_size_is_named(pairs, make_method):
    method = make_method(pairs.problem, lambda x: x[..., :32])
    with pytest.raises(PluginError, match=r"ToyMethod\.forward mapped shape \(24, 3, 64, 64\)"):
        validation_scores(method, pairs, CPU)
