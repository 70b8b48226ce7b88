"""What a board says: sorting, marks, gaps, failures, the sentence at its head."""

from __future__ import annotations

import random

import pytest

from srbench.boards.finding import caution, finding
from srbench.boards.table import make_boards, natural_key
from tests.results.factory import make_metric, make_record


def only(records):
    """The single board of some records."""
    boards = make_boards(records)
    assert len(boards) == 1
    return boards[0]


def labels(board):
    return [row.label for row in board.final.rows]


def test_datasets_and_presets_are_boards_of_their_own():
    boards = make_boards([make_record(title=title, preset=preset)
                          for title in ("w2-early", "w2-early@embedded")
                          for preset in ("quick", "paper")])
    assert [(board.title, board.preset) for board in boards] == [
        ("w2-early", "paper"), ("w2-early", "quick"),
        ("w2-early@embedded", "paper"), ("w2-early@embedded", "quick")]
    assert all(len(board.final.rows) == 1 for board in boards)


def test_rows_are_sorted_by_l2_uvp_even_where_another_metric_comes_first():
    board = only([make_record("a", metrics={"psnr": 30.0, "l2-uvp": 9.0}),
                  make_record("b", metrics={"psnr": 20.0, "l2-uvp": 2.0})])
    assert labels(board) == ["b", "a"]
    assert [column.name for column in board.final.columns] == ["l2-uvp", "psnr"]


def test_without_l2_uvp_the_first_of_the_ranking_metrics_with_values_ranks():
    values = {"a": (0.1, 20.0), "b": (0.2, 30.0)}
    board = only([make_record(name, metrics={"psnr": psnr, "lpips": lpips})
                  for name, (lpips, psnr) in values.items()])
    assert labels(board) == ["a", "b"]
    assert board.final.columns[0].name == "lpips"
    gone = make_metric("lpips", None, unavailable="no weights", remedy="srbench fetch weights")
    board = only([make_record(name, metrics={"lpips": gone, "psnr": psnr})
                  for name, (_, psnr) in values.items()])
    assert labels(board) == ["b", "a"]
    assert [column.name for column in board.final.columns] == ["psnr", "lpips"]


def test_metrics_that_apply_to_no_method_have_no_column_but_a_line_that_says_why():
    gone = make_metric("l2-uvp", None, unavailable="does not apply: the true map is not known")
    missing = make_metric("lpips", None, unavailable="no weights", remedy="srbench fetch weights")
    board = only([make_record(name, metrics={"l2-uvp": gone, "lpips": missing, "psnr": 20.0})
                  for name in ("a", "b")])
    assert [column.name for column in board.final.columns] == ["psnr", "lpips"]
    assert board.final.inapplicable == (("does not apply: the true map is not known",
                                         (gone.title,)),)
    assert [gap.column for gap in board.final.gaps] == ["lpips"]


def test_notes_of_finished_cells_are_gathered_with_their_methods():
    records = [make_record(name, seed=seed) for name in ("a", "b") for seed in (0, 1)]
    for record in records:
        record.outcome.notes = ["small networks"] + ["tiles"] * (record.identity.label == "b")
    failed = make_record("c", status="failed")
    failed.outcome.notes = ["never shown"]
    board = only([*records, failed])
    assert board.notes == (("small networks", ("a", "b")), ("tiles", ("b",)))


def test_a_target_metric_ranks_by_distance_to_the_hr_images():
    board = only([make_record(name, metrics={"palette": value})
                  for name, value in [("over", 0.20), ("near", 0.15), ("under", 0.10)]])
    assert labels(board) == ["near", "over", "under"]
    assert [row.entries[0].best for row in board.final.rows] == [True, False, False]


def test_the_order_of_records_does_not_matter():
    records = [make_record(f"wgan-gp[lambda={lam}]", metrics={"l2-uvp": 5.0 + lam % 3})
               for lam in (0, 1, 2, 10, 100)]
    expected = labels(only(records))
    for seed in range(5):
        shuffled = random.Random(seed).sample(records, len(records))
        assert labels(only(shuffled)) == expected


def test_sweeps_are_in_numerical_order_where_values_tie():
    values = ["0", "0.1", "1", "2", "10", "100", "1e3"]
    records = [make_record(f"wgan-gp[lambda={lam}]") for lam in sorted(values)]
    assert labels(only(records)) == [f"wgan-gp[lambda={lam}]" for lam in values]
    assert natural_key("a[lambda=2]") < natural_key("a[lambda=10]") < natural_key("b")


def test_values_that_look_the_same_share_the_mark():
    board = only([make_record(name, metrics={"l2-uvp": value})
                  for name, value in [("a", 6.101), ("b", 6.12), ("c", 6.4)]])
    assert [row.entries[0].best for row in board.final.rows] == [True, True, False]


def test_a_single_method_is_not_called_best():
    assert not only([make_record()]).final.rows[0].entries[0].best


def test_a_method_without_the_ranking_value_comes_last_with_the_reason():
    missing = make_metric("l2-uvp", None, unavailable="the weights are absent",
                          remedy="srbench fetch vgg16")
    board = only([make_record("a", metrics={"l2-uvp": missing, "psnr": 30.0}),
                  make_record("b", metrics={"l2-uvp": 5.0, "psnr": 20.0})])
    assert labels(board) == ["b", "a"]
    gap = board.final.gaps[0]
    assert (gap.column, gap.labels) == ("l2-uvp", ("a",))
    assert (gap.why, gap.remedy) == ("the weights are absent", "srbench fetch vgg16")
    assert board.final.rows[1].entries[0].gap == 1
    assert board.final.rows[1].entries[1].gap is None
    assert board.final.missing(gap) == "L2-UVP of a"


def test_a_reason_shared_by_all_is_said_once():
    missing = make_metric("lpips", None, unavailable="no weights")
    board = only([make_record(name, metrics={"l2-uvp": 5.0, "lpips": missing}) for name in "abc"])
    assert len(board.final.gaps) == 1
    assert board.final.missing(board.final.gaps[0]) == "LPIPS of all methods"


def test_a_metric_that_one_method_was_not_measured_by():
    board = only([make_record("a", metrics={"l2-uvp": 1.0}),
                  make_record("b", metrics={"l2-uvp": 2.0, "psnr": 20.0})])
    assert board.final.gaps[0].why == "not measured in this run"


def test_two_protocols_are_two_columns_and_gaps_name_the_other():
    board = only([make_record("a", metrics={"psnr": make_metric("psnr", 20.0, protocol="p/1")}),
                  make_record("b", metrics={"psnr": make_metric("psnr", 24.0, protocol="p/2")})])
    assert [column.protocol for column in board.final.columns] == ["p/1", "p/2"]
    assert [gap.why for gap in board.final.gaps] == ["measured by another protocol, p/2",
                                                     "measured by another protocol, p/1"]


@pytest.mark.parametrize("status", ["failed", "crashed", "timeout", "oom", "diverged",
                                    "interrupted", "skipped", "missing-dependency"])
def test_what_did_not_finish_is_listed(status):
    record = make_record("b[lambda=10]", status=status, reason="because", seed=4)
    board = only([make_record("a"), record])
    failure = board.failures[0]
    assert (failure.label, failure.seed, failure.status) == ("b[lambda=10]", 4, status)
    assert failure.reason == "because"
    assert failure.log == f"cells/{record.identity.key}/log.txt"
    assert labels(board) == ["a"]


def test_older_records_of_a_cell_are_counted_and_left_out():
    board = only([make_record(metrics={"l2-uvp": 9.0}, finished="2026-01-01T00:00:00+00:00"),
                  make_record(metrics={"l2-uvp": 5.0}, finished="2026-01-02T00:00:00+00:00")])
    assert board.superseded == 1
    assert board.final.rows[0].entries[0].mean == 5.0
    assert board.final.rows[0].seeds == 1


def test_the_oracle_has_a_table_of_its_own():
    board = only([make_record(metrics={"l2-uvp": 6.0}, oracle={"l2-uvp": 5.0})])
    assert board.final.rows[0].entries[0].mean == 6.0
    assert board.oracle.rows[0].entries[0].mean == 5.0
    assert only([make_record()]).oracle.rows == ()


def test_the_oracle_lists_only_methods_it_was_asked_about():
    board = only([make_record("a", oracle={"l2-uvp": 5.0}), make_record("identity")])
    assert [row.label for row in board.oracle.rows] == ["a"]
    assert board.oracle.gaps == ()


def test_flags_of_any_seed_stand_in_the_row():
    records = [make_record(seed=0), make_record(seed=1),
               make_record("b", metrics={"l2-uvp": 9.0})]
    records[1].outcome.flags = ["saturation", "colour-cast"]
    assert [row.flags for row in only(records).final.rows] == [("colour-cast", "saturation"), ()]


def test_the_finding_names_the_best_the_next_and_the_anchor():
    records = [make_record(label, seed=seed, metrics={"l2-uvp": value + 0.1 * seed})
               for label, value in [("ots", 6.0), ("wgan-gp[lambda=100]", 9.3), ("identity", 30.1)]
               for seed in range(3)]
    assert finding(only(records)) == (
        "ots has the lowest L2-UVP: 6.1 % (1,000 pairs, 3 seeds); next is wgan-gp[lambda=100] with "
        "9.4 %; identity scores 30.2 %.")


def test_the_finding_does_not_call_the_anchor_next():
    records = [make_record("ots", metrics={"l2-uvp": 6.0}),
               make_record("identity", metrics={"l2-uvp": 30.0})]
    assert finding(only(records)) == ("ots has the lowest L2-UVP: 6.0 % (1,000 pairs, 1 seed); "
                                      "identity scores 30.0 %.")


def test_the_finding_of_one_method_ranks_nothing():
    text = finding(only([make_record(metrics={"psnr": 24.0}), make_record("b", status="oom")]))
    assert text == ("ots scores PSNR 24.00 dB (1,000 pairs, 1 seed). 1 of 2 cells did not finish.")


def test_the_finding_where_nothing_finished():
    board = only([make_record(status="failed"), make_record("b", status="skipped")])
    assert finding(board) == "No cell finished: 2 of 2 ended without a result."
    assert caution(board) == ""


def test_the_finding_where_no_value_exists():
    board = only([make_record(metrics={"psnr": None})])
    assert "no value that methods could be compared by" in finding(board)


def test_no_metrics_at_all_still_makes_a_table_of_costs():
    board = only([make_record(metrics={})])
    assert labels(board) == ["ots"]
    assert board.final.columns == ()


def test_caution_depends_on_the_seeds():
    one = only([make_record()])
    two = [make_record(seed=0), make_record(seed=1)]
    assert "may be chance" in caution(one)
    assert caution(only(two)).startswith("± is the standard deviation over seeds.")
    assert "methods with one seed have none" in caution(only([*two, make_record("identity")]))
