"""Draws: pure functions of (seed, stream, number), independent between LR and HR."""

from __future__ import annotations

import hashlib

import pytest
import torch
from scipy.stats import chisquare

from srbench import PoolSettings, Problem
from srbench.errors import ParameterError
from srbench.training import Training, mix
from srbench.training.sampling import stratified


def draws(toy, pool, order, seed=7):
    """Draw in a stage, in the given order of streams."""
    method = toy.Map(toy.Parameters(), toy.PROBLEM)
    training = Training(method, toy.Toy(pool), seed=seed, device=toy.CPU)
    out = {"lr": [], "hr": []}
    for _ in training.steps(1):
        for stream in order:
            out[stream].append(getattr(training, stream)(4))
    return out


def test_mix_is_sha256_of_the_name():
    digest = hashlib.sha256(b"(5, 'lr', 17)").digest()
    assert mix(5, "lr", 17) == int.from_bytes(digest[:8], "big") // 2
    assert 0 <= mix(5, "lr", 17) < 2**63
    assert len({mix(seed, stream, k) for seed in range(5) for stream in ("lr", "hr")
                for k in range(100)}) == 1000


@pytest.mark.parametrize("pooled", [False, True])
def test_draws_of_one_stream_do_not_depend_on_the_other(toy, pooled):
    pool = toy.small_pool() if pooled else None
    left, right = draws(toy, pool, ["lr", "hr"] * 12), draws(toy, pool, ["hr"] * 40 + ["lr"] * 12)
    assert all(map(torch.equal, left["lr"], right["lr"]))
    assert all(map(torch.equal, left["hr"], right["hr"]))
    other = draws(toy, pool, ["lr"] * 3, seed=8)
    assert not torch.equal(left["lr"][0], other["lr"][0])
    assert not torch.equal(left["lr"][0], left["lr"][1])


@pytest.mark.parametrize("pooled", [False, True])
def test_lr_and_hr_are_never_aligned(toy, pooled):
    """The toy's HR is LR's distribution plus one: equal generators would give exact pairs."""
    out = draws(toy, toy.small_pool() if pooled else None, ["lr", "hr"] * 30)
    lr, hr = torch.cat(out["lr"]).flatten(1), torch.cat(out["hr"]).flatten(1) - 1
    assert torch.cdist(lr, hr).min() > 1


def test_pool_is_refreshed_block_by_block(toy):
    """Before draw k the newest B blocks of B + k // refresh_every are there, no others."""
    settings = PoolSettings(size=32, block=8, refresh_every=3)
    blocks = {}
    for block in range(12):
        generator = torch.Generator().manual_seed(mix(7, "lr", "block", block))
        for sample in torch.randn(8, 3, 6, 6, generator=generator):
            blocks[tuple(sample.flatten()[:3].tolist())] = block
    for k, batch in enumerate(draws(toy, settings, ["lr"] * 24)["lr"]):
        seen = {blocks[tuple(sample.flatten()[:3].tolist())] for sample in batch}
        newest = 4 + k // 3
        assert seen <= set(range(newest - 4, newest)), k


def test_pool_without_refresh_repeats_its_samples(toy):
    out = draws(toy, PoolSettings(size=8, block=4, refresh_every=0), ["lr"] * 50)["lr"]
    assert len(torch.cat(out).flatten(1).unique(dim=0)) == 8


def test_batches_have_no_repeats_and_cover_the_pool_evenly():
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(50, dtype=torch.int64)
    for _ in range(4000):
        picked = stratified(7, 50, int(torch.randint(50, ())), generator)
        assert len(picked.unique()) == 7
        counts[picked] += 1
    assert chisquare(counts.numpy()).pvalue > 1e-4
    assert sorted(stratified(50, 50, 13, generator).tolist()) == list(range(50))


def test_batch_larger_than_the_pool_is_named(toy):
    with pytest.raises(ParameterError, match=r"batch of 4 .* pool of 2 samples"):
        draws(toy, PoolSettings(size=2, block=2, refresh_every=0), ["lr"])


@pytest.mark.parametrize("pooled", [False, True])
def test_images_are_float32_in_nhwc_memory(toy, pooled):
    for batch in draws(toy, toy.small_pool() if pooled else None, ["lr", "hr"])["hr"]:
        assert batch.shape == (4, 3, 6, 6)
        assert batch.dtype == torch.float32
        assert batch.is_contiguous(memory_format=torch.channels_last)
        assert not batch.requires_grad


def test_vectors_are_drawn_too(toy):
    problem = Problem(domain="vector", lr_shape=(5,), hr_shape=(5,))
    for pool in (None, toy.small_pool()):
        training = Training(toy.Map(toy.Parameters(), problem), toy.Toy(pool, problem), seed=0,
                            device=toy.CPU)
        for _ in training.steps(1):
            assert training.lr(4).shape == (4, 5)


def test_wrong_shape_of_a_dataset_is_named(toy, monkeypatch):
    monkeypatch.setattr(toy.Toy, "sample_hr", lambda self, n, generator: torch.zeros(n, 3, 5, 6))
    with pytest.raises(ValueError, match=r"sample_hr\(4\) returned the shape \(4, 3, 5, 6\)"):
        draws(toy, None, ["hr"])


def test_draws_outside_stages_are_numbered_anew_behind_each_stage(toy):
    training = Training(toy.Map(toy.Parameters(), toy.PROBLEM), toy.Toy(toy.small_pool()), seed=7,
                        device=toy.CPU)
    before = [training.lr(2), training.lr(2)]
    for _ in training.steps(2):
        inside = training.lr(2)
    behind = training.lr(2)
    values = torch.stack([*before, inside, behind])
    assert len(values.flatten(1).unique(dim=0)) == 4
    generator = torch.Generator().manual_seed(mix(7, "lr", "after main", 0))
    assert torch.equal(behind, torch.randn(2, 3, 6, 6, generator=generator))


def test_own_streams_are_seeded_by_name_and_kept(toy):
    _, training = toy.cell(None)
    assert training.generator("a") is training.generator("a")
    first = [torch.rand(1, generator=training.generator(name)) for name in "ab"]
    _, again = toy.cell(None)
    assert [torch.rand(1, generator=again.generator(name)) for name in "ab"] == first
    assert first[0] != first[1]
