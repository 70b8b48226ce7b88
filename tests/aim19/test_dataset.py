"""aim19 through the interface the harness and the methods use."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import torch

from srbench.errors import DataError, ParameterError, SrbenchError
from srbench.training.seeding import mix
from srbench_aim19 import crops as crops_module
from srbench_aim19 import srbench_datasets
from srbench_aim19.crops import Photographs, seeded
from srbench_aim19.dataset import AIM19
from tests.aim19.conftest import SHAPES, make_copy, opened, picture

CPU = torch.device("cpu")


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def to_bytes(batch: torch.Tensor) -> np.ndarray:
    """(N, 3, h, w) in [-1, 1] -> (N, h, w, 3) uint8."""
    return ((batch + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A small copy that no test changes, and a cache for it."""
    return make_copy(tmp_path_factory.mktemp("kept")), tmp_path_factory.mktemp("cache")


@pytest.fixture
def dataset(kept, monkeypatch) -> AIM19:
    copy, cache = kept
    monkeypatch.setenv("SRBENCH_CACHE", str(cache))
    dataset = copy.open()
    dataset.prepare(CPU)
    return dataset


class TestContract:
    def test_the_declared_name_loads(self):
        info, = srbench_datasets()
        assert (info.name, info.load, info.fixed) == ("aim19", "srbench_aim19.dataset:AIM19", {})
        assert "research" in info.licence

    def test_problem(self, dataset):
        problem = dataset.problem
        assert (problem.domain, problem.scale) == ("sr", 4)
        assert (problem.lr_shape, problem.hr_shape) == ((3, 32, 32), (3, 128, 128))
        assert problem.lr_extent == min(min(shape) for shape in SHAPES["lr"].values())
        assert problem.hr_extent == min(min(shape) for shape in SHAPES["hr"].values())
        assert (dataset.known_map, dataset.has_validation, dataset.pool) == (False, False, None)

    @pytest.mark.parametrize(("preset", "count"), [("quick", 2000), ("paper", 50_000),
                                                   ("code", 50_000)])
    def test_presets(self, preset, count):
        params = AIM19.Params.resolve(preset, "", {})
        assert (params.fid_patches, params.augment, params.complete) == (count, True, True)
        assert AIM19(params, "aim19").patch_count == count

    @pytest.mark.parametrize("wrong", [{"source": "elsewhere"}, {"fid_patches": 1},
                                       {"complete": "no"}, {"augment": 1}])
    def test_parameters_out_of_bounds(self, wrong):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            opened(**wrong)

    def test_the_settled_parameters_open_the_same_data(self, kept, dataset):
        """A cell's process opens the dataset from what the plan recorded."""
        params = AIM19.Params.model_validate_json(json.dumps(dataset.params.public()))
        assert AIM19(params, "aim19").fingerprint() == dataset.fingerprint()
        stand_in = opened()
        params = AIM19.Params.model_validate_json(json.dumps(stand_in.params.public()))
        assert params.source == "embedded"
        assert AIM19(params, "aim19").fingerprint() == stand_in.fingerprint()

    def test_sources_have_titles_notices_and_fingerprints_of_their_own(self, dataset):
        stand_in, asked = opened(), opened(source="embedded")
        assert stand_in.source == asked.source == "embedded"
        assert stand_in.title == asked.title == "aim19@embedded"
        assert stand_in.fingerprint() == asked.fingerprint() != dataset.fingerprint()
        assert stand_in.notice.startswith("aim19: its images are not on this machine; aim19@emb")
        assert asked.notice.startswith("aim19@embedded is the EMBEDDED stand-in")
        assert "PARTIAL copy (3 LR training images, 4 HR" in dataset.notice
        for text in (stand_in.notice, asked.notice, dataset.notice):
            assert "srbench fetch aim19" in text
            assert "--set aim19.root=DIR" in text

    def test_fingerprint_changes_with_what_is_trained_and_evaluated_on(self, kept, dataset):
        copy, _ = kept
        others = [copy.open(fid_patches=41), copy.open(augment=False)]
        assert len({one.fingerprint() for one in (dataset, copy.open(), *others)}) == 3

    def test_the_fingerprint_hashes_pixels_names_and_roles(self, tmp_path):
        found = []
        for number in range(4):
            copy = make_copy(tmp_path / str(number))
            if number == 1:
                pixels = copy.pixels["hr"]["0003"].copy()
                pixels[100, 50, 1] ^= 1
                copy.put("hr", "0003", pixels)
            if number == 2:
                copy.path("lr", "000001").rename(copy.path("lr", "000000"))
            if number == 3:
                copy.put("lr", "0009", picture((40, 40), 44))
            found.append(copy.open().fingerprint())
        assert len(set(found)) == 4

    def test_facts(self, dataset, kept):
        copy, _ = kept
        facts = json.loads(json.dumps(dataset.facts()))
        assert (facts["test_size"], facts["patch_count"]) == (2, 40)
        assert facts["images"] == {"lr": 3, "hr": 4, "lr-test": 2, "hr-test": 2}
        for role in ("lr", "hr", "lr-test", "hr-test"):
            pixels = np.concatenate([image.reshape(-1, 3) for image in copy.pixels[role].values()])
            np.testing.assert_allclose(facts["channel_mean"][role], pixels.mean(0), rtol=1e-9)
            np.testing.assert_allclose(facts["channel_sd"][role], pixels.std(0), rtol=1e-9)
        np.testing.assert_allclose(np.array(facts["lr_mean"]) * 127.5 + 127.5,
                                   facts["channel_mean"]["lr"], rtol=1e-9)
        assert len(facts["hr_mean"]) == 3


class TestDraws:
    @pytest.mark.parametrize(("role", "size"), [("lr", 32), ("hr", 128)])
    def test_shape_type_and_range(self, dataset, role, size):
        draw = getattr(dataset, f"sample_{role}")
        batch = draw(5, generator(1))
        assert batch.shape == (5, 3, size, size)
        assert batch.dtype == torch.float32
        assert batch.is_contiguous(memory_format=torch.channels_last)
        assert -1 <= batch.min() < -0.99
        assert 0.99 < batch.max() <= 1
        assert draw(2, generator(1), size=16).shape == (2, 3, 16, 16)

    @pytest.mark.parametrize(("role", "least"), [("lr", 32), ("hr", 128)])
    def test_a_size_beyond_the_extent(self, dataset, role, least):
        draw = getattr(dataset, f"sample_{role}")
        assert draw(1, generator(0), size=least).shape[-1] == least
        for size in (least + 1, 0):
            with pytest.raises(DataError, match=f"crops of {size} .* smallest holds {least}"):
                draw(1, generator(0), size=size)

    @pytest.mark.parametrize("role", ["lr", "hr"])
    def test_a_pure_function_of_the_seed(self, dataset, kept, role):
        draw = getattr(dataset, f"sample_{role}")
        first = draw(6, generator(3))
        torch.manual_seed(99)
        advanced = generator(3)
        torch.rand(1000, generator=advanced)
        assert torch.equal(draw(6, advanced), first)
        again = kept[0].open()
        assert torch.equal(getattr(again, f"sample_{role}")(6, generator(3)), first)
        assert not torch.equal(draw(6, generator(4)), first)

    def test_nothing_is_drawn_from_the_given_generator(self, dataset):
        """So that one on a GPU costs no synchronisation."""
        given = generator(5)
        before = given.get_state()
        dataset.sample_lr(3, given)
        dataset.sample_hr(3, given)
        assert torch.equal(given.get_state(), before)

    @pytest.mark.parametrize("augment", [True, False])
    def test_crops_are_pieces_of_the_images_turned_or_not(self, kept, dataset, augment):
        copy, _ = kept
        dataset = copy.open(augment=augment)
        views = [np.lib.stride_tricks.sliding_window_view(image, (32, 32, 3))[:, :, 0]
                 for image in copy.pixels["lr"].values()]
        turns: Counter[int] = Counter()
        for crop in to_bytes(dataset.sample_lr(64, generator(6))):
            ways = [np.rot90(mirrored, -quarter) for mirrored in (crop,) for quarter in range(4)]
            ways += [np.rot90(crop, -quarter)[:, ::-1] for quarter in range(4)]
            found = [turn for turn, way in enumerate(ways) if any(
                (view[(view[..., 0, 0, :] == way[0, 0]).all(-1)] == way).all((-1, -2, -3)).any()
                for view in views)]
            assert len(found) == 1
            turns.update(found)
        assert set(turns) == (set(range(8)) if augment else {0})

    def test_every_image_is_drawn_alike_whatever_its_size(self, tmp_path):
        copy = make_copy(tmp_path / "copy")
        for value, stem in enumerate(SHAPES["hr"]):
            copy.put("hr", stem, np.full((*SHAPES["hr"][stem], 3), 50 * value, np.uint8))
        crops = to_bytes(copy.open().sample_hr(2000, generator(7), size=8))
        assert (crops == crops[:, :1, :1, :1]).all()
        counts = np.bincount(crops[:, 0, 0, 0] // 50)
        assert np.allclose(counts / 2000, 1 / 4, atol=0.04)


class TestUnpaired:
    def test_draws_of_one_number_are_independent(self, kept, monkeypatch):
        """The LR and HR draws of one number share no place, whatever the seeds."""
        copy, cache = kept
        monkeypatch.setenv("SRBENCH_CACHE", str(cache))
        places = {"lr": [], "hr": []}
        original = crops_module.random_places

        def recorded(shapes, n, size, own, grid=1):
            found = original(shapes, n, size, own, grid)
            room = np.asarray(shapes)[found[0]] - size + 1
            places["lr" if size == 16 else "hr"].append(np.stack(
                [found[0], found[1] / room[:, 0], found[2] / room[:, 1]], 1))
            return found
        monkeypatch.setattr(crops_module, "random_places", recorded)
        dataset = copy.open()
        for number in range(60):
            dataset.sample_lr(40, generator(mix(0, "lr", number)), size=16)
            dataset.sample_hr(40, generator(mix(0, "hr", number)), size=24)
        self.assert_uncorrelated(places)
        places.update(lr=[], hr=[])
        for number in range(60):  # even where a caller seeds both alike
            dataset.sample_lr(40, generator(number), size=16)
            dataset.sample_hr(40, generator(number), size=24)
        self.assert_uncorrelated(places)

    def assert_uncorrelated(self, places):
        lr, hr = (np.concatenate(places[role]) for role in ("lr", "hr"))
        correlation = np.corrcoef(lr.T, hr.T)[:3, 3:]
        assert np.abs(correlation).max() < 4 / np.sqrt(len(lr))

    def test_roles_of_one_seed_differ(self):
        streams = {tuple(torch.rand(3, generator=seeded(role, 5)).tolist())
                   for role in ("train/lr", "train/hr", "test/lr", "test/hr")}
        assert len(streams) == 4

    def test_training_and_test_images_are_disjoint(self, dataset):
        sets = [set(store.hashes) for store in dataset._images.stores.values()]
        assert sum(map(len, sets)) == len(set.union(*sets))


class TestTrainImages:
    @pytest.mark.parametrize("role", ["lr", "hr"])
    def test_whole_images_read_when_asked_for(self, kept, dataset, role):
        images = dataset.train_images(role)
        expected = list(kept[0].pixels[role].values())
        assert len(images) == len(expected)
        for found, image in zip(images, expected, strict=True):
            assert found.dtype == torch.uint8
            assert found.is_contiguous()
            assert np.array_equal(found.permute(1, 2, 0).numpy(), image)
        assert [one.shape for one in images[1:]] == [one.shape for one in list(images)[1:]]
        assert torch.equal(images[-1], images[len(images) - 1])
        with pytest.raises(IndexError):
            _ = images[len(images)]

    def test_what_is_read_may_be_changed(self, dataset):
        images = dataset.train_images("lr")
        before = images[0].clone()
        images[0].zero_()
        assert torch.equal(images[0], before)

    def test_nothing_is_read_before(self):
        class Untouchable:
            def __len__(self) -> int:
                return 2
        assert len(Photographs(Untouchable())) == 2


class TestEvaluation:
    def test_whole_pairs_one_at_a_time_by_name(self, kept, dataset):
        pairs = list(dataset.test_batches(64))
        assert len(pairs) == 2
        for (lr, hr), stem in zip(pairs, ("0801", "0802"), strict=True):
            assert np.array_equal(to_bytes(lr)[0], kept[0].pixels["lr-test"][stem])
            assert np.array_equal(to_bytes(hr)[0], kept[0].pixels["hr-test"][stem])
            assert lr.dtype == hr.dtype == torch.float32
            assert hr.shape[2:] == (4 * lr.shape[2], 4 * lr.shape[3])
        again = list(dataset.test_batches(1))
        assert all(torch.equal(a, b) for one, other in zip(pairs, again, strict=True)
                   for a, b in zip(one, other, strict=True))

    def test_there_are_no_validation_pairs(self, dataset):
        assert list(dataset.validation_batches(8)) == []

    def test_before_preparation(self, kept, dataset):
        fresh = kept[0].open()
        for batches in (fresh.test_batches(1), fresh.test_patches(1)):
            with pytest.raises(SrbenchError, match="aim19 is not prepared"):
                next(batches)

    @pytest.mark.parametrize("batch_size", [1, 7, 40, 1000])
    def test_patches_do_not_depend_on_the_batch_size(self, dataset, batch_size):
        batches = list(dataset.test_patches(batch_size))
        assert {len(lr) for lr, _ in batches[:-1]} <= {batch_size}
        lr, hr = (torch.cat(side) for side in zip(*batches, strict=True))
        assert lr.shape == (40, 3, 32, 32)
        assert hr.shape == (40, 3, 128, 128)
        for found, expected in zip((lr, hr), next(iter(dataset.test_patches(40))), strict=True):
            assert torch.equal(found, expected)

    def test_patches_come_from_the_test_images_unturned(self, kept, dataset):
        for role, size, side in (("lr-test", 32, 0), ("hr-test", 128, 1)):
            views = [np.lib.stride_tricks.sliding_window_view(image, (size, size, 3))[:, :, 0]
                     for image in kept[0].pixels[role].values()]
            for patch in to_bytes(next(iter(dataset.test_patches(20)))[side]):
                assert any((view[:, :, 0, 0] == patch[0, 0]).all(-1).any() and
                           (view == patch).all((-1, -2, -3)).any() for view in views)

    def test_patches_come_from_the_photographs_that_are_named(self, kept, dataset):
        scenes = dataset.patch_scenes()
        patches = [to_bytes(side) for side in next(iter(dataset.test_patches(40)))]
        for role, size, side in (("lr-test", 32, 0), ("hr-test", 128, 1)):
            assert len(scenes[side]) == dataset.patch_count
            views = [np.lib.stride_tricks.sliding_window_view(image, (size, size, 3))[:, :, 0]
                     for image in kept[0].pixels[role].values()]
            for scene, patch in list(zip(scenes[side], patches[side], strict=True))[:12]:
                view = views[scene]
                assert any((view[top, left] == patch).all() for top, left in
                           zip(*(view[:, :, 0, 0] == patch[0, 0]).all(-1).nonzero(), strict=True))

    def test_lr_and_hr_patches_are_not_aligned(self, dataset, monkeypatch):
        drawn = []
        original = crops_module.random_places
        monkeypatch.setattr(crops_module, "random_places",
                            lambda *given: drawn.append(original(*given)) or drawn[-1])
        wide = opened(root=dataset.params.root, complete=False, fid_patches=4000)
        wide.prepare(CPU)
        next(iter(wide.test_patches(8)))
        (low, *_), (high, *_) = drawn
        assert abs(np.corrcoef(low, high)[0, 1]) < 0.06
        assert np.bincount(low).tolist() == pytest.approx([2000, 2000], abs=130)

    def test_more_patches_begin_with_the_same(self, dataset):
        wide = opened(root=dataset.params.root, complete=False, fid_patches=60)
        wide.prepare(CPU)
        few, many = (next(iter(one.test_patches(40))) for one in (dataset, wide))
        assert all(torch.equal(a, b) for a, b in zip(few, many, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
class TestOnAGpu:
    def test_the_same_draws_as_on_the_cpu_and_no_waiting(self, kept, dataset):
        gpu = kept[0].open()
        gpu.prepare(torch.device("cuda"))
        torch.cuda.synchronize()
        own = torch.Generator("cuda").manual_seed(11)
        gpu.sample_lr(4, own)  # pins memory for the first time
        torch.cuda.set_sync_debug_mode("error")
        try:
            found = gpu.sample_lr(4, own)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert found.device.type == "cuda"
        torch.testing.assert_close(found.cpu(), dataset.sample_lr(4, generator(11)))
        lr, hr = next(gpu.test_batches(1))
        assert lr.device.type == hr.device.type == "cuda"
