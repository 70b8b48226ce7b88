"""Flags in words: each of ours is explained, others' are shown as they are."""

from __future__ import annotations

import re
from pathlib import Path

from srbench.boards.markup import environment
from srbench.boards.pixels import flag_notes
from srbench.boards.pixels.flags import MEANINGS, UNKNOWN
from tests.boards.conftest import Page
from tests.boards.pictures import board_of
from tests.results.factory import make_record

FLAGS = Path(__file__).parents[2] / "srbench" / "evaluation" / "flags.py"


def flagged(label, *flags, **changes):
    record = make_record(label, **changes)
    record.outcome.flags = list(flags)
    return record


def shown(notes) -> Page:
    return Page.of(environment().from_string(
        '{% import "_pixels.html" as pics %}{{ pics.flags(notes) }}').render(notes=notes))


def test_every_flag_that_evaluation_raises_is_explained():
    table = FLAGS.read_text(encoding="utf-8").split('"""')[1]
    assert set(re.findall(r"^``([a-z-]+)``", table, re.MULTILINE)) == set(MEANINGS)


def test_limits_in_words_are_those_of_the_rules():
    from srbench.evaluation import flags

    assert f"{100 * flags.COLLAPSED_VARIANCE:g} %" in MEANINGS["collapse"][1]
    assert f"{100 * flags.IDENTICAL_SHARE:g} %" in MEANINGS["identity-map"][1]
    assert f"{100 * flags.CAST / 2:g} %" in MEANINGS["colour-cast"][1]
    assert f"{flags.SATURATED_SHARE:g}" in MEANINGS["saturation"][1]
    assert f"{100 * flags.WAVE / 2:g} %" in MEANINGS["checkerboard"][1]
    assert (flags.BEYOND_SHARE, flags.PERIOD) == (0.5, 4)


def test_methods_stand_beside_their_flags_in_table_order():
    board = board_of([flagged("b", "collapse", metrics={"l2-uvp": 9.0}),
                      flagged("a", "collapse", "nan", metrics={"l2-uvp": 3.0}),
                      flagged("a", seed=1, metrics={"l2-uvp": 3.0}), make_record("c")])
    notes = flag_notes(board)
    assert [(note.name, note.labels) for note in notes] == [("nan", ("a",)),
                                                            ("collapse", ("a", "b"))]
    text = shown(notes).text
    assert "collapse" in text
    assert "Raised for: a, b." in text


def test_a_board_without_flags_has_no_section():
    assert flag_notes(board_of([make_record()])) == ()
    assert shown(()).tags == []


def test_flags_of_others_are_shown_as_they_are():
    hostile = '<script>alert(1)</script>\x1b[2J\u202e"'
    board = board_of([flagged("<b>x</b>", hostile, "zebra", "nan")])
    notes = flag_notes(board)
    assert [note.name for note in notes] == ["nan", '<script>alert(1)</script>\ufffd[2J\ufffd"',
                                             "zebra"]
    assert [note.known for note in notes] == [True, False, False]
    page = shown(notes)
    assert not page.all("script")
    assert not page.all("b")
    assert UNKNOWN in page.text
    assert "<script>alert(1)</script>" in page.text


def test_a_very_long_flag_is_cut():
    note, = flag_notes(board_of([flagged("a", "x" * 10_000)]))
    assert len(note.name) < 300
