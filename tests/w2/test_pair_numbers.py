"""The pairs' numbers recomputed by other means, and the gates a method must pass on them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srbench.evaluation.transport import l2_uvp, total_variance
from srbench.files import cache_dir
from srbench_anchors.method import Constant, Identity, Linear
from srbench_w2 import pairs
from srbench_w2.embedded import SETTINGS, STRENGTH, EmbeddedPair, Photographs
from srbench_w2.gaussian_mixture import COMPONENTS, STD, GaussianMixture, official_mixture
from srbench_w2.images import W2Images
from srbench_w2.mix3 import Mix3ToMix10
from srbench_w2.pairs import CHUNK, PairStatistics, chunk_generator, estimate, held_out, rebatch
from srbench_w2.potential import BlurPotential, blur_matrix, dct_matrix
from tests.methods.toy import train

CPU = torch.device("cpu")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Ramp:
    """A pair whose moments are known: y = noise + 2 in every value, x = y / 2."""

    source, size = "ramp", 4

    def to(self, device):
        """Nothing to move."""

    def clean(self, n, generator):
        return torch.randn(n, 3, 4, 4, generator=generator) + 2

    def blurry(self, clean):
        return clean / 2

    def fingerprint(self):
        return "ramp"


@pytest.fixture(scope="module")
def facts():
    """Facts of a small dataset, and its held-out images of the statistics split in float64."""
    params = W2Images.Params.resolve("quick", "image", {
        "pair": "early", "source": "embedded", "test_size": 64, "validation_size": 64,
        "statistics_samples": 512})
    dataset = W2Images(params, "w2-early")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("srbench_w2.images.cached_statistics", estimate)
        dataset.prepare(CPU)
    x, y = (torch.cat(part).double().numpy()
            for part in zip(*held_out(dataset._pair, "statistics", 512), strict=True))
    return dataset, x, y


class TestStatistics:
    def test_are_numpys_of_the_same_pairs(self, facts):
        dataset, x, y = facts
        found = dataset.facts()
        assert found["samples"] == 512
        assert found["hr_variance"] == pytest.approx(y.var(0).sum(), rel=1e-5)
        assert found["lr_variance"] == pytest.approx(x.var(0).sum(), rel=1e-5)
        assert found["transport_cost"] == pytest.approx(
            np.square(x - y).sum((1, 2, 3)).mean() / 2, rel=1e-6)
        assert found["hr_mean"] == pytest.approx(y.mean((0, 2, 3)).tolist(), abs=1e-6)
        assert found["lr_mean"] == pytest.approx(x.mean((0, 2, 3)).tolist(), abs=1e-6)
        assert found["identity_l2_uvp"] == pytest.approx(
            100 * np.square(x - y).sum((1, 2, 3)).mean() / y.var(0).sum(), rel=1e-5)

    def test_other_samples_agree_within_their_error(self, facts):
        dataset, _, _ = facts
        y = dataset.sample_hr(1024, seeded(8))
        x = dataset._pair.blurry(y)
        cost = (x - y).double().square().sum((1, 2, 3)) / 2
        error = float(cost.std()) / math.sqrt(512)
        assert abs(float(cost.mean()) - dataset.facts()["transport_cost"]) < 5 * error
        assert float(total_variance(y)) == pytest.approx(dataset.facts()["hr_variance"], rel=0.1)

    def test_facts_are_json(self, facts):
        found = facts[0].facts()
        assert json.loads(json.dumps(found)) == found

    def test_of_a_pair_in_closed_form(self):
        found = estimate(Ramp(), 4096)
        assert found.hr_variance == pytest.approx(48, rel=0.02)
        assert found.lr_variance == pytest.approx(12, rel=0.02)
        assert found.transport_cost == pytest.approx(48 * (1 + 4) / 8, rel=0.02)
        assert found.hr_mean == pytest.approx([2] * 3, abs=0.02)
        assert found.identity_l2_uvp == pytest.approx(200 * found.transport_cost
                                                      / found.hr_variance)

    def test_a_number_of_samples_that_is_no_whole_chunk(self):
        x, y = zip(*held_out(Ramp(), "statistics", 100), strict=True)
        assert [len(part) for part in y] == [CHUNK, 100 - CHUNK]
        every = torch.cat(y).double()
        assert estimate(Ramp(), 100).hr_variance == pytest.approx(
            float(every.var(0, correction=0).sum()), rel=1e-5)
        assert torch.equal(torch.cat(x), torch.cat(y) / 2)

    def test_are_kept_by_fingerprint_and_number(self, monkeypatch):
        first = pairs.cached_statistics(Ramp(), 100)
        kept, = (cache_dir() / "w2-statistics").iterdir()
        assert PairStatistics(**json.loads(kept.read_text())).hr_variance == first.hr_variance
        with monkeypatch.context() as patch:
            patch.setattr(pairs, "estimate", lambda *given: pytest.fail("estimated again"))
            assert pairs.cached_statistics(Ramp(), 100) == first
        pairs.cached_statistics(Ramp(), 200)
        monkeypatch.setattr(Ramp, "fingerprint", lambda self: "another")
        pairs.cached_statistics(Ramp(), 100)
        assert len(list(kept.parent.iterdir())) == 3


class TestHeldOut:
    @given(st.lists(st.integers(1, 7), max_size=6), st.integers(1, 9))
    def test_batches_are_the_chunks_cut_anew(self, lengths, size):
        values = torch.arange(sum(lengths))
        chunks = [(part, -part) for part in torch.split(values, lengths)] if lengths else []
        batches = list(rebatch(chunks, size))
        assert [x.tolist() for x, _ in batches] == [
            values[k:k + size].tolist() for k in range(0, len(values), size)]
        assert all(torch.equal(x, -y) for x, y in batches)

    def test_splits_and_chunks_have_generators_of_their_own(self):
        seeds = {chunk_generator(split, number).initial_seed()
                 for split in ("test", "validation", "statistics") for number in range(50)}
        assert len(seeds) == 150
        assert all(0 <= seed < 2**56 for seed in seeds)

    def test_no_test_image_is_a_validation_or_statistics_image(self, facts):
        dataset, _, y = facts
        for batches in (dataset.test_batches(64), dataset.validation_batches(64)):
            other = torch.cat([hr for _, hr in batches]).flatten(1).double()
            distance = torch.cdist(other, torch.from_numpy(y).flatten(1))
            assert distance.min() > 0.2  # noise of deviation 0.01 in 3072 values is 0.8 apart


class TestTheMap:
    @pytest.mark.parametrize(("pair", "expected"), [("early", 30), ("mid", 15), ("late", 5)])
    def test_strengths_scale_the_identitys_error_by_their_square(self, pair, expected, facts):
        assert STRENGTH[pair] ** 2 * 30 == pytest.approx(expected)
        _, _, y = facts
        clean = torch.from_numpy(y).float()
        x = EmbeddedPair(pair, 32).blurry(clean)
        variance = float(total_variance(clean))
        assert float(l2_uvp(x, clean, variance).mean()) == pytest.approx(expected, rel=0.08)

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 2**31), st.floats(1e-4, 10.0), st.sampled_from(sorted(STRENGTH)))
    def test_no_two_images_are_blurred_to_the_same(self, seed, distance, pair):
        """Strong convexity m: |grad(a) - grad(b)| >= m |a - b|."""
        psi = BlurPotential(8, SETTINGS[32], STRENGTH[pair], dtype=torch.float64)
        a = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=seeded(seed))
        step = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=seeded(seed + 1))
        b = a + distance * step / step.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        moved = (psi.gradient(a) - psi.gradient(b)).flatten(1).norm(dim=1)
        assert (moved >= psi.convexity * distance * (1 - 1e-9)).all()

    def test_inverse_of_a_real_image_is_the_image(self, facts):
        """y is found again from x = grad psi(y) by descending psi(y') - <x, y'>."""
        _, _, y = facts
        clean = torch.from_numpy(y[:3])
        psi = BlurPotential(32, SETTINGS[32], 1.0, dtype=torch.float64)
        x = psi.gradient(clean)
        found = x.clone()
        for _ in range(400):
            found -= psi.gradient(found) - x
        torch.testing.assert_close(found, clean, rtol=0, atol=1e-8)

    @pytest.mark.parametrize("size", [1, 2, 5, 32, 64])
    def test_the_basis_is_orthonormal(self, size):
        basis = dct_matrix(size)
        torch.testing.assert_close(basis @ basis.T, torch.eye(size, dtype=torch.float64),
                                   rtol=0, atol=1e-12)
        assert (basis[0] > 0).all()

    @pytest.mark.parametrize(("size", "cutoff"), [(8, 1.9), (32, 2.3), (16, 0.3), (16, 50.0)])
    def test_the_blur_has_the_stated_spectrum(self, size, cutoff):
        matrix = blur_matrix(size, cutoff)
        assert torch.equal(matrix, matrix.T) or (matrix - matrix.T).abs().max() < 1e-15
        k = torch.arange(size - 1, -1, -1, dtype=torch.float64)
        torch.testing.assert_close(torch.linalg.eigvalsh(matrix),
                                   torch.exp(-k.square() / (2 * cutoff**2)), rtol=0, atol=1e-12)
        torch.testing.assert_close(matrix.sum(1), torch.ones(size, dtype=torch.float64))

    def test_a_flat_image_is_only_toned(self):
        psi = BlurPotential(8, SETTINGS[32], dtype=torch.float64)
        flat = torch.tensor([0.3, -0.5, 0.9], dtype=torch.float64).view(1, 3, 1, 1)
        mapped = psi.gradient(flat.expand(1, 3, 8, 8))
        assert mapped.std((2, 3)).max() < 1e-12

    def test_a_crop_as_large_as_the_photograph_has_one_place(self):
        photograph = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
        crops = Photographs([photograph], 4).sample(50, seeded(0))
        image = torch.from_numpy(photograph).permute(2, 0, 1) / 127.5 - 1
        kinds = [torch.equal(crop, image) or torch.equal(crop, image.flip(-1)) for crop in crops]
        assert all(kinds)
        assert len(crops.flatten(1).unique(dim=0)) == 2


class TestMixture:
    def test_draws_follow_the_formula(self):
        """0.4 M_k z + c_k, with k and z drawn from the generator in this order."""
        mixture = official_mixture(4)
        n, generator = 50, seeded(3)
        k = torch.randint(COMPONENTS, (n,), generator=generator)
        z = torch.randn(n, 4, generator=generator)
        expected = torch.stack([STD * mixture.maps[c] @ v + mixture.centres[c]
                                for c, v in zip(k, z, strict=True)])
        torch.testing.assert_close(mixture.sample(n, seeded(3)), expected)

    @pytest.mark.parametrize("dim", [2, 8, 64])
    def test_centres_are_permutations_and_rows_have_one_length(self, dim):
        mixture = official_mixture(dim)
        ordered = mixture.centres.sort(0).values
        torch.testing.assert_close(ordered[0], -ordered[2])
        assert not ordered[1].any()
        assert ordered[2].std() < 1e-6
        lengths = mixture.maps.norm(dim=2)
        torch.testing.assert_close(lengths, lengths.mean().expand_as(lengths))
        assert mixture.centres.dtype == mixture.maps.dtype == torch.float32

    def test_one_component_without_spread_is_a_point(self):
        point = GaussianMixture(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2, 2))
        assert point.to(CPU).sample(3, seeded(0)).tolist() == [[1, 2]] * 3


@pytest.fixture(scope="module")
def plane(shared):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRBENCH_DATA", str(shared / "data/wasserstein2_benchmark"))
        params = Mix3ToMix10.Params.resolve("quick", "vector", {"dim": 2, "test_size": 8192})
        dataset = Mix3ToMix10(params, "mix3tomix10")
        dataset.prepare(CPU)
    return dataset


class TestGates:
    """Real methods on the real pair of the plane; measured with the original code."""

    @pytest.mark.parametrize(("method_class", "expected", "tolerance"), [
        (Identity, 32.61, 0.04), (Linear, 13.91, 0.05), (Constant, 100.0, 0.03)])
    def test_anchors_stand_where_the_original_puts_them(self, plane, method_class, expected,
                                                        tolerance):
        method, _ = train(method_class, plane)
        method.eval()
        x, y = (torch.cat(part) for part in zip(*plane.test_batches(4096), strict=True))
        with torch.no_grad():
            error = float(l2_uvp(method(x), y, plane.facts()["hr_variance"]).mean())
        assert error == pytest.approx(expected, rel=tolerance)

    def test_the_true_map_scores_nothing(self, plane):
        (x, y), *_ = plane.test_batches(1000)
        assert float(l2_uvp(plane.pair.true_map(x), y, 2.0).mean()) < 1e-8
