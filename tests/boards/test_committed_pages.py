"""The pages in ``leaderboards/`` are what their records make, to the byte, and say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import fmean, stdev

import pytest
from scipy import stats

from srbench.cli import main
from tests.boards.conftest import Page

LEADERBOARDS = Path(__file__).resolve().parents[2] / "leaderboards"
PAGES, RECORDS = LEADERBOARDS / "pages", LEADERBOARDS / "records"
MEASURED = ("w2-early@embedded", "mix3tomix10", "aim19@embedded")
# L2-UVP in %, mean and standard deviation over seeds, as docs/results.md has them: measured with
# another version of the harness, on other days.
GOLDEN = {"linear": (7.34, 0.12), "ots": (12.80, 0.25), "wgan-gp[lambda=100]": (15.40, 0.63),
          "wgan-gp[lambda=1000]": (23.74, 0.21), "identity": (28.48, 0.0),
          "wgan-gp[lambda=0]": (68.31, 22.73), "constant": (97.31, 0.13)}


def of(name):
    return json.loads((PAGES / f"{name}.json").read_text(encoding="utf-8"))


def records_of(name):
    """Records as plain JSON, read without the harness."""
    return [json.loads(path.read_text()) for path in RECORDS.glob(f"{name}/cells/*/record.json")]


def test_the_committed_pages_rebuild_to_the_byte(capfd):
    code = main(["board", "build", "--check", "--definitions", str(LEADERBOARDS)])
    assert code == 0, capfd.readouterr().err


@pytest.mark.parametrize("name", MEASURED)
def test_every_mean_and_deviation_is_that_of_the_records(name):
    board, records = of(name), records_of(name)
    assert len(records) >= 12
    checked = 0
    for row in board["rows"]:
        for column in board["columns"]:
            values = [record["values"]["final"][column["metric"]]["value"] for record in records
                      if record["identity"]["label"] == row["label"]
                      and record["identity"]["title"] == column["dataset"]
                      and column["metric"] in record["values"]["final"]]
            found = row["values"][column["name"]]
            if not values or None in values:
                assert found["mean"] is None
                continue
            assert found["mean"] == pytest.approx(fmean(values), rel=1e-9, abs=1e-12)
            assert found["seeds"] == len(values)
            if found["seed_sd"] is not None:
                assert found["seed_sd"] == pytest.approx(stdev(values), rel=1e-6, abs=1e-12)
            checked += 1
    assert checked >= 20


@pytest.mark.parametrize("name", MEASURED)
def test_the_page_shows_the_numbers_of_its_data(name):
    board = of(name)
    page = Page.of((PAGES / f"{name}.html").read_text(encoding="utf-8"))
    for row in board["rows"]:
        assert row["label"].replace("[", " [").replace(",", ", ").split()[0] in page.text
        for column in board["columns"]:
            found = row["values"][column["name"]]
            if found["mean"] is not None:
                assert f"{found['mean']:.{column['decimals']}f}" in page.text
    assert board["finding"] in page.text  # whose blanks are all alike


def test_the_golden_board():
    rows = {row["label"]: row for row in of("w2-early@embedded")["rows"]}
    for label, (mean, deviation) in GOLDEN.items():
        found = rows[label]["values"]["l2-uvp"]
        assert found["mean"] == pytest.approx(mean, abs=0.01)
        assert (found["seed_sd"] or 0.0) == pytest.approx(deviation, abs=0.01)
        low, high = found["interval"]
        assert low < mean < high
    assert [rows[label]["values"]["l2-uvp"]["rank"] for label in ("linear", "ots")] == [[1, 1],
                                                                                        [2, 4]]
    assert list(rows)[:3] == ["linear", "ots", "wgan-gp[lambda=100]"]


def test_what_nothing_was_trained_for_has_the_interval_of_its_images(tmp_path):
    """Student's interval over the test images, from the published files alone."""
    import pandas as pd

    record = next(record for record in records_of("w2-early@embedded")
                  if record["identity"]["label"] == "identity")
    folder = RECORDS / "w2-early@embedded" / "cells" / record["identity"]["key"]
    values = pd.read_parquet(folder / "per_image.parquet")["l2-uvp"]
    wanted = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    row = next(row for row in of("w2-early@embedded")["rows"] if row["label"] == "identity")
    assert row["values"]["l2-uvp"]["interval"] == pytest.approx(list(wanted), rel=1e-6)


@pytest.mark.parametrize("name", ["w2-early", "aim19"])
def test_boards_that_nobody_ran_show_published_values_and_claim_nothing(name):
    board = of(name)
    assert board["rows"] == []
    assert board["finding"].startswith("Nobody has run this board yet")
    published = [value for entry in board["absent"] for value in entry["published"].values()]
    assert len(published) > 15
    assert {value["verdict"] for value in published} == {"not tried"}


def test_what_is_committed_holds_no_path_of_the_machine_that_made_it():
    own = re.compile(r"(?<![\w.:/-])/(?:home|root|work|tmp|Users|mnt)/\w")
    files = [*PAGES.glob("*.*"), *RECORDS.glob("*/cells/*/record.json"),
             *RECORDS.glob("*/plans/*.json")]
    assert len(files) > 50
    for path in files:
        assert not own.search(path.read_text(encoding="utf-8")), path.name
