"""Archives of others: refused before anything is written, and nothing is left behind."""

from __future__ import annotations

import io
import stat
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from srbench.errors import CorruptFile, DataError
from srbench_aim19 import archives
from srbench_aim19.archives import unpack
from tests.aim19.conftest import png

IMAGE = png(np.zeros((33, 33, 3), np.uint8))


@pytest.fixture
def refused(tmp_path):
    """Write an archive, see it refused and nothing written; return what was said."""
    def see(content: bytes) -> str:
        path = tmp_path / "inner" / "a.zip"
        path.parent.mkdir()
        path.write_bytes(content)
        with pytest.raises((DataError, CorruptFile)) as caught:
            unpack(path, path.parent / "images")
        assert str(path) in caught.value.message
        assert "delete" in caught.value.hint
        assert sorted(item for item in tmp_path.rglob("*")) == [path.parent, path]
        return caught.value.message
    return see


def packed(*members, compression=zipfile.ZIP_STORED) -> bytes:
    """An archive of (name or ZipInfo, content), names as they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type = name, compression
            archive.writestr(info, content)
    return buffer.getvalue()


@pytest.mark.parametrize(("name", "words"), [
    ("../a.png", "leave its folder"), ("/etc/a.png", "leave its folder"),
    ("x/../../a.png", "leave its folder"), ("C:/a.png", "leave its folder"),
    ("..\\a.png", "leave its folder"), ("a\u202egnp.png", "cannot be shown"),
    ("a\x1b[2J.png", "cannot be shown"), ("a\n.png", "cannot be shown"),
    ("\ufeffa.png", "cannot be shown"), ("\u200b.png", "cannot be shown")])
def test_names_that_lead_elsewhere_or_cannot_be_shown(refused, name, words):
    message = refused(packed(("good.png", IMAGE), (name, IMAGE)))
    assert words in message
    assert message.isprintable()


def test_a_name_that_ends_for_some_readers(refused):
    """zipfile cuts a name at NUL; others do not."""
    content = packed(("a.png?../x", IMAGE)).replace(b"a.png?../x", b"a.png\0../x")
    assert "cannot be shown" in refused(content)


def test_two_names_that_are_one_on_other_systems(refused):
    assert "two images called A.png and a.PNG" in refused(packed(("A.png", IMAGE),
                                                                 ("x/a.PNG", IMAGE)))


def test_two_names_that_are_one_in_unicode(refused):
    assert "two images called" in refused(packed(("\u00e9.png", IMAGE), ("e\u0301.png", IMAGE)))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_name_twice(refused):
    assert "two images called a.png" in refused(packed(("a.png", IMAGE), ("a.png", IMAGE)))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO,
                                  stat.S_IFSOCK])
def test_a_link_and_then_a_file_through_it(refused, kind):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("images")
        link.external_attr = (kind | 0o777) << 16
        archive.writestr(link, "/tmp")
        archive.writestr("images/a.png", IMAGE)
    assert "which is a link or device" in refused(buffer.getvalue())


def test_a_bomb_by_its_ratio(refused):
    message = refused(packed(("good.png", IMAGE), ("a.png", bytes(30_000_000)),
                             compression=zipfile.ZIP_DEFLATED))
    assert "'a.png', which unpacks from " in message
    assert message.endswith("to 30,000,000 bytes")


def test_a_bomb_of_archives_in_archives(refused):
    inner = packed(("a.zip", packed(("0", bytes(10**6)), compression=zipfile.ZIP_DEFLATED)))
    assert "holds no PNG image" in refused(inner)


def test_a_bomb_of_members_that_share_their_bytes(refused):
    """The list of members names one member's bytes several times."""
    content = bytearray(packed(("a.png", IMAGE), ("b.png", IMAGE)))
    first, second = (place for place in range(len(content)) if content[place:place + 4]
                     == b"PK\1\2")
    content[second + 42:second + 46] = content[first + 42:first + 46]
    assert "'b.png', which lies inside another member" in refused(bytes(content))


def test_more_members_than_images_exist(refused, monkeypatch):
    monkeypatch.setattr(archives, "MOST_MEMBERS", 100)
    assert "holds 101 members" in refused(packed(*((f"{i}.txt", b"") for i in range(101))))


def test_a_million_members_are_not_even_listed(refused):
    """The list alone would take a gigabyte; it is refused by its size."""
    count = 1_000_000
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0,
                        0, 0, 0)
    listing = b"".join(entry + b"%06d" % i for i in range(count))
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(listing), 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(listing), 1)
    last = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    content = listing + end + locator + last
    tracemalloc.start()
    try:
        assert "list of members has more than 4,194,304 bytes" in refused(content)
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()
