"""Sweeps: found by what differs, and which value the rules would pick."""

from __future__ import annotations

import random

import pytest

from srbench.boards.board import Sweep
from srbench.boards.sweeps import UNPAIRED, find_sweeps
from srbench.evaluation.plugin import srbench_metrics
from tests.boards.worlds import MIX, given_of, labels, mix_board, mix_records, only, row_of
from tests.results.factory import make_metric, make_record


def found_in(*names, **givens):
    """Sweeps of methods with these labels; ``givens`` replace what a label says was given."""
    records = {name: make_record(name, method_given=given_of(name)) for name in names}
    return find_sweeps(records)


def swept(values, **metrics):
    """Cells of gan[lambda=...] with L2-UVP by lambda, and further metrics by name and lambda."""
    return [make_record(f"gan[lambda={lam}]", method_given={"lambda": lam}, metrics={
        "l2-uvp": value, **{name.replace("_", "-"): by_lam[lam] for name, by_lam
                            in metrics.items()}}) for lam, value in values.items()]


def chosen(board):
    return {row.label: row.sweep.chosen for row in board.final.rows if row.sweep}


def test_methods_that_differ_in_one_number_are_a_sweep():
    found = found_in("gan[lambda=0]", "gan[lambda=10]", "gan[lambda=1e3]", "ots")
    assert found == {name: Sweep(family="gan", parameter="lambda", value=value) for name, value in
                     [("gan[lambda=0]", 0.0), ("gan[lambda=10]", 10.0), ("gan[lambda=1e3]", 1e3)]}


@pytest.mark.parametrize("names", [
    ["gan[lambda=1]"], ["gan[lambda=1]", "gan"], ["gan[lambda=1]", "wgan[lambda=2]"],
    ["gan[lambda=1,k=1]", "gan[lambda=2,k=2]"], ["gan[net=small]", "gan[net=large]"],
    ["gan[on=true]", "gan[on=false]"], ["gan[lambda=1]", "gan[lambda=none]"], ["a", "b"], []])
def test_what_is_no_sweep(names):
    assert found_in(*names) == {}


def test_each_setting_of_the_other_parameters_is_a_family_of_its_own():
    found = found_in("gan[batch=8,lambda=1]", "gan[batch=8,lambda=2]", "gan[batch=8,lambda=3]",
                     "gan[net=big,lambda=1]", "gan[net=big,lambda=2]")
    assert {name: (sweep.family, sweep.parameter) for name, sweep in found.items()} == {
        "gan[batch=8,lambda=1]": ("gan[batch=8]", "lambda"),
        "gan[batch=8,lambda=2]": ("gan[batch=8]", "lambda"),
        "gan[batch=8,lambda=3]": ("gan[batch=8]", "lambda"),
        "gan[net=big,lambda=1]": ("gan[net=big]", "lambda"),
        "gan[net=big,lambda=2]": ("gan[net=big]", "lambda")}


def test_the_longer_of_two_sweeps_counts_and_nobody_is_left_in_one_alone():
    """lambda has three values at batch 8; batch has two at lambda 10, one of them in the first."""
    found = found_in("gan[batch=8,lambda=1]", "gan[batch=8,lambda=10]", "gan[batch=8,lambda=100]",
                     "gan[batch=16,lambda=10]")
    assert {sweep.parameter for sweep in found.values()} == {"lambda"}
    assert "gan[batch=16,lambda=10]" not in found
    assert len(found) == 3


def test_a_grid_is_swept_along_its_longer_side():
    names = [f"gan[batch={batch},lambda={lam}]" for batch in (8, 16) for lam in (1, 2, 3)]
    for seed in range(5):
        found = found_in(*random.Random(seed).sample(names, len(names)))
        assert {name: (sweep.family, sweep.parameter, sweep.value)
                for name, sweep in found.items()} == {
            f"gan[batch={batch},lambda={lam}]": (f"gan[batch={batch}]", "lambda", float(lam))
            for batch in (8, 16) for lam in (1, 2, 3)}


def test_a_square_grid_is_swept_one_way_whatever_the_order():
    names = [f"gan[a={a},b={b}]" for a in (1, 2) for b in (1, 2)]
    ways = {tuple(sorted((name, sweep.family, sweep.parameter) for name, sweep in found_in(
        *random.Random(seed).sample(names, 4)).items())) for seed in range(8)}
    assert len(ways) == 1
    (found,) = ways
    assert len({parameter for _, _, parameter in found}) == 1
    assert len(found) == 4


def test_one_value_written_in_two_ways_and_orders_is_one_family():
    records = {"a": make_record("a", method="gan", method_given={"k": 1, "m": 2, "lambda": 3}),
               "b": make_record("b", method="gan", method_given={"lambda": 4.0, "m": 2.0, "k": 1})}
    found = find_sweeps(records)
    assert {(sweep.family, sweep.parameter) for sweep in found.values()} == {
        ("gan[k=1,m=2]", "lambda")}


def test_precision_and_budget_make_families_of_their_own():
    records = {}
    for suffix in ("", " (bf16)"):
        for lam in (1, 2):
            label = f"gan[lambda={lam}]"
            records[label + suffix] = make_record(label, method_given={"lambda": lam})
    found = find_sweeps(records)
    assert {name: sweep.family for name, sweep in found.items()} == {
        "gan[lambda=1]": "gan", "gan[lambda=2]": "gan",
        "gan[lambda=1] (bf16)": "gan (bf16)", "gan[lambda=2] (bf16)": "gan (bf16)"}


def test_a_board_of_two_precisions_has_two_sweeps_and_picks_in_each():
    records = [make_record(f"gan[lambda={lam}]", method_given={"lambda": lam}, precision=precision,
                           metrics={"l2-uvp": value})
               for precision, values in (("fp32", (1.0, 2.0)), ("bf16", (4.0, 3.0)))
               for lam, value in enumerate(values)]
    board = only(records)
    assert {label for label, rules in chosen(board).items() if rules} == {
        "gan[lambda=0] (fp32)", "gan[lambda=1] (bf16)"}
    assert {row.sweep.family for row in board.final.rows} == {"gan (fp32)", "gan (bf16)"}


@pytest.mark.parametrize("value", [10**400, float("nan"), float("inf"), [1], {"a": 1}, None, "1"])
def test_values_that_have_no_place_on_an_axis(value):
    records = {"a": make_record("a", method="gan", method_given={"k": value}),
               "b": make_record("b", method="gan", method_given={"k": 1}),
               "c": make_record("c", method="gan", method_given={"k": 2, "rest": value})}
    assert find_sweeps(records) == {}


def test_two_fixed_lists_do_not_hinder():
    records = {str(k): make_record(str(k), method="gan", method_given={"k": k, "sizes": [1, 2]})
               for k in (1, 2)}
    assert {sweep.family for sweep in find_sweeps(records).values()} == {"gan[sizes=[1, 2]]"}


def test_the_oracle_picks_the_best_of_the_first_column():
    board = only([*swept({0: 9.0, 1: 4.0, 10: 6.0}), make_record("ots", metrics={"l2-uvp": 1.0})])
    assert chosen(board) == {"gan[lambda=0]": (), "gan[lambda=1]": ("oracle",),
                             "gan[lambda=10]": ()}
    assert board.criterion == ""


def test_validation_picks_by_a_metric_that_needs_no_pairs():
    fid = {lam: make_metric("fid", value, title="FID", direction="lower")
           for lam, value in {0: 30.0, 1: 50.0, 10: 20.0}.items()}
    board = only(swept({0: 9.0, 1: 4.0, 10: 6.0}, fid=fid))
    assert chosen(board) == {"gan[lambda=0]": (), "gan[lambda=1]": ("oracle",),
                             "gan[lambda=10]": ("validation",)}
    assert board.criterion == "FID"
    assert [row.label for row in board.final.rows if not row.folded] == [
        "gan[lambda=1]", "gan[lambda=10]"]


def test_both_rules_may_pick_the_same():
    fid = {lam: make_metric("fid", float(lam), title="FID", direction="lower") for lam in (1, 2)}
    board = only(swept({1: 1.0, 2: 2.0}, fid=fid))
    assert chosen(board)["gan[lambda=1]"] == ("oracle", "validation")


def test_the_first_metric_with_values_is_the_criterion():
    """FID has no weights here; the patch FID has a value of one member."""
    gone = {lam: make_metric("fid", None, title="FID", unavailable="no weights")
            for lam in (1, 2)}
    patch = {1: make_metric("patch-fid", None, title="Patch FID", direction="lower"),
             2: make_metric("patch-fid", 7.0, title="Patch FID", direction="lower")}
    board = only(swept({1: 1.0, 2: 2.0}, fid=gone, patch_fid=patch))
    assert board.criterion == "Patch FID"
    assert "validation" in chosen(board)["gan[lambda=2]"]


def test_values_of_methods_outside_sweeps_make_no_criterion():
    fid = make_metric("fid", 3.0, title="FID", direction="lower")
    board = only([*swept({1: 1.0, 2: 2.0}), make_record("ots", metrics={"fid": fid})])
    assert board.criterion == ""


def test_a_target_is_chosen_by_its_distance():
    spread = {lam: make_metric("palette-variance", value, title="Palette", direction="target",
                               reference={"hr": 0.16})
              for lam, value in {1: 0.30, 2: 0.15, 3: 0.10}.items()}
    board = only(swept({1: 1.0, 2: 2.0, 3: 3.0}, palette_variance=spread))
    assert chosen(board) == {"gan[lambda=1]": ("oracle",), "gan[lambda=2]": ("validation",),
                             "gan[lambda=3]": ()}


def test_ties_are_picked_once_and_always_the_same():
    records = swept({3: 5.0, 1: 5.0, 2: 5.0})
    picks = {tuple(label for label, rules in chosen(only(random.Random(seed).sample(
        records, 3))).items() if rules) for seed in range(6)}
    assert picks == {("gan[lambda=1]",)}


def test_a_family_without_any_value_picks_nobody():
    gone = make_metric("l2-uvp", None, unavailable="broken")
    records = [make_record(f"gan[lambda={lam}]", method_given={"lambda": lam},
                           metrics={"l2-uvp": gone}) for lam in (1, 2)]
    board = only([*records, make_record("ots")])
    assert chosen(board) == {"gan[lambda=1]": (), "gan[lambda=2]": ()}


def test_without_columns_nothing_is_chosen():
    board = only([make_record(f"gan[lambda={lam}]", method_given={"lambda": lam}, metrics={})
                  for lam in (1, 2)])
    assert chosen(board) == {"gan[lambda=1]": (), "gan[lambda=2]": ()}


def test_several_datasets_choose_on_the_one_that_ranks():
    records = mix_records({"gan[lambda=1]": {2: 1.0, 4: 9.0}, "gan[lambda=2]": {2: 2.0, 4: 3.0}})
    assert chosen(mix_board(records))["gan[lambda=1]"] == ("oracle",)
    assert chosen(mix_board(records, rank=MIX[1]))["gan[lambda=2]"] == ("oracle",)
    assert labels(mix_board(records, rank=MIX[1])) == ["gan[lambda=2]", "gan[lambda=1]"]


def test_the_oracles_table_has_sweeps_without_choice():
    records = [make_record(f"gan[lambda={lam}]", method_given={"lambda": lam},
                           oracle={"l2-uvp": float(lam)}) for lam in (1, 2)]
    board = only(records)
    assert [row.sweep.chosen for row in board.oracle.rows] == [(), ()]
    assert row_of(board, "gan[lambda=1]").sweep.value == 1.0


def test_the_metrics_that_need_no_pairs_are_installed_under_these_names():
    assert set(UNPAIRED) <= {info.name for info in srbench_metrics()}


def test_the_longer_side_of_a_grid_counts_whatever_its_name():
    names = [f"gan[batch={batch},lambda={lam}]" for batch in (8, 16, 32) for lam in (1, 2)]
    assert {(sweep.family, sweep.parameter) for sweep in found_in(*names).values()} == {
        ("gan[lambda=1]", "batch"), ("gan[lambda=2]", "batch")}
