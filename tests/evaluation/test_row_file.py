"""Rows kept on disk: whole or not used, and never a reason to fail."""

from __future__ import annotations

import json

import numpy as np
import pytest

from srbench.evaluation import row_file
from srbench.evaluation.row_file import RowWriter, read_rows


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(23, 6)).astype(np.float32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "features" / "name.rows"


def write(path, rows, size=5):
    writer = RowWriter(path, len(rows))
    for first in range(0, len(rows), size):
        writer.add(rows[first : first + size], first)
    return writer


@pytest.mark.parametrize("size", [1, 5, 23, 100])
def test_rows_come_back_as_they_were(path, rows, size):
    writer = write(path, rows, size)
    assert writer.complete
    found = read_rows(path)
    np.testing.assert_array_equal(found, rows)
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    assert sorted(p.name for p in path.parent.iterdir()) == ["name.json", "name.rows"]


def test_nothing_has_the_name_before_all_are_there(path, rows):
    writer = RowWriter(path, len(rows))
    writer.add(rows[:20], 0)
    assert not writer.complete
    assert read_rows(path) is None
    assert not path.exists()
    assert [p.suffix for p in path.parent.iterdir()] == [".tmp"]
    del writer
    assert list(path.parent.iterdir()) == []  # an evaluation that ends leaves nothing behind


def test_rows_that_are_there_already_are_passed_over(path, rows):
    """Each of three metrics hands over the same batch."""
    writer = RowWriter(path, len(rows))
    for first in range(0, len(rows), 8):
        for _ in range(3):
            writer.add(rows[first : first + 8], first)
    assert writer.complete
    np.testing.assert_array_equal(read_rows(path), rows)


@pytest.mark.parametrize("calls", [
    [(10, 3)], [(0, 5), (7, 5)], [(0, 5), (3, 5)], [(0, 20), (20, 5)]])
def test_rows_out_of_order_or_too_many_end_the_writing(path, rows, calls, caplog):
    more = np.concatenate([rows, rows])
    writer = RowWriter(path, len(rows))
    for first, count in calls:
        writer.add(more[first : first + count], first)
    assert writer.failed
    assert not writer.complete
    assert "name.rows is not kept" in caplog.text
    writer.add(rows, 0)
    assert read_rows(path) is None
    assert not path.parent.exists() or list(path.parent.iterdir()) == []


@pytest.mark.parametrize("damage", ["bit", "short", "long", "note", "note-type", "no-note", "gone"])
def test_what_is_not_whole_is_not_used(path, rows, damage):
    write(path, rows)
    note = path.with_suffix(".json")
    content = bytearray(path.read_bytes())
    if damage == "bit":
        content[77] ^= 0x10
        path.write_bytes(content)
    elif damage in ("short", "long"):
        path.write_bytes(content[:-4] if damage == "short" else content + b"1234")
    elif damage == "note":
        note.write_text("{")
    elif damage == "note-type":
        note.write_text(json.dumps(["rows"]))
    else:
        (note if damage == "no-note" else path).unlink()
    assert read_rows(path) is None


def test_a_disk_that_refuses_is_a_warning(path, rows, monkeypatch, caplog):
    path.parent.parent.joinpath("features").write_text("a file where the folder should be")
    writer = write(path, rows)
    assert writer.failed
    assert "is not kept" in caplog.text


def test_a_full_disk_in_the_middle_leaves_nothing(path, rows, caplog):
    class Full:
        def write(self, content):
            raise OSError(28, "No space left on device")

        def close(self):
            pass

    writer = RowWriter(path, len(rows))
    writer.add(rows[:5], 0)
    writer._file.close()
    writer._file = Full()
    writer.add(rows[5:10], 5)
    assert writer.failed
    assert "No space left" in caplog.text
    assert list(path.parent.iterdir()) == []


def test_a_note_that_cannot_be_written_is_a_warning(path, rows, monkeypatch, caplog):
    from srbench.errors import StoreError

    def refuse(*_):
        raise StoreError("cannot write the note")

    monkeypatch.setattr(row_file, "atomic_write", refuse)
    assert not write(path, rows).complete
    assert "cannot write the note" in caplog.text
    assert read_rows(path) is None


def test_a_later_writer_replaces_what_was_there(path, rows):
    write(path, rows)
    write(path, rows * 2)
    np.testing.assert_array_equal(read_rows(path), rows * 2)
