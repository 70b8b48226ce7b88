"""Single decisions of downloads and of looking for files."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srbench import download as module
from srbench.download import download, is_offline, locked, reachable
from srbench.errors import CorruptFile, DataError, DownloadError, StoreError
from srbench.files import (
    RemoteFile,
    atomic_write,
    cache_dir,
    check,
    data_dirs,
    ensure,
    find,
    git_blob_sha1,
    read_manifest,
    sha256,
)
from tests.file_server import FileServer, blob_sha1

CONTENT = bytes(range(256)) * 5000  # several blocks of a transfer


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("SRBENCH_OFFLINE", "0")
    monkeypatch.setattr(module, "_reached", {})
    with FileServer() as running:
        running.files["/f.bin"] = CONTENT
        yield running


@pytest.mark.parametrize(("value", "offline"), [("", False), ("0", False), ("1", True),
                                                ("true", True), ("no", True)])
def test_any_value_but_zero_forbids_the_network(monkeypatch, value, offline):
    monkeypatch.setenv("SRBENCH_OFFLINE", value)
    assert is_offline() is offline
    monkeypatch.delenv("SRBENCH_OFFLINE")
    assert not is_offline()


class TestHashes:
    @given(st.binary(max_size=300))
    def test_are_gits_and_hashlibs(self, tmp_path_factory, content):
        path = tmp_path_factory.mktemp("h") / "file"
        path.write_bytes(content)
        assert git_blob_sha1(path) == blob_sha1(content)
        assert sha256(path) == hashlib.sha256(content).hexdigest()

    def test_git_agrees(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(CONTENT)
        try:
            done = subprocess.run(["git", "hash-object", "--no-filters", str(path)], text=True,
                                  capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("git is not installed here")
        assert git_blob_sha1(path) == done.stdout.strip()

    def test_one_wrong_hash_among_right_ones_is_enough(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(b"content")
        digest = sha256(path)
        right = {"git_blob_sha1": git_blob_sha1(path), "sha256": digest,
                 "sha256_prefix": digest[:9].upper()}
        check(path, RemoteFile(url="", path="p", **right))
        for field in right:
            wrong = {**right, field: "0" * len(right[field])}
            with pytest.raises(CorruptFile, match=r"expected .* 0+, found [0-9a-f]+ \(7 bytes\)"):
                check(path, RemoteFile(url="", path="p", **wrong))


class TestTransfers:
    def test_progress_counts_bytes_up_to_the_total(self, server, tmp_path):
        told, part = [], tmp_path / "f.part"
        part.write_bytes(CONTENT[:1000])
        assert download(f"{server.url}/f.bin", part, label="f", resume=True,
                        progress=lambda *args: told.append(args))
        assert part.read_bytes() == CONTENT
        assert {label for label, _, _ in told} == {"f"}
        done = [count for _, count, _ in told]
        assert done == sorted(done)
        assert (done[0] > 1000, told[-1][1:]) == (True, (len(CONTENT), len(CONTENT)))

    def test_without_resume_the_old_part_is_not_used(self, server, tmp_path):
        part = tmp_path / "f.part"
        part.write_bytes(b"something else")
        assert not download(f"{server.url}/f.bin", part, label="f")
        assert part.read_bytes() == CONTENT
        assert server.gets() == [("/f.bin", "")]

    def test_a_missing_file_is_told_with_the_servers_answer(self, server, tmp_path):
        with pytest.raises(DownloadError, match="the server answered 404 Not Found"):
            download(f"{server.url}/g.bin", tmp_path / "g.part", label="g")
        assert len(server.gets()) == 1

    def test_a_server_that_stops_each_time_a_little_later_is_asked_three_times(self, server,
                                                                               tmp_path):
        server.mode, part = "half", tmp_path / "f.part"
        with pytest.raises(DownloadError, match="the server stopped at"):
            download(f"{server.url}/f.bin", part, label="f", resume=True)
        starts = [int(span.removeprefix("bytes=").rstrip("-") or 0) for _, span in server.gets()]
        assert starts == [0, len(CONTENT) // 2, len(CONTENT) * 3 // 4]
        assert CONTENT.startswith(part.read_bytes())

    @pytest.mark.parametrize("url", ["ftp://h/f", "file:///etc/hosts", "f.bin", ""])
    def test_only_http_is_spoken(self, server, tmp_path, url):
        with pytest.raises(DownloadError, match="is no http address"):
            download(url, tmp_path / "f.part", label="f")
        assert not reachable(url)

    def test_a_page_is_a_page_only_where_none_was_asked_for(self, server, tmp_path):
        server.mode = "page"
        with pytest.raises(DownloadError, match="web page"):
            download(f"{server.url}/f.bin", tmp_path / "f.part", label="f")
        download(f"{server.url}/about.html", tmp_path / "h.part", label="h")
        assert (tmp_path / "h.part").read_bytes().startswith(b"<html>")

    def test_nothing_is_asked_where_fetching_is_not_wanted(self, server):
        remote = RemoteFile(url=f"{server.url}/f.bin", path="x/f.bin", sha256="0" * 64)
        with pytest.raises(DownloadError, match="was not to be fetched"):
            ensure(remote, fetch=False)
        assert server.requests == []


def test_a_lock_keeps_others_out_until_it_is_given_back(tmp_path):
    path, order = tmp_path / "lock", []
    held, release = threading.Event(), threading.Event()

    def first():
        with locked(path):
            held.set()
            release.wait(10)
            order.append("first")

    def second():
        held.wait(10)
        with locked(path):
            order.append("second")

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    threads[1].join(0.2)
    assert threads[1].is_alive()
    release.set()
    for thread in threads:
        thread.join(10)
    assert order == ["first", "second"]


@pytest.mark.skipif(sys.platform == "win32", reason="no file locks there")
def test_a_lock_ends_with_an_error_in_its_body(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "lock"):
        raise ZeroDivisionError
    with locked(tmp_path / "lock"):
        pass


class TestPlaces:
    REMOTE = RemoteFile(url="", path="repository/benchmarks/pair/G.pt")

    def put(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        return path

    def test_earlier_folders_longer_paths_and_the_users_own_come_first(self, tmp_path, monkeypatch):
        one, two = tmp_path / "one", tmp_path / "two"
        monkeypatch.setenv("SRBENCH_DATA", os.pathsep.join(map(str, (one, two))))
        assert data_dirs() == (one, two)
        assert find(self.REMOTE) is None
        for place in (cache_dir() / self.REMOTE.path, two / "copy/pair/G.pt", two / "pair/G.pt",
                      two / "benchmarks/pair/G.pt", two / self.REMOTE.path, one / "pair/G.pt",
                      one / self.REMOTE.path):
            self.put(place)
            assert find(self.REMOTE) == place

    def test_a_folder_of_that_name_is_no_file(self, tmp_path, monkeypatch):
        monkeypatch.setenv("SRBENCH_DATA", str(tmp_path))
        (tmp_path / "pair/G.pt").mkdir(parents=True)
        assert find(self.REMOTE) is None

    def test_home_is_expanded_and_empty_entries_are_none(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("SRBENCH_DATA", os.pathsep.join(["", "~/data", ""]))
        monkeypatch.setenv("SRBENCH_CACHE", "~/cache")
        assert data_dirs() == (tmp_path / "data",)
        assert cache_dir() == tmp_path / "cache"


def test_every_manifest_of_the_plugins_is_one(tmp_path):
    plugins = Path(__file__).resolve().parents[1] / "plugins"
    manifests = sorted(plugins.glob("*/official_files.json"))
    assert [path.parent.name for path in manifests] == [
        "srbench_dasr", "srbench_fssr", "srbench_ots", "srbench_w2", "srbench_wgan_gp"]
    without_hashes = {"srbench_dasr", "srbench_fssr"}  # their authors published none
    for path in manifests:
        for name, remote in read_manifest(path).items():
            assert remote.url.startswith("https://")
            assert "{" not in remote.url
            assert remote.path.endswith(f"/{name}")
            assert remote.licence
            if path.parent.name in without_hashes:
                assert not remote.has_hash
                continue
            assert remote.url.endswith(name)
            assert len(remote.git_blob_sha1) == 40
            assert "MIT" in remote.licence
    with pytest.raises(DataError, match="not a list of official files"):
        read_manifest(tmp_path / "none.json")


def test_an_atomic_write_needs_its_folder(tmp_path):
    with pytest.raises(StoreError, match="cannot write"):
        atomic_write(tmp_path / "none" / "file", b"x")
    atomic_write(tmp_path / "file", b"")
    assert (tmp_path / "file").read_bytes() == b""
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
