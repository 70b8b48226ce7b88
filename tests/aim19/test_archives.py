"""Archives: resumed, checked by their own checksums, unpacked with suspicion."""

from __future__ import annotations

import io
import os
import shutil
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from srbench import download
from srbench.cli import cli
from srbench.cli.doctor import check_datasets
from srbench.errors import CorruptFile, DataError, DownloadError, StoreError
from srbench.files import cache_dir
from srbench.registry.catalog import discover
from srbench_aim19 import archives
from srbench_aim19.archives import absent, unpack
from srbench_aim19.dataset import AIM19
from srbench_aim19.layout import official_folder
from tests.aim19.conftest import LAYOUTS, ROLES, SHAPES, make_copy, opened, picture, png
from tests.file_server import FileServer

STEMS = LAYOUTS["archives"]


def zipped(members: dict[str, bytes], **options: object) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def official(tmp_path_factory) -> dict[str, bytes]:
    """Archives of a small copy, by stem, as the challenge packs them."""
    copy = make_copy(tmp_path_factory.mktemp("made"))
    return {stem: zipped({f"{stem}/": b"", **{f"{stem}/{path.name}": path.read_bytes()
                                              for path in sorted(copy.folder(role).iterdir())}})
            for role, stem in zip(ROLES, STEMS, strict=True)}


@pytest.fixture
def server(official, monkeypatch):
    monkeypatch.setenv("SRBENCH_OFFLINE", "0")
    monkeypatch.setattr(download, "_reached", {})
    with FileServer() as running:
        running.files = {f"/{stem}.zip": content for stem, content in official.items()}
        monkeypatch.setattr(archives, "URL", running.url + "/{name}.zip")
        yield running


def fetch(progress=None) -> list[Path]:
    return AIM19.fetch(AIM19.Params(), progress)


class TestFetch:
    def test_the_urls_are_those_of_the_challenge(self):
        assert [archive.url for archive in archives.archives()] == [
            "https://data.vision.ee.ethz.ch/alugmayr/real-world-sr/AIM19/" + stem + ".zip"
            for stem in ("train-noisy-images", "train-clean-images", "valid-input-noisy",
                         "valid-gt-clean")]

    def test_fetched_unpacked_and_found(self, server):
        told = []
        folders = fetch(lambda *step: told.append(step))
        assert folders == [official_folder() / stem for stem in STEMS]
        assert sorted(path.name for path in (cache_dir() / "aim19").iterdir()
                      if not path.name.startswith(".")) == ["official"]  # no archive is left
        assert {label for label, _, _ in told} == {
            label for stem in STEMS for label in (f"aim19/{stem}.zip", f"unpacking {stem}.zip")}
        assert all(done <= total for _, done, total in told)
        dataset = opened(complete=False)
        assert dataset.source == "partial"
        assert len(dataset.train_images("hr")) == 4

    def test_again_is_a_no_op(self, server):
        folders = fetch()
        requests = len(server.requests)
        assert fetch() == folders
        assert len(server.requests) == requests

    def test_goes_on_where_it_was_stopped(self, server):
        del server.files[f"/{STEMS[2]}.zip"]
        with pytest.raises(DownloadError, match="404"):
            fetch()
        assert [archive.path for archive in absent()] == [f"aim19/{stem}.zip"
                                                          for stem in STEMS[2:]]
        server.files[f"/{STEMS[2]}.zip"] = server.files[f"/{STEMS[3]}.zip"]
        fetch()
        assert [path for path, _ in server.gets()].count(f"/{STEMS[0]}.zip") == 1
        assert absent() == []

    def test_a_dropped_connection_is_resumed(self, server, official):
        server.mode = "half-once"
        fetch()
        half = len(official[STEMS[0]]) // 2
        assert server.gets()[:2] == [(f"/{STEMS[0]}.zip", ""),
                                     (f"/{STEMS[0]}.zip", f"bytes={half}-")]
        assert np.array_equal(
            opened(complete=False).train_images("lr")[0].permute(1, 2, 0).numpy(),
            picture(SHAPES["lr"]["000001"], 1))

    def test_a_dropped_download_is_resumed_by_the_next_command(self, server, official):
        server.mode = "half"
        with pytest.raises(DownloadError):
            fetch()
        server.mode = "ok"
        before = len(server.gets())
        fetch()
        assert server.gets()[before][1].startswith("bytes=")

    def test_a_resumed_mix_of_two_files_is_fetched_from_the_start(self, server, official):
        """What came before belongs to another version of the archive."""
        part = cache_dir() / "aim19" / f"{STEMS[0]}.zip.part"
        part.parent.mkdir(parents=True)
        part.write_bytes(b"x" * 100 + official[STEMS[0]][100:5000])
        fetch()
        assert [span for path, span in server.gets() if path == f"/{STEMS[0]}.zip"] == [
            "bytes=5000-", ""]
        assert len(list((official_folder() / STEMS[0]).iterdir())) == 3

    @pytest.mark.parametrize("damage", [
        lambda whole: whole[:2000] + b"damage" + whole[2006:], lambda whole: whole[:-300],
        lambda whole: b"no archive"])
    def test_a_corrupt_archive_is_refused_and_not_kept(self, server, damage):
        server.files[f"/{STEMS[0]}.zip"] = damage(server.files[f"/{STEMS[0]}.zip"])
        with pytest.raises(CorruptFile, match=r"train-noisy-images\.zip is no whole archive"):
            fetch()
        assert len(server.gets()) == 2
        assert list(official_folder().glob("[!.]*")) == []
        assert not (cache_dir() / "aim19" / f"{STEMS[0]}.zip").exists()

    def test_a_web_page_is_no_archive(self, server):
        server.mode = "page"
        with pytest.raises(DownloadError, match="a web page"):
            fetch()

    def test_archives_of_the_user_are_used_and_left_alone(self, official, tmp_path, monkeypatch):
        (tmp_path / "aim19").mkdir()
        for stem, content in official.items():
            (tmp_path / "aim19" / f"{stem}.zip").write_bytes(content)
        monkeypatch.setenv("SRBENCH_DATA", str(tmp_path))
        fetch()  # SRBENCH_OFFLINE is set
        assert len(list(tmp_path.glob("aim19/*.zip"))) == 4
        assert opened(complete=False).source == "partial"

    def test_a_damaged_archive_of_the_user_is_named_and_left_alone(self, official, tmp_path,
                                                                   monkeypatch):
        path = tmp_path / "aim19" / f"{STEMS[0]}.zip"
        path.parent.mkdir()
        path.write_bytes(official[STEMS[0]][:-300])
        monkeypatch.setenv("SRBENCH_DATA", str(tmp_path))
        with pytest.raises(CorruptFile, match=str(path)):
            fetch()
        assert path.exists()

    def test_a_copy_elsewhere_needs_no_archive(self, copy):
        params = AIM19.Params(root=str(copy.root))
        assert AIM19.missing(params) == []
        assert AIM19.fetch(params) == [copy.root / stem for stem in STEMS]

    def test_offline_says_where_to_put_them(self):
        with pytest.raises(DownloadError, match="SRBENCH_OFFLINE forbids") as caught:
            fetch()
        assert str(cache_dir() / "aim19" / "train-noisy-images.zip") in caught.value.hint


class TestUnpack:
    @pytest.fixture
    def target(self, tmp_path) -> Path:
        return tmp_path / "inner" / "images"

    def packed(self, tmp_path: Path, members: dict[str, bytes]) -> Path:
        path = tmp_path / "a.zip"
        path.write_bytes(zipped(members))
        return path

    IMAGE = png(picture((33, 33), 0))

    @pytest.mark.parametrize("name", ["/etc/a.png", "../a.png", "x/../../a.png", "..\\a.png",
                                      "C:/a.png", "C:\\a.png", "/a/b/"])
    def test_a_path_that_leaves_the_folder(self, tmp_path, target, name):
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("good.png", self.IMAGE)
            member = zipfile.ZipInfo("x")
            member.filename = name  # the constructor would tidy it up
            archive.writestr(member, self.IMAGE if not name.endswith("/") else b"")
        with pytest.raises(DataError, match="would leave its folder") as caught:
            unpack(path, target)
        assert "delete" in caught.value.hint
        assert not target.exists()
        assert sorted(tmp_path.rglob("*.png")) == []

    @pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
    def test_links_and_devices(self, tmp_path, target, kind):
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            member = zipfile.ZipInfo("a.png")
            member.external_attr = (kind | 0o777) << 16
            archive.writestr(member, "/etc/passwd")
        with pytest.raises(DataError, match=r"'a\.png', which is a link or device"):
            unpack(path, target)
        assert not target.exists()

    def test_a_bomb(self, tmp_path, target, monkeypatch):
        monkeypatch.setattr(archives, "LARGEST", 1_000_000)
        path = tmp_path / "a.zip"
        path.write_bytes(zipped({"a.png": bytes(2_000_000)}, compression=zipfile.ZIP_DEFLATED))
        assert path.stat().st_size < 10_000
        with pytest.raises(DataError, match="holds images of 2,000,000 bytes"):
            unpack(path, target)

    def test_a_bomb_that_lies_about_its_size(self, tmp_path, target):
        """The size is changed in both headers; no more than it says is ever written."""
        path = tmp_path / "a.zip"
        real, claimed = 3_000_000, 1_000
        path.write_bytes(zipped({"a.png": bytes(real)}, compression=zipfile.ZIP_DEFLATED).replace(
            real.to_bytes(4, "little"), claimed.to_bytes(4, "little")))
        with pytest.raises(CorruptFile, match="Bad CRC-32"):
            unpack(path, target)
        assert not target.exists()

    def test_a_disk_that_is_too_small(self, tmp_path, target, monkeypatch):
        usage = shutil.disk_usage(tmp_path)._replace(free=10)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
        with pytest.raises(StoreError, match=r"a\.zip unpacks to .* are free"):
            unpack(self.packed(tmp_path, {"a.png": self.IMAGE}), target)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_that_cannot_be_written(self, tmp_path, target):
        path = self.packed(tmp_path, {"a.png": self.IMAGE})
        target.parent.mkdir()
        target.parent.chmod(0o500)
        with pytest.raises(StoreError, match="cannot unpack"):
            unpack(path, target)

    def test_a_folder_in_the_way(self, tmp_path, target):
        target.parent.write_bytes(b"a file")
        with pytest.raises(StoreError, match="cannot unpack"):
            unpack(self.packed(tmp_path, {"a.png": self.IMAGE}), target)

    def test_an_encrypted_member(self, tmp_path, target):
        path = self.packed(tmp_path, {"a.png": self.IMAGE})
        content = bytearray(path.read_bytes())
        for signature, offset in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
            content[content.index(signature) + offset] |= 1
        path.write_bytes(bytes(content))
        with pytest.raises(DataError, match="cannot be unpacked"):
            unpack(path, target)

    def test_only_png_files_flat(self, tmp_path, target, caplog):
        path = self.packed(tmp_path, {
            "x/": b"", "x/a.png": self.IMAGE, "x/y/b.PNG": self.IMAGE, "x/.c.png": b"hidden",
            "__MACOSX/x/._a.png": b"hidden", "x/run.sh": b"rm", "x/d.jpg": b"jpeg"})
        unpack(path, target)
        assert sorted(file.name for file in target.rglob("*")) == ["a.png", "b.PNG"]
        assert "x/run.sh is no PNG" in caplog.text
        assert "x/d.jpg is no PNG" in caplog.text

    @pytest.mark.parametrize(("members", "message"), [
        ({"a/1.png": IMAGE, "b/1.png": IMAGE}, "two images called 1.png"),
        ({"readme.txt": b"hello"}, "holds no PNG image")])
    def test_what_no_archive_of_images_holds(self, tmp_path, target, members, message):
        with pytest.raises(DataError, match=message):
            unpack(self.packed(tmp_path, members), target)

    def test_what_a_killed_attempt_left_is_removed(self, tmp_path, target):
        leftover = target.with_name(".images.unpacking")
        leftover.mkdir(parents=True)
        (leftover / "half.png").write_bytes(b"half")
        unpack(self.packed(tmp_path, {"a.png": self.IMAGE}), target)
        assert [file.name for file in target.iterdir()] == ["a.png"]
        assert not leftover.exists()


class TestCommands:
    def test_fetch_and_list(self, server):
        def listed() -> str:
            lines = CliRunner().invoke(cli, ["fetch", "--list"]).stdout.splitlines()
            return next(line for line in lines if line.startswith("aim19"))
        before = listed()
        assert " missing " in before
        assert "lacks train-noisy-images.zip, train-clean-images.zip, valid-input" in before
        assert "srbench fetch aim19" in before
        result = CliRunner().invoke(cli, ["fetch", "aim19"])
        assert result.exit_code == 0, result.exception
        assert [Path(line).name for line in result.stdout.splitlines()] == list(STEMS)
        assert "unpacking valid-gt-clean.zip" in result.stderr
        assert " here " in listed()

    def test_doctor(self):
        def line():
            return next(check for check in check_datasets(discover([]))
                        if check.what == "data aim19")
        absent = line()
        assert (absent.ok, absent.remedy) == (False, "srbench fetch aim19")
        assert "4 of 4 archives are missing" in absent.detail
        make_copy(official_folder())
        present = line()
        assert (present.ok, present.detail) == (True, f"in {official_folder()}")
