"""The lock of a cell: on file systems with locks and without, of the living and of the dead."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from srbench.engine.lock import Locked, is_locked, locked

HOLD = """
import sys, time
from pathlib import Path
{before}
from srbench.engine.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
ASK = """
import sys, time
from pathlib import Path
from srbench.engine.lock import is_locked
print("asking", flush=True)
while True:
    is_locked(Path(sys.argv[1]))
    time.sleep(0.0005)
    time.sleep(0.0002)
"""
NO_FLOCK = """
import errno, fcntl
def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = refuse
"""


@pytest.fixture
def holder(tmp_path):
    """Start processes that hold the lock of ``tmp_path`` until they are killed."""
    started = []

    def start(*, before: str = "") -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-c", HOLD.format(before=before),
                                    str(tmp_path)], text=True, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(params=[errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def without_flock(request, monkeypatch):
    """A file system that knows no locks and says so in one of three ways."""
    def refuse(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_a_lock_that_nobody_holds_is_free_and_free_again(tmp_path):
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(Locked), locked(tmp_path):
            pass
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        pass


def test_to_ask_makes_no_file(tmp_path):
    assert not is_locked(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_process_holds_it_until_it_dies(tmp_path, holder):
    process = holder()
    assert is_locked(tmp_path)
    with pytest.raises(Locked, match="another process"), locked(tmp_path):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    with locked(tmp_path):
        pass


def test_to_wait_for_the_holder(tmp_path, holder):
    process = holder()
    start = time.monotonic()
    with pytest.raises(Locked), locked(tmp_path, wait=0.4):
        pass
    assert time.monotonic() - start >= 0.4
    process.kill()
    with locked(tmp_path, wait=30.0):
        assert time.monotonic() - start < 30


def test_who_asks_at_that_moment_does_not_keep_the_owner_out(tmp_path):
    # A cell that starts while somebody asks must not take that for another run.
    asking = os.open(tmp_path / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(asking, fcntl.LOCK_EX)
    threading.Timer(0.1, os.close, [asking]).start()
    with locked(tmp_path):
        pass


def test_those_who_ask_do_not_see_each_other(tmp_path):
    (tmp_path / ".lock").touch()
    asking = subprocess.Popen([sys.executable, "-c", ASK, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert asking.stdout.readline() == b"asking\n"
        assert not any(is_locked(tmp_path) for _ in range(1000))
    finally:
        asking.kill()
        asking.communicate()


def test_without_flock_a_marker_is_the_lock(tmp_path, without_flock):
    with locked(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(Locked), locked(tmp_path):
            pass
    assert not is_locked(tmp_path)


def test_other_errors_are_told(tmp_path, monkeypatch):
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match="Input/output"), locked(tmp_path):
        pass


@pytest.mark.parametrize("without_flock", [errno.ENOLCK], indirect=True)
def test_a_marker_of_a_living_process_holds_and_one_of_a_dead_process_is_broken(
        tmp_path, holder, without_flock):
    process = holder(before=NO_FLOCK)
    assert is_locked(tmp_path)
    with pytest.raises(Locked), locked(tmp_path):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / ".lock.soft").exists()
    assert not is_locked(tmp_path)
    holder(before=NO_FLOCK)
    assert is_locked(tmp_path)


@pytest.mark.parametrize("without_flock", [errno.ENOLCK], indirect=True)
def test_a_marker_of_another_host_is_never_broken(tmp_path, without_flock):
    gone = subprocess.Popen(["true"])
    gone.wait()  # no process of this number lives here
    marker = tmp_path / ".lock.soft"
    marker.write_text(f"{gone.pid}\n{socket.gethostname()}-other\n")
    assert is_locked(tmp_path)
    with pytest.raises(Locked), locked(tmp_path):
        pass
    assert marker.read_text().startswith(f"{gone.pid}\n")
