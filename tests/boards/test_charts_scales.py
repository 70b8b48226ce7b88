"""Axes, ticks, places of swept values, and labels that keep off each other."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import pytest

from srbench.boards.charts.labels import (
    Box,
    Wish,
    fit,
    place_labels,
    short,
    spread,
    text_width,
)
from srbench.boards.charts.place import Scale
from srbench.boards.charts.scales import (
    axis,
    linear_ticks,
    log_ticks,
    number,
    spans_decades,
    tidy,
)

FRAME = Box(0, 0, 400, 300)


@pytest.mark.parametrize(("values", "log"), [
    ([1, 31], False), ([1, 32], True), ([0.01, 10], True), ([0, 1000], False), ([-1, 1e6], False),
    ([5], False), ([], False)])
def test_more_than_a_decade_and_a_half_makes_an_axis_logarithmic(values, log):
    assert spans_decades(values) is log


def test_an_axis_holds_its_values_and_bars_with_room():
    ends = axis([10, 20], [8, 25])
    assert ends.low < 8
    assert ends.high > 25
    assert not ends.log
    assert all(ends.low <= tick <= ends.high for tick in ends.ticks)


def test_a_log_axis_gives_no_decades_to_a_bar_that_nearly_reaches_0():
    ends = axis([1, 100], [1e-9, -3, 200])
    assert ends.log
    assert 0.05 < ends.low <= 0.1
    assert ends.high > 200
    assert ends.clip(-3) == ends.low
    assert ends.clip(1e9) == ends.high


def test_bars_below_0_do_not_stretch_the_axis_of_what_cannot_be_negative():
    assert axis([5, 10], [-40, 12]).low > 0
    assert axis([-1, 10], [-40, 12]).low < -40


def test_one_value_has_an_axis_around_it():
    for value in (0, -2, 7):
        ends = axis([value])
        assert ends.low < value < ends.high
        assert len(ends.ticks) > 1


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_place_runs_from_0_to_1_and_value_undoes_it(log, reverse):
    ends = axis([1, 100], log=log, reverse=reverse)
    first, last = (ends.high, ends.low) if reverse else (ends.low, ends.high)
    assert ends.place(first) == pytest.approx(0)
    assert ends.place(last) == pytest.approx(1)
    for share in (0, 0.3, 1):
        assert ends.place(ends.value(share)) == pytest.approx(share)
    middle = math.sqrt(ends.low * ends.high) if log else (ends.low + ends.high) / 2
    assert ends.place(middle) == pytest.approx(0.5)


@pytest.mark.parametrize(("low", "high", "ticks"), [
    (0, 10, (0, 2, 4, 6, 8, 10)), (0.013, 0.049, (0.02, 0.03, 0.04)), (-1, 1, None),
    (27.1, 27.4, None), (0, 1e6, None)])
def test_linear_ticks_are_few_round_and_inside(low, high, ticks):
    found = linear_ticks(low, high)
    assert 2 <= len(found) <= 6
    assert all(low <= tick <= high for tick in found)
    steps = {tidy(b - a) for a, b in itertools.pairwise(found)}
    assert len(steps) == 1
    mantissa = f"{steps.pop():e}".partition("e")[0]
    assert float(mantissa) in (1, 2, 2.5, 5)
    if ticks:
        assert found == pytest.approx(ticks)


@pytest.mark.parametrize(("low", "high", "ticks"), [
    (0.5, 2000, (1, 10, 100, 1000)), (8, 400, (10, 30, 100, 300)), (9, 120, (10, 30, 100)),
    (9, 60, (10, 20, 50))])
def test_log_ticks_are_decades_with_parts_where_few(low, high, ticks):
    assert log_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize(("value", "text"), [
    (0, "0"), (0.1, "0.1"), (100, "100"), (1e3, "10³"), (1e5, "10⁵"), (2500, "2500")])
def test_parameters_are_short(value, text):
    assert number(value) == text


def test_a_sweep_sets_0_and_infinity_apart():
    scale = Scale([0, 0.1, 1, 10, 100, 1e3, 1e4, 1e5])
    assert scale.place(100) == 2
    assert scale.place(0) < scale.place(0.1) - 0.6
    assert scale.place(math.inf) > scale.place(1e5) + 0.6
    labels = scale.labels()
    assert [labels[place] for place in sorted(labels)] == [
        "0", "0.1", "1", "10", "100", "10³", "10⁴", "10⁵", "∞"]
    assert set(labels) == set(scale.axis().ticks)
    assert scale.breaks()[0] < -1 < 5 < scale.breaks()[1]
    assert scale.between(3) == pytest.approx([0.1, 100, 1e5])


def test_a_sweep_without_0_has_no_place_for_it():
    scale = Scale([2, 8])
    assert "0" not in scale.labels().values()
    assert set(scale.labels().values()) == {"2", "8", "∞"}
    assert len(scale.breaks()) == 1
    assert scale.axis().low > -0.5


def test_only_0_or_one_value_still_has_a_scale():
    assert set(Scale([0]).labels().values()) <= {"0", "∞", "1"}
    assert Scale([3]).axis().low < math.log10(3) < Scale([3]).axis().high


def test_labels_overlap_neither_each_other_nor_marks():
    draw = random.Random(1)
    spots = [(draw.uniform(0, 400), draw.uniform(0, 300)) for _ in range(40)]
    marks = [Box(x - 5, y - 5, x + 5, y + 5) for x, y in spots]
    wishes = [Wish(text=f"method-{index}", places=(spot,)) for index, spot in enumerate(spots)]
    placed = place_labels(wishes, FRAME, marks=marks)
    boxes = [label.box for label in placed if label]
    assert len(boxes) > 25
    assert all(box.inside(FRAME) for box in boxes)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert not any(box.overlaps(mark) for box in boxes for mark in marks)
    assert placed == place_labels(wishes, FRAME, marks=marks)


def test_a_label_is_as_wide_as_its_box_says_and_beside_its_point():
    label, = place_labels([Wish(text="ots", places=((100, 100),))], FRAME)
    assert label.align == "left"
    assert label.box.right - label.box.left == pytest.approx(text_width("ots"))
    assert label.box.left == pytest.approx(100 + label.dx)
    assert not label.leader


def test_the_first_wish_gets_the_place_and_one_without_room_gets_none():
    tight = Box(0, 0, 60, 20)
    wishes = [Wish(text="first", places=((5, 10),)), Wish(text="second", places=((6, 10),))]
    placed = place_labels(wishes, tight)
    assert placed[0].text == "first"
    assert placed[1] is None


def test_a_label_far_off_has_a_leader():
    wall = [Box(60, 60, 140, 140)]
    label, = place_labels([Wish(text="x", places=((100, 100),))], FRAME, marks=wall)
    assert label.leader
    near = place_labels([Wish(text="x", places=((100, 100),), reach=14)], FRAME, marks=wall)
    assert near == [None]


def test_a_label_avoids_crossing_a_line_where_it_can():
    line = (100, 100, 400, 100)
    label, = place_labels([Wish(text="long enough", places=((100, 100),))], FRAME, lines=[line])
    assert not label.box.crossed(line)


def test_a_name_on_a_line_stands_over_or_under_it():
    label, = place_labels([Wish(text="ots", places=((200, 150),), on_line=True)], FRAME)
    assert label.dx == 0
    assert label.align == "center"
    assert label.box.bottom <= 151.5


@pytest.mark.parametrize(("segment", "crossed"), [
    ((0, 5, 20, 5), True), ((0, 20, 20, 20), False), ((5, -5, 5, 50), True), ((0, 9, 9, 0), True),
    ((-20, 5, -1, 5), False), ((4, 4, 6, 6), True), ((12, 0, 12, 10), False)])
def test_lines_through_a_box(segment, crossed):
    assert Box(0, 0, 10, 10).crossed(segment) is crossed


def test_texts_are_cut_to_what_fits():
    assert fit("L2-UVP", 100) == "L2-UVP"
    assert fit("W" * 50, 100).endswith("…")
    assert text_width(fit("W" * 50, 100)) <= 100
    assert short("a\u202eb\n" + "c" * 100) == "a\ufffdb " + "c" * 27 + "…"
    assert text_width("中文") > text_width("ii")


@pytest.mark.parametrize(("positions", "moved"), [
    ([10, 50, 90], [10, 50, 90]), ([50, 50], [42.5, 57.5]), ([60, 50], [62.5, 47.5]),
    ([0, 0, 0], [0, 15, 30]), ([100, 100], [85, 100]), ([], [])])
def test_positions_move_apart_by_little(positions, moved):
    assert spread(positions, 0, 100, 15) == pytest.approx(moved)


def test_too_many_positions_share_the_room():
    moved = spread([50] * 11, 0, 100, 15)
    assert moved == pytest.approx([10 * index for index in range(11)])


def test_spread_keeps_order_gap_and_ends_whatever_comes():
    draw = random.Random(2)
    for _ in range(50):
        wished = [draw.uniform(-20, 120) for _ in range(draw.randint(1, 6))]
        moved = spread(wished, 0, 100, 15)
        order = sorted(range(len(wished)), key=lambda index: (wished[index], index))
        ranked = [moved[index] for index in order]
        assert all(b - a >= 15 - 1e-9 for a, b in itertools.pairwise(ranked))
        assert ranked[0] >= -1e-9
        assert ranked[-1] <= 100 + 1e-9


def test_a_frozen_axis_is_replaced_not_changed():
    ends = axis([1, 2])
    assert replace(ends, reverse=True).place(ends.low) == pytest.approx(1)
