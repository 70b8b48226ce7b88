"""Estimates, ranks and differences of a board against SciPy and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from srbench.boards.board import Column, Entry
from srbench.boards.ranking import badness, compared, ranked
from srbench.results.statistics import (
    ONE_SEED,
    SEEDS_ONLY,
    Bootstrap,
    Difference,
    Estimate,
    Sample,
)
from tests.boards.worlds import (
    MIX,
    entry,
    labels,
    mix_board,
    mix_records,
    only,
    pictured,
    scored,
    untrained,
)
from tests.results.factory import make_metric, make_record


def draws(mean, *, seeds=1, images=40, sd=1.0, between=0.0, seed=0):
    """Values of images, (S, N), whose mean is exact."""
    draw = np.random.default_rng(seed)
    values = draw.normal(0, sd, (seeds, images)) + draw.normal(0, between or 1e-9, (seeds, 1))
    return values - values.mean() + mean


def t_interval(values):
    return stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))


# Estimates


def test_three_seeds_without_images_have_the_t_interval_over_seeds():
    values = [5.0, 6.0, 8.5]
    found = entry(only(scored("ots", values)), "ots").estimate
    assert found.mean == pytest.approx(6.5)
    assert found.seed_sd == pytest.approx(np.std(values, ddof=1))
    assert found.interval == pytest.approx(t_interval(values))
    assert (found.seeds, found.scenes, found.scene_interval) == (3, 0, None)
    assert found.why == SEEDS_ONLY


def test_one_seed_has_no_interval():
    found = entry(only(scored("ots", 6.0)), "ots").estimate
    assert (found.mean, found.seed_sd, found.interval, found.why) == (6.0, None, None, ONE_SEED)


def test_an_untrained_method_has_the_t_interval_over_images():
    values = draws(30.0)
    records, evidence = pictured({"bicubic": values}, trained=False)
    found = entry(only(records, evidence=evidence), "bicubic").estimate
    assert found.interval == pytest.approx(t_interval(values[0]))
    assert found.scene_interval == pytest.approx(Bootstrap().interval(values[0]))
    assert found.scene_interval == pytest.approx(stats.bootstrap(
        (values[0],), np.mean, method="percentile", n_resamples=20_000,
        rng=np.random.default_rng(1)).confidence_interval, abs=0.03)
    assert (found.scenes, found.seeds, found.seed_sd, found.why) == (40, 1, None, "")


def test_crops_of_one_scene_count_once():
    """Eight scenes of five equal crops: the interval is that of eight values."""
    scenes = np.random.default_rng(3).normal(10, 1, 8)
    records, evidence = pictured({"bicubic": np.repeat(scenes, 5)[None]}, trained=False,
                                 clusters=np.repeat(np.arange(8), 5))
    found = entry(only(records, evidence=evidence), "bicubic").estimate
    assert found.scenes == 8
    assert found.interval == pytest.approx(t_interval(scenes))


def test_seeds_and_images_together_are_wider_than_either():
    values = draws(10.0, seeds=4, between=0.5)
    records, evidence = pictured({"ots": values})
    found = entry(only(records, evidence=evidence), "ots").estimate
    half = (found.interval[1] - found.interval[0]) / 2
    scenes = t_interval(values.mean(0))
    seeds = t_interval(values.mean(1))
    assert half > (scenes[1] - scenes[0]) / 2
    assert half < (scenes[1] - scenes[0]) / 2 + (seeds[1] - seeds[0]) / 2
    assert sum(found.interval) / 2 == pytest.approx(10.0)
    assert found.seed_sd == pytest.approx(values.mean(1).std(ddof=1))


def test_only_seeds_with_a_value_are_part_of_the_mean():
    gone = make_metric("l2-uvp", None, unavailable="output is not finite")
    board = only([*scored("ots", [5.0, 7.0]), make_record(seed=2, metrics={"l2-uvp": gone})])
    found = entry(board, "ots").estimate
    assert (found.mean, found.seeds) == (6.0, 2)
    assert board.final.rows[0].seeds == (0, 1, 2)


def test_seeds_of_another_protocol_are_not_part_of_the_mean():
    other = make_metric("l2-uvp", 50.0, protocol="l2-uvp/other/v1")
    board = only([*scored("ots", [5.0, 7.0]), make_record(seed=2, metrics={"l2-uvp": other})])
    found = {column.protocol: own.mean for column, own in zip(
        board.final.columns, board.final.rows[0].entries, strict=True)}
    assert found == {"l2-uvp/total-variance/v1": 6.0, "l2-uvp/other/v1": 50.0}


def test_evidence_is_asked_of_the_last_iterate_only():
    asked = []

    def evidence(records, metric):
        asked.append((records[0].identity.label, metric))
        return Sample(seeds=(0,), values=np.array([3.0]))

    board = only([make_record(metrics={"l2-uvp": 6.0}, oracle={"l2-uvp": 5.0})], evidence=evidence)
    assert asked == [("ots", "l2-uvp")]
    assert board.final.rows[0].entries[0].mean == 3.0
    assert board.oracle.rows[0].entries[0].mean == 5.0


# Ranks and marks


def column(direction="lower", **changes):
    return Column(**{"name": "m", "metric": "m", "title": "M", "unit": "", "decimals": 2,
                     "direction": direction, "protocol": "m/v1", "count": 9, "reference": {},
                     **changes})


def estimated(mean, interval=None):
    return Estimate(mean=mean, seeds=1, scenes=0, seed_sd=None, scene_interval=None,
                    interval=interval)


def table(shown, *entries):
    """Rank rows whose means and intervals are given; return (rank, best) of each."""
    rows = [only([make_record(name)]).final.rows[0] for name in "abcdefgh"[:len(entries)]]
    rows = [type(row)(label=name, anchor=name, method=name, seeds=(0,), entries=(Entry(
        estimate=None if own is None else estimated(*own)),))
        for row, name, own in zip(rows, "abcdefgh", entries, strict=False)]
    return [(row.entries[0].rank, row.entries[0].best) for row in ranked(rows, [shown])]


def test_ranks_by_hand_where_lower_is_better():
    assert table(column(), (1.0, (0.0, 2.0)), (1.5, (1.0, 2.5)), (4.0, (3.0, 5.0)), (9.0,)) == [
        ((1, 2), True), ((1, 2), False), ((3, 3), False), (None, False)]


def test_ranks_are_turned_where_higher_is_better():
    assert table(column("higher"), (1.0, (0.0, 2.0)), (1.5, (1.0, 2.5)), (4.0, (3.0, 5.0))) == [
        ((2, 3), False), ((2, 3), False), ((1, 1), True)]


def test_ranks_by_the_distance_to_a_target():
    """HR is 10. 9 to 12 holds it: distance 0 to 2; 13 to 14: 3 to 4; 6 to 7: 3 to 4; 1 to 2: 8+."""
    shown = column("target", reference={"hr": 10.0})
    assert table(shown, (10.5, (9.0, 12.0)), (13.5, (13.0, 14.0)), (6.5, (6.0, 7.0)),
                 (1.5, (1.0, 2.0))) == [
        ((1, 1), True), ((2, 3), False), ((2, 3), False), ((4, 4), False)]


def test_an_interval_that_holds_the_target_overlaps_the_nearest():
    """2 to 11 holds 10 though its mean is far: its distance may be 0, up to 8."""
    shown = column("target", reference={"hr": 10.0})
    assert table(shown, (6.5, (2.0, 11.0)), (9.5, (9.0, 9.9))) == [
        ((1, 2), False), ((1, 2), True)]


def test_the_distance_of_an_interval_that_holds_the_target_begins_at_zero():
    """Its ends are 1 and 2 away from 10, those of the other 0.5 and 0.8."""
    shown = column("target", reference={"hr": 10.0})
    assert [rank for rank, _ in table(shown, (10.6, (9.0, 12.0)), (10.6, (10.5, 10.8)))] == [
        (1, 2), (1, 2)]


def test_a_target_without_the_value_of_the_hr_images_ranks_nobody():
    assert table(column("target"), (1.0, (0.0, 2.0)), (4.0, (3.0, 5.0))) == [(None, False)] * 2


def test_values_that_look_the_same_share_the_mark():
    assert [best for _, best in table(column(), (6.101,), (6.104,), (6.2,))] == [True, True, False]


def test_a_single_row_is_not_called_best():
    assert table(column(), (1.0, (0.5, 1.5))) == [((1, 1), False)]


def test_missing_values_are_neither_best_nor_ranked():
    assert table(column(), None, (1.0, (0.5, 1.5)), (math.nan,)) == [
        (None, False), ((1, 1), True), (None, False)]
    assert table(column(), None, None) == [(None, False)] * 2


def test_badness_of_what_is_not_there_is_infinite():
    assert badness(Entry(), column()) == math.inf
    assert badness(Entry(estimate=estimated(math.nan)), column()) == math.inf
    assert badness(Entry(estimate=estimated(3.0)), column("higher")) == -3.0


def test_each_column_has_its_own_best():
    board = only([make_record("a", metrics={"l2-uvp": 1.0, "psnr": 20.0}),
                  make_record("b", metrics={"l2-uvp": 2.0, "psnr": 30.0})])
    assert [[own.best for own in row.entries] for row in board.final.rows] == [
        [True, False], [False, True]]


# Differences


def test_untrained_methods_are_compared_by_the_paired_t_test():
    images = {"a": draws(10.0, seed=1), "b": draws(10.4, seed=2), "bicubic": draws(12.0, seed=3)}
    records, evidence = pictured(images, trained=False)
    board = only(records, evidence=evidence)
    assert labels(board) == ["a", "b", "bicubic"]
    found = {label: dict(entry(board, label).against) for label in labels(board)}
    assert {label: set(against) for label, against in found.items()} == {
        "a": {"bicubic"}, "b": {"a", "bicubic"}, "bicubic": {"a"}}
    for label, opponent in [("a", "bicubic"), ("b", "a"), ("b", "bicubic"), ("bicubic", "a")]:
        expected = stats.ttest_rel(images[label][0], images[opponent][0])
        difference = found[label][opponent]
        assert difference.difference == pytest.approx(images[label].mean()
                                                      - images[opponent].mean())
        assert difference.p == pytest.approx(expected.pvalue)
        assert difference.interval == pytest.approx(expected.confidence_interval(0.95))


def test_trained_methods_without_images_are_compared_by_welchs_t_test():
    values = {"a": [5.0, 6.0, 8.0], "b": [9.0, 9.5, 9.7, 11.0]}
    board = only([record for label, own in values.items() for record in scored(label, own)])
    difference = dict(entry(board, "b").against)["a"]
    expected = stats.ttest_ind(values["b"], values["a"], equal_var=False)
    assert difference.p == pytest.approx(expected.pvalue)
    assert difference.interval == pytest.approx(expected.confidence_interval(0.95))
    assert difference.seeds == (4, 3)


def test_holms_family_is_one_column_and_one_opponent():
    """Adjusted by hand: the smallest p of k is multiplied by k, the next by k - 1, and so on."""
    images = {name: draws(mean, seed=seed) for seed, (name, mean) in enumerate(
        {"a": 10.0, "b": 10.2, "c": 10.5, "identity": 10.9}.items())}
    records, evidence = pictured(images, trained=False)
    board = only(records, evidence=evidence)
    for opponent in ("a", "identity"):
        found = {row.label: dict(row.entries[0].against)[opponent] for row in board.final.rows
                 if row.label != opponent}
        assert len(found) == 3
        order = sorted(found, key=lambda label: found[label].p)
        steps = [found[label].p * (3 - rank) for rank, label in enumerate(order)]
        for rank, label in enumerate(order):
            assert found[label].adjusted == pytest.approx(min(1.0, max(steps[:rank + 1])))


def test_one_seed_is_compared_without_a_test():
    board = only([*scored("a", 1.0), *scored("b", 2.5), *scored("c", [3.0, 4.0])])
    found = dict(entry(board, "b").against)["a"]
    assert (found.difference, found.p, found.adjusted, found.interval) == (1.5, None, None, None)
    assert found.why == ONE_SEED


def test_a_comparison_that_cannot_be_made_does_not_count_for_holm():
    board = only([*scored("a", [1.0, 1.1, 1.2]), *scored("b", [2.0, 2.1, 2.3]), *scored("c", 9.0)])
    found = dict(entry(board, "b").against)["a"]
    assert found.adjusted == found.p
    assert dict(entry(board, "c").against)["a"].adjusted is None


def test_the_best_is_the_reference():
    board = only([*scored("identity", [1.0, 1.5]), *scored("ots", [2.0, 2.5])])
    assert board.reference == "identity"
    assert entry(board, "identity").against == ()
    assert [label for label, _ in entry(board, "ots").against] == ["identity"]


def test_where_higher_is_better_differences_stay_plain():
    board = only([*scored("a", [20.0, 21.0], metric="psnr"),
                  *scored("b", [24.0, 25.0], metric="psnr")])
    assert labels(board) == ["b", "a"]
    assert dict(entry(board, "a").against)["b"].difference == -4.0


def test_two_sides_of_a_target_are_compared_by_their_distance():
    """Both are 0.02 from the HR images' 0.16: no data can call one of them nearer."""
    images = {"pale": draws(0.14, sd=0.001, seed=1), "gaudy": draws(0.1801, sd=0.001, seed=2)}
    records, evidence = pictured(images, metric="palette", trained=False)
    board = only(records, evidence=evidence)
    assert labels(board) == ["pale", "gaudy"]
    found = dict(entry(board, "gaudy").against)["pale"]
    expected = stats.ttest_rel(images["gaudy"][0] - 0.16, 0.16 - images["pale"][0])
    assert found.difference == pytest.approx(0.0001)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.p > 0.05 > stats.ttest_rel(images["gaudy"][0], images["pale"][0]).pvalue


def test_a_target_that_is_not_known_compares_nobody():
    records = [make_record(name, metrics={"palette": make_metric("palette", value, reference={})})
               for name, value in [("a", 0.1), ("identity", 0.2)]]
    assert all(own.against == () for row in only(records).final.rows for own in row.entries)


def test_one_value_in_a_column_is_compared_with_nothing():
    gone = make_metric("l2-uvp", None, unavailable="broken")
    board = only([*scored("a", [1.0, 2.0]), make_record("b", metrics={"l2-uvp": gone})])
    assert entry(board, "a").against == ()
    assert entry(board, "b").against == ()
    assert entry(board, "a").best


def test_other_test_images_are_said_and_stop_nothing():
    images = {"a": draws(1.0, images=40), "b": draws(2.0, images=30)}
    records, evidence = pictured(images, trained=False)
    found = dict(entry(only(records, evidence=evidence), "b").against)["a"]
    assert found.difference == pytest.approx(1.0)
    assert (found.p, found.interval) == (None, None)
    assert "different test images" in found.why


def test_several_datasets_are_compared_within_each():
    records = mix_records({"a": {2: 1.0, 4: 5.0}, "b": {2: 2.0, 4: 4.0}, "identity": {2: 9.0}})
    board = mix_board(records)
    by_label = {row.label: [dict(own.against) for own in row.entries] for row in board.final.rows}
    assert [set(own) for own in by_label["a"]] == [{"identity"}, {"b"}]
    assert [set(own) for own in by_label["b"]] == [{"a", "identity"}, set()]
    assert by_label["b"][0]["a"].difference == 1.0
    assert board.datasets == MIX


def test_compared_leaves_rows_without_sample_alone():
    rows = only([*scored("a", [1.0, 2.0]), *scored("b", [3.0, 4.0])]).final.rows
    bare = [type(row)(**{**row.__dict__, "entries": (Entry(estimate=row.entries[0].estimate),)})
            for row in rows]
    assert compared(bare, [column()], lambda label, shown: None, "a") == bare


def test_a_defined_reference_and_precisions():
    records = [record for precision in ("fp32", "bf16") for record in
               [*scored("ots", [2.0, 2.5], precision=precision),
                *untrained("identity", 9.0, precision=precision)]]
    board = only(records)
    assert board.reference == "identity (bf16)"
    assert isinstance(dict(entry(board, "ots (fp32)").against)[board.reference], Difference)
