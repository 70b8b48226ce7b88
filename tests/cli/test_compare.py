"""``srbench compare`` through the command line: what is said, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from srbench.cli import main
from srbench.cli.verdicts import show, summary
from srbench.results.comparison import compare_methods
from srbench.results.evidence import Evidence
from srbench.results.statistics import compare
from srbench.results.store import Store
from tests.results.factory import make_metric, make_record

IMAGES = 40


class Shop:
    """Writes finished cells with values of images into a runs folder.

    Trainings of seeds 0, 1, 2 differ by -0.1, 0 and 0.1.
    """

    def __init__(self, runs):
        self.store, self.runs = Store(runs), runs

    def add(self, label, seed, shifts, *, title="w2-early", metrics=None, **changes):
        """A cell whose metrics are ``shifts`` plus effects of image and training."""
        images = np.random.default_rng(1).normal(0, 1, IMAGES)
        draw = np.random.default_rng([seed, len(label)])
        found, columns = dict(metrics or {}), {}
        for name, shift in shifts.items():
            values = 20 + shift + images + 0.1 * (seed - 1) + 0.1 * draw.normal(size=IMAGES)
            columns[name] = values
            found[name] = make_metric(name, float(values.mean()), count=IMAGES,
                                      per_image=f"per_image.parquet#{name}")
        record = make_record(label, seed=seed, title=title, metrics=found, **changes)
        path = self.store.commit(record)
        if columns:
            pd.DataFrame(columns).to_parquet(path.parent / "per_image.parquet")
        return record

    def method(self, label, shifts, seeds=(0, 1, 2), **changes):
        return [self.add(label, seed, shifts, **changes) for seed in seeds]


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path / "runs")


@pytest.fixture
def run(shop, capsys):
    """Run the command on the shop's folder; returns exit code, stdout and stderr."""
    def call(*words):
        code = main(["compare", *words, "--runs", str(shop.runs)])
        said = capsys.readouterr()
        return code, said.out, said.err
    return call


@pytest.fixture
def two(shop):
    """OTS is better in L2-UVP, worse in PSNR, and alike in cosine."""
    shop.method("ots", {"psnr": 0.0, "l2-uvp": 0.0, "cosine": 0.0})
    shop.method("wgan-gp[lambda=100]", {"psnr": 2.0, "l2-uvp": 3.0, "cosine": 0.02})
    return shop


# What is said.

def test_each_metric_has_a_sentence_and_the_ranking_one_comes_first(two, run):
    code, out, err = run("ots", "wgan-gp[lambda=100]")
    assert (code, err) == (0, "")
    title, said, empty, first, second, third = out.splitlines()
    assert title == "ots and wgan-gp[lambda=100] on w2-early (quick)"
    assert said == ("ots is better in L2-UVP; wgan-gp[lambda=100] is better in PSNR; "
                    "the data do not tell them apart in Cosine.")
    assert empty == ""
    assert first.startswith("L2-UVP: ots is lower (better) by 3.")
    assert "percentage points, 95 % interval 2." in first
    assert first.endswith("(Holm over 3 metrics); 3 seeds each, 40 test images.")
    assert second.startswith("PSNR: wgan-gp[lambda=100] is higher (better) by 2.0")
    assert " dB, " in second
    assert third.startswith("Cosine: the data do not tell them apart: ")


@pytest.mark.parametrize("words", [["psnr,cosine"], ["psnr", "--metric", "cosine"],
                                   ["psnr, cosine,psnr"]])
def test_metrics_are_listed_with_commas_or_one_by_one(two, run, words):
    code, out, _ = run("ots", "wgan-gp[lambda=100]", "--json", "--metric", *words)
    assert code == 0
    assert [one["metric"] for one in json.loads(out)["metrics"]] == ["psnr", "cosine"]


def test_numbers_are_those_of_the_statistics(two, run):
    code, out, _ = run("ots", "wgan-gp[lambda=100]", "--metric", "psnr", "--json")
    records, _ = two.store.records()
    evidence = Evidence(two.runs / "cells")
    sides = [sorted((r for r in records if r.identity.label == label),
                    key=lambda r: r.identity.seed) for label in ("ots", "wgan-gp[lambda=100]")]
    wanted = compare(*(evidence(side, "psnr") for side in sides))
    document = json.loads(out)
    found = document["metrics"][0]
    assert code == 0
    assert found["difference"] == pytest.approx(wanted.difference)
    assert found["interval"] == pytest.approx(wanted.interval)
    assert found["p"] == found["p_holm"] == pytest.approx(wanted.p)
    assert (found["better"], found["told_apart"]) == ("wgan-gp[lambda=100]", True)
    assert (document["seeds"], document["holm_family"]) == ([[0, 1, 2], [0, 1, 2]], 1)
    assert document["dataset_fingerprint"] == "d" * 64
    assert found["protocol"] == "psnr/rgb-float-clamped/v1"


def test_the_order_of_the_methods_turns_the_difference_and_not_the_sentence(two, run):
    one = json.loads(run("ots", "wgan-gp[lambda=100]", "--json")[1])["metrics"]
    other = json.loads(run("wgan-gp[lambda=100]", "ots", "--json")[1])["metrics"]
    for a, b in zip(one, other, strict=True):
        assert a["difference"] == pytest.approx(-b["difference"])
        assert (a["sentence"], a["better"]) == (b["sentence"], b["better"])


def test_a_single_metric_is_no_family(two, run):
    _, out, _ = run("ots", "wgan-gp[lambda=100]", "--metric", "l2-uvp")
    assert "Holm" not in out
    assert "PSNR" not in out


def test_what_holm_takes_away_is_told(shop, run):
    names = [f"m{index}" for index in range(9)]
    shop.method("ots", dict.fromkeys(names, 0.0) | {"psnr": 0.0})
    shop.method("fssr", dict.fromkeys(names, 0.0) | {"psnr": 0.3})
    document = json.loads(run("ots", "fssr", "--json")[1])
    psnr = next(one for one in document["metrics"] if one["metric"] == "psnr")
    assert psnr["p"] < 0.05 < psnr["p_holm"]
    assert psnr["better"] is None
    assert " after Holm's correction over 10 metrics, p = 0.0" in psnr["sentence"]
    assert "PSNR the data would be enough had only that been asked" in document["summary"]


def test_one_seed_says_nothing_of_training_but_of_these_networks(shop, run):
    shop.method("ots", {"l2-uvp": 0.0}, seeds=(0,))
    shop.method("wgan-gp", {"l2-uvp": 3.0}, seeds=(0,))
    code, out, _ = run("ots", "wgan-gp")
    assert code == 0
    assert "nothing can be said of L2-UVP." in out.splitlines()[1]
    said = out.splitlines()[3]
    assert said.startswith("L2-UVP: one seed each: no statement about training is possible; on "
                           "these trainings ots ")
    assert "which differ on other test images like these (difference 3.0, 95 % interval" in said
    assert said.endswith("; 1 seed each, 40 test images.")


def test_one_method_with_one_seed_is_named(shop, run):
    shop.method("ots", {"psnr": 0.0})
    shop.method("wgan-gp", {"psnr": 0.0}, seeds=(0,))
    said = run("wgan-gp", "ots")[1].splitlines()[3]
    assert "one seed of wgan-gp: no statement about training" in said
    assert said.endswith("; 1 seed of wgan-gp, 3 of ots, 40 test images.")


def test_untrained_methods_need_no_seeds(shop, run):
    shop.method("bicubic", {"psnr": 0.0}, seeds=(0,), seconds_fit=0.0)
    shop.method("linear", {"psnr": 1.0}, seeds=(0,), seconds_fit=0.0)
    shop.method("ots", {"psnr": 5.0})
    said = run("bicubic", "linear")[1].splitlines()[3]
    assert said.startswith("PSNR: linear is higher (better) by")
    assert said.endswith("nothing was trained, 40 test images.")
    said = run("bicubic", "ots")[1].splitlines()[3]
    assert said.endswith("3 seeds of ots, the other is not trained, 40 test images.")


def test_values_that_are_aimed_at_are_compared_by_their_distance(shop, run):
    for label, value in (("ots", 0.165), ("wgan-gp", 0.10)):
        for seed in range(3):
            shop.add(label, seed, {}, metrics={"palette": value + 0.001 * seed})
    said = run("ots", "wgan-gp")[1].splitlines()[3]
    assert said.startswith("Palette variance: ots is nearer to the HR images' 0.160 (better) by "
                           "0.053, 95 % interval")
    assert said.endswith("; test images not accounted for.")


def test_missing_files_are_told(two, run):
    for path in (two.runs / "cells").glob("*/per_image.parquet"):
        path.unlink()
    code, out, _ = run("ots", "wgan-gp[lambda=100]", "--metric", "psnr")
    assert code == 0
    assert out.splitlines()[-1].endswith(
        "; test images not accounted for: values of single images are missing.")


def test_seeds_without_a_value_are_told(two, run):
    two.add("ots", 7, {}, metrics={"psnr": make_metric("psnr", None, unavailable="no")})
    assert run("ots", "wgan-gp[lambda=100]", "--metric", "psnr")[1].splitlines()[-1].endswith(
        "; seed 7 of ots has no value.")


def test_equal_methods_have_equal_means(shop, run):
    for label in ("a", "b"):
        shop.method(label, {"psnr": 0.0})  # labels of one length: the same draws
    said = run("a", "b")[1].splitlines()[3]
    assert "do not tell them apart: their means are equal, 95 % interval " in said


def test_only_the_newest_record_of_a_cell_counts(two, run):
    two.add("ots", 0, {"psnr": 900.0, "l2-uvp": 0.0}, finished="2020-01-01T00:00:00+00:00")
    two.add("ots", 1, {"psnr": 900.0}, status="failed", finished="2020-01-01T00:00:00+00:00")
    assert "psnr" not in run("ots", "wgan-gp[lambda=100]")[2]
    assert json.loads(run("ots", "wgan-gp[lambda=100]", "--json")[1])["seeds"][0] == [0, 1, 2]


# Names.

def test_the_beginning_of_a_name_is_enough(two, run):
    code, out, _ = run("o", "wgan-gp[lambda=100", "--dataset", "w2", "--preset", "qu")
    assert (code, out.splitlines()[0]) == (
        0, "ots and wgan-gp[lambda=100] on w2-early (quick)")


@pytest.mark.parametrize(("words", "message", "hint"), [
    (("otz", "wgan-gp[lambda=100]"), "no finished method named 'otz'; did you mean 'ots'?",
     "known: ots, wgan-gp[lambda=100]"),
    (("ots", "ots"), "ots is compared with itself", "name two methods"),
    (("ots", ""), "no finished method named ''", "known: "),
    (("ots", "wgan", "--dataset", "w3-early"), "no finished dataset named 'w3-early'; did you mean "
     "'w2-early'?", "known: w2-early"),
    (("ots", "wgan", "--preset", "paper"), "no finished preset named 'paper'", "known: quick"),
    (("ots", "wgan", "--metric", "pnsr"), "no finished metric named 'pnsr'; did you mean 'psnr'?",
     "known: cosine, l2-uvp, psnr")])
def test_unknown_names_are_wrong_usage(two, run, words, message, hint):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert hint in err


def test_a_name_of_several_lists_them(two, run):
    two.method("wgan-gp[lambda=10]", {"psnr": 0.0})
    code, _, err = run("ots", "wgan-gp[lambda=10")
    assert code == 2
    assert "'wgan-gp[lambda=10' may be any of 2 methods" in err
    assert "one of: wgan-gp[lambda=100], wgan-gp[lambda=10]" in err
    assert run("ots", "wgan-gp[lambda=10]")[0] == 0


def test_several_datasets_are_listed(two, run):
    for label in ("ots", "wgan-gp[lambda=100]"):
        two.method(label, {"psnr": 0.0}, title="aim19")
        two.method(label, {"psnr": 0.0}, title="aim19", preset="paper")
    code, _, err = run("ots", "wgan-gp[lambda=100]")
    assert code == 2
    assert "were both measured on aim19 (paper), aim19 (quick), w2-early (quick)" in err
    assert "--dataset or --preset" in err
    assert run("ots", "wgan", "--dataset", "w2-early")[0] == 0
    assert run("ots", "wgan", "--dataset", "aim19", "--preset", "paper")[0] == 0


# What is refused.

def test_no_records_match_nothing(run):
    code, out, err = run("ots", "wgan-gp")
    assert (code, out) == (4, "")
    assert "no finished cells" in err


def test_failed_cells_are_no_evidence(two, run):
    two.add("dasr", 0, {}, status="failed", reason="out of memory")
    assert "no finished method named 'dasr'" in run("ots", "dasr")[2]


def test_methods_on_different_datasets_are_not_compared(two, run):
    two.method("fssr", {"psnr": 0.0}, title="aim19")
    code, _, err = run("ots", "fssr")
    assert code == 2
    assert "were not measured on one dataset with one preset" in err
    assert "ots: w2-early (quick); fssr: aim19 (quick)" in err


def test_methods_on_different_data_of_one_title_are_not_compared(two, run):
    two.method("fssr", {"psnr": 0.0}, fingerprint="e" * 64)
    code, _, err = run("ots", "fssr")
    assert code == 2
    assert "ots: w2-early (data dddddddd) (quick); fssr: w2-early (data eeeeeeee)" in err


def test_values_of_different_protocols_are_not_compared(two, run):
    other = make_metric("psnr", 24.0, protocol="psnr/y-channel/v1")
    for seed in range(3):
        two.add("fssr", seed, {"cosine": 0.0}, metrics={"psnr": other})
    code, out, _ = run("ots", "fssr")
    assert code == 0
    assert ("psnr: not compared: values of different protocols, psnr/rgb-float-clamped/v1 and "
            "psnr/y-channel/v1") in out
    assert "Cosine" in out
    code, out, _ = run("ots", "fssr", "--metric", "psnr")
    assert code == 4
    assert "different protocols" in out


def test_a_metric_without_value_says_why(two, run):
    for seed in range(3):
        two.add("fssr", seed, {"cosine": 0.0}, metrics={
            "psnr": make_metric("psnr", None, unavailable="no weights")})
    code, out, _ = run("ots", "fssr", "--metric", "psnr")
    assert code == 4
    assert "psnr: not compared: fssr has no value: no weights" in out
    assert "psnr" not in run("ots", "fssr")[1]


def test_methods_that_share_no_metric(shop, run):
    shop.add("ots", 0, {}, metrics={"psnr": 20.0})
    shop.add("fssr", 0, {}, metrics={"cosine": 0.5})
    code, _, err = run("ots", "fssr")
    assert code == 4
    assert "share no metric with a value" in err


def test_a_target_without_the_value_of_hr_is_refused():
    records = [[make_record(label, metrics={"palette": make_metric("palette", 0.1, reference={})})]
               for label in ("a", "b")]
    found = compare_methods(*records, ["palette"], Evidence())
    assert found.compared == ()
    assert "which is aimed at, is not in the record" in found.refused["palette"]


def test_broken_records_are_told_and_left_out(two, run):
    folder = two.runs / "cells" / "broken"
    folder.mkdir()
    (folder / "record.json").write_text("{")
    code, out, err = run("ots", "wgan-gp[lambda=100]")
    assert code == 0
    assert "warning: " in err
    assert "broken" in err
    assert "L2-UVP" in out


def test_names_and_titles_of_anybody_steer_no_terminal(shop, run):
    for seed in range(2):
        for label in ("a\x1b[2J", "b\u202e"):
            shop.add(label, seed, {}, metrics={"psnr": make_metric(
                "psnr", 20.0 + seed, title="P\x1b]0;x\x07", unit="\u202edB")})
    code, out, _ = run("a\x1b[2J", "b\u202e")
    assert code == 0
    assert not set(out) & set("\x1b\x07\u202e")


# Words.

@pytest.mark.parametrize(("value", "decimals", "text"), [
    (2.345, 1, "2.3"), (0.0, 2, "0.00"), (0.004, 2, "0.004"), (-0.00012, 3, "-0.00012"),
    (1.0, -3, "1"), (1.0, 10**9, "1.000000000000")])
def test_numbers_have_the_decimals_of_the_metric(value, decimals, text):
    assert show(value, make_metric("psnr", decimals=decimals)) == text


def test_the_summary_lists_as_one_speaks(two):
    records, _ = two.store.records()
    sides = [[r for r in records if r.identity.label == label]
             for label in ("ots", "wgan-gp[lambda=100]")]
    found = compare_methods(*sides, ["l2-uvp"], Evidence(two.runs / "cells"))
    assert summary(found, ("A", "B")) == "A is better in L2-UVP."
