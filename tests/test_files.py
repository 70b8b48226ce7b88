"""Verified downloads against a real server that misbehaves, and writes on a disk that fails."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from srbench import atomic, download, files
from srbench.errors import CorruptFile, DataError, DownloadError, StoreError
from srbench.files import RemoteFile, ensure
from tests.file_server import FileServer, blob_sha1

CONTENT = bytes(range(256)) * 4000  # 1 MB, several blocks of a download


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("SRBENCH_OFFLINE", "0")
    monkeypatch.setattr(download, "_reached", {})
    with FileServer() as running:
        running.files["/pair/G.pt"] = CONTENT
        yield running


@pytest.fixture
def remote(server) -> RemoteFile:
    return RemoteFile(url=f"{server.url}/pair/G.pt", path="bench/pair/G.pt",
                      git_blob_sha1=blob_sha1(CONTENT), licence="MIT")


def cached(remote: RemoteFile) -> Path:
    return files.cache_dir() / remote.path


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


class TestHashes:
    def test_blob_hash_is_the_one_git_computes(self, tmp_path):
        path = put(tmp_path / "a", CONTENT)
        printed = subprocess.run(["git", "hash-object", str(path)], capture_output=True, text=True,
                                 check=True).stdout.strip()
        assert files.git_blob_sha1(path) == printed

    def test_empty_blob_has_gits_well_known_name(self, tmp_path):
        assert files.git_blob_sha1(put(tmp_path / "a", b"")) == (
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")

    def test_sha256_of_abc(self, tmp_path):
        assert files.sha256(put(tmp_path / "a", b"abc")).startswith("ba7816bf8f01cfea")

    @pytest.mark.parametrize("field", ["sha256", "sha256_prefix", "git_blob_sha1"])
    def test_each_kind_of_hash_is_checked(self, tmp_path, field):
        path = put(tmp_path / "a", b"abc")
        right = {"sha256": hashlib.sha256(b"abc").hexdigest(), "sha256_prefix": "ba7816bf",
                 "git_blob_sha1": blob_sha1(b"abc")}[field]
        files.check(path, RemoteFile(url="", path="a", **{field: right.upper()}))
        wrong = "0" * len(right)
        with pytest.raises(CorruptFile, match=f"expected .* {wrong}, found {right}"):
            files.check(path, RemoteFile(url="", path="a", **{field: wrong}))


class TestFolders:
    def test_cache_is_where_the_variable_says(self, monkeypatch, tmp_path):
        monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path))
        assert files.cache_dir() == tmp_path

    def test_cache_is_the_platforms_without_it(self, monkeypatch):
        monkeypatch.delenv("SRBENCH_CACHE")
        assert files.cache_dir().name == "srbench"
        assert files.cache_dir().is_absolute()

    def test_data_folders_are_split_as_in_path(self, monkeypatch):
        monkeypatch.setenv("SRBENCH_DATA", os.pathsep.join(["/a b", "", "/c"]))
        assert files.data_dirs() == (Path("/a b"), Path("/c"))


class TestDownload:
    def test_first_use_downloads_and_second_asks_nobody(self, server, remote):
        seen = []
        path = ensure(remote, progress=lambda *report: seen.append(report))
        assert path == cached(remote)
        assert path.read_bytes() == CONTENT
        assert seen[-1] == ("bench/pair/G.pt", len(CONTENT), len(CONTENT))
        assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
        assert ensure(remote) == path
        assert len(server.requests) == 1
        assert sorted(item.name for item in path.parent.iterdir()) == [".G.pt.lock", "G.pt"]

    def test_goes_on_where_an_earlier_download_stopped(self, server, remote):
        put(cached(remote).with_name("G.pt.part"), CONTENT[:300_000])
        assert ensure(remote).read_bytes() == CONTENT
        assert server.gets() == [("/pair/G.pt", "bytes=300000-")]

    def test_goes_on_when_the_connection_breaks(self, server, remote):
        server.mode = "half-once"
        assert ensure(remote).read_bytes() == CONTENT
        assert server.gets()[1] == ("/pair/G.pt", f"bytes={len(CONTENT) // 2}-")

    def test_server_that_ignores_ranges(self, server, remote):
        server.mode = "no-range"
        put(cached(remote).with_name("G.pt.part"), CONTENT[:300_000])
        assert ensure(remote).read_bytes() == CONTENT

    @pytest.mark.parametrize("rest", [b"x" * 1000, CONTENT, CONTENT + b"more"])
    def test_rest_of_another_file_is_thrown_away(self, server, remote, rest):
        put(cached(remote).with_name("G.pt.part"), rest)
        assert ensure(remote).read_bytes() == CONTENT

    def test_file_without_hash_is_never_pieced_together(self, server, remote):
        plain = RemoteFile(url=remote.url, path=remote.path)
        put(cached(remote).with_name("G.pt.part"), b"x" * 1000)
        assert ensure(plain).read_bytes() == CONTENT
        assert server.gets() == [("/pair/G.pt", "")]

    def test_half_a_file_is_an_error_and_is_kept_for_later(self, server, remote):
        server.mode = "half"
        with pytest.raises(DownloadError, match=r"stopped at .* of 1,024,000 bytes"):
            ensure(remote)
        assert not cached(remote).exists()
        server.mode = "ok"
        assert ensure(remote).read_bytes() == CONTENT
        assert server.gets()[-1][1].startswith("bytes=")

    @pytest.mark.parametrize(("mode", "reason"), [
        ("page", "a web page instead of the file"), ("wrong-range", "another range")])
    def test_server_that_sends_something_else(self, server, remote, mode, reason):
        put(cached(remote).with_name("G.pt.part"), CONTENT[:10])
        server.mode = mode
        with pytest.raises(DownloadError, match=reason):
            ensure(remote)
        assert not cached(remote).exists()

    def test_error_says_what_was_tried_and_where_to_put_the_file(self, server, remote):
        server.files.clear()
        with pytest.raises(DownloadError) as caught:
            ensure(remote)
        assert "404" in caught.value.message
        assert remote.url in caught.value.message
        assert str(cached(remote)) in caught.value.hint
        assert "SRBENCH_DATA" in caught.value.hint

    def test_wrong_content_is_not_kept(self, server, remote):
        server.files["/pair/G.pt"] = CONTENT[:-1] + b"!"
        with pytest.raises(CorruptFile, match=remote.git_blob_sha1 or ""):
            ensure(remote)
        assert [item.name for item in cached(remote).parent.iterdir()] == [".G.pt.lock"]

    def test_no_network_is_used_when_it_is_forbidden(self, server, remote, monkeypatch):
        monkeypatch.setenv("SRBENCH_OFFLINE", "1")
        with pytest.raises(DownloadError, match="SRBENCH_OFFLINE") as caught:
            ensure(remote)
        assert "unset SRBENCH_OFFLINE" in caught.value.hint
        with pytest.raises(DownloadError, match="not to be fetched"):
            ensure(remote, fetch=False)
        assert server.requests == []

    def test_other_schemes_are_refused(self, server, tmp_path):
        secret = put(tmp_path / "secret", b"s")
        with pytest.raises(DownloadError, match="no http address"):
            ensure(RemoteFile(url=secret.as_uri(), path="a/b"))

    def test_full_disk(self, server, remote, monkeypatch):
        def full(*_: object) -> bool:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(download, "_transfer", full)
        with pytest.raises(StoreError, match="No space left on device"):
            ensure(remote)

    def test_cache_that_cannot_be_made(self, server, remote, monkeypatch, tmp_path):
        monkeypatch.setenv("SRBENCH_CACHE", str(put(tmp_path / "file", b"")))
        with pytest.raises(StoreError, match="cannot write"):
            ensure(remote)

    def test_two_processes_fetch_one_file(self, server, remote):
        program = ("import sys; from srbench.files import RemoteFile, ensure; "
                   "url, path, blob = sys.argv[1:]; "
                   "ensure(RemoteFile(url=url, path=path, git_blob_sha1=blob))")
        words = [remote.url, remote.path, remote.git_blob_sha1 or ""]
        running = [subprocess.Popen([sys.executable, "-c", program, *words],
                                    stderr=subprocess.PIPE, text=True) for _ in range(3)]
        assert [(process.communicate(timeout=60)[1], process.returncode)
                for process in running] == [("", 0)] * 3
        assert cached(remote).read_bytes() == CONTENT
        assert len(server.gets()) == 1


class TestFilesThatAreHere:
    def test_corrupt_cached_file_is_fetched_again_with_a_warning(self, server, remote, caplog):
        put(cached(remote), b"rotten")
        with caplog.at_level(logging.WARNING):
            assert ensure(remote).read_bytes() == CONTENT
        assert blob_sha1(b"rotten") in caplog.text

    def test_corrupt_cached_file_that_cannot_be_fetched_is_named(self, server, remote):
        server.files.clear()
        path = put(cached(remote), b"rotten")
        with pytest.raises(CorruptFile) as caught:
            ensure(remote)
        for part in (str(path), remote.git_blob_sha1, blob_sha1(b"rotten"), "404"):
            assert part in caught.value.message
        with pytest.raises(CorruptFile):
            ensure(remote, fetch=False)

    @pytest.mark.parametrize("place", ["bench/pair/G.pt", "pair/G.pt"])
    def test_users_own_copy_comes_first(self, server, remote, monkeypatch, tmp_path, place):
        own = put(tmp_path / "second" / place, CONTENT)
        monkeypatch.setenv("SRBENCH_DATA", f"{tmp_path / 'first'}{os.pathsep}{tmp_path / 'second'}")
        put(cached(remote), b"rotten")
        assert ensure(remote) == own
        assert server.requests == []

    def test_bare_name_is_not_enough(self, server, remote, monkeypatch, tmp_path):
        put(tmp_path / "G.pt", CONTENT)
        monkeypatch.setenv("SRBENCH_DATA", str(tmp_path))
        assert files.find(remote) is None

    def test_users_own_copy_is_never_replaced(self, server, remote, monkeypatch, tmp_path):
        own = put(tmp_path / "pair/G.pt", b"another")
        monkeypatch.setenv("SRBENCH_DATA", str(tmp_path))
        with pytest.raises(CorruptFile, match=str(own)):
            ensure(remote)
        assert own.read_bytes() == b"another"


class TestReachable:
    def test_yes_no_and_only_one_question(self, server):
        url = f"{server.url}/pair/G.pt"
        assert files.reachable(url)
        assert files.reachable(url)
        assert server.requests == [("HEAD", "/pair/G.pt", "")]
        assert not files.reachable(f"{server.url}/absent")

    def test_a_portal_is_not_the_host(self, server):
        server.mode = "page"
        assert not files.reachable(f"{server.url}/pair/G.pt")

    @pytest.mark.parametrize("hanging", ["resolver", "server"])
    def test_nothing_hangs_longer_than_the_timeout(self, server, monkeypatch, hanging):
        server.mode = "silent"
        release = threading.Event()
        if hanging == "resolver":
            def resolve(*_: object, **__: object) -> None:
                release.wait(20)
                raise OSError("no such host")

            monkeypatch.setattr("socket.getaddrinfo", resolve)
        start = time.monotonic()
        assert not files.reachable(f"{server.url}/pair/G.pt", timeout=0.5)
        assert time.monotonic() - start < 2
        release.set()

    def test_offline_asks_nobody_and_is_forgotten(self, server, monkeypatch):
        monkeypatch.setenv("SRBENCH_OFFLINE", "1")
        assert not files.reachable(f"{server.url}/pair/G.pt")
        assert server.requests == []
        monkeypatch.setenv("SRBENCH_OFFLINE", "")
        assert files.reachable(f"{server.url}/pair/G.pt")


class TestManifest:
    def test_urls_paths_and_hashes(self, tmp_path):
        path = put(tmp_path / "m.json", json.dumps({
            "name": "bench", "repository": "host/bench", "licence": "MIT", "commit": "c0",
            "url": "https://host/c0/{path}", "files": {"a/b.pt": "00", "c.zip": None},
            "sha256_prefix": {"c.zip": "ab"}}).encode())
        manifest = files.read_manifest(path)
        assert manifest["a/b.pt"] == RemoteFile(
            url="https://host/c0/a/b.pt", path="bench/a/b.pt", git_blob_sha1="00",
            licence="MIT, host/bench")
        assert manifest["c.zip"].sha256_prefix == "ab"

    @pytest.mark.parametrize("content", [b"{", b"{}", b"[]"])
    def test_what_is_no_manifest(self, tmp_path, content):
        with pytest.raises(DataError, match=r"m\.json"):
            files.read_manifest(put(tmp_path / "m.json", content))


class TestAtomicWrites:
    def test_replaces_the_whole_content(self, tmp_path):
        path = put(tmp_path / "a", b"old and long")
        files.atomic_write(path, b"new")
        assert path.read_bytes() == b"new"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("failing", ["write_bytes", "replace"])
    def test_failure_leaves_the_old_file_and_no_rest(self, tmp_path, monkeypatch, failing):
        path = put(tmp_path / "a", b"old")
        original = Path.write_bytes

        def fail(self: Path, *values: bytes) -> None:
            if failing == "write_bytes":
                original(self, values[0][:2])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, failing, fail)
        with pytest.raises(StoreError, match="No space left") as caught:
            files.atomic_write(path, b"new content")
        assert str(path) in caught.value.message
        assert "free space" in caught.value.hint
        assert list(tmp_path.iterdir()) == [path]
        assert path.read_bytes() == b"old"

    def test_body_that_raises_leaves_nothing(self, tmp_path):
        def interrupted() -> None:
            with files.write_atomically(tmp_path / "a") as temporary:
                temporary.write_bytes(b"half")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert list(tmp_path.iterdir()) == []

    def test_body_that_writes_nothing(self, tmp_path):
        with pytest.raises(StoreError), files.write_atomically(tmp_path / "a"):
            pass

    def test_content_reaches_the_disk_before_the_name(self, tmp_path, monkeypatch):
        order = []
        synced, replaced = atomic.sync, Path.replace
        monkeypatch.setattr(atomic, "sync", lambda path: (order.append(path.suffix or "folder"),
                                                          synced(path)))
        monkeypatch.setattr(Path, "replace", lambda self, to: (order.append("rename"),
                                                               replaced(self, to))[1])
        files.atomic_write(tmp_path / "a", b"x")
        assert order == [".tmp", "rename", "folder"]


@pytest.mark.parametrize("place", [
    "bench/pair/G.pt", "pair/G.pt", "a-copy/pair/G.pt", "a-copy/bench/pair/G.pt"])
def test_a_users_copy_is_found_from_its_root_from_above_and_from_below(tmp_path, monkeypatch,
                                                                        remote, place):
    target = tmp_path / place
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    monkeypatch.setenv("SRBENCH_DATA", str(tmp_path))
    assert ensure(remote, fetch=False) == target
    monkeypatch.setenv("SRBENCH_DATA", str(target.parent))
    assert ensure(remote, fetch=False) == target
    monkeypatch.setenv("SRBENCH_DATA", str(tmp_path / "absent"))
    with pytest.raises(DownloadError):
        ensure(remote, fetch=False)


class TestManifestsWithIds:
    """A file's address may be an id, as of a shared drive, instead of its path."""

    def manifest(self, folder, **changes):
        document = {"name": "dasr", "repository": "example.org/DASR", "licence": "none given",
                    "url": "https://drive.example.org/download?confirm=t&id={path}",
                    "ids": {"G.pth": "1vO-cF_D"}, "files": {"G.pth": None, "sub/D.tar": None}}
        return put(folder / "official_files.json", json.dumps({**document, **changes}).encode())

    def test_ids_stand_in_the_address_and_nowhere_else(self, tmp_path):
        found = files.read_manifest(self.manifest(tmp_path))
        assert found["G.pth"].url == "https://drive.example.org/download?confirm=t&id=1vO-cF_D"
        assert found["G.pth"].path == "dasr/G.pth"
        assert found["sub/D.tar"].url.endswith("&id=sub/D.tar")
        assert not found["G.pth"].has_hash
        assert found["G.pth"].licence == "none given, example.org/DASR"

    def test_a_file_is_fetched_by_its_id_and_kept_by_its_name(self, tmp_path, server):
        server.files["/get?id=1vO-cF_D"] = CONTENT
        path = self.manifest(tmp_path, url=f"{server.url}/get?id={{path}}",
                             files={"G.pth": blob_sha1(CONTENT)})
        found = ensure(files.read_manifest(path)["G.pth"])
        assert found == files.cache_dir() / "dasr" / "G.pth"
        assert found.read_bytes() == CONTENT
        assert server.gets() == [("/get?id=1vO-cF_D", "")]

    def test_a_page_in_the_place_of_the_file_is_refused(self, tmp_path, server):
        server.mode = "page"
        path = self.manifest(tmp_path, url=f"{server.url}/get?id={{path}}")
        with pytest.raises(DownloadError, match="web page") as caught:
            ensure(files.read_manifest(path)["G.pth"])
        assert "dasr/G.pth" in caught.value.hint

    def test_ids_that_are_no_table_are_named(self, tmp_path):
        with pytest.raises(DataError, match="not a list of official files"):
            files.read_manifest(self.manifest(tmp_path, ids=["G.pth"]))
