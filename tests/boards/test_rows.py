"""Rows: which there are, what they cost, and the ids they have in the page."""

from __future__ import annotations

import re

import pytest

from srbench.boards.rows import anchors, make_rows
from srbench.results.record import StageCost
from tests.boards.worlds import labels, mix_board, mix_records, only, row_of, scored
from tests.results.factory import make_record

ID = re.compile(r"m-[a-z0-9.-]+")


def rows_of(*records, title="w2-early"):
    data: dict[str, dict[str, list]] = {title: {}}
    for record in records:
        data[title].setdefault(record.identity.label, []).append(record)
    return make_rows(data)


def stage(name="fit", images=100, **calls):
    return StageCost(name=name, steps=10, seconds=1.0, images=images, calls=calls)


def test_one_row_for_each_label_with_its_seeds_in_order():
    first, second = rows_of(make_record("b", seed=3), make_record("a"), make_record("b", seed=1))
    assert (first.label, first.seeds) == ("b", (1, 3))
    assert (second.label, second.seeds, second.method) == ("a", (0,), "a")
    assert rows_of() == []


def test_calls_of_the_map_and_of_the_networks_beside_it_by_hand():
    record = make_record()
    record.cost.stages = [stage(images=100, map=30, potential=50),
                          stage("refine", images=40, map=5, critic=7, other=8)]
    costs = rows_of(record)[0].costs
    assert (costs.images, costs.map_calls, costs.other_calls) == (140, 35, 65)


def test_costs_are_means_over_seeds():
    records = [make_record(seed=seed, seconds_fit=10.0 * (seed + 1), parameters=100 + seed)
               for seed in range(3)]
    for seed, record in enumerate(records):
        record.cost.stages = [stage(images=90 * seed, map=30 * seed, potential=3)]
        record.cost.peak_memory_bytes = 2**20 * (seed + 1)
    costs = rows_of(*records)[0].costs
    assert costs.seconds == pytest.approx(20.0)
    assert costs.images == pytest.approx(90.0)
    assert costs.map_calls == pytest.approx(30.0)
    assert costs.other_calls == pytest.approx(3.0)
    assert costs.parameters == pytest.approx(101.0)
    assert costs.memory == pytest.approx(2**21)


def test_memory_of_a_device_is_unknown_where_there_is_none():
    records = [make_record(seed=seed) for seed in range(3)]
    assert rows_of(*records)[0].costs.device_memory is None
    records[0].cost.peak_device_memory_bytes = 100
    records[2].cost.peak_device_memory_bytes = 300
    assert rows_of(*records)[0].costs.device_memory == 200


def test_an_untrained_method_costs_nothing():
    costs = rows_of(make_record("bicubic", seconds_fit=0.0, parameters=0))[0].costs
    assert (costs.seconds, costs.images, costs.map_calls, costs.other_calls) == (0, 0, 0, 0)


def test_costs_of_a_board_with_several_datasets_are_means_over_all_cells():
    records = mix_records({"ots": {2: 1.0, 4: 1.0}})
    for record, seconds in zip(records, (10.0, 30.0), strict=True):
        record.cost.seconds_fit = seconds
    board = mix_board(records)
    assert labels(board) == ["ots"]
    assert board.final.rows[0].costs.seconds == 20.0
    assert board.final.rows[0].seeds == (0,)


def test_flags_of_any_seed_stand_in_the_row():
    records = [make_record(seed=0), make_record(seed=1), make_record("b", metrics={"l2-uvp": 9.0})]
    records[0].outcome.flags = ["saturation"]
    records[1].outcome.flags = ["saturation", "colour-cast"]
    assert [row.flags for row in only(records).final.rows] == [("colour-cast", "saturation"), ()]


def test_the_plugin_is_named_with_its_version():
    record = make_record()
    assert rows_of(record)[0].plugin == "srbench 0.1.0"
    record.origin.method_version = ""
    assert rows_of(record)[0].plugin == "srbench"


def test_only_rows_of_sweeps_that_no_rule_picks_are_folded():
    records = [*scored("gan[k=1]", 5.0), *scored("gan[k=2]", 4.0), *scored("ots", 3.0)]
    board = only(records)
    assert {row.label: row.folded for row in board.final.rows} == {
        "gan[k=1]": True, "gan[k=2]": False, "ots": False}
    assert row_of(board, "ots").sweep is None


def test_anchors_can_be_read():
    assert anchors(["ots", "wgan-gp[lambda=100]", "a_b (bf16, budget 60s)"]) == {
        "ots": "m-ots", "wgan-gp[lambda=100]": "m-wgan-gp-lambda-100",
        "a_b (bf16, budget 60s)": "m-a-b-bf16-budget-60s"}


def test_anchors_of_labels_that_leave_the_same_letters():
    found = anchors(["a[k=1]", "a(k=1)", "A[K=1]", "a k 1"])
    assert len(set(found.values())) == 4
    assert found["a[k=1]"] == "m-a-k-1"


def test_a_label_that_ends_in_the_digest_of_another():
    taken = anchors(["a", "A"])["A"]
    found = anchors([taken.removeprefix("m-"), "a", "A"])
    assert len(set(found.values())) == 3
    assert all(map(ID.fullmatch, found.values()))


@pytest.mark.parametrize("labels", [
    ["", "-", ".", "[]", "\u202e", "ß", "日本"], ["x" * 500, "x" * 501, "X" * 500],
    ["\" onclick=alert(1)", "' onclick=alert(1)"], ["\ud800", "\ud801"]])
def test_anchors_of_odd_labels(labels):
    found = anchors(labels)
    assert len(set(found.values())) == len(labels)
    assert all(ID.fullmatch(name) and len(name) < 100 for name in found.values())


def test_anchors_of_many_labels_that_shorten_to_one():
    labels = ["z" * 60 + f"[k={number}]" for number in range(300)]
    found = anchors(labels)
    assert len(set(found.values())) == 300
    assert all(map(ID.fullmatch, found.values()))
