"""The dataset that is P and a map, against closed forms."""

from __future__ import annotations

import pytest
import torch

from srbench import KnownMapDataset, Parameters, Problem

FACTORS = torch.tensor([1.0, 2.0, 4.0])


class Stretched(KnownMapDataset):
    """N(0, I) in three dimensions, pushed by diag(1, 2, 4) and moved by 1."""

    facts_size = 2**15

    def __init__(self):
        super().__init__(Parameters(), "stretched")
        self.problem = Problem(domain="vector", lr_shape=(3,), hr_shape=(3,))
        self.seen = []

    def fingerprint(self):
        return "0" * 64

    def sample_lr(self, n, generator):
        return torch.randn(n, 3, generator=generator, device=generator.device)

    def true_map(self, lr):
        self.seen.append(torch.is_grad_enabled())
        return FACTORS * lr + 1


@pytest.fixture
def dataset():
    made = Stretched()
    made.prepare(torch.device("cpu"))
    return made


def joined(batches):
    xs, ys = zip(*batches, strict=True)
    return torch.cat(xs), torch.cat(ys)


def test_facts_are_those_of_the_closed_form(dataset):
    """Var Q = 1 + 4 + 16, mean of Q = 1; 1/2 E|x - y|^2 = (3 + 0 + 1 + 9) / 2."""
    facts = dataset.facts()
    assert facts["hr_variance"] == pytest.approx(21, rel=0.02)
    assert facts["transport_cost"] == pytest.approx(6.5, rel=0.02)
    assert facts["test_size"] == 1024
    facts["hr_variance"] = 0.0
    assert dataset.facts()["hr_variance"] > 20


def test_hr_samples_are_mapped_ones_and_independent_of_lr_draws(dataset):
    y = dataset.sample_hr(2**15, torch.Generator().manual_seed(0))
    assert torch.allclose(y.mean(0), torch.ones(3), atol=0.08)
    assert torch.allclose(y.std(0), FACTORS, rtol=0.02)
    x = dataset.sample_lr(2**15, torch.Generator().manual_seed(1))
    assert not torch.allclose(FACTORS * x + 1, y)
    assert not any(dataset.seen)


@pytest.mark.parametrize("size", [1, 7, 256, 1000, 5000])
def test_pairs_do_not_depend_on_the_batch_size(dataset, size):
    batches = list(dataset.test_batches(size))
    assert {len(x) for x, _ in batches[:-1]} <= {size}
    x, y = joined(batches)
    assert x.shape == y.shape == (1024, 3)
    expected, _ = joined(dataset.test_batches(64))
    assert torch.equal(x, expected)
    assert torch.equal(y, FACTORS * x + 1)


def test_validation_pairs_are_others_than_test_pairs(dataset):
    x, y = joined(dataset.validation_batches(100))
    assert x.shape == (256, 3)
    assert torch.equal(y, FACTORS * x + 1)
    test, _ = joined(dataset.test_batches(100))
    assert not (x[:, None] == test[None]).all(-1).any()


def test_two_instances_hold_the_same_pairs_whatever_was_drawn_before(dataset):
    torch.manual_seed(5)
    other = Stretched()
    other.prepare(torch.device("cpu"))
    state = torch.get_rng_state()
    assert torch.equal(joined(dataset.test_batches(99))[0], joined(other.test_batches(99))[0])
    assert dataset.facts() == other.facts()
    assert torch.equal(torch.get_rng_state(), state)


def test_fewer_pairs_are_the_first_ones(dataset):
    few = Stretched()
    few.test_size = 10
    few.prepare(torch.device("cpu"))
    assert torch.equal(joined(few.test_batches(4))[0], joined(dataset.test_batches(64))[0][:10])
    assert few.facts()["test_size"] == 10


def test_a_subclass_must_say_the_map():
    partial = type("Partial", (Stretched,), {"true_map": KnownMapDataset.true_map})
    with pytest.raises(TypeError, match="true_map"):
        partial()
