"""The sentences at the head of a board say what its table shows and nothing it does not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from srbench.boards.definition import Definition, Expected
from srbench.boards.estimates import from_record
from srbench.boards.finding import basis, finding, p_words, with_unit
from srbench.boards.table import make_board
from srbench.registry.infos import MetricInfo
from tests.boards.worlds import entry, mix_board, mix_records, only, pictured, scored, untrained
from tests.results.factory import make_metric, make_record

ONE = ("so trained methods have no interval: a difference between methods may be chance.")


def interval(values, decimals=1):
    """The t interval of a mean, as the sentence writes it."""
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    return f"{low:.{decimals}f} to {high:.{decimals}f}"


def welch(a, b):
    """Holm leaves a single p as it is."""
    return stats.ttest_ind(a, b, equal_var=False)


# One method and none


def test_one_method_ranks_nothing():
    board = only([make_record(metrics={"psnr": 24.0}), make_record("b", status="oom")])
    assert finding(board) == "ots scores PSNR 24.00 dB. 1 of 2 cells did not finish."


def test_one_method_with_seeds_has_its_interval():
    values = [5.0, 6.0, 6.5]
    assert finding(only(scored("ots", values))) == (
        f"ots scores L2-UVP 5.8 % (95 % interval {interval(values)}).")


def test_where_nothing_finished():
    board = only([make_record(status="failed"), make_record("b", status="skipped")])
    assert finding(board) == "No cell finished: 2 of 2 ended without a result."
    assert basis(board) == ""


def test_where_no_value_exists():
    board = only([make_record(metrics={"psnr": None})])
    assert finding(board) == ("The cells that finished have no value that methods could be "
                              "compared by.")
    assert finding(only([make_record(metrics={})])) == finding(board)


@pytest.mark.parametrize(("published", "said"), [
    (0, "Nobody has run this board yet."),
    (1, "Nobody has run this board yet: 1 published result waits."),
    (2, "Nobody has run this board yet: 2 published results wait.")])
def test_where_there_is_no_record_at_all(published, said):
    wait = tuple(Expected(label=name, metric="psnr", dataset="w2", value=20.0, tolerance=1.0,
                          source="T") for name in "ab"[:published])
    definition = Definition(name="w2", title="W2", preset="quick", datasets=("w2",),
                            published=wait)
    infos = {"psnr": MetricInfo(name="psnr", title="PSNR", summary="s", direction="higher",
                                load="nowhere.plugin:Psnr")}
    board = make_board(definition, [], metrics=infos)
    assert finding(board) == said
    assert basis(board) == ""


def test_a_target_without_the_value_of_the_hr_images_ranks_nobody():
    """What is nearest to an unknown value cannot be told."""
    records = [make_record(label, metrics={"palette": make_metric("palette", value, reference={})})
               for label, value in (("a", 0.1), ("b", 0.2))]
    board = only(records)
    assert "no value that methods could be compared by" in finding(board)
    assert not any(own.best for row in board.final.rows for own in row.entries)


# Two methods and more


def test_the_whole_sentence_where_the_data_tell_them_apart():
    ots, gan = [12.0, 12.5, 13.0], [20.0, 21.0, 22.0]
    board = only([*scored("ots", ots), *scored("wgan-gp[lambda=100]", gan)])
    test = welch(gan, ots)
    low, high = test.confidence_interval(0.95)
    assert test.pvalue < 0.01
    assert finding(board) == (
        f"ots is the least biased, with L2-UVP 12.5 % (95 % interval {interval(ots)}). Next is "
        f"wgan-gp[lambda=100] with 21.0 % ({interval(gan)}): the data tell them apart (difference "
        f"8.5 %, 95 % interval {low:.1f} to {high:.1f}, p = {test.pvalue:.3f}).")


def test_the_whole_sentence_where_they_do_not():
    a, b = [5.0, 7.0, 9.0], [6.0, 8.0, 10.5]
    board = only([*scored("a", a), *scored("b", b)])
    test = welch(b, a)
    low, high = test.confidence_interval(0.95)
    assert finding(board) == (
        f"a has the lowest mean L2-UVP, 7.0 % (95 % interval {interval(a)}). Next is b with 8.2 % "
        f"({interval(b)}): the data do not tell them apart (difference 1.2 %, 95 % interval "
        f"{low:.1f} to {high:.1f}, p = {test.pvalue:.3f}).")


def test_one_seed_each_calls_no_difference_certain():
    board = only([*scored("ots", 6.0), *scored("gan", 9.4)])
    assert finding(board) == (
        "ots has the lowest mean L2-UVP, 6.0 %. Next is gan with 9.4 %; whether they differ cannot "
        "be told (one seed: how much training varies is unknown).")


def test_where_higher_is_better_the_difference_is_still_positive():
    a, b = [20.0, 20.2, 20.4], [24.0, 24.2, 24.7]
    board = only([*scored("a", a, metric="psnr"), *scored("b", b, metric="psnr")])
    low, high = welch(b, a).confidence_interval(0.95)
    text = finding(board)
    assert text.startswith(f"b has the highest PSNR, 24.30 dB (95 % interval {interval(b, 2)}). "
                           "Next is a with 20.20 dB")
    assert f"(difference 4.10 dB, 95 % interval {low:.2f} to {high:.2f}, p" in text


def test_a_metric_where_lower_is_better_but_no_bias():
    board = only([*scored("a", [0.20, 0.21], metric="lpips"),
                  *scored("b", [0.90, 0.91], metric="lpips")])
    assert finding(board).startswith("a has the lowest LPIPS, 0.205 (95 % interval ")


@pytest.mark.parametrize("metric", ["l2-uvp", "l2-uvp-official"])
def test_only_l2_uvp_is_called_bias(metric):
    values = {"a": [5.0, 5.1, 5.2], "b": [9.0, 9.1, 9.2]}
    board = only([make_record(name, seed=seed, metrics={metric: make_metric("l2-uvp", value)})
                  for name, own in values.items() for seed, value in enumerate(own)])
    assert finding(board).startswith("a is the least biased, with L2-UVP 5.1 %")


def test_a_target_is_read_against_the_hr_images():
    board = only([*scored("pale", 0.12, metric="palette"),
                  *scored("gaudy", 0.17, metric="palette")])
    assert finding(board).startswith("gaudy has the mean nearest to the HR images in Palette "
                                     "variance, 0.170. Next is pale with 0.120; whether")


def test_two_sides_of_a_target_are_not_told_apart_by_lying_on_two_sides():
    noise = 0.001 * np.random.default_rng(5).normal(size=(2, 50))
    noise -= noise.mean(1, keepdims=True)
    images = {"pale": 0.14 + noise[0], "gaudy": 0.1801 + noise[1]}
    records, evidence = pictured(images, metric="palette", trained=False)
    text = finding(only(records, evidence=evidence))
    assert "has the mean nearest to the HR images in Palette variance" in text
    assert "the data do not tell them apart (difference 0.000," in text


def test_a_target_that_is_clearly_nearer():
    records, evidence = pictured({"near": 0.159 + 0.001 * np.random.default_rng(6).normal(size=50),
                                  "far": 0.12 + 0.001 * np.random.default_rng(7).normal(size=50)},
                                 metric="palette", trained=False)
    text = finding(only(records, evidence=evidence))
    assert text.startswith("near is nearest to the HR images in Palette variance, 0.159 (95 %")
    assert ": the data tell them apart (difference 0.03" in text
    assert text.endswith("p < 0.001).")


def test_holm_decides_not_the_single_test():
    """p = 0.03 of one of several comparisons is no longer below 0.05."""
    draw = np.random.default_rng(11)
    base = draw.normal(10, 1, 60)
    shift = draw.normal(0, 1, 60)
    shift = (shift - shift.mean()) / shift.std(ddof=1)
    images = {"a": base, "b": base + 0.285 * 1.0 + shift,
              **{f"c{k}": base + 0.4 + draw.normal(0, 20, 60) for k in range(4)}}
    images = {name: values - values.mean() + mean for (name, values), mean in zip(
        images.items(), [10.0, 10.285, 11.0, 11.1, 11.2, 11.3], strict=True)}
    records, evidence = pictured(images, trained=False)
    board = only(records, evidence=evidence)
    difference = dict(entry(board, "b").against)["a"]
    assert difference.p < 0.05 < difference.adjusted
    assert "the data do not tell them apart" in finding(board)
    assert p_words(difference.adjusted) in finding(board)


# The anchor


def test_the_anchor_is_named_and_not_called_next():
    board = only([*scored("ots", 6.0), *scored("identity", 30.0)])
    assert finding(board) == "ots has the lowest mean L2-UVP, 6.0 %. identity scores 30.0 %."


def test_best_next_and_anchor():
    board = only([*scored("ots", 6.0), *scored("gan", 9.3), *scored("identity", 30.1),
                  *scored("constant", 100.0)])
    assert finding(board).endswith("is unknown). identity scores 30.1 %.")
    assert "constant" not in finding(board)


def test_settings_of_the_anchor_are_named_too():
    board = only([*scored("ots", 6.0), *scored("identity[blur=2]", 31.0),
                  *scored("identity[blur=1]", 30.0)])
    assert finding(board).endswith(" identity[blur=1] scores 30.0 %. identity[blur=2] scores "
                                   "31.0 %.")
    assert "Next is" not in finding(board)


def test_an_anchor_may_win():
    board = only([*scored("ots", 50.0), *scored("identity", 30.0)])
    assert finding(board).startswith("identity has the lowest mean L2-UVP, 30.0 %. Next is ots "
                                     "with 50.0 %; whether")


@pytest.mark.parametrize("failed", [1, 2])
def test_cells_that_did_not_finish_are_counted(failed):
    board = only([*scored("ots", 6.0), *scored("gan", 7.0),
                  *(make_record("dead", seed=seed, status="oom") for seed in range(failed))])
    assert finding(board).endswith(f". {failed} of {2 + failed} cells did not finish.")


def test_a_seed_without_value_is_not_part_of_the_mean():
    missing = make_metric("l2-uvp", None, unavailable="output is not finite")
    board = only([make_record(seed=0, metrics={"l2-uvp": 6.0}),
                  make_record(seed=1, metrics={"l2-uvp": missing})])
    assert finding(board) == "ots scores L2-UVP 6.0 %."
    assert board.final.rows[0].seeds == (0, 1)
    assert board.seeds == (0, 1)


def test_seeds_that_failed_are_not_among_the_boards_seeds():
    board = only([*scored("a", [1.0, 1.1]), make_record("a", seed=7, status="crashed")])
    assert board.seeds == (0, 1)
    assert [failure.seed for failure in board.failures] == [7]


def test_ties_are_told_in_the_order_of_labels():
    board = only([*scored("b[k=10]", 5.0), *scored("b[k=9]", 5.0), *scored("a", 5.0)])
    assert [row.label for row in board.final.rows] == ["a", "b[k=9]", "b[k=10]"]
    assert all(row.entries[0].best for row in board.final.rows)
    assert finding(board).startswith("a has the lowest mean L2-UVP, 5.0 %. Next is b[k=9]")


def test_several_datasets_are_told_by_the_one_that_ranks():
    board = mix_board(mix_records({"a": {2: 1.0, 4: 9.0}, "b": {2: 2.0, 4: 3.0}}))
    assert finding(board).startswith("a has the lowest mean L2-UVP, dim=2, 1.0 %. Next is b")


# What the numbers rest on


def test_the_basis_of_one_seed():
    board = only([*scored("a", 1.0), *scored("b", 2.0)])
    assert basis(board).startswith("1,000 test pairs; 1 seed of each trained method. One seed says "
                                   "nothing about how much training varies, ")
    assert basis(board).endswith(ONE)


def test_the_basis_of_seeds_alone_does_not_claim_images():
    board = only([*scored("a", [1.0, 1.1, 1.2]), *scored("b", [2.0, 2.1, 2.2])])
    assert basis(board) == ("1,000 test pairs; 3 seeds of each trained method. Intervals are 95 %, "
                            "over training seeds; test images not accounted for.")


def test_the_basis_of_seeds_and_images():
    draw = np.random.default_rng(0)
    records, evidence = pictured({name: draw.normal(9, 1, (3, 20)) for name in "ab"})
    assert basis(only(records, evidence=evidence)) == (
        "1,000 test pairs; 3 seeds of each trained method. Intervals are 95 %, over training seeds "
        "and test images together.")


def test_the_basis_is_that_of_the_intervals_there_are():
    """The anchor has no values of images, and no interval that the sentence could be about."""
    pictures, of_images = pictured({"ots": np.random.default_rng(0).normal(9, 1, (3, 20))})

    def evidence(records, metric):
        make = of_images if records[0].identity.label == "ots" else from_record
        return make(records, metric)

    board = only([*pictures, *untrained("identity", 30.0)], evidence=evidence)
    assert entry(board, "identity").estimate.interval is None
    assert basis(board).endswith("over training seeds and test images together.")


def test_the_basis_of_unequal_seeds():
    board = only([*scored("a", [1.0, 1.1, 1.2]), *scored("b", 2.0)])
    assert "; 1 to 3 seeds of each trained method." in basis(board)
    assert basis(board).endswith(" Methods with one seed have no interval.")


def test_untrained_methods_do_not_count_as_seeds():
    board = only([*scored("a", [1.0, 1.1, 1.2]), *untrained("identity", 9.0)])
    assert "; 3 seeds of each trained method." in basis(board)
    assert basis(only(untrained("identity", 9.0))) == "1,000 test pairs; nothing was trained."


def test_a_metric_without_a_count_names_no_pairs():
    board = only([make_record(metrics={"psnr": make_metric("psnr", 20.0, count=0)})])
    assert basis(board).startswith("1 seed of each")


# Words


@pytest.mark.parametrize(("p", "words"), [
    (0.0, "p < 0.001"), (0.00099, "p < 0.001"), (0.001, "p = 0.001"), (0.0421, "p = 0.042"),
    (1.0, "p = 1.000")])
def test_p_values(p, words):
    assert p_words(p) == words


def test_numbers_have_their_unit():
    column, = only(scored("a", 1.0)).final.columns
    assert with_unit(1.25, column) == "1.2 %"
    column, = only([make_record(metrics={"lpips": 0.1})]).final.columns
    assert with_unit(0.1, column) == "0.100"
