"""The log of a cell keeps its beginning and its end, whatever a cell prints."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from srbench.engine.logfile import HEAD, TAIL, CappedLog, log_tail

LEFT_OUT = re.compile(rb"\n\[\.\.\. ([\d,]+) bytes left out \.\.\.\]\n")


def write(path: Path, *parts: bytes, **sizes: int) -> bytes:
    log = CappedLog(path, **sizes)
    for part in parts:
        log.write(part)
    log.close()
    return path.read_bytes()


def test_a_short_log_is_kept_as_it_is(tmp_path):
    kept = write(tmp_path / "log.txt", b"one\n", b"", b"two\n", b"\xff\x00")
    assert kept == b"one\ntwo\n\xff\x00"


def test_a_cell_that_says_nothing_has_an_empty_log(tmp_path):
    assert write(tmp_path / "log.txt") == b""


@pytest.mark.parametrize("total", [0, 1, 9, 10, 11, 14, 15, 16, 17, 40, 1000])
@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_head_and_tail_are_kept_and_the_rest_is_counted(tmp_path, total, size):
    data = bytes(65 + i % 26 for i in range(total))
    parts = [data[i:i + size] for i in range(0, total, size)]
    kept = write(tmp_path / "log.txt", *parts, head=10, tail=5)
    if total <= 15:
        assert kept == data
        return
    found = LEFT_OUT.search(kept)
    assert kept[:found.start()] == data[:10]
    assert kept[found.end():] == data[-5:]
    assert int(found[1].replace(b",", b"")) == total - 15


def test_the_head_is_in_the_file_while_the_cell_runs(tmp_path):
    log = CappedLog(tmp_path / "log.txt", head=4, tail=2)
    log.write(b"abcdef")
    assert (tmp_path / "log.txt").read_bytes() == b"abcd"


def test_a_flood_is_not_kept_in_memory_nor_on_the_disk(tmp_path):
    log = CappedLog(tmp_path / "log.txt")
    block = b"x" * (1 << 20)
    for _ in range(200):
        log.write(block)
    assert log._held_size <= TAIL + len(block)
    log.close()
    assert (tmp_path / "log.txt").stat().st_size < HEAD + TAIL + 100


def test_attempts_stand_below_each_other(tmp_path):
    path = tmp_path / "log.txt"
    write(path, b"first\n")
    assert write(path, b"second\n") == b"first\nsecond\n"


def test_an_attempt_that_filled_its_share_is_shortened_by_the_next(tmp_path):
    path = tmp_path / "log.txt"
    write(path, b"a" * 30, b"the end\n", head=20, tail=8)
    kept = write(path, b"second\n", head=20, tail=8)
    assert kept == b"[... earlier attempts left out ...]\nthe end\nsecond\n"
    for number in range(50):
        write(path, b"a" * 100, b"%d\n" % number, head=20, tail=8)
    assert path.stat().st_size < 200


def test_a_full_disk_stops_the_log_and_not_the_cell(tmp_path, monkeypatch):
    path = tmp_path / "log.txt"
    log = CappedLog(path)
    log.write(b"before\n")
    real = Path.open

    def full(self: Path, *words: str, **options: str):
        if self == path and "a" in words[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, *words, **options)

    monkeypatch.setattr(Path, "open", full)
    log.write(b"lost\n")
    monkeypatch.undo()
    log.write(b"after\n")
    log.close()
    assert path.read_bytes() == b"before\nafter\n"


def test_a_file_size_limit_stops_the_log_and_not_the_process(tmp_path):
    script = ("import resource, signal, sys\nfrom pathlib import Path\n"
              "from srbench.engine.logfile import CappedLog\n"
              "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
              "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
              "log = CappedLog(Path(sys.argv[1]))\n"
              "log.write(b'a' * 600)\nlog.write(b'b' * 600)\nlog.close()\n")
    path = tmp_path / "log.txt"
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False,
                          capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert path.read_bytes()[:600] == b"a" * 600
    assert path.stat().st_size <= 1000


def test_a_log_that_cannot_be_made_does_no_harm(tmp_path):
    log = CappedLog(tmp_path / "absent" / "log.txt")
    log.write(b"text")
    log.close()
    assert log_tail(tmp_path / "absent" / "log.txt") == []


def test_the_tail_of_short_empty_and_huge_logs(tmp_path):
    path = tmp_path / "log.txt"
    path.write_bytes(b"")
    assert log_tail(path) == []
    path.write_text("one\ntwo\nthree")
    assert log_tail(path) == ["one", "two", "three"]
    assert log_tail(path, 2) == ["two", "three"]
    path.write_bytes(b"".join(b"line %d\n" % i for i in range(40_000)) + b"caf\xe9\n")
    tail = log_tail(path)
    assert len(tail) == 20
    assert tail[-2:] == ["line 39999", "caf\N{REPLACEMENT CHARACTER}"]
    path.write_bytes(b"x" * 100_000)
    assert [len(line) for line in log_tail(path)] == [8192]
