"""The sentences at the head of a board say what its table shows and nothing it does not."""

from __future__ import annotations

import pytest

from srbench.boards.finding import caution, finding
from srbench.boards.table import make_boards
from tests.results.factory import make_metric, make_record


def board_of(*records):
    board, = make_boards(records)
    return board


def scored(label, value, *, seeds=1, metric="l2-uvp", **changes):
    return [make_record(label, seed=seed, metrics={metric: value + 0.1 * seed}, **changes)
            for seed in range(seeds)]


def test_the_whole_sentence_with_seeds_and_anchor():
    board = board_of(*scored("ots", 6.0, seeds=3), *scored("wgan-gp[lambda=100]", 9.4),
                     *scored("identity", 30.2), *scored("constant", 100.0))
    assert finding(board) == (
        "ots has the lowest L2-UVP: 6.1 % (1,000 pairs, 3 seeds); next is wgan-gp[lambda=100] "
        "with 9.4 %; identity scores 30.2 %.")


def test_a_metric_where_higher_is_better():
    board = board_of(*scored("a", 20.0, metric="psnr"), *scored("b", 24.3, metric="psnr"))
    assert finding(board) == ("b has the highest PSNR: 24.30 dB (1,000 pairs, 1 seed); next is a "
                              "with 20.00 dB.")


def test_a_target_is_read_against_the_hr_images():
    board = board_of(*scored("pale", 0.12, metric="palette"),
                     *scored("gaudy", 0.17, metric="palette"))
    assert finding(board).startswith("gaudy has the nearest to the HR images' Palette variance: "
                                     "0.170 (")


def test_a_target_without_the_value_of_the_hr_images_ranks_nobody():
    """What is nearest to an unknown value cannot be told."""
    records = [make_record(label, metrics={"palette": make_metric("palette", value, reference={})})
               for label, value in (("a", 0.1), ("b", 0.2))]
    board = board_of(*records)
    assert finding(board) == ("The cells that finished have no value that methods could be "
                              "compared by.")
    assert not any(entry.best for row in board.final.rows for entry in row.entries)


def test_settings_of_the_anchor_are_named_too():
    board = board_of(*scored("ots", 6.0), *scored("identity[blur=2]", 31.0),
                     *scored("identity[blur=1]", 30.0))
    assert finding(board).endswith("; identity[blur=1] scores 30.0 %; identity[blur=2] scores "
                                   "31.0 %.")
    assert "next is" not in finding(board)


def test_an_anchor_may_win():
    board = board_of(*scored("ots", 50.0), *scored("identity", 30.0))
    assert finding(board) == ("identity has the lowest L2-UVP: 30.0 % (1,000 pairs, 1 seed); next "
                              "is ots with 50.0 %.")


@pytest.mark.parametrize("failed", [1, 2])
def test_cells_that_did_not_finish_are_counted(failed):
    board = board_of(*scored("ots", 6.0), *scored("gan", 7.0),
                     *(make_record("dead", seed=seed, status="oom") for seed in range(failed)))
    assert finding(board).endswith(f". {failed} of {2 + failed} cells did not finish.")


def test_the_seeds_named_are_those_with_a_value():
    """A seed whose value is missing is not part of the mean the sentence quotes."""
    missing = make_metric("l2-uvp", None, unavailable="output is not finite")
    board = board_of(make_record(seed=0, metrics={"l2-uvp": 6.0}),
                     make_record(seed=1, metrics={"l2-uvp": missing}))
    assert finding(board) == "ots scores L2-UVP 6.0 % (1,000 pairs, 1 seed)."
    assert board.final.rows[0].seeds == 2
    assert board.seeds == (0, 1)


def test_a_metric_without_a_count_names_no_pairs():
    board = board_of(make_record(metrics={"psnr": make_metric("psnr", 20.0, count=0)}))
    assert finding(board) == "ots scores PSNR 20.00 dB (1 seed)."


def test_one_seed_each():
    board = board_of(*scored("a", 1.0), *scored("b", 2.0))
    assert "may be chance" in caution(board)
    assert "±" not in caution(board)


def test_three_seeds_each():
    board = board_of(*scored("a", 1.0, seeds=3), *scored("b", 2.0, seeds=3))
    assert caution(board) == ("± is the standard deviation over seeds. No test of differences was "
                              "made.")
    assert board.final.spread == (True,)


def test_three_seeds_beside_one():
    board = board_of(*scored("a", 1.0, seeds=3), *scored("b", 2.0))
    assert "methods with one seed have none" in caution(board)
    by_label = {row.label: row.entries[0] for row in board.final.rows}
    assert by_label["a"].sd == pytest.approx(0.1)
    assert by_label["b"].sd is None


def test_nothing_finished_needs_no_caution():
    board = board_of(make_record(status="timeout"), make_record("b", status="failed"))
    assert caution(board) == ""
    assert finding(board) == "No cell finished: 2 of 2 ended without a result."


def test_seeds_that_failed_are_not_among_the_boards_seeds():
    board = board_of(*scored("a", 1.0, seeds=2), make_record("a", seed=7, status="crashed"))
    assert board.seeds == (0, 1)
    assert [failure.seed for failure in board.failures] == [7]


def test_ties_are_told_in_the_order_of_labels():
    board = board_of(*scored("b[k=10]", 5.0), *scored("b[k=9]", 5.0), *scored("a", 5.0))
    assert [row.label for row in board.final.rows] == ["a", "b[k=9]", "b[k=10]"]
    assert all(row.entries[0].best for row in board.final.rows)
    assert finding(board).startswith("a has the lowest")
