"""The datasets w2-early, w2-mid and w2-late through the interface the harness uses."""

from __future__ import annotations

import json
import threading
import time

import pytest
import torch

from srbench import download
from srbench.errors import DownloadError, ParameterError, SrbenchError
from srbench.evaluation.transport import total_variance, transport_cost
from srbench.files import cache_dir
from srbench_w2 import pairs, srbench_datasets
from srbench_w2.embedded import EmbeddedPair
from srbench_w2.images import W2Images

CPU = torch.device("cpu")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dataset(**given: object) -> W2Images:
    params = W2Images.Params.resolve(
        "quick", "image", {"pair": "early", "test_size": 150, "validation_size": 70,
                           "statistics_samples": 256, **given})
    return W2Images(params, "w2-early")


@pytest.fixture
def prepared() -> W2Images:
    early = dataset(source="embedded")
    early.prepare(CPU)
    return early


class TestContract:
    def test_declared_names_load_and_fix_their_pair(self):
        declared = {info.name: info for info in srbench_datasets()}
        assert list(declared) == ["w2-early", "w2-mid", "w2-late", "mix3tomix10"]
        for pair in ("early", "mid", "late"):
            info = declared[f"w2-{pair}"]
            assert info.fixed == {"pair": pair}
            assert info.load == "srbench_w2.images:W2Images"
            params = W2Images.Params.resolve("quick", "image", info.fixed)
            assert W2Images(params, info.name).title == f"w2-{pair}@embedded"

    @pytest.mark.parametrize(("preset", "size", "test", "validation"),
                             [("quick", 32, 512, 256), ("paper", 64, 4096, 1024),
                              ("code", 64, 4096, 1024)])
    def test_presets(self, preset, size, test, validation):
        params = W2Images.Params.resolve(preset, "image", {"pair": "early"})
        assert (params.size, params.test_size, params.validation_size) == (size, test, validation)
        early = W2Images(params, "w2-early")
        assert early.problem.lr_shape == early.problem.hr_shape == (3, size, size)
        assert (early.problem.domain, early.problem.scale, early.known_map) == ("image", 1, True)

    @pytest.mark.parametrize("wrong", [{"size": 48}, {"pair": "soon"}, {"pool": 100},
                                       {"test_size": 1}, {"source": "elsewhere"}])
    def test_parameters_out_of_bounds(self, wrong):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            dataset(**wrong)

    def test_pool(self):
        settings = dataset(pool=256, pool_refresh=3).pool
        assert settings is not None
        assert (settings.size, settings.block, settings.refresh_every) == (256, 64, 3)
        assert dataset(pool=0).pool is None

    def test_facts_need_preparation(self):
        with pytest.raises(SrbenchError, match="w2-early is not prepared"):
            dataset().facts()

    def test_fingerprint_changes_with_what_is_evaluated_not_with_training(self):
        base = dataset().fingerprint()
        assert dataset(pool=128, pool_refresh=1).fingerprint() == base
        others = [dataset(**change).fingerprint() for change in (
            {"test_size": 151}, {"validation_size": 71}, {"size": 64}, {"pair": "mid"})]
        assert len({base, *others}) == 5


class TestPairs:
    def test_low_resolution_is_the_map_of_high_resolution(self, prepared):
        pair = EmbeddedPair("early", 32)
        for x, y in prepared.test_batches(64):
            torch.testing.assert_close(x, pair.blurry(y))

    @pytest.mark.parametrize("batch_size", [1, 10, 64, 100, 150, 1000])
    def test_batches_do_not_depend_on_their_size(self, prepared, batch_size):
        batches = list(prepared.test_batches(batch_size))
        sizes = [len(x) for x, _ in batches]
        assert sum(sizes) == 150
        assert set(sizes[:-1]) <= {batch_size}
        found = torch.cat([y for _, y in batches])
        assert torch.equal(found, torch.cat([y for _, y in prepared.test_batches(64)]))

    def test_fewer_pairs_are_the_first_of_more(self, prepared):
        more = dataset(source="embedded", test_size=200)
        more.prepare(CPU)
        (_, few), (_, many) = (next(one.test_batches(200)) for one in (prepared, more))
        assert torch.equal(many[:150], few)

    def test_another_process_sees_the_same_pairs(self, prepared):
        torch.manual_seed(99)
        again = dataset(source="embedded")
        again.prepare(CPU)
        for (x1, y1), (x2, y2) in zip(prepared.validation_batches(50),
                                      again.validation_batches(50), strict=True):
            assert torch.equal(x1, x2)
            assert torch.equal(y1, y2)

    def test_validation_can_be_walked_twice(self, prepared):
        first, second = (torch.cat([y for _, y in prepared.validation_batches(32)])
                         for _ in range(2))
        assert len(first) == 70
        assert torch.equal(first, second)

    def test_test_validation_and_training_do_not_meet(self, prepared):
        test = next(prepared.test_batches(64))[1]
        validation = next(prepared.validation_batches(64))[1]
        training = prepared.sample_hr(64, seeded(0))
        for a, b in ((test, validation), (test, training), (validation, training)):
            assert torch.cdist(a.flatten(1), b.flatten(1)).min() > 0.1

    def test_global_random_state_is_left_alone(self, prepared):
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        list(prepared.test_batches(64))
        prepared.sample_lr(4, seeded(0))
        assert torch.equal(torch.rand(3), expected)

    def test_precision_set_by_a_training_is_not_that_of_the_pairs(self, prepared):
        expected = next(prepared.test_batches(64))[0]
        torch.set_float32_matmul_precision("medium")
        try:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                found = next(prepared.test_batches(64))[0]
            assert torch.get_float32_matmul_precision() == "medium"
        finally:
            torch.set_float32_matmul_precision("highest")
        assert torch.equal(found, expected)


class TestTrainingDraws:
    def test_seed_decides(self, prepared):
        assert torch.equal(prepared.sample_lr(8, seeded(1)), prepared.sample_lr(8, seeded(1)))
        assert not torch.equal(prepared.sample_lr(8, seeded(1)), prepared.sample_lr(8, seeded(2)))
        assert not torch.equal(prepared.sample_hr(8, seeded(1)), prepared.sample_hr(8, seeded(2)))

    def test_low_and_high_resolution_are_not_paired(self, prepared):
        """Deblurring nothing: the nearest HR image of an LR image is hardly ever its own index."""
        generator = seeded(3)
        x, y = prepared.sample_lr(64, generator), prepared.sample_hr(64, generator)
        blurred = EmbeddedPair("early", 32).blurry(y)
        nearest = torch.cdist(x.flatten(1), blurred.flatten(1)).argmin(1)
        assert (nearest == torch.arange(64)).float().mean() < 0.15
        assert torch.cdist(x.flatten(1), blurred.flatten(1)).diag().min() > 0.1

    def test_moments_agree_with_the_facts(self, prepared):
        facts = prepared.facts()
        x, y = prepared.sample_lr(2000, seeded(4)), prepared.sample_hr(2000, seeded(5))
        assert float(total_variance(y)) == pytest.approx(facts["hr_variance"], rel=0.06)
        assert float(total_variance(x)) == pytest.approx(facts["lr_variance"], rel=0.06)


class TestStatistics:
    def test_facts_are_the_moments_of_the_pairs(self, prepared):
        x, y = (torch.cat(parts) for parts in
                zip(*pairs.held_out(EmbeddedPair("early", 32), "statistics", 256), strict=True))
        facts = json.loads(json.dumps(prepared.facts()))
        assert facts["hr_variance"] == pytest.approx(float(total_variance(y)), rel=1e-6)
        assert facts["lr_variance"] == pytest.approx(float(total_variance(x)), rel=1e-6)
        assert facts["transport_cost"] == pytest.approx(float(transport_cost(x, y)), rel=1e-6)
        assert facts["hr_mean"] == pytest.approx(y.mean((0, 2, 3)).tolist(), abs=1e-5)
        assert (facts["samples"], facts["test_size"]) == (256, 150)
        assert facts["identity_l2_uvp"] == pytest.approx(
            200 * facts["transport_cost"] / facts["hr_variance"])

    def test_are_estimated_once_per_machine(self, prepared, monkeypatch):
        monkeypatch.setattr(pairs, "estimate", lambda *_: pytest.fail("estimated again"))
        again = dataset(source="embedded")
        again.prepare(CPU)
        assert again.facts() == prepared.facts()

    @pytest.mark.parametrize("content", ["{", "{}", '{"hr_variance": 1}', "null"])
    def test_damaged_cache_is_replaced(self, prepared, content):
        (path,) = (cache_dir() / "w2-statistics").iterdir()
        path.write_text(content)
        again = dataset(source="embedded")
        again.prepare(CPU)
        assert again.facts() == prepared.facts()
        assert json.loads(path.read_text())["samples"] == 256

    def test_cache_that_cannot_be_written_is_no_obstacle(self, monkeypatch, tmp_path, caplog):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "file"))
        early = dataset(source="embedded")
        early.prepare(CPU)
        assert early.facts()["hr_variance"] > 0
        assert "estimated again" in caplog.text


class TestSource:
    def test_auto_falls_to_the_embedded_pair_and_says_so(self):
        early = dataset()
        assert (early.source, early.title) == ("embedded", "w2-early@embedded")
        assert early.params.source == "embedded"  # a worker does not choose again
        for words in ("SRBENCH_OFFLINE", "EMBEDDED", "another benchmark", "srbench fetch w2-early"):
            assert words in early.notice

    def test_embedded_by_choice_still_says_what_it_is(self):
        notice = dataset(source="embedded").notice
        assert "EMBEDDED stand-in" in notice
        assert "reachable" not in notice

    def test_official_fails_with_the_reason(self):
        with pytest.raises(DownloadError) as caught:
            dataset(source="official")
        assert "SRBENCH_OFFLINE forbids the network" in caught.value.message
        assert "Final_G.pt, Early_v1.pt, Early_v2.pt" in caught.value.message
        assert "srbench fetch w2-early" in caught.value.hint
        assert str(cache_dir() / "wasserstein2-benchmark/benchmarks/CelebA64") in caught.value.hint

    @pytest.mark.timeout(30)
    def test_resolver_that_hangs_costs_five_seconds_once(self, monkeypatch):
        release = threading.Event()

        def hang(*_: object, **__: object) -> None:
            release.wait(25)
            raise OSError("no such host")

        monkeypatch.setenv("SRBENCH_OFFLINE", "0")
        monkeypatch.setattr(download, "_reached", {})
        monkeypatch.setattr("socket.getaddrinfo", hang)
        try:
            start = time.monotonic()
            early, _ = dataset(), dataset(pair="mid")
            assert time.monotonic() - start < 7.5
        finally:
            release.set()
        assert early.source == "embedded"
        assert "did not answer within 5 s" in early.notice
