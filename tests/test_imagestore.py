"""Images in one memory-mapped file: whole or not there, and crops of them."""

from __future__ import annotations

import errno
import io
import json
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from srbench.errors import CorruptFile, DataError, StoreError
from srbench.imagestore import TURNS, ImageStore, random_places, turned

SHAPES = [(40, 61), (33, 32), (50, 48)]
RAW, INDEX, LOG = "images.raw", "index.json", "put.log"


def pictures(shapes=SHAPES, channels=3, dtype="uint8") -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*shape, channels)).astype(dtype) for shape in shapes]


def filled(folder: Path, images: list[np.ndarray] | None = None, **options) -> ImageStore:
    images = pictures() if images is None else images
    store = ImageStore.create(folder, [image.shape[:2] for image in images], **options)
    for i, image in enumerate(images):
        store.put(i, image)
    return store.finish()


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class TestWholeOrNotThere:
    @pytest.mark.parametrize(("channels", "dtype"), [(3, "uint8"), (1, "float32"), (3, "float32")])
    def test_images_come_back(self, tmp_path, channels, dtype):
        images = pictures(channels=channels, dtype=dtype)
        filled(tmp_path, images, channels=channels, dtype=dtype, names=["a", "b", "c"])
        store = ImageStore.open(tmp_path)
        assert (len(store), store.names, store.finished) == (3, ("a", "b", "c"), True)
        assert (store.channels, store.dtype, store.smallest_side) == (channels, dtype, 32)
        assert [store.shape(i) for i in range(3)] == SHAPES
        assert store.shapes.tolist() == [list(shape) for shape in SHAPES]
        for found, image in zip(store, images, strict=True):
            assert np.array_equal(found, image)
            assert found.dtype == image.dtype
        assert np.array_equal(store[-1], images[-1])
        with pytest.raises(IndexError):
            _ = store[3]
        store.verify()

    def test_views_are_read_only_and_copy_nothing(self, tmp_path):
        store = filled(tmp_path)
        assert not store[0].flags.owndata
        with pytest.raises(ValueError, match="read-only"):
            store[0][0, 0] = 1

    def test_only_whole_folders_are_left(self, tmp_path):
        filled(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == [RAW, INDEX]
        assert (tmp_path / RAW).stat().st_size == sum(3 * h * w for h, w in SHAPES)

    def test_the_index_says_where_each_image_is(self, tmp_path):
        """A stranger can read the file without this package."""
        images = pictures()
        filled(tmp_path, images, names=["a", "b", "c"])
        index = json.loads((tmp_path / INDEX).read_text())
        assert (index["version"], index["dtype"], index["channels"]) == (1, "uint8", 3)
        pixels = (tmp_path / RAW).read_bytes()
        for image, entry in zip(images, index["images"], strict=True):
            start = entry["offset"]
            assert pixels[start:start + image.size] == image.tobytes()
            assert entry["shape"] == list(image.shape[:2])
            assert len(entry["sha256"]) == 64

    def test_sparse_until_images_come(self, tmp_path):
        store = ImageStore.create(tmp_path, [(4000, 4000)] * 20)
        assert (tmp_path / RAW).stat().st_size == 960_000_000
        assert (tmp_path / RAW).stat().st_blocks * 512 < 1_000_000
        assert not store.finished

    @pytest.mark.parametrize(("shapes", "options", "message"), [
        ([], {}, "needs images"),
        ([(4, 0)], {}, "positive sides"),
        ([(4, 4)], {"channels": 0}, "0 channels"),
        ([(4, 4)], {"dtype": "int64"}, "not 'int64'"),
        ([(4, 4)], {"names": ["a", "b"]}, "1 images have 2 different names"),
        ([(4, 4)] * 2, {"names": ["a", "a"]}, "2 images have 1 different names"),
    ])
    def test_what_cannot_be_stored(self, tmp_path, shapes, options, message):
        with pytest.raises(DataError, match=message):
            ImageStore.create(tmp_path, shapes, **options)
        assert list(tmp_path.iterdir()) == []

    def test_an_image_must_be_the_announced_one(self, tmp_path):
        store = ImageStore.create(tmp_path, SHAPES, names=["a", "b", "c"])
        image = pictures()[0]
        with pytest.raises(DataError, match=r"image b is \(40, 61, 3\) uint8, announced was"):
            store.put(1, image)
        with pytest.raises(DataError, match="float32"):
            store.put(0, image.astype("float32"))
        with pytest.raises(IndexError):
            store.put(3, image)
        assert not any(store.has(i) for i in range(3))

    def test_views_that_are_not_contiguous_can_be_put(self, tmp_path):
        image = pictures([(61, 40)])[0].transpose(1, 0, 2)[:, ::-1]
        store = filled(tmp_path, [image])
        assert np.array_equal(store[0], image)


class TestUnfinished:
    def test_is_not_taken_for_finished(self, tmp_path):
        store = ImageStore.create(tmp_path, SHAPES, names=["a", "b", "c"])
        store.put(0, pictures()[0])
        with pytest.raises(CorruptFile, match="was not finished") as caught:
            ImageStore.open(tmp_path)
        assert "delete" in caught.value.hint
        with pytest.raises(DataError, match="lacks 2 of 3 images, the first is b"):
            store.finish()
        assert not store.finished
        assert np.array_equal(store[0], pictures()[0])
        with pytest.raises(DataError, match="image 1 of the unfinished store"):
            _ = store[1]

    def test_resuming_goes_on_with_what_is_there(self, tmp_path):
        images = pictures()
        ImageStore.create(tmp_path, SHAPES).put(1, images[1])
        again = ImageStore.resume(tmp_path, SHAPES)
        assert [again.has(i) for i in range(3)] == [False, True, False]
        assert again.hashes[0] == ""
        again.put(-1, images[2])
        again.put(0, images[0])
        again.finish()
        assert again.finished
        assert [np.array_equal(found, image) for found, image in
                zip(ImageStore.open(tmp_path), images, strict=True)] == [True] * 3

    def test_resuming_creates_what_is_not_there_and_returns_what_is_finished(self, tmp_path):
        store = ImageStore.resume(tmp_path / "a" / "b", SHAPES)
        for i, image in enumerate(pictures()):
            store.put(i, image)
        store.finish()
        again = ImageStore.resume(tmp_path / "a" / "b", SHAPES)
        assert again.finished
        assert all(again.has(i) for i in range(3))
        assert again.finish() is again

    def test_a_finished_store_takes_nothing_new(self, tmp_path):
        store = filled(tmp_path)
        store.put(0, pictures()[0])  # the same again is no matter
        with pytest.raises(StoreError, match="is finished"):
            store.put(0, pictures()[0] ^ 1)

    def test_an_image_can_be_put_again_until_then(self, tmp_path):
        store = ImageStore.create(tmp_path, SHAPES)
        store.put(0, pictures()[0] ^ 1)
        store.put(0, pictures()[0])
        again = ImageStore.resume(tmp_path, SHAPES)
        assert np.array_equal(again[0], pictures()[0])

    @pytest.mark.parametrize("finish", [False, True])
    @pytest.mark.parametrize("other", [{"shapes": SHAPES[:2]}, {"channels": 1},
                                       {"dtype": "float32"}, {"names": ["x", "y", "z"]}])
    def test_a_store_of_other_images_is_not_overwritten(self, tmp_path, other, finish):
        if finish:
            filled(tmp_path)
        else:
            ImageStore.create(tmp_path, SHAPES).put(0, pictures()[0])
        with pytest.raises(DataError, match="holds a store of other images"):
            ImageStore.resume(tmp_path, **{"shapes": SHAPES, **other})
        assert ImageStore.resume(tmp_path, SHAPES).has(0)

    def test_creating_discards(self, tmp_path):
        filled(tmp_path)
        store = ImageStore.create(tmp_path, SHAPES[:1])
        assert not store.has(0)
        with pytest.raises(CorruptFile):
            ImageStore.open(tmp_path)

    def test_pixels_that_never_reached_the_disk_are_noticed(self, tmp_path):
        """A machine that loses power may keep the log and lose the pixels."""
        store = ImageStore.create(tmp_path, SHAPES)
        for i in (0, 1):
            store.put(i, pictures()[i])
        with (tmp_path / RAW).open("r+b") as file:
            file.seek(500)
            file.write(bytes(100))
        again = ImageStore.resume(tmp_path, SHAPES)
        assert [again.has(i) for i in range(3)] == [False, True, False]

    @pytest.mark.parametrize("torn", [b"2 abc", b"2", b"\xff\xfe", b"7 " + b"0" * 64 + b"\n",
                                      b"-1 " + b"0" * 64 + b"\n"])
    def test_a_torn_log_costs_its_last_line_only(self, tmp_path, torn):
        store = ImageStore.create(tmp_path, SHAPES)
        store.put(1, pictures()[1])
        with (tmp_path / LOG).open("ab") as log:
            log.write(torn)
        again = ImageStore.resume(tmp_path, SHAPES)
        assert [again.has(i) for i in range(3)] == [False, True, False]
        again.put(2, pictures()[2])
        assert ImageStore.resume(tmp_path, SHAPES).has(2)

    @pytest.mark.parametrize("announced", [b"", b"{}", b"[1]", b'{"version": 9}'])
    def test_what_cannot_be_resumed_begins_anew(self, tmp_path, announced):
        ImageStore.create(tmp_path, SHAPES).put(0, pictures()[0])
        (tmp_path / "unfinished.json").write_bytes(announced)
        assert not ImageStore.resume(tmp_path, SHAPES).has(0)

    def test_a_killed_process_loses_nothing_it_put(self, tmp_path):
        code = textwrap.dedent(f"""
            import numpy as np, os, signal
            from pathlib import Path
            from srbench.imagestore import ImageStore
            store = ImageStore.create(Path({str(tmp_path)!r}), [(300, 300)] * 40)
            for i in range(25):
                store.put(i, np.full((300, 300, 3), i, np.uint8))
            os.kill(os.getpid(), signal.SIGKILL)
            """)
        done = subprocess.run([sys.executable, "-c", code], check=False)
        assert done.returncode == -signal.SIGKILL
        store = ImageStore.resume(tmp_path, [(300, 300)] * 40)
        assert [store.has(i) for i in range(40)] == [True] * 25 + [False] * 15
        assert all((store[i] == i).all() for i in range(25))

    def test_threads_may_put(self, tmp_path):
        images = pictures([(64, 64)] * 60)
        store = ImageStore.create(tmp_path, [(64, 64)] * 60)

        def work(first: int) -> None:
            for i in range(first, 60, 4):
                store.put(i, images[i])

        threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store.finish().verify()
        assert all(map(np.array_equal, store, images))

    def test_a_full_disk_is_told_and_nothing_is_claimed(self, tmp_path, monkeypatch):
        store = ImageStore.create(tmp_path, SHAPES)

        def full(self, mode="r", *rest):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", full)
            with pytest.raises(StoreError, match="No space left") as caught:
                store.put(0, pictures()[0])
        assert "free space" in caught.value.hint
        assert not store.has(0)
        store.put(0, pictures()[0])
        assert store.has(0)


class TestAnySequence:
    """Whatever is put, torn and resumed in whatever order: what a store claims is right."""

    STEPS = st.lists(st.one_of(
        st.tuples(st.just("put"), st.integers(0, 2), st.integers(0, 3)),
        st.tuples(st.just("resume"), st.just(0), st.just(0)),
        st.tuples(st.just("tear log"), st.integers(1, 90), st.just(0)),
        st.tuples(st.just("lose pixels"), st.integers(0, 2), st.integers(0, 20)),
    ), max_size=25)

    @given(steps=STEPS)
    @settings(max_examples=50, deadline=None,
              suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_it_claims_only_what_was_put(self, tmp_path_factory, steps):
        folder = tmp_path_factory.mktemp("store")
        shapes = [(4, 5), (3, 3), (6, 2)]
        ends = np.cumsum([3 * height * width for height, width in shapes])
        store = ImageStore.create(folder, shapes)
        put: dict[int, set[bytes]] = {0: set(), 1: set(), 2: set()}
        for what, first, second in steps:
            if what == "put":
                image = np.full((*shapes[first], 3), 10 * first + second, np.uint8)
                store.put(first, image)
                put[first].add(image.tobytes())
                assert np.array_equal(store[first], image)
            elif what == "resume":
                store = ImageStore.resume(folder, shapes)
            elif what == "tear log":
                log = (folder / LOG).read_bytes()
                (folder / LOG).write_bytes(log[:max(0, len(log) - first)])
                store = ImageStore.resume(folder, shapes)
            else:
                with (folder / RAW).open("r+b") as file:
                    file.seek(ends[first] - 1 - second % 9)
                    file.write(b"\xff")
                store = ImageStore.resume(folder, shapes)
        again = ImageStore.resume(folder, shapes)
        for i in range(3):
            assert again.has(i) == store.has(i)
            if again.has(i):
                assert again[i].tobytes() in put[i]
            else:
                again.put(i, np.zeros((*shapes[i], 3), np.uint8))
        again.finish().verify()
        assert ImageStore.open(folder).hashes == again.hashes


class TestDamage:
    @pytest.mark.parametrize("index", [b"", b"{}", b"[]", b"{", b'{"version": 1}',
                                       b'{"version": 1, "images": [], "channels": 3, '
                                       b'"dtype": "uint8"}'])
    def test_an_index_that_is_none(self, tmp_path, index):
        filled(tmp_path)
        (tmp_path / INDEX).write_bytes(index)
        with pytest.raises(CorruptFile, match=r"index\.json is no index") as caught:
            ImageStore.open(tmp_path)
        assert str(tmp_path) in caught.value.hint

    def test_an_index_of_another_version(self, tmp_path):
        filled(tmp_path)
        index = json.loads((tmp_path / INDEX).read_text())
        (tmp_path / INDEX).write_text(json.dumps({**index, "version": 2}))
        with pytest.raises(CorruptFile, match="version 2, this srbench reads 1"):
            ImageStore.open(tmp_path)

    @pytest.mark.parametrize("change", [-1, 1])
    def test_a_file_of_another_size(self, tmp_path, change):
        filled(tmp_path)
        size = (tmp_path / RAW).stat().st_size
        with (tmp_path / RAW).open("r+b") as file:
            file.truncate(size + change)
        with pytest.raises(CorruptFile, match=f"{size + change:,} bytes instead of {size:,}"):
            ImageStore.open(tmp_path)
        with pytest.raises(CorruptFile):
            ImageStore.resume(tmp_path, SHAPES)

    def test_absent_folder_and_absent_pixels(self, tmp_path):
        with pytest.raises(CorruptFile, match="does not exist"):
            ImageStore.open(tmp_path / "nowhere")
        filled(tmp_path)
        (tmp_path / RAW).unlink()
        with pytest.raises(CorruptFile, match="0 bytes instead of"):
            ImageStore.open(tmp_path)

    def test_verifying_names_the_damaged_image(self, tmp_path):
        filled(tmp_path, names=["a", "b", "c"])
        with (tmp_path / RAW).open("r+b") as file:
            file.seek(3 * 40 * 61 + 5)
            byte = file.read(1)
            file.seek(-1, io.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        store = ImageStore.open(tmp_path)
        with pytest.raises(CorruptFile, match=r"image b of .* is damaged"):
            store.verify()


class TestCrops:
    def test_against_slicing_and_numpy(self, tmp_path):
        images = pictures()
        store = filled(tmp_path, images)
        which, tops, lefts = random_places(store.shapes, 200, 17, seeded(1))
        turns = torch.randint(TURNS, (200,), generator=seeded(2)).numpy()
        crops = store.crops(which, tops, lefts, 17, turns)
        assert crops.shape == (200, 17, 17, 3)
        assert crops.dtype == np.uint8
        assert crops.flags.c_contiguous
        for crop, image, top, left, turn in zip(crops, which, tops, lefts, turns, strict=True):
            piece = images[image][top:top + 17, left:left + 17]
            expected = np.rot90(np.fliplr(piece) if turn >= 4 else piece, turn % 4)
            assert np.array_equal(crop, expected)

    def test_without_turns(self, tmp_path):
        store = filled(tmp_path, pictures(channels=1, dtype="float32"), channels=1,
                       dtype="float32")
        crops = store.crops([2, 0], [1, 2], [3, 4], 8)
        assert crops.dtype == np.float32
        assert np.array_equal(crops[0], store[2][1:9, 3:11])
        assert np.array_equal(crops[1], store[0][2:10, 4:12])

    def test_the_eight_turns_are_the_symmetries_of_the_square(self):
        square = np.arange(9).reshape(3, 3, 1)
        ways = [turned(square, turn) for turn in range(TURNS)]
        assert len({way.tobytes() for way in ways}) == 8
        assert np.array_equal(ways[0], square)
        assert ways[1][..., 0].tolist() == [[2, 5, 8], [1, 4, 7], [0, 3, 6]]  # counter-clockwise
        assert ways[4][..., 0].tolist() == [[2, 1, 0], [5, 4, 3], [8, 7, 6]]  # left and right
        assert ways[6][..., 0].tolist() == [[6, 7, 8], [3, 4, 5], [0, 1, 2]]  # top and bottom

    @pytest.mark.parametrize("turn", range(TURNS))
    def test_turns_keep_crops_of_two_scales_aligned(self, tmp_path, turn):
        small = pictures()
        large = [image.repeat(4, 0).repeat(4, 1) for image in small]
        low, high = filled(tmp_path / "low", small), filled(tmp_path / "high", large)
        which, tops, lefts = random_places(low.shapes, 20, 8, seeded(turn))
        turns = np.full(20, turn)
        lr = low.crops(which, tops, lefts, 8, turns)
        hr = high.crops(which, 4 * tops, 4 * lefts, 32, turns)
        assert np.array_equal(hr, lr.repeat(4, 1).repeat(4, 2))

    @pytest.mark.parametrize(("places", "size"), [
        (([3], [0], [0]), 8), (([-1], [0], [0]), 8), (([0], [33], [0]), 8),
        (([0], [0], [54]), 8), (([0], [-1], [0]), 8), (([1], [0], [0]), 33)])
    def test_a_crop_beyond_its_image(self, tmp_path, places, size):
        store = filled(tmp_path)
        with pytest.raises(DataError, match=f"crop of {size} reaches beyond"):
            store.crops(*places, size)

    @pytest.mark.parametrize("turns", [[8], [-1], [0, 0]])
    def test_a_turn_that_is_none(self, tmp_path, turns):
        with pytest.raises(DataError, match="numbers from 0 to 7"):
            filled(tmp_path).crops([0], [0], [0], 8, turns)


class TestSpeedAndMemory:
    def test_crops_touch_no_more_than_they_need(self, tmp_path):
        """A store far larger than memory could be mapped: opening and cropping stay cheap."""
        store = ImageStore.create(tmp_path, [(8000, 8000)] * 200)  # 38 GB, nearly all of it holes
        image = np.zeros((8000, 8000, 3), np.uint8)
        image[5000:5016, 7000:7016] = 7
        store.put(150, image)
        again = ImageStore.resume(tmp_path, [(8000, 8000)] * 200)
        assert (again.crops([150], [5000], [7000], 16) == 7).all()
        assert (tmp_path / RAW).stat().st_blocks * 512 < 250_000_000

    def test_many_crops_at_once_are_those_cut_one_by_one(self, tmp_path):
        store = filled(tmp_path)
        which, tops, lefts = random_places(store.shapes, 64, 9, seeded(8))
        turns = np.arange(64) % TURNS
        together = store.crops(which, tops, lefts, 9, turns)
        for k in range(64):
            alone = store.crops(which[k:k + 1], tops[k:k + 1], lefts[k:k + 1], 9, turns[k:k + 1])
            assert np.array_equal(alone[0], together[k])

    def test_lists_do_as_well_as_arrays(self, tmp_path):
        store = filled(tmp_path)
        assert np.array_equal(store.crops([0, 1], [1, 2], [3, 4], 8, [5, 0]),
                              store.crops(np.array([0, 1]), np.array([1, 2]), np.array([3, 4]), 8,
                                          np.array([5, 0])))
        assert store.crops([], [], [], 8).shape == (0, 8, 8, 3)


class TestPlaces:
    def test_every_image_and_every_position_is_drawn_alike(self):
        shapes = [(9, 12), (8, 8), (11, 8)]
        which, tops, lefts = random_places(shapes, 60_000, 8, seeded(4))
        assert np.allclose(np.bincount(which) / 60_000, 1 / 3, atol=0.01)
        cells, counts = np.unique(np.stack([which, tops, lefts]), axis=1, return_counts=True)
        expected = {(i, top, left) for i, (height, width) in enumerate(shapes)
                    for top in range(height - 7) for left in range(width - 7)}
        assert {tuple(cell) for cell in cells.T.tolist()} == expected
        assert np.allclose(counts[cells[0] == 0], 2_000, rtol=0.12)
        assert np.allclose(counts[cells[0] == 2], 5_000, rtol=0.08)

    def test_a_pure_function_of_the_generator(self):
        drawn = [np.stack(random_places(SHAPES, 50, 8, seeded(seed))) for seed in (1, 1, 2)]
        assert np.array_equal(drawn[0], drawn[1])
        assert not np.array_equal(drawn[0], drawn[2])
        assert drawn[0].dtype == np.int64

    def test_positions_on_a_grid(self):
        which, tops, lefts = random_places([(40, 61), (33, 32)], 5_000, 8, seeded(5), grid=4)
        assert not (tops % 4).any()
        assert not (lefts % 4).any()
        assert set(tops[which == 0]) == set(range(0, 33, 4))
        assert set(lefts[which == 0]) == set(range(0, 54, 4))
        assert set(lefts[which == 1]) == set(range(0, 25, 4))

    def test_crops_of_a_whole_image(self):
        _, tops, lefts = random_places([(8, 8)], 10, 8, seeded(0))
        assert not tops.any()
        assert not lefts.any()

    @pytest.mark.parametrize(("shapes", "smallest"), [([(8, 40), (40, 40)], 8), ([], 0)])
    def test_an_image_too_small_is_told(self, shapes, smallest):
        with pytest.raises(DataError, match=f"crop of 9: the smallest side is {smallest}"):
            random_places(shapes, 1, 9, seeded(0))
