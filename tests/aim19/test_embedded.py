"""The embedded stand-in: what it is made of, made the same everywhere."""

from __future__ import annotations

import hashlib
import itertools
from importlib.metadata import files
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

from srbench.errors import CorruptFile, DataError
from srbench.files import cache_dir
from srbench_aim19 import embedded
from srbench_aim19.embedded import NOISE, PHOTOGRAPHS, degrade, embedded_images, make, noise
from srbench_aim19.statistics import shrunk
from tests.aim19.conftest import opened

SIZES = {"lr": [(500, 741), (1411, 1411)], "hr": [(512, 512), (400, 600)],
         "lr-test": [(75, 112), (128, 128), (106, 160)],
         "hr-test": [(300, 448), (512, 512), (424, 640)]}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield embedded_images()


def photograph(name: str) -> np.ndarray:
    with Image.open(Path(skimage.__file__).parent / "data" / name) as image:
        return np.asarray(image.convert("RGB"))


class TestSets:
    def test_sizes(self, images):
        assert {role: [store.shape(i) for i in range(len(store))]
                for role, store in images.stores.items()} == SIZES

    def test_no_scene_is_in_two_sets(self):
        sets = [set(PHOTOGRAPHS[role]) for role in ("lr", "hr", "hr-test")]
        assert all(not one & other for one, other in itertools.combinations(sets, 2))
        assert PHOTOGRAPHS["lr-test"] == PHOTOGRAPHS["hr-test"]

    def test_photographs_come_with_the_scikit_image_distribution(self):
        shipped = {file.name for file in files("scikit-image") or ()
                   if file.parent.as_posix() == "skimage/data"}
        assert shipped.issuperset(itertools.chain(*PHOTOGRAPHS.values()))

    def test_high_resolution_is_clean(self, images):
        for i, name in enumerate(PHOTOGRAPHS["hr"]):
            assert np.array_equal(images.stores["hr"][i], photograph(name))
        cat = photograph("chelsea.png")
        assert np.array_equal(images.stores["hr-test"][0], cat[:, 1:449])

    def test_every_validation_pair_shows_one_scene_at_scale_4(self, images):
        """LR is nearest to the shrunk HR image where it lies: not one pixel further."""
        for lr, hr in zip(images.stores["lr-test"], images.stores["hr-test"], strict=True):
            assert hr.shape == (4 * lr.shape[0], 4 * lr.shape[1], 3)
            coarse = np.asarray(shrunk(Image.fromarray(hr))).astype(float)
            difference = coarse - lr
            assert abs(difference.mean()) < 0.5
            for shift, axis in itertools.product((-1, 1), (0, 1)):
                moved = coarse - np.roll(lr, shift, axis=axis)
                assert np.square(moved).mean() > 1.2 * np.square(difference).mean()

    def test_training_images_of_the_lr_domain_keep_their_full_size(self, images):
        for i, name in enumerate(PHOTOGRAPHS["lr"]):
            clean, degraded = photograph(name), images.stores["lr"][i]
            assert degraded.shape == clean.shape
            error = degraded.astype(float) - clean
            assert 3 < error.std() < 14
            assert abs(error.mean()) < 1  # noise on black is clipped at 0


class TestDegradation:
    def test_the_noise_is_nearly_normal(self):
        values = noise((500, 400, 3), "any") / NOISE
        assert abs(values.mean()) < 0.01
        assert values.std() == pytest.approx(1, abs=0.01)
        assert (np.abs(values) > 2).mean() == pytest.approx(0.0455, abs=0.008)
        assert (values**3).mean() == pytest.approx(0, abs=0.03)
        assert np.abs(np.corrcoef(values.reshape(-1, 3).T) - np.eye(3)).max() < 0.01
        assert abs(np.corrcoef(values[:, 1:].ravel(), values[:, :-1].ravel())[0, 1]) < 0.01

    def test_the_noise_is_one_sum_of_bytes_on_every_machine(self):
        """Written out anew from its definition."""
        seed = hashlib.sha256(b"srbench-aim19/noise/x").digest()[:8]
        words = np.random.PCG64(int.from_bytes(seed, "big")).random_raw(12)
        stream = b"".join(int(word).to_bytes(8, "little") for word in words)
        expected = [(NOISE * (sum(stream[12 * k:12 * k + 12]) - 1530) + 128) // 256
                    for k in range(8)]
        assert noise((2, 4), "x").ravel().tolist() == expected
        assert noise((8,), "y").tolist() != expected

    def test_a_flat_image_shows_noise_and_jpeg_but_keeps_its_level(self):
        flat = degrade(Image.new("RGB", (128, 128), (120, 100, 80)), "flat")
        pixels = np.asarray(flat).astype(float)
        np.testing.assert_allclose(pixels.mean((0, 1)), (120, 100, 80), atol=1.5)
        assert pixels.std((0, 1)).min() > 1

    def test_details_are_lost(self):
        stripes = np.zeros((128, 128, 3), np.uint8)
        stripes[:, ::2] = 200
        assert np.asarray(degrade(Image.fromarray(stripes), "s")).std() < 0.6 * stripes.std()

    def test_the_same_name_gives_the_same_image(self):
        again = [np.asarray(make("lr", name)) for name in ("retina.jpg", "retina.jpg")]
        assert np.array_equal(*again)
        image = Image.new("RGB", (64, 64), (120, 100, 80))
        assert not np.array_equal(np.asarray(degrade(image, "a")), np.asarray(degrade(image, "b")))


class TestCache:
    def test_made_once(self, monkeypatch):
        first = embedded_images()
        monkeypatch.setattr(embedded, "make", None)
        assert embedded_images().digest() == first.digest()
        folder, = (cache_dir() / "aim19").glob("embedded-*/")
        assert (folder / "manifest.json").exists()

    def test_other_constants_are_another_set(self, monkeypatch):
        first = embedded_images().digest()
        monkeypatch.setattr(embedded, "NOISE", 9)
        assert embedded_images().digest() != first
        assert len(list((cache_dir() / "aim19").glob("embedded-*/"))) == 2

    def test_statistics_are_there(self, images):
        assert set(images.statistics) == {"lr", "hr", "hr/4", "lr-test", "hr-test"}
        assert images.statistics["lr"].count == 2
        pixels = np.concatenate([photograph(name).reshape(-1, 3) for name in PHOTOGRAPHS["hr"]])
        np.testing.assert_allclose(images.statistics["hr"].mean, pixels.mean(0), rtol=1e-9)


class TestFaults:
    def test_an_absent_photograph_is_named(self, monkeypatch):
        monkeypatch.setitem(PHOTOGRAPHS, "hr", ("tea.png",))
        with pytest.raises(DataError, match=r"scikit-image .* carries no tea\.png") as caught:
            opened(source="embedded")
        assert "pip install --force-reinstall" in caught.value.hint

    @pytest.mark.parametrize("content", [b"", b"<html>", None])
    def test_a_damaged_photograph_is_named(self, tmp_path, monkeypatch, content):
        whole = (Path(skimage.__file__).parent / "data" / "coffee.png").read_bytes()
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "coffee.png").write_bytes(
            whole[:len(whole) // 2] if content is None else content)
        monkeypatch.setattr(skimage, "__file__", str(tmp_path / "__init__.py"))
        with pytest.raises(CorruptFile, match=r"coffee\.png is no whole image"):
            embedded.read_photograph("coffee.png")
