"""The pipe between a cell's process and its parent."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srbench.engine.events import ENVIRONMENT, EventReader, EventWriter

EVENTS = [{"event": "phase", "phase": "fit"}, {"event": "progress", "step": 3, "name": "größe"},
          {"event": "done", "status": "ok"}]
LINES = b"".join(json.dumps(event, ensure_ascii=False).encode() + b"\n" for event in EVENTS)


@given(st.lists(st.integers(0, len(LINES)), max_size=12))
@settings(max_examples=60, deadline=None)
def test_events_arrive_whole_however_the_bytes_are_cut(cuts):
    reader, found = EventReader(), []
    places = [0, *sorted(cuts), len(LINES)]
    for start, end in pairwise(places):
        found += reader.feed(LINES[start:end])
    assert found == EVENTS


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_before_an_event_do_not_hide_it(noise):
    found = EventReader().feed(noise + b"\n" + LINES)
    assert found[-3:] == EVENTS


def test_half_a_line_waits_for_its_other_half():
    reader = EventReader()
    assert reader.feed(b'{"event": "do') == []
    assert reader.feed(b'ne"}') == []
    assert reader.feed(b"\n") == [{"event": "done"}]
    assert reader.feed(b"") == []


@pytest.mark.parametrize("line", [
    b"null", b"[]", b"3", b'"phase"', b"{}", b'{"phase": "fit"}', b'{"event": null}',
    b'{"event": ["phase"]}', b'{"event": "finished"}', b'{"event": "started"}',
    b'{"event": "stopping"}', b'{"event": "phase"', b"\xff\xfe", b"[" * 300_000,
    b'{"event":' * 100_000])
def test_what_is_no_event_of_a_cell_is_dropped(line):
    assert EventReader().feed(line + b"\n" + LINES) == EVENTS


def test_a_line_that_never_ends_is_given_up():
    reader = EventReader()
    reader.feed(b'{"event": "phase", "pad": "')
    for _ in range(40):
        reader.feed(b"x" * 65536)
    assert reader.feed(b'"}\n' + LINES) == EVENTS


def test_long_events_within_the_limit_arrive():
    event = {"event": "validation", "values": "x" * 500_000}
    reader, found = EventReader(), []
    data = json.dumps(event).encode() + b"\n"
    for start in range(0, len(data), 4096):
        found += reader.feed(data[start:start + 4096])
    assert found == [event]


def test_what_is_written_is_read(monkeypatch):
    reading, writing = os.pipe()
    monkeypatch.setenv(ENVIRONMENT, str(writing))
    emit = EventWriter.from_environment()
    assert ENVIRONMENT not in os.environ  # children of the cell must not write events
    emit({"event": "phase", "phase": "zwei\nZeilen"})
    emit({"event": "progress", "path": Path("a")})
    os.close(writing)
    assert EventReader().feed(os.read(reading, 1 << 16)) == [
        {"event": "phase", "phase": "zwei\nZeilen"}, {"event": "progress", "path": "a"}]
    os.close(reading)


def test_without_a_pipe_events_are_dropped(monkeypatch):
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    EventWriter.from_environment()({"event": "done"})


def test_a_parent_that_is_gone_does_not_stop_the_cell():
    reading, writing = os.pipe()
    os.close(reading)
    emit = EventWriter(writing)
    emit({"event": "phase"})
    os.close(writing)
    other, end = os.pipe()  # takes the number of the closed end: nothing may be written to it
    emit({"event": "phase"})
    os.set_blocking(other, False)
    with pytest.raises(BlockingIOError):
        os.read(other, 1)
    for descriptor in {other, end}:
        os.close(descriptor)
