"""Statistics against closed forms, scipy and published examples."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from srbench.results.components import Variance, pooled
from srbench.results.crossed import NOT_FINITE, ONE_SCENE, ONE_SEED, OTHER_IMAGES, SEEDS_ONLY
from srbench.results.statistics import (
    Bootstrap,
    Sample,
    badness,
    compare,
    estimate,
    estimate_all,
    holm,
    rank_ranges,
)

RNG = np.random.default_rng(20)
SMALL = Bootstrap(resamples=50)


def of(scenes, **changes):
    """A sample of values of images, its seeds' values being their means."""
    scenes = np.atleast_2d(np.asarray(scenes, float))
    about = {"seeds": tuple(range(len(scenes))), "values": scenes.mean(1), "scenes": scenes}
    return Sample(**{**about, **changes})


def of_values(*values, **changes):
    return Sample(seeds=tuple(range(len(values))), values=np.array(values, float), **changes)


# One source of variance: textbook intervals and tests.

def test_without_images_the_interval_is_that_of_a_t_test_over_seeds():
    found = estimate(of_values(5.1, 4.9, 5.6, 4.7))
    wanted = stats.ttest_1samp([5.1, 4.9, 5.6, 4.7], 0).confidence_interval()
    assert found.interval == pytest.approx((wanted.low, wanted.high), rel=1e-9)
    assert found.seed_sd == pytest.approx(np.std([5.1, 4.9, 5.6, 4.7], ddof=1))
    assert (found.why, found.scenes, found.scene_interval) == (SEEDS_ONLY, 0, None)


def test_an_untrained_method_has_the_t_interval_over_images():
    values = RNG.normal(3, 1, 40)
    found = estimate(of([values] * 3, trained=False))
    wanted = stats.ttest_1samp(values, 0).confidence_interval()
    assert found.interval == pytest.approx((wanted.low, wanted.high), rel=1e-9)
    assert (found.seed_sd, found.seeds, found.scenes, found.why) == (None, 3, 40, "")


def test_two_untrained_methods_reduce_to_the_paired_t_test():
    a, b = RNG.normal(size=(2, 30)) + RNG.normal(size=30) * 5
    found = compare(of([a], trained=False), of([b, b], trained=False))
    wanted = stats.ttest_rel(a, b)
    assert found.p == pytest.approx(wanted.pvalue, rel=1e-8)
    ends = wanted.confidence_interval()
    assert found.interval == pytest.approx((ends.low, ends.high), rel=1e-8)
    assert found.difference == pytest.approx(a.mean() - b.mean())
    assert found.seeds == (1, 2)


def test_without_images_a_comparison_is_welchs_test():
    a, b = [4.2, 3.9, 5.0], [6.1, 5.8, 7.9, 6.6, 7.2]
    found = compare(of_values(*a), of_values(*b))
    wanted = stats.ttest_ind(a, b, equal_var=False)
    assert found.p == pytest.approx(wanted.pvalue, rel=1e-8)
    ends = wanted.confidence_interval()
    assert found.interval == pytest.approx((ends.low, ends.high), rel=1e-8)
    assert found.why == SEEDS_ONLY


def test_welch_example_of_the_1947_paper_by_degrees_of_freedom():
    """s^2/n of 20 and 5 with 9 and 19 degrees of freedom: (25)^2 / (400/9 + 25/19)."""
    total, freedom = pooled([20.0, 5.0], [9, 19])
    assert (total, freedom) == (25.0, pytest.approx(625 / (400 / 9 + 25 / 19)))
    assert pooled([0.0, 0.0], [2, 4]) == (0.0, 2)


# Two sources.

def anova(scenes):
    """Mean squares of seeds, scenes, interaction, written as their definition."""
    s, c = scenes.shape
    total = scenes.mean()
    seeds = c * sum((row.mean() - total)**2 for row in scenes) / (s - 1)
    images = s * sum((column.mean() - total)**2 for column in scenes.T) / (c - 1)
    inter = sum((scenes[i, j] - scenes[i].mean() - scenes[:, j].mean() + total)**2
                for i in range(s) for j in range(c)) / ((s - 1) * (c - 1))
    return seeds, images, inter


def test_the_interval_is_the_formula_of_the_docs():
    scenes = (RNG.normal(size=(3, 1)) + 2 * RNG.normal(size=(1, 12))
              + 0.3 * RNG.normal(size=(3, 12)))
    seeds, images, inter = (part / scenes.size for part in anova(scenes))
    added = max(seeds - inter / 2, 0)
    added *= added / (added + 0.2 * images)
    half = math.sqrt(added * stats.t.ppf(0.975, 2)**2 + images * stats.t.ppf(0.975, 11)**2)
    found = estimate(of(scenes))
    assert found.interval == pytest.approx((scenes.mean() - half, scenes.mean() + half), rel=1e-8)


def test_the_comparison_is_the_formula_of_the_docs():
    shared = 2 * RNG.normal(size=(1, 12))
    a, b = (shared + RNG.normal(size=(s, 1)) + 0.3 * RNG.normal(size=(s, 12)) for s in (3, 2))
    (seed_a, _, inter_a), (seed_b, _, inter_b) = anova(a), anova(b)
    seeds, freedom = pooled([seed_a / a.size, seed_b / b.size], [2, 1])
    images = (a.mean(0) - b.mean(0)).var(ddof=1) / 12
    added = max(seeds - (inter_a / a.size + inter_b / b.size) / 2, 0)
    added *= added / (added + 0.2 * images)
    half = math.sqrt(added * stats.t.ppf(0.975, freedom)**2 + images * stats.t.ppf(0.975, 11)**2)
    found = compare(of(a), of(b))
    assert found.interval == pytest.approx(
        (found.difference - half, found.difference + half), rel=1e-7)


@pytest.mark.parametrize("size", [0.2, 1.0, 3.0, 40.0, 1e3])
def test_p_is_where_the_interval_ends_at_zero(size):
    variance = Variance(seeds=0.4, seed_freedom=2.3, scenes=0.1, scene_freedom=19, interaction=0.01)
    p = variance.p(-size)
    assert variance.margin(1 - p) == pytest.approx(size, rel=1e-4)
    assert (p < 0.05) == (variance.margin(0.95) < size)
    assert variance.p(0.0) == 1.0


def test_p_values_too_small_to_tell_are_zero_and_nothing_overflows():
    variance = Variance(seeds=1e-9, seed_freedom=200, scenes=1e-9, scene_freedom=500)
    assert variance.p(1e6) == 0.0
    assert Variance().p(1.0) == 0.0
    assert Variance().p(0.0) == 1.0
    assert Variance().margin(0.95) == 0.0


def test_pairing_removes_what_scenes_share():
    shared = 100 * RNG.normal(size=50)
    a, b = (of(shared + RNG.normal(size=(3, 50))) for _ in range(2))
    low, high = compare(a, b).interval
    assert high - low < 2
    low, high = estimate(a, SMALL).interval
    assert high - low > 30


# Clusters.

def test_clusters_of_one_size_are_their_means():
    scenes = RNG.normal(size=(3, 24)) + np.repeat(RNG.normal(size=(1, 8)), 3, axis=1)
    found = estimate(of(scenes, clusters=np.repeat(np.arange(8), 3)))
    wanted = estimate(of(scenes.reshape(3, 8, 3).mean(2)))
    assert found.interval == pytest.approx(wanted.interval, rel=1e-9)
    assert found.scene_interval == pytest.approx(wanted.scene_interval, rel=1e-6)
    assert found.scenes == 8


def test_the_estimand_of_unequal_clusters_is_the_mean_over_images():
    """Against the linearised variance of a ratio of totals (Cochran, 1977, section 2.11)."""
    sizes = np.array([1, 5, 2, 9, 3, 4])
    clusters = np.repeat(np.arange(6) * 7 - 3, sizes)
    values = RNG.normal(size=24) + np.repeat(RNG.normal(size=6), sizes)
    found = estimate(of([values], clusters=clusters, trained=False))
    assert found.mean == pytest.approx(values.mean())
    totals = np.array([values[clusters == c].sum() for c in np.unique(clusters)])
    variance = np.square(totals - values.mean() * sizes).sum() / 5 / 6 / 4**2
    half = stats.t.ppf(0.975, 5) * math.sqrt(variance)
    assert found.interval == pytest.approx((values.mean() - half, values.mean() + half), rel=1e-8)


# The bootstrap.

def test_the_bootstrap_agrees_with_scipys():
    values = RNG.exponential(size=80)
    found = Bootstrap(resamples=20_000).interval(values)
    wanted = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile",
                             rng=np.random.default_rng(1)).confidence_interval
    width = wanted.high - wanted.low
    assert found == pytest.approx((wanted.low, wanted.high), abs=0.03 * width)


def test_the_bootstrap_is_the_percentile_of_its_own_resamples():
    sizes = np.array([2, 1, 4, 3, 1])
    clusters = np.repeat(np.arange(5), sizes)
    values = RNG.normal(10, 1, 11)
    bootstrap = Bootstrap(resamples=101)
    means = []
    for weights in bootstrap.weights(5):
        drawn = np.concatenate([values[clusters == c] for c in range(5)
                                for _ in range(int(weights[c]))])
        means.append(drawn.mean())
    assert bootstrap.interval(values, clusters) == pytest.approx(
        np.quantile(means, [0.025, 0.975]), rel=1e-8)


def test_weights_are_multinomial_and_the_same_for_every_object():
    weights = Bootstrap().weights(30)
    assert weights.shape == (2000, 30)
    assert (weights.sum(1) == 30).all()
    assert weights.mean() == 1
    assert weights.var() == pytest.approx(29 / 30, rel=0.03)
    np.testing.assert_array_equal(weights, Bootstrap().weights(30))
    assert weights[0, :12].tolist() == [3, 0, 0, 2, 2, 0, 2, 2, 1, 2, 1, 0]  # on every machine


def test_many_samples_at_once_give_what_one_gives():
    samples = [of(RNG.normal(size=(2, 15))), of_values(1, 2), of(RNG.normal(size=(3, 9))),
               of(RNG.normal(size=(2, 15)), clusters=np.arange(15) // 4),
               of_values(1, 2, spread=np.array([0.1, 0.2]))]
    assert estimate_all(samples, SMALL) == [estimate(sample, SMALL) for sample in samples]


def test_a_large_common_mean_costs_no_digits():
    values = RNG.normal(size=40)
    low, high = Bootstrap().interval(values)
    assert Bootstrap().interval(values + 1e7) == pytest.approx((low + 1e7, high + 1e7), abs=1e-6)


@pytest.mark.parametrize("count", [0, -3])
def test_a_bootstrap_without_resamples_is_refused(count):
    with pytest.raises(ValueError, match="take 1 or more"):
        Bootstrap(resamples=count)


# Metrics that are no mean over images.

def test_spread_adds_to_the_seeds_undivided():
    found = estimate(of_values(10.0, 10.6, 10.2, spread=np.array([0.3, 0.4, 0.5])))
    images = (0.09 + 0.16 + 0.25) / 3
    seeds = np.var([10, 10.6, 10.2], ddof=1) / 3
    added = seeds**2 / (seeds + 0.2 * images)
    half = math.sqrt(added * stats.t.ppf(0.975, 2)**2 + images * stats.norm.ppf(0.975)**2)
    middle = np.mean([10, 10.6, 10.2])
    assert found.interval == pytest.approx((middle - half, middle + half), rel=1e-8)
    half = stats.norm.ppf(0.975) * math.sqrt(images)
    assert found.scene_interval == pytest.approx((middle - half, middle + half), rel=1e-8)
    assert found.why == ""


def test_spread_of_an_untrained_method_is_a_z_interval():
    found = estimate(of_values(10, 10, spread=np.array([0.5, 0.5]), trained=False))
    assert found.interval == pytest.approx((10 - 0.98, 10 + 0.98), abs=1e-3)


def test_jackknife_deviations_behave_as_values_of_groups():
    """With the jackknife of a mean they are the groups' means themselves."""
    groups = RNG.normal(size=(3, 10)) + RNG.normal(size=(1, 10))
    values = groups.mean(1)
    found = estimate(of_values(*values, jackknife=groups - values[:, None]))
    wanted = estimate(of(groups))
    assert found.interval == pytest.approx(wanted.interval, rel=1e-9)
    assert found.scenes == 0
    half = stats.t.ppf(0.975, 9) * groups.mean(0).std(ddof=1) / math.sqrt(10)
    assert found.scene_interval == pytest.approx((values.mean() - half, values.mean() + half))
    other = groups + 0.1 * RNG.normal(size=(3, 10))
    paired = compare(of_values(*values, jackknife=groups - values[:, None]),
                     of_values(*other.mean(1), jackknife=other - other.mean(1)[:, None]))
    assert paired.interval == pytest.approx(compare(of(groups), of(other)).interval, rel=1e-8)


def test_jackknifes_of_other_groups_are_compared_unpaired():
    a = of_values(1.0, 1.0, jackknife=np.tile([-0.4, 0.4], (2, 2)), trained=False)
    b = of_values(1.5, 1.5, spread=np.array([0.3, 0.3]), trained=False)
    low, high = compare(a, b).interval
    variance = np.var([-0.4, 0.4] * 2, ddof=1) / 4 + 0.09
    assert high - low == pytest.approx(2 * stats.norm.ppf(0.975) * math.sqrt(variance))


# What cannot be said.

def test_one_seed_says_so_instead_of_an_interval():
    found = estimate(of(RNG.normal(size=(1, 20))))
    assert (found.interval, found.seed_sd, found.why) == (None, None, ONE_SEED)
    assert found.scene_interval is not None
    difference = compare(of(RNG.normal(size=(1, 20))), of(RNG.normal(size=(3, 20))))
    assert (difference.interval, difference.p, difference.why) == (None, None, ONE_SEED)
    assert difference.seeds == (1, 3)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_not_finite_have_no_interval(bad):
    scenes = RNG.normal(size=(3, 10))
    scenes[1, 2] = bad
    values = np.array([1.0, 2.0, 3.0])
    for sample in (of(scenes, values=values), of_values(1, bad, 2),
                   of_values(1, 2, spread=np.array([0.1, bad]))):
        found = estimate(sample)
        assert (found.interval, found.scene_interval, found.why) == (None, None, NOT_FINITE)
        assert compare(sample, of_values(1, 2, 3)).p is None


def test_one_image_leaves_the_seeds():
    found = estimate(of([[1.0], [2.0], [4.0]]))
    wanted = estimate(of_values(1, 2, 4))
    assert (found.interval, found.why, found.scene_interval) == (wanted.interval, ONE_SCENE, None)
    alone = estimate(of([[1.0]], trained=False))
    assert (alone.interval, alone.why) == (None, ONE_SCENE)


def test_an_untrained_method_without_images_has_no_interval():
    found = estimate(of_values(3, 3, trained=False, note="the file is missing"))
    assert (found.interval, found.why) == (None, f"{SEEDS_ONLY}: the file is missing")


def test_methods_measured_on_other_images_are_not_compared():
    found = compare(of(RNG.normal(size=(3, 9))), of(RNG.normal(size=(3, 10))))
    assert (found.interval, found.p, found.why) == (None, None, OTHER_IMAGES)


def test_equal_values_have_an_interval_of_no_width():
    same = of(np.full((3, 8), 2.5))
    assert estimate(same).interval == estimate(same).scene_interval == (2.5, 2.5)
    assert compare(same, same).p == 1.0
    assert compare(same, of(np.full((3, 8), 2.0))).p == 0.0
    assert rank_ranges([(2.5, 2.5), (2.5, 2.5), (2.6, 2.7)]) == [(1, 2), (1, 2), (3, 3)]


@pytest.mark.parametrize(("changes", "message"), [
    ({"seeds": ()}, "0 seeds have values"), ({"values": np.ones(2)}, "3 seeds have values"),
    ({"scenes": np.ones((2, 5))}, r"not \(3, N\)"), ({"scenes": np.ones((3, 0))}, r"not \(3, N\)"),
    ({"jackknife": np.ones(3)}, "jackknife have the shape"),
    ({"spread": np.ones(4)}, "spread has the shape")])
def test_arrays_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Sample(**{"seeds": (0, 1, 2), "values": np.ones(3), **changes})


def test_clusters_that_name_other_images_are_refused():
    with pytest.raises(ValueError, match="do not name the scene of each of 5 images"):
        estimate(of(np.ones((2, 5)), clusters=np.arange(4)))


# Scales.

def test_badness_turns_what_is_better_into_smaller():
    sample = of([[0.2, 0.4], [0.3, 0.5]])
    assert badness(sample, "lower").values.tolist() == sample.values.tolist()
    assert badness(sample, "higher").scenes.tolist() == (-sample.scenes).tolist()
    above, below = badness(sample, "target", 0.1), badness(sample, "target", 0.5)
    assert above.values == pytest.approx([0.2, 0.3])
    assert below.values == pytest.approx([0.2, 0.1])
    assert below.scenes.mean() == pytest.approx(0.15)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 4), st.integers(2, 12), st.floats(-50, 50), st.floats(0.01, 100),
       st.integers(0, 2**32 - 1), st.booleans())
def test_intervals_follow_shift_and_scale_and_no_order(seeds, images, shift, scale, seed, crops):
    draw = np.random.default_rng(seed)
    scenes = draw.normal(size=(seeds, images)) + draw.normal(size=(seeds, 1))
    clusters = draw.integers(0, max(2, images // 2), images) if crops else None
    sample, other = of(scenes, clusters=clusters), of(draw.normal(size=(seeds, images)),
                                                      clusters=clusters)
    found, gap = estimate(sample, SMALL), compare(sample, other)
    moved = of(scale * scenes + shift, clusters=clusters)
    again = estimate(moved, SMALL)
    tolerance = 1e-6 * (1 + abs(shift) + scale)
    for name in ("interval", "scene_interval"):
        wanted = getattr(found, name)
        if wanted is not None:
            assert getattr(again, name) == pytest.approx(
                [scale * end + shift for end in wanted], abs=tolerance)
    back = compare(other, sample)
    assert (back.p, back.difference) == (pytest.approx(gap.p), pytest.approx(-gap.difference))
    order, rows = draw.permutation(images), draw.permutation(seeds)
    shuffled = of(scenes[rows][:, order],
                  clusters=None if clusters is None else clusters[order])
    assert estimate(shuffled, SMALL).interval == pytest.approx(found.interval, abs=tolerance)
    assert found.interval[0] <= found.mean <= found.interval[1]


# Many comparisons.

def test_holms_worked_example():
    """0.01, 0.04, 0.03, 0.005: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04 may not fall below that."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_ends_at_one_and_skips_what_is_unknown():
    assert holm([0.6, None, 0.9]) == [1.0, None, 1.0]
    assert holm([None]) == [None]
    assert holm([]) == []
    assert holm([0.02, None]) == [0.02, None]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_adjustment_and_bonferroni(p):
    for raw, adjusted in zip(p, holm(p), strict=True):
        assert raw <= adjusted <= min(1.0, raw * len(p))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.array(holm(p))[order]) >= 0).all()


def test_rank_ranges_by_hand():
    intervals = [(1, 2), (1.5, 3), (2.5, 4), None, (5, 6)]
    assert rank_ranges(intervals) == [(1, 2), (1, 3), (2, 3), None, (4, 4)]
    assert rank_ranges([]) == []
    assert rank_ranges([None, None]) == [None, None]
    assert rank_ranges([(0, 1), (1, 2)]) == [(1, 2), (1, 2)]  # touching ends overlap


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 3)), min_size=1, max_size=9))
def test_rank_ranges_are_their_definition(pairs):
    intervals = [(low, low + width) for low, width in pairs]
    wanted = [(1 + sum(other[1] < mine[0] for other in intervals),
               sum(not other[0] > mine[1] for other in intervals)) for mine in intervals]
    assert rank_ranges(intervals) == wanted


def test_a_board_of_many_methods_takes_little_time():
    """A sixth of 500 methods x 12 metrics; 2 to 3 seconds for all of them on a free core."""
    samples = [of(RNG.normal(size=(3, 512))) for _ in range(50)] * 20
    started = time.process_time()
    estimate_all(samples)
    assert time.process_time() - started < 3
