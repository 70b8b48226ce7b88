"""The pairs against the original's numbers, published baselines and the promises of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from srbench.cli import cli
from srbench.errors import CorruptFile, DownloadError, ParameterError, SrbenchError
from srbench.evaluation.moments import affine_transport, sample_moments
from srbench.files import cache_dir, read_manifest
from srbench.networks import DenseICNN
from srbench_w2.mix3 import MANIFEST, Mix3ToMix10, TrueMap, load_true_map

CPU = torch.device("cpu")
DIMS = [2, 4, 8, 16, 32, 64, 128]
# Measured with the original code and the official weights, percent and 1/2 E||x - y||^2:
# identity L2-UVP, linear L2-UVP, linear cosine, transport cost, 1 / sqrt(v)
BASELINES = {
    2: (32.61, 13.91, 0.759, 0.326, 0.504),
    4: (42.42, 14.76, 0.808, 0.847, 0.563),
    8: (58.93, 26.87, 0.736, 2.347, 0.616),
    16: (89.29, 41.65, 0.737, 7.135, 0.646),
    32: (119.95, 55.32, 0.745, 19.20, 0.682),
    64: (135.15, 63.77, 0.750, 43.04, 0.710),
    128: (145.38, 63.85, 0.770, 92.79, 0.725),
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine would multiply the time of every push."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def official(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = shared / "data/wasserstein2_benchmark"
    monkeypatch.setenv("SRBENCH_DATA", str(folder))
    return folder


def opened(**params: int) -> Mix3ToMix10:
    return Mix3ToMix10(Mix3ToMix10.Params.resolve("quick", "vector", params), "mix3tomix10")


def prepared(**params: int) -> Mix3ToMix10:
    dataset = opened(**params)
    dataset.prepare(CPU)
    return dataset


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def held_out(dataset: Mix3ToMix10) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = zip(*dataset.test_batches(1000), strict=True)
    return torch.cat(x).double(), torch.cat(y).double()


def l2_uvp(mapped: torch.Tensor, y: torch.Tensor, variance: float) -> float:
    return (100 * (mapped - y).square().sum(1).mean() / variance).item()


def linear_prediction(dataset: Mix3ToMix10, x: torch.Tensor) -> torch.Tensor:
    n = 2**15
    p, q = dataset.sample_lr(n, seeded(11)), dataset.sample_hr(n, seeded(12))
    weight, bias = affine_transport(*sample_moments(p), *sample_moments(q))
    return x @ weight.T + bias


@pytest.fixture(scope="module")
def full_size(shared: Path) -> Callable[[int], Mix3ToMix10]:
    """Prepared datasets by dimension, each made once: preparing is most of these tests' time."""

    @cache
    def make(dim: int) -> Mix3ToMix10:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SRBENCH_DATA", str(shared / "data/wasserstein2_benchmark"))
            return prepared(dim=dim)

    return make


@pytest.mark.parametrize("dim", DIMS)
def test_baselines_are_those_of_the_original(full_size: Callable[[int], Mix3ToMix10], dim: int):
    identity, linear, cosine, cost, inverse_root = BASELINES[dim]
    dataset = full_size(dim)
    facts = dataset.facts()
    x, y = held_out(dataset)
    assert l2_uvp(x, y, facts["hr_variance"]) == pytest.approx(identity, rel=0.04)
    mapped = linear_prediction(dataset, x)
    assert l2_uvp(mapped, y, facts["hr_variance"]) == pytest.approx(linear, rel=0.03)
    product = ((y - x) * (mapped - x)).sum(1).mean()
    length = (2 * facts["transport_cost"] * (mapped - x).square().sum(1).mean()).sqrt()
    assert (product / length).item() == pytest.approx(cosine, abs=0.015)
    assert facts["transport_cost"] == pytest.approx(cost, rel=0.04)
    assert facts["standardisation"]["variance"] ** -0.5 == pytest.approx(inverse_root, rel=0.01)


@pytest.mark.parametrize("dim", DIMS)
def test_gradients_and_standardisation_are_those_of_the_original(
    full_size: Callable[[int], Mix3ToMix10], official: Path, fixtures: Path, dim: int
):
    raw = load_true_map(dim, [official / f"Mix3toMix10/{dim}_v{k}.pt" for k in (1, 2)])
    standardisation = full_size(dim).facts()["standardisation"]
    with np.load(fixtures / f"mix3tomix10/{dim}.npz") as arrays:
        pushed, expected = raw(torch.from_numpy(arrays["x"])), arrays["push_unstandardised"]
        assert np.abs(pushed.numpy() - expected).max() <= 1e-5 * np.abs(expected).max()
        assert standardisation["variance"] == pytest.approx(arrays["push_mean_var"], rel=0.01)
        # two independent means of 2^17 samples each, five standard errors apart at most
        tolerance = 5 * (2 * arrays["push_mean_var"] * dim / 2**17) ** 0.5
        assert np.linalg.norm(standardisation["mean"] - arrays["push_mean"]) < tolerance


def test_q_is_standardised_and_p_has_its_variance(official: Path):
    dataset = prepared(dim=8)
    for sample in (dataset.sample_lr, dataset.sample_hr):
        mean, covariance = sample_moments(sample(2**16, seeded(3)))
        assert covariance.trace().item() == pytest.approx(8, rel=0.02)
        assert mean.norm().item() < 0.05
    assert dataset.facts()["hr_variance"] == 8


def test_draws_depend_on_the_generator_alone(official: Path):
    one, two = prepared(dim=4), prepared(dim=4)
    for sample in ("sample_lr", "sample_hr"):
        first = getattr(one, sample)(64, seeded(1))
        torch.manual_seed(99)
        assert torch.equal(first, getattr(two, sample)(64, seeded(1)))
        assert not torch.equal(first, getattr(one, sample)(64, seeded(2)))
        assert first.shape == (64, 4)
        assert first.dtype == torch.float32
        assert not first.requires_grad


def test_training_on_draws_of_q_is_possible(official: Path):
    """Tensors made in inference mode could not be saved for a backward pass."""
    weight = torch.ones(2, requires_grad=True)
    (prepared().sample_hr(8, seeded(0)) * weight).sum().backward()
    assert weight.grad is not None


def test_held_out_pairs_are_fixed_and_their_hr_is_the_true_map(official: Path):
    one, two = prepared(dim=4, test_size=2500), prepared(dim=4, test_size=2500)
    sizes = [len(x) for x, _ in one.test_batches(1000)]
    assert sizes == [1000, 1000, 500]
    one.sample_lr(10, seeded(0))
    x, y = held_out(one)
    assert all(torch.equal(a, b) for a, b in zip((x, y), held_out(two), strict=True))
    torch.testing.assert_close(one.pair.true_map(x.float()).double(), y)


def test_validation_pairs_are_other_pairs(official: Path):
    dataset = prepared(dim=2, test_size=512, validation_size=300)
    x, _ = held_out(dataset)
    validation = torch.cat([lr for lr, _ in dataset.validation_batches(128)]).double()
    assert len(validation) == 300
    assert torch.cdist(validation, x).min() > 0


def test_the_true_map_is_optimal_for_its_samples(official: Path):
    """A gradient of a convex function is monotone: swapping two targets never costs less."""
    dataset = prepared(dim=16, test_size=600)
    x, y = held_out(dataset)
    swapped = ((x[:300] - x[300:]) * (y[:300] - y[300:])).sum(1)
    assert (swapped > 0).all()


def test_what_it_says_before_it_is_prepared(official: Path):
    dataset = opened(dim=32)
    assert (dataset.problem.domain, dataset.problem.lr_shape) == ("vector", (32,))
    assert dataset.problem.hr_shape == (32,)
    assert (dataset.source, dataset.known_map, dataset.title) == ("official", True, "mix3tomix10")
    assert dataset.pool is None
    with pytest.raises(SrbenchError, match="not prepared"):
        dataset.sample_lr(1, seeded(0))


def test_fingerprints_tell_pairs_apart(official: Path):
    prints = [opened(**p).fingerprint() for p in ({}, {"dim": 4}, {"test_size": 100})]
    assert len({*prints}) == 3
    assert prints[0] == opened(dim=2).fingerprint() == prepared().fingerprint()
    assert all(len(digest) == 64 for digest in prints)


@pytest.mark.parametrize("given", [{"dim": 3}, {"dim": "2"}, {"test_size": 1}])
def test_impossible_parameters_are_refused(given: dict[str, object]):
    with pytest.raises(ParameterError, match=next(iter(given))):
        Mix3ToMix10.Params.resolve("paper", "vector", given)


def test_missing_files_are_an_error_that_says_where_they_go():
    with pytest.raises(DownloadError, match=r"Mix3toMix10/256_v1\.pt") as caught:
        opened(dim=256)
    assert "SRBENCH_DATA" in caught.value.hint


def test_a_file_with_other_content_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "Mix3toMix10"
    folder.mkdir()
    torch.save(DenseICNN(2).state_dict(), folder / "2_v1.pt")
    monkeypatch.setenv("SRBENCH_DATA", str(tmp_path))
    with pytest.raises(CorruptFile, match=r"2_v1\.pt is not the published file"):
        opened(dim=2)


def test_potentials_of_another_dimension_are_refused(official: Path):
    with pytest.raises(CorruptFile, match="shape"):
        load_true_map(8, [official / "Mix3toMix10/4_v1.pt", official / "Mix3toMix10/4_v2.pt"])


def test_files_are_found_in_the_cache_too(official: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SRBENCH_DATA")
    for version in (1, 2):
        target = cache_dir() / f"wasserstein2-benchmark/benchmarks/Mix3toMix10/4_v{version}.pt"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((official / f"Mix3toMix10/4_v{version}.pt").read_bytes())
    assert opened(dim=4).problem.dim == 4


def test_srbench_fetch_gets_the_files_of_a_dimension(
    official: Path, monkeypatch: pytest.MonkeyPatch
):
    names = ["Mix3toMix10/8_v1.pt", "Mix3toMix10/8_v2.pt"]
    found = CliRunner().invoke(cli, ["fetch", "mix3tomix10[dim=8]"])
    assert found.stdout.split() == [str(official / name) for name in names]
    monkeypatch.delenv("SRBENCH_DATA")
    listed = CliRunner().invoke(cli, ["fetch", "--list"]).stdout
    line, = [line for line in listed.splitlines() if line.startswith("mix3tomix10 ")]
    assert "lacks 2_v1.pt, 2_v2.pt" in line
    assert line.endswith("srbench fetch mix3tomix10")
    refused = CliRunner().invoke(cli, ["fetch", "mix3tomix10"]).exception
    assert isinstance(refused, DownloadError)
    assert "put the file at" in refused.hint


def test_every_dimension_has_its_official_files():
    manifest = read_manifest(MANIFEST)
    for dim in [*DIMS, 256]:
        for version in (1, 2):
            assert manifest[f"benchmarks/Mix3toMix10/{dim}_v{version}.pt"].git_blob_sha1


def test_standardise_gives_mean_zero_and_total_variance_d():
    true_map = TrueMap(DenseICNN(3), DenseICNN(3))
    samples = torch.randn(20_000, 3, generator=seeded(4))
    standardised = true_map.standardise(samples)
    mean, covariance = sample_moments(standardised)
    assert torch.equal(standardised, true_map(samples))
    assert mean.norm().item() == pytest.approx(0, abs=1e-5)
    assert covariance.trace().item() == pytest.approx(3, rel=1e-3)
