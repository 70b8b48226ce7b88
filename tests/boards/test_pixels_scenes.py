"""Which scenes are shown: hand-made values whose worst, median and best are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from srbench.boards.pixels.cells import cells_with_images
from srbench.boards.pixels.scenes import agreed, choose_scenes, ordered
from tests.boards.pictures import board_of, measured, put, scored_cells
from tests.results.factory import make_record, make_samples


def chosen(runs, records):
    board = board_of(records)
    return choose_scenes(board, cells_with_images(board, runs / "cells"))


def test_worst_median_and_best_stand_in_front_and_the_rest_in_test_order(tmp_path):
    records = scored_cells(tmp_path, {"a": [3, 9, 1, 5, 4], "b": [3, 7, 3, 5, 4]})
    choice = chosen(tmp_path, records)
    assert choice.order == ((1, "worst"), (4, "median"), (2, "best"), (0, ""), (3, ""))
    assert choice.rule == ("Worst, median and best are chosen by rule among the 5 test images that "
                           "every cell keeps, the first of the test set: by the mean over 2 "
                           "methods of L2-UVP. None is chosen by hand.")


def test_a_board_may_show_fewer_scenes_but_never_which(tmp_path):
    records = scored_cells(tmp_path, {"a": [3, 9, 1, 5, 4], "b": [3, 7, 3, 5, 4]})
    board = replace(board_of(records), scenes=2)
    choice = choose_scenes(board, cells_with_images(board, tmp_path / "cells"))
    assert choice.order == ((1, "worst"), (4, "median"))


def test_high_values_are_good_where_the_metric_says_so(tmp_path):
    records = scored_cells(tmp_path, {"a": [30, 20, 25], "b": [30, 20, 25]}, metric="psnr")
    assert chosen(tmp_path, records).order == ((1, "worst"), (2, "median"), (0, "best"))


@pytest.mark.parametrize("broken", ["flag", "nan"])
def test_one_broken_method_does_not_choose(tmp_path, broken):
    """By the mean scene 2 would be the worst, on the word of the broken method alone."""
    values = {"a": [3.0, 9, 1], "b": [3.0, 9, 1], "bad": [0.0, 0, 900]}
    records = scored_cells(tmp_path, {label: values[label] for label in ("a", "b")})
    bad = measured("bad", values["bad"])
    if broken == "flag":
        bad.outcome.flags = ["collapse"]
    else:
        values["bad"][0] = np.nan
    records.append(put(tmp_path, bad, make_samples(count=3, side=16), {"l2-uvp": values["bad"]}))
    choice = chosen(tmp_path, records)
    assert choice.order == ((1, "worst"), (0, "median"), (2, "best"))
    assert "by the median over 3 methods of L2-UVP, since some outputs carry flags" in choice.rule


def test_without_a_broken_method_its_value_counts(tmp_path):
    records = scored_cells(tmp_path, {"a": [3, 9, 1], "b": [3, 9, 1], "c": [0, 0, 900]})
    assert chosen(tmp_path, records).order[0] == (2, "worst")


def test_members_of_a_sweep_that_are_folded_have_no_say(tmp_path):
    """Four of five lambdas find scene 0 hard; the chosen one and the other method do not."""
    rows = {f"gan[lambda={value}]": [90, 30, 20] for value in (1, 10, 100, 1000)}
    records = scored_cells(tmp_path, {"gan[lambda=0]": [1, 9, 5], "ots": [1, 9, 5], **rows})
    board = board_of(records)
    assert sum(row.folded for row in board.final.rows) == 4
    choice = choose_scenes(board, cells_with_images(board, tmp_path / "cells"))
    assert choice.order == ((1, "worst"), (2, "median"), (0, "best"))
    assert choice.rule.endswith("Members of sweeps that are folded in the table have no say in it.")


def test_without_values_of_images_the_kept_ones_are_measured(tmp_path):
    """PSNR of noise of growing size: the last scene is the worst."""
    samples = make_samples(count=3, side=16)
    noise = np.random.default_rng(1).normal(0, 1, samples["hr"].shape).astype(np.float32)
    samples["prediction"] = samples["hr"] + noise * np.array([0.1, 0.01, 0.4])[:, None, None, None]
    choice = chosen(tmp_path, [put(tmp_path, make_record("a"), samples)])
    assert choice.order == ((2, "worst"), (0, "median"), (1, "best"))
    assert "by PSNR of the kept images of the only method" in choice.rule


def test_images_that_were_left_out_make_numbers_unknown(tmp_path):
    """Three kept of five: which three is not known, so values by number would be wrong."""
    samples = make_samples(count=3, side=16)
    samples["prediction"][2] = 1.0
    records = [put(tmp_path, measured("a", [90, 1, 1, 1, 1]), samples,
                   {"l2-uvp": [90, 1, 1, 1, 1]})]
    choice = chosen(tmp_path, records)
    assert choice.order[0] == (2, "worst")
    assert "PSNR of the kept images" in choice.rule


@pytest.mark.parametrize(("count", "order"), [
    (1, ((0, ""),)), (2, ((1, "worst"), (0, "best"))),
    (12, ((11, "worst"), (5, "median"), (0, "best"),
          *((index, "") for index in (1, 2, 3, 4, 6, 7, 8, 9, 10)))),
])
def test_one_to_twelve_scenes(tmp_path, count, order):
    choice = chosen(tmp_path, scored_cells(tmp_path, {"a": list(range(count)), "b": [0] * count}))
    assert choice.order == order
    assert "not chosen by hand" in choice.rule or "None is chosen by hand" in choice.rule


def test_a_scene_whose_hr_image_no_cell_has_is_not_shown(tmp_path):
    records = scored_cells(tmp_path, {"a": [3, 9, 1], "b": [3, 9, 1]})
    for record in records:
        (tmp_path / "cells" / record.identity.key / "images" / "hr_1.png").write_bytes(b"no image")
    assert chosen(tmp_path, records).order == ((0, "worst"), (2, "best"))


def test_equal_scores_stand_in_test_order_and_none_makes_no_roles():
    assert ordered([0, 1, 2, 3], np.array([5.0, 5, 5, 5])) == (
        (0, "worst"), (2, "median"), (3, "best"), (1, ""))
    assert ordered([4, 7], np.array([np.nan, np.nan])) == ((4, ""), (7, ""))
    assert ordered([4, 7, 9], np.array([np.nan, 2.0, 1])) == (
        (7, "worst"), (9, "best"), (4, ""))


def test_scores_leave_out_what_is_not_finite():
    votes = np.array([[1.0, np.nan, np.inf], [3.0, 4.0, np.nan], [8.0, 6.0, np.nan]])
    assert agreed(votes, robust=False).tolist()[:2] == [4.0, 5.0]
    assert agreed(votes, robust=True).tolist()[:2] == [3.0, 5.0]
    assert np.isnan(agreed(votes, robust=True)[2])


def test_the_order_of_records_does_not_matter(tmp_path):
    records = scored_cells(tmp_path, {"a": [3, 9, 1, 4], "b": [2, 8, 3, 5], "c": [7, 7, 7, 1]})
    assert chosen(tmp_path, records) == chosen(tmp_path, records[::-1])
