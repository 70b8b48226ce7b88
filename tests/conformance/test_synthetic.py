"""The synthetic datasets: what they say in closed form is what their samples show."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from srbench.errors import DataError
from srbench.testing import SyntheticImages, SyntheticPhotographs, SyntheticVectors, problems
from srbench.training.sampling import Sampler

CPU = torch.device("cpu")
MANY = 20_000


def drawn(dataset, n=MANY, seed=3):
    return dataset.sample_lr(n, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dataset", [SyntheticVectors(), SyntheticVectors(7, seed=5),
                                     SyntheticImages(), SyntheticImages(32, seed=2)],
                         ids=lambda d: f"{d.name}-{d.problem.dim}-{d.seed}")
def test_variance_and_transport_cost_are_those_of_the_samples(dataset):
    x = drawn(dataset, MANY if dataset.problem.domain == "vector" else 2000).double()
    y = dataset.true_map(x.float()).double()
    variance = y.flatten(1).var(0, correction=0).sum()
    cost = (y - x).flatten(1).square().sum(1).mean() / 2
    facts = dataset.facts()
    assert facts["hr_variance"] == pytest.approx(float(variance), rel=0.04)
    assert facts["transport_cost"] == pytest.approx(float(cost), rel=0.04)


def test_the_map_of_vectors_is_an_optimal_one():
    """Brenier: the gradient of a convex function, here a symmetric matrix without small values."""
    for seed in range(4):
        weight = SyntheticVectors(6, seed=seed).weight
        assert torch.allclose(weight, weight.T, atol=1e-6)
        values = torch.linalg.eigvalsh(weight.double())
        assert values.min() >= 0.5 - 1e-6
        assert values.max() <= 1.5 + 1e-6
    assert not torch.equal(SyntheticVectors(seed=0).weight, SyntheticVectors(seed=1).weight)


def test_vectors_have_the_moments_they_are_made_with():
    dataset = SyntheticVectors(3)
    y = dataset.sample_hr(MANY, torch.Generator().manual_seed(0)).double()
    assert torch.allclose(y.mean(0), dataset.bias.double(), atol=0.04)
    wanted = dataset.weight.double() @ dataset.weight.double()
    assert torch.allclose(torch.cov(y.T), wanted, atol=0.08)


def test_images_lie_in_the_nominal_range_around_zero():
    x = drawn(SyntheticImages(), 3000)
    assert x.abs().max() <= 0.81 + 1e-6
    assert x.mean((0, 2, 3)).abs().max() < 0.01
    y = SyntheticImages().true_map(x)
    # A map to [0, 1] is told from one to [-1, 1] by values below 0, even of a constant colour.
    assert y.mean((0, 2, 3)).min() < -0.1
    assert y.min() >= -1.2


@pytest.mark.parametrize("make", [SyntheticVectors, SyntheticImages, SyntheticPhotographs])
def test_everything_follows_from_the_seed(make):
    def pairs(dataset, name):
        return [value for pair in getattr(dataset, name)(5) for value in pair]

    for name in ("test_batches", "validation_batches"):
        one, again, other = (pairs(make(seed=seed), name) for seed in (4, 4, 5))
        assert all(map(torch.equal, one, again))
        assert not any(map(torch.equal, one, other))
    assert make(seed=4).fingerprint() == make(seed=4).fingerprint() != make(seed=5).fingerprint()
    assert len(make().fingerprint()) == 64


@pytest.mark.parametrize("dataset", problems(), ids=lambda d: d.problem.domain)
def test_pairs_are_the_map_of_their_input_and_test_is_not_validation(dataset):
    dataset.prepare(CPU)
    test, validation = list(dataset.test_batches(5)), list(dataset.validation_batches(5))
    for lr, hr in [*test, *validation]:
        assert torch.equal(dataset.true_map(lr), hr)
        if lr.dim() == 4:
            assert hr.shape[2:] == tuple(dataset.problem.scale * side for side in lr.shape[2:])
    seen = {lr[0].numpy().tobytes() for lr, _ in test}
    assert not seen & {lr[0].numpy().tobytes() for lr, _ in validation}


@pytest.mark.parametrize("dataset", problems(), ids=lambda d: d.problem.domain)
def test_the_harness_draws_from_them(dataset):
    sampler = Sampler(dataset, 0, CPU, lambda: None)
    low, high = sampler.draw("lr", 4), sampler.draw("hr", 4)
    assert low.shape == (4, *dataset.problem.lr_shape)
    assert high.shape == (4, *dataset.problem.hr_shape)
    assert low.dtype == high.dtype == torch.float32


def test_batches_hold_the_same_pairs_whatever_their_size():
    dataset = SyntheticImages()
    for size in (1, 5, 100):
        together = torch.cat([lr for lr, _ in dataset.test_batches(size)])
        assert torch.equal(together, next(iter(dataset.test_batches(100)))[0])
        assert len(together) == dataset.facts()["test_size"]


def test_photographs_are_whole_odd_and_of_different_sizes():
    dataset = SyntheticPhotographs()
    for role, extent in (("lr", dataset.problem.lr_extent), ("hr", dataset.problem.hr_extent)):
        images = dataset.train_images(role)
        assert len({image.shape for image in images}) == len(images) == 3
        assert all(side % 2 for image in images for side in image.shape[1:])
        assert min(min(image.shape[1:]) for image in images) == extent
        assert all(image.dtype == torch.uint8 and image.float().std() > 10 for image in images)
    sizes = [lr.shape for lr, _ in dataset.test_batches(8)]
    assert len(set(sizes)) == len(sizes) == 3


def test_training_photographs_of_high_resolution_have_the_colours_of_the_map():
    """Gain and shift of T* by hand: waves have mean 0, so the channels have the means of it."""
    images = SyntheticPhotographs().train_images("hr")
    means = torch.stack([image.float().mean((1, 2)) / 127.5 - 1 for image in images]).mean(0)
    assert torch.allclose(means, torch.tensor([0.15, -0.25, 0.05]), atol=0.03)
    lr = torch.rand(1, 3, 5, 7) - 0.5
    by_hand = F.interpolate(lr, size=(20, 28), mode="bicubic", align_corners=False)
    by_hand = by_hand * torch.tensor([0.9, 0.6, 1.1]).view(3, 1, 1) \
        + torch.tensor([0.15, -0.25, 0.05]).view(3, 1, 1)
    assert torch.allclose(SyntheticPhotographs().true_map(lr), by_hand, atol=1e-6)


def test_crops_are_pieces_of_the_photographs_and_have_a_largest_size():
    dataset = SyntheticPhotographs()
    generator = torch.Generator().manual_seed(1)
    crop = dataset.sample_lr(1, generator, 131)[0]
    found = [image for image in dataset.train_images("lr")
             for top in range(image.shape[1] - 130) for left in range(image.shape[2] - 130)
             if torch.allclose(image[:, top:top + 131, left:left + 131].float() / 127.5 - 1, crop)]
    assert len(found) == 1
    with pytest.raises(DataError, match=r"132 x 132.*131 x 131"):
        dataset.sample_lr(1, generator, 132)


def test_patches_are_as_many_as_said_and_cut_apart():
    dataset = SyntheticPhotographs()
    batches = list(dataset.test_patches(5))
    assert [len(lr) for lr, _ in batches] == [5, 5, 2]
    lr, hr = (torch.cat(part) for part in zip(*batches, strict=True))
    assert (lr.shape, hr.shape) == ((12, 3, 8, 8), (12, 3, 32, 32))
    assert dataset.patch_count == len(lr)
    assert [len(scenes) for scenes in dataset.patch_scenes()] == [12, 12]
    aligned = dataset.true_map(lr)
    assert not any(torch.allclose(a, b, atol=0.02) for a, b in zip(aligned, hr, strict=True))


def test_importing_the_public_face_imports_no_torch():
    code = ("import sys, srbench.testing as t; assert 'torch' not in sys.modules\n"
            "assert 'pydantic' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True)
    import srbench.testing

    assert srbench.testing.__all__ == sorted(srbench.testing.__all__)
    assert all(getattr(srbench.testing, name) for name in srbench.testing.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = srbench.testing.nonsense
