"""The import: everything wrong is named, and what is interrupted is not taken for finished."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srbench.errors import CorruptFile, DataError, StoreError
from srbench.files import cache_dir
from srbench_aim19 import importing, official, progress
from srbench_aim19.png import read_png
from srbench_aim19.statistics import PUBLISHED, Moments, Statistics, check_published, shrunk
from tests.aim19.conftest import ROLES, SHAPES, make_copy, opened, picture, png


def imports() -> list[Path]:
    """Folders below the cache that are taken for finished imports."""
    return sorted(path.parent for path in (cache_dir() / "aim19").glob("*/manifest.json"))


class TestRefused:
    @pytest.fixture
    def refusal(self, copy):
        def found() -> str:
            with pytest.raises(DataError) as caught:
                copy.open()
            assert imports() == []
            assert not list((cache_dir() / "aim19").glob("*/lr"))
            return caught.value.message
        return found

    @pytest.mark.parametrize(("write", "reason"), [
        (lambda image, path: image.convert("RGBA").save(path), "has alpha"),
        (lambda image, path: image.convert("L").save(path), "is grey"),
        (lambda image, path: image.convert("P").save(path), "has a palette"),
        (lambda image, path: image.save(path, "JPEG"), "is no PNG"),
        (lambda image, path: path.write_bytes(png(np.asarray(image).astype(np.uint16))),
         "has 16 bits per channel"),
        (lambda image, path: path.write_bytes(path.read_bytes()[:-200]), "is truncated"),
        (lambda image, path: path.write_bytes(b""), "is empty"),
        (lambda image, path: image.crop((0, 0, 31, 83)).save(path),
         "is 31 x 83, too small for a crop of 32 x 32"),
    ])
    def test_an_image_that_cannot_be_used_is_named(self, copy, refusal, write, reason):
        path = copy.path("lr", "000002")
        with Image.open(path) as image:
            image.load()
        write(image, path)
        assert refusal() == f"1 images cannot be used: {path} {reason}"

    def test_a_jpeg_among_them_is_named(self, copy, refusal):
        with Image.open(copy.path("lr", "000002")) as image:
            image.save(copy.folder("lr") / "000003.jpg")
        assert refusal().endswith("000003.jpg is no PNG")

    def test_hr_images_must_hold_a_patch(self, copy, refusal):
        copy.put("hr", "0009", picture((127, 500), 9))
        assert "0009.png is 500 x 127, too small for a crop of 128 x 128" in refusal()

    def test_the_first_ten_and_their_number(self, copy, refusal):
        for number in range(25):
            (copy.folder("lr") / f"x{number:02}.png").write_bytes(b"nothing")
        message = refusal()
        assert message.startswith("25 images cannot be used: ")
        assert message.endswith("; and 15 more")
        assert message.count(" is no PNG") == 10
        assert re.findall(r"x(\d\d)\.png", message) == [f"{i:02}" for i in range(10)]

    def test_all_damage_inside_files_is_found_at_once(self, copy, refusal):
        """Three files of two sets whose headers are fine."""
        paths = [copy.path("lr", "000001"), copy.path("hr", "0002"), copy.path("hr", "0004")]
        for path in paths:
            content = path.read_bytes()
            path.write_bytes(content[:100] + b"damage" + content[106:])
        message = refusal()
        assert message.startswith("3 images cannot be used: ")
        assert all(f"{path} is corrupt: wrong checksum" in message for path in paths)

    def test_a_pair_of_wrong_scale_is_named_with_both_sizes(self, copy, refusal):
        copy.put("hr-test", "0801", picture((132, 160), 9))
        assert refusal() == ("1 validation pairs are not of scale 4: 0801 is 41 x 33 in LR and "
                             "160 x 132 in HR")

    @pytest.mark.parametrize(("role", "source"), [("hr", "hr-test"), ("lr", "hr"),
                                                  ("lr", "lr-test")])
    def test_an_image_in_two_sets_is_named(self, copy, refusal, role, source):
        stem, pixels = next(iter(copy.pixels[source].items()))
        copy.put(role, "zz", pixels)
        message = refusal()
        assert message.startswith("1 images are in two of the sets that must be disjoint: ")
        assert str(copy.path(role, "zz")) in message
        assert str(copy.path(source, stem)) in message

    def test_the_same_image_twice_in_one_set_is_no_leak(self, copy):
        copy.put("hr", "zz", copy.pixels["hr"]["0001"])
        assert len(copy.open().train_images("hr")) == 5

    def test_a_disk_that_is_too_small(self, copy, monkeypatch):
        usage = shutil.disk_usage(copy.root)._replace(free=10_000)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
        with pytest.raises(StoreError, match=r"take 0\.\d GB in .*, where 0\.0 GB are free"):
            copy.open()


class TestOnce:
    def test_the_second_time_nothing_is_decoded(self, copy, steps, monkeypatch):
        first = copy.open()
        assert steps
        folder, = imports()
        monkeypatch.setattr(official, "read_png", None)
        monkeypatch.setattr(official, "read_shape", None)
        steps.clear()
        assert copy.open().fingerprint() == first.fingerprint()
        assert steps == []
        assert imports() == [folder]

    def test_another_file_is_another_import(self, copy):
        before = copy.open().fingerprint()
        copy.put("lr", "000002", picture((32, 47), 77))
        assert copy.open().fingerprint() != before
        assert len(imports()) == 2

    def test_renaming_changes_the_fingerprint_and_moving_does_not(self, copy, tmp_path):
        before = copy.open().fingerprint()
        shutil.copytree(copy.root, tmp_path / "moved")
        assert opened(root=str(tmp_path / "moved"), complete=False).fingerprint() == before
        copy.path("hr", "0002").rename(copy.path("hr", "0009"))
        assert copy.open().fingerprint() != before

    @pytest.mark.parametrize("damage", [
        lambda folder: (folder / "hr" / "images.raw").write_bytes(b"short"),
        lambda folder: (folder / "lr" / "index.json").unlink(),
        lambda folder: (folder / "manifest.json").write_text("{}"),
        lambda folder: (folder / "manifest.json").write_text('{"version": 9}')])
    def test_a_damaged_import_is_made_again(self, copy, damage, caplog):
        before = copy.open().fingerprint()
        folder, = imports()
        damage(folder)
        with pytest.raises(CorruptFile):
            importing.open_images(folder)
        assert copy.open().fingerprint() == before
        assert "importing again" in caplog.text

    def test_what_is_stored_is_what_an_independent_reader_sees(self, copy):
        stores = copy.open()._images.stores
        for role in ROLES:
            for stem in SHAPES[role]:
                with Image.open(copy.path(role, stem)) as image:
                    i = stores[role].names.index(stem)
                    assert np.array_equal(stores[role][i], np.asarray(image))


class TestInterrupted:
    def test_by_ctrl_c_and_resumed(self, copy, monkeypatch):
        told = []

        def interrupt(what: str, done: int, total: int) -> None:
            told.append(what)
            if len(told) == 5:  # one HR image is decoded, perhaps more
                raise KeyboardInterrupt
        monkeypatch.setattr(importing, "on_progress", interrupt)
        with pytest.raises(KeyboardInterrupt):
            copy.open()
        assert imports() == []
        read = []
        monkeypatch.setattr(official, "read_png", lambda path: read.append(path) or read_png(path))
        monkeypatch.setattr(importing, "on_progress", lambda *step: None)
        assert len(copy.open().train_images("lr")) == 3
        assert not [path for path in read if "train-noisy" in str(path)]
        assert len(imports()) == 1

    def test_by_a_kill_and_resumed(self, tmp_path):
        copy = make_copy(tmp_path / "copy")
        code = textwrap.dedent(f"""
            import os, signal
            from srbench_aim19 import importing
            from tests.aim19.conftest import opened
            def kill(what, done, total):
                if "HR training" in what and done == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
            importing.on_progress = kill
            opened(root={str(copy.root)!r}, complete=False)
            """)
        done = subprocess.run([sys.executable, "-c", code], check=False,
                              cwd=Path(__file__).parents[2])
        assert done.returncode == -signal.SIGKILL
        assert imports() == []
        resumed = copy.open()
        assert len(imports()) == 1
        other = make_copy(tmp_path / "other").open()
        assert resumed.fingerprint() == other.fingerprint()
        assert resumed.facts() == other.facts()

    def test_two_processes_at_once_make_one_import(self, tmp_path):
        copy = make_copy(tmp_path / "copy")
        code = ("from tests.aim19.conftest import opened\n"
                f"print(opened(root={str(copy.root)!r}, complete=False).fingerprint())")
        running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE,
                                    cwd=Path(__file__).parents[2]) for _ in range(2)]
        found = {process.communicate()[0] for process in running}
        assert {process.returncode for process in running} == {0}
        assert found == {f"{copy.open().fingerprint()}\n".encode()}
        assert len(imports()) == 1


class TestMemory:
    def test_an_import_does_not_hold_all_images(self, tmp_path):
        """40 images of 1000 x 1000, 120 MB together; the peak rises by a few of them."""
        copy = make_copy(tmp_path / "copy")
        for number in range(40):
            pixels = np.full((1000, 1000, 3), number, np.uint8)
            copy.put("lr", f"big{number:02}", pixels)
        code = textwrap.dedent(f"""
            import resource
            from tests.aim19.conftest import opened, make_copy
            from pathlib import Path
            peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            small = make_copy(Path({str(tmp_path / "small")!r}))
            opened(root=str(small.root), complete=False)
            before = peak()
            dataset = opened(root={str(copy.root)!r}, complete=False)
            assert len(dataset.train_images("lr")) == 43
            print((peak() - before) // 1024)
            """)
        # Pages of the mapped file that were hashed count as resident until they are needed.
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True,
                              text=True, cwd=Path(__file__).parents[2])
        assert int(done.stdout) < 60


class TestProgress:
    def test_every_image_is_reported(self, copy, steps):
        copy.open()
        assert [step for step in steps if "HR training" in step[0]] == [
            ("importing HR training images", done, 4) for done in range(1, 5)]
        assert len(steps) == 3 + 4 + 2 + 2

    def test_the_log_tells_now_and_then_and_how_long_it_takes(self, monkeypatch, caplog):
        clock = iter([0.0, 0.0, 4.0, 11.0, 11.0, 12.0])
        monkeypatch.setattr(time, "monotonic", lambda: next(clock))
        monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
        report = progress.Reporter()
        with caplog.at_level(logging.INFO):
            report("importing", 1, 10)
            report("importing", 2, 10)
            report("importing", 5, 10)
        assert [record.getMessage() for record in caplog.records] == [
            "importing: 5 of 10, about 11 s to go"]

    def test_a_bar_on_a_terminal(self):
        code = ("from srbench_aim19.progress import Reporter\nimport time\nreport = Reporter()\n"
                "for i in range(4):\n    report('importing things', i + 1, 4)\n    time.sleep(.1)")
        master, slave = pty.openpty()
        subprocess.run([sys.executable, "-c", code], stderr=slave, check=True,
                       env={**os.environ, "TERM": "xterm", "COLUMNS": "100"})
        os.close(slave)
        shown = b""
        while True:
            try:
                block = os.read(master, 4096)
            except OSError:
                break
            if not block:
                break
            shown += block
        os.close(master)
        assert b"importing things" in shown
        assert b"4/4" in shown

    def test_the_bar_goes_away_with_the_import(self, copy, monkeypatch):
        class Listener:
            stopped = 0

            def __call__(self, *step: object) -> None:
                raise RuntimeError("listener")

            def stop(self) -> None:
                self.stopped += 1
        listener = Listener()
        monkeypatch.setattr(importing, "on_progress", listener)
        with pytest.raises(RuntimeError, match="listener"):
            copy.open()
        assert listener.stopped == 1


class TestStatistics:
    def test_against_numpy(self):
        images = [picture((17, 23), 1), picture((40, 9), 2) // 3, picture((8, 8), 3)]
        found = Statistics.of(Moments.of(Image.fromarray(image)) for image in images)
        pixels = np.concatenate([image.reshape(-1, 3) for image in images]).astype(float)
        assert found.count == 3
        np.testing.assert_allclose(found.mean, pixels.mean(0), rtol=1e-12)
        np.testing.assert_allclose(found.sd, pixels.std(0), rtol=1e-12)
        within = np.mean([image.reshape(-1, 3).std(0) for image in images], axis=0)
        np.testing.assert_allclose(found.sd_within, within, rtol=1e-12)
        np.testing.assert_allclose(found.colour(), pixels.mean(0) / 127.5 - 1, rtol=1e-9)
        assert Statistics.from_json(json.loads(json.dumps(found.to_json()))) == found

    def test_constant_images_of_any_size_have_no_deviation(self):
        found = Statistics.of([Moments.of(Image.new("RGB", (4000, 4000), (255, 254, 3)))] * 50)
        assert found.mean == (255, 254, 3)
        assert found.sd == found.sd_within == (0, 0, 0)

    def test_shrinking_keeps_the_mean_and_loses_deviation(self):
        image = Image.fromarray(picture((400, 404), 5))
        small = shrunk(image)
        assert small.size == (101, 100)
        large_moments, small_moments = (Statistics.of([Moments.of(one)]) for one in (image, small))
        np.testing.assert_allclose(small_moments.mean, large_moments.mean, atol=0.3)
        assert max(small_moments.sd) < 0.4 * min(large_moments.sd)

    def statistics(self, key: str, shift: float = 0.0, within: float = 0.0,
                   beyond: float = 0.0) -> Statistics:
        mean, sd = PUBLISHED[key]
        return Statistics(1, tuple(value + shift for value in mean),
                          tuple(value + beyond for value in sd),
                          tuple(value - within for value in sd))

    @pytest.mark.parametrize("found", [{}, {"shift": 2.9}, {"within": -2.9, "beyond": 20},
                                       {"within": 20, "beyond": -2.9}])
    def test_the_published_set_passes(self, found):
        check_published({"lr": self.statistics("lr", **found), "hr/4": self.statistics("hr/4")})

    @pytest.mark.parametrize("found", [{"shift": 3.1}, {"shift": -3.1}, {"beyond": -3.1},
                                       {"within": -3.1}])
    @pytest.mark.parametrize(("key", "what"), [("lr", "LR training"),
                                               ("hr/4", r"HR \(shrunk by 4\) training")])
    def test_another_set_does_not(self, key, what, found):
        right = {"lr": self.statistics("lr"), "hr/4": self.statistics("hr/4")}
        with pytest.raises(DataError, match=f"the {what} images are not those of AIM19: red has"):
            check_published({**right, key: self.statistics(key, **found)})

    def test_the_two_training_sets_cannot_be_taken_for_each_other(self):
        with pytest.raises(DataError):
            check_published({"lr": self.statistics("hr/4"), "hr/4": self.statistics("lr")})

    def test_a_complete_copy_is_compared(self, copy, monkeypatch):
        monkeypatch.setattr(official, "check_counts", lambda listing: None)
        with pytest.raises(DataError, match="not those of AIM19") as caught:
            opened(root=str(copy.root))
        assert "aim19.complete=false" in caught.value.hint
        monkeypatch.setattr(official, "check_published", lambda statistics: None)
        dataset = opened(root=str(copy.root))
        assert (dataset.source, dataset.title, dataset.notice) == ("official", "aim19", "")
        assert dataset.fingerprint() == copy.open().fingerprint()
