"""Checkpoints of others: no code of theirs runs, and none of them takes the machine."""

from __future__ import annotations

import io
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file

from srbench.errors import CorruptFile, MissingDependency, SrbenchError, StoreError
from srbench.files import RemoteFile, git_blob_sha1, sha256
from srbench.foreign import checkpoints, helper, reader, torchfile
from srbench.foreign.checkpoints import read_checkpoint
from srbench.foreign.torchfile import Limits, check_version, read_torch_file, rebuild

STATE = {"a": torch.arange(12.0).reshape(3, 4), "b": torch.ones(2)}


class Evil:
    """Unpickled, it runs a command."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch '{self.canary}'",)


def written(path, content, kind="new"):
    """A file of one of three kinds."""
    if kind == "raw":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "new")
    return path


def repacked(path, program=None, *, compressed=False):
    """The same torch file with another program, or with its members compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            content = program if program and name.endswith("data.pkl") else old.read(name)
            new.writestr(name, content, zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED)
    path.write_bytes(buffer.getvalue())
    return path


class TestNoCodeRuns:
    @pytest.mark.parametrize("kind", ["new", "old", "raw"])
    def test_a_reduce_that_calls_the_shell(self, tmp_path, kind):
        canary = tmp_path / "canary"
        path = written(tmp_path / "evil.pt", {"w": Evil(canary)}, kind)
        if kind == "raw":
            pickle.loads(path.read_bytes())
        else:
            torch.load(path, weights_only=False)
        assert canary.exists()  # it would run
        canary.unlink()

        with pytest.raises(CorruptFile, match=r"evil\.pt holds pickled code.*: it names \w+\.sys"):
            read_checkpoint(path)
        assert not canary.exists()

    @pytest.mark.parametrize("program", [
        b"\x80\x02cos\nsystem\nX\x01\x00\x00\x00:\x85R.",
        b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
        b"\x80\x02ctorch\nload\nX\x01\x00\x00\x00x\x85R.",
        b"\x80\x02ctorch.jit._script\nunpackage_script_module\n.",
        b"\x80\x02K\x01X\x01\x00\x00\x00aK\x02s.",  # SETITEM of a number
        b"\x80\x02]X\x01\x00\x00\x00aK\x02s.",  # SETITEM of a list
        b"\x80\x02s.", b"\x80\x02u.", b"\x80\x02(u.", b"\x80\x02R.", b"\x80\x02b.", b"\x80\x02Q.",
        b"\x80\x02}(K\x01u.", b"\x80\x02ccollections\nOrderedDict\n)RK\x01s.",
        b"\x80\x02h\x07.", b"\x80\x02}r\xff\xff\xff\x7f.", b"\x80\x02",
    ])
    def test_programs_written_by_hand(self, tmp_path, program):
        path = repacked(written(tmp_path / "a.pt", STATE), program)
        with suppress(CorruptFile):
            assert read_checkpoint(path) == {}

    @pytest.mark.parametrize(("stored", "used"), [(12, 1 << 40), (1 << 40, 12), (12, -1), (0, 12)])
    def test_storages_that_are_not_as_large_as_they_say(self, tmp_path, stored, used):
        """The way of CVE-2026-24747: what the program says of a storage is not what is there."""
        path = written(tmp_path / "a.pt", {"a": torch.arange(12.0)})
        assert torch.equal(read_checkpoint(repacked(path, _vector(12, 12))), torch.arange(12.0))
        with suppress(CorruptFile):
            found = read_checkpoint(repacked(path, _vector(stored, used)))
            assert found.numel() * 4 <= path.stat().st_size


def _vector(stored, used):
    """Program of a vector of so many numbers in a storage of so many."""
    storage = (b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000"
               b"X\x03\x00\x00\x00cpu" + _number(stored) + b"tQ")
    return (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00"
            + _number(used) + b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR.")


def _number(value):
    return b"\x8a\x08" + struct.pack("<q", value)


class TestLimits:
    @pytest.mark.parametrize(("content", "words"), [
        (lambda: {"a": torch.ones(1).expand(10**12)}, "bytes of tensors"),
        (lambda: _nested(30), "more than 16 levels"),
        (lambda: _doubled(15), "entries"),
        (lambda: _circle(), "more than 16 levels"),
        (lambda: {"a": {1, 2}}, "holds a set at '.a'"),
        (lambda: {"a": [1, {"b": 2j}]}, "holds a complex at '.a[1].b'"),
        (lambda: {"a": 1 << 200}, "holds a int at '.a'"),
        (lambda: {(1, 2): 3}, "holds a tuple"),
        (lambda: {"x" * 200_000: 1}, "characters of text"),
        (lambda: [torch.ones(1) for _ in range(400)], "more than 300 tensors"),
        (lambda: {"a": torch.ones(3).to_sparse()}, "another kind than plain numbers at '.a'"),
    ])
    def test_more_than_a_file_of_weights_needs(self, tmp_path, content, words):
        path = written(tmp_path / "a.pt", content())
        limits = Limits(memory=2**29, seconds=60, written=2**24, content=2**24, tensors=300,
                        entries=10_000, text=100_000)
        with pytest.raises(CorruptFile, match=r"a\.pt is not read: it holds") as caught:
            read_torch_file(path, limits=limits)
        assert words in caught.value.message
        assert "state dict alone" in caught.value.hint

    def test_a_storage_that_unpacks_to_much_more(self, tmp_path):
        path = repacked(written(tmp_path / "a.pt", torch.zeros(2**26)), compressed=True)
        assert path.stat().st_size < 2**19
        limits = Limits(memory=2**27, seconds=60, written=2**30, content=2**30)
        with pytest.raises(CorruptFile, match="claims more memory than its size explains"):
            read_torch_file(path, limits=limits)

    def test_the_largest_file(self, tmp_path, monkeypatch):
        monkeypatch.setattr(torchfile, "LARGEST_FILE", 100)
        with pytest.raises(CorruptFile, match=r"bytes; checkpoints are read up to 100"):
            read_checkpoint(written(tmp_path / "a.pt", STATE))

    @pytest.mark.parametrize(("ended", "words"), [
        (-signal.SIGSEGV, "broke down: Segmentation fault"),
        (-signal.SIGKILL, "broke down: Killed"), (1, "broke down: exit code 1"),
        (-signal.SIGXCPU, "took more than 60 s of processor time"),
        (TimeoutError(), "took more than 180 s"), (0, "broke down: exit code 0")])
    def test_a_reader_that_does_not_come_back(self, tmp_path, monkeypatch, ended, words):
        def run(request, seconds):
            if isinstance(ended, Exception):
                raise ended
            return ended

        monkeypatch.setattr(torchfile, "run_reader", run)
        with pytest.raises(CorruptFile) as caught:
            read_checkpoint(written(tmp_path / "a.pt", STATE))
        assert words in caught.value.message
        assert "a.pt" in caught.value.message

    def test_a_full_disk_is_not_the_files_fault(self, tmp_path):
        path = written(tmp_path / "a.pt", {"a": torch.ones(2**18)})
        limits = Limits(memory=2**29, seconds=60, written=2**18, content=2**24)
        with pytest.raises(StoreError, match="File too large") as caught:
            read_torch_file(path, limits=limits)
        assert "TMPDIR" in caught.value.hint

    def test_nothing_is_left_behind(self, tmp_path, monkeypatch):
        monkeypatch.setattr(torchfile.tempfile, "tempdir", str(tmp_path / "t"))
        (tmp_path / "t").mkdir()
        read_checkpoint(written(tmp_path / "a.pt", STATE))
        with pytest.raises(CorruptFile):
            read_checkpoint(written(tmp_path / "a.pt", {"a": {1}}))
        assert list((tmp_path / "t").iterdir()) == []

    def test_the_reader_can_do_nothing_else(self, tmp_path):
        """Whoever takes the reader over opens no file, asks no host, starts no program."""
        script = textwrap.dedent(f"""
            import os, socket, subprocess
            from srbench.foreign import reader
            written = open({str(tmp_path / "written")!r}, "wb", buffering=0)
            reader.give_up_rights(reader.Request(source="", target="", report="", memory=2**26,
                seconds=60, written=1000, content=0, tensors=0, entries=0, depth=0, text=0))
            def attempt(name, action):
                try:
                    print(name, action())
                except BaseException as error:
                    print(name, type(error).__name__)
            attempt("open", lambda: open("/etc/hostname"))
            attempt("write", lambda: open({str(tmp_path / "canary")!r}, "w"))
            attempt("connect", lambda: socket.create_connection(("127.0.0.1", 9)))
            attempt("memory", lambda: len(bytearray(2**28)))
            attempt("disk", lambda: [written.write(bytes(2000)) for _ in range(2)])
            attempt("shell", lambda: os.system("touch {tmp_path / "canary"}") != 0)
        """)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                              check=False, timeout=120)
        found = dict(line.split(" ", 1) for line in done.stdout.splitlines())
        assert found == {"open": "OSError", "write": "OSError", "connect": "OSError",
                         "memory": "MemoryError", "disk": "OSError", "shell": "True"}, done.stderr
        assert not (tmp_path / "canary").exists()
        assert (tmp_path / "written").stat().st_size == 1000


def _nested(levels):
    inner = []
    for _ in range(levels):
        inner = [inner]
    return inner


def _doubled(times):
    inner = [0]
    for _ in range(times):
        inner = [inner, inner]
    return inner


def _circle():
    inner = []
    inner.append(inner)
    return inner


class TestWhatComesBack:
    def test_containers_numbers_and_shared_tensors(self, tmp_path):
        shared = torch.arange(6.0).reshape(2, 3)
        content = {"step": 7, "rate": 0.1, "none": None, 3: [True, (1, "x")], "a": shared,
                   "again": shared, "turned": shared.T, "row": shared[1],
                   "parameter": torch.nn.Parameter(torch.ones(2)), "empty": torch.zeros(0, 4),
                   "half": torch.ones(2, dtype=torch.bfloat16), "inf": float("inf"),
                   "dtype": torch.float16, "size": torch.Size([1, 2])}
        found = read_checkpoint(written(tmp_path / "a.pt", content))
        assert list(found) == list(content)
        assert (found["step"], found["rate"], found["none"], found[3]) == (
            7, 0.1, None, [True, (1, "x")])
        for name in ("a", "again", "turned", "row", "parameter", "empty", "half"):
            assert torch.equal(found[name], content[name]), name
            assert found[name].dtype == content[name].dtype
        assert found["inf"] == float("inf")
        assert (found["dtype"], found["size"]) == ("torch.float16", (1, 2))

    @settings(max_examples=60, deadline=None,
              suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data(), new=st.booleans())
    def test_damaged_files_never_raise_anything_else(self, tmp_path, data, new):
        path = written(tmp_path / "x.pt", STATE, "new" if new else "old")
        raw = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(bytes(raw))
        with suppress(CorruptFile):  # a flipped bit of a weight cannot be seen
            read_checkpoint(path)

    @pytest.mark.parametrize("tree", [
        None, [], ["tensor"], ["tensor", "9"], ["tensor", [0]], ["value", [1]], ["value", {}],
        ["code", "x"], ["dict", [["a"]]], ["dict", [[["a"], ["value", 1]]]], ["list", 3], "xy"])
    def test_a_hand_over_that_is_none(self, tmp_path, tree):
        path = tmp_path / "t.safetensors"
        path.write_bytes(save({"0": torch.ones(1)}, metadata={"tree": json.dumps(tree)}))
        with pytest.raises(CorruptFile, match=r"x\.pt handed over nothing that can be used"):
            torchfile._handed_over(path, Path("x.pt"))

    def test_a_hand_over_that_is_too_deep(self):
        tree = ["value", 1]
        for _ in range(20):
            tree = ["list", [tree]]
        with pytest.raises(ValueError, match="too deep"):
            rebuild(tree, {})


class TestVersions:
    @pytest.mark.parametrize("version", ["2.9.1", "2.5.1+cu121", "1.13.0", "2.9.0a0+git"])
    def test_old_ones_read_nothing(self, version, tmp_path, monkeypatch):
        monkeypatch.setattr(torch, "__version__", version)
        monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was read"))
        with pytest.raises(MissingDependency, match=f"torch {version[:3]}") as caught:
            read_checkpoint(written(tmp_path / "a.pt", STATE))
        assert "torch>=2.10" in caught.value.hint

    @pytest.mark.parametrize("version", ["2.10.0", "2.14.1+cu130", "2.11.0a0+git1234", "3.0"])
    def test_others_do(self, version):
        check_version(version)


class TestPublished:
    @pytest.fixture
    def elsewhere(self, monkeypatch):
        """Paths that were read in a process of their own."""
        paths = []
        monkeypatch.setattr(checkpoints, "read_torch_file", lambda path: paths.append(path))
        return paths

    @pytest.mark.parametrize("hashes", [{"sha256": sha256}, {"git_blob_sha1": git_blob_sha1}])
    def test_a_file_whose_hash_we_carry_is_read_here(self, tmp_path, elsewhere, hashes):
        path = written(tmp_path / "a.pt", STATE)
        remote = RemoteFile(url="", path="a.pt", **{kind: of(path) for kind, of in hashes.items()})
        assert torch.equal(read_checkpoint(path, published=remote)["a"], STATE["a"])
        assert elsewhere == []

    def test_a_few_digits_are_not_enough(self, tmp_path, elsewhere):
        path = written(tmp_path / "a.pt", STATE)
        read_checkpoint(path, published=RemoteFile(url="", path="", sha256_prefix=sha256(path)[:8]))
        assert elsewhere == [path]

    def test_another_file_in_its_place_is_not_read_at_all(self, tmp_path, elsewhere):
        path = written(tmp_path / "a.pt", STATE)
        with pytest.raises(CorruptFile, match="not the published file"):
            read_checkpoint(path, published=RemoteFile(url="", path="", sha256="0" * 64))
        assert elsewhere == []


def tensors_file(path, header, body=bytes(16), *, length=None):
    """A safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return path


def entry(start, end, shape=(2,)):
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}


class TestSafetensors:
    @pytest.mark.parametrize(("header", "length"), [
        ({"a": entry(0, 8), "b": entry(4, 12)}, None),  # overlapping
        ({"a": entry(0, 8), "b": entry(0, 8)}, None),  # the same bytes twice
        ({"a": entry(0, 8), "b": entry(12, 20)}, None),  # a gap, and beyond the end
        ({"a": entry(8, 0)}, None), ({"a": entry(0, 16, (1 << 62, 4))}, None),
        ({"a": entry(0, 8), "__metadata__": {"x": 3}}, None),
        ({"a": entry(0, 16)}, 1 << 60), ({"a": entry(0, 16)}, 2**64 - 1), (b"{}", 0),
        (b'{"a":' * 10_000, None), (b"\xff" * 50, None), (b"", None)])
    def test_headers_that_lie(self, tmp_path, header, length):
        path = tensors_file(tmp_path / "a.safetensors", header, length=length)
        with pytest.raises(CorruptFile, match=r"a\.safetensors .*not a readable checkpoint"):
            read_checkpoint(path)

    def test_a_header_of_many_megabytes(self, tmp_path, monkeypatch):
        monkeypatch.setattr(checkpoints, "load_file", lambda *_, **__: pytest.fail("it was read"))
        path = tensors_file(tmp_path / "a.safetensors", b"{}" + b" " * (17 * 2**20))
        with pytest.raises(CorruptFile, match="17,825,794 are names"):
            read_checkpoint(path)

    def test_too_many_tensors(self, tmp_path, monkeypatch):
        monkeypatch.setattr(checkpoints, "MOST_TENSORS", 1)
        save_file(STATE, tmp_path / "a.safetensors")
        with pytest.raises(CorruptFile, match="holds 2 tensors; checkpoints are read up to 1"):
            read_checkpoint(tmp_path / "a.safetensors")


class TestHelper:
    def test_threads_share_one(self, tmp_path):
        paths = [written(tmp_path / f"{i}.pt", {"a": torch.full((3,), float(i))}) for i in range(6)]
        found = {}

        def read(index):
            found[index] = read_checkpoint(paths[index])["a"][0].item()

        threads = [threading.Thread(target=read, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == {i: float(i) for i in range(6)}

    def test_one_that_died_is_replaced(self, tmp_path):
        path = written(tmp_path / "a.pt", STATE)
        read_checkpoint(path)
        helper._helper._process.kill()
        assert torch.equal(read_checkpoint(path)["a"], STATE["a"])

    def test_one_that_never_starts_is_said(self, tmp_path, monkeypatch):
        (tmp_path / "broken.py").write_text("raise SystemExit(1)")
        monkeypatch.setattr(reader, "__file__", str(tmp_path / "broken.py"))
        monkeypatch.setattr(helper, "_helper", None)
        with pytest.raises(SrbenchError, match="does not start") as caught:
            read_checkpoint(written(tmp_path / "a.pt", STATE))
        assert "broken.py" in caught.value.hint

    def test_one_that_is_silent_is_ended(self, tmp_path, monkeypatch):
        (tmp_path / "silent.py").write_text("import time; time.sleep(600)")
        monkeypatch.setattr(reader, "__file__", str(tmp_path / "silent.py"))
        monkeypatch.setattr(helper, "_helper", None)
        monkeypatch.setattr(helper, "STARTING", 0.2)
        path = written(tmp_path / "a.pt", STATE)
        limits = Limits(memory=2**29, seconds=0, written=2**24, content=2**24)
        with pytest.raises(CorruptFile, match="took more than"):
            read_torch_file(path, limits=limits)
        assert helper._helper is None

    def test_it_ends_with_the_process_that_needed_it(self, tmp_path):
        path = written(tmp_path / "a.pt", STATE)
        script = (f"from pathlib import Path; from srbench.foreign import checkpoints, helper; "
                  f"checkpoints.read_checkpoint(Path({str(path)!r})); "
                  f"print(helper._helper._process.pid)")
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                              check=True, timeout=120)
        deadline = time.monotonic() + 20
        while _lives(int(done.stdout)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _lives(int(done.stdout))


def _lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
