"""``srbench show`` through the command line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from srbench.cli import cli
from srbench.cli.show import results_tables
from srbench.results.store import Store
from tests.results.factory import make_metric, make_record

ROOT = Path(__file__).resolve().parents[2]
NOTICE = "This data is a stand-in."


def srbench(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["show", *map(str, words)])


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a runs folder with two boards, a failure, a missing value and two plans."""
    monkeypatch.chdir(tmp_path)
    store = Store(tmp_path / "runs")
    missing = make_metric("lpips", None, unavailable="no VGG weights", remedy="srbench fetch vgg16")
    early = [make_record("ots", seed=seed, title="w2-early@embedded", notice=NOTICE,
                         key=f"ots{seed}",
                         metrics={"psnr": 24.0 + seed, "l2-uvp": 5.0 + seed, "lpips": missing})
             for seed in (0, 2)]
    early += [make_record("wgan-gp[lambda=10]", title="w2-early@embedded", notice=NOTICE, key="gan",
                          metrics={"psnr": 20.0, "l2-uvp": 12.34, "lpips": missing}),
              make_record("wgan-gp[lambda=100]", title="w2-early@embedded", notice=NOTICE,
                          key="dead", status="diverged", reason="the loss is nan at step 310")]
    other = make_record("bicubic", title="aim19", metrics={"psnr": 22.0}, key="bicubic")
    for record in [*early, other]:
        store.commit(record)
    store.write_plan("first", {"cells": ["ots0", "bicubic"]})
    store.write_plan("second", {"cells": ["gan", "never-ran"]})
    return store.runs


def test_the_table(runs):
    result = srbench()

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    ots = next(line for line in lines if line.startswith("ots"))
    assert ots.split() == ["ots", "6.0", "±", "1.4", "25.00", "±", "1.41", "2", "12.5", "7,032,131"]
    gan = next(line for line in lines if line.startswith("wgan-gp[lambda=10]"))
    assert gan.split()[:2] == ["wgan-gp[lambda=10]", "12.3"]
    assert lines.index(ots) < lines.index(gan)
    units = next(index for index, line in enumerate(lines[lines.index(ots) - 1:])
                 if line.startswith("method")) + lines.index(ots) - 1
    assert lines[units].split() == ["method", "%", "↓", "dB", "↑", "seeds", "s", "parameters"]
    assert lines[units - 1].split() == ["L2-UVP", "PSNR", "training"]
    assert "no value of LPIPS: no VGG weights; to mend it: srbench fetch vgg16" in lines
    failure = next(line for line in lines if line.startswith("diverged"))
    assert "wgan-gp[lambda=100], seed 0: the loss is nan at step 310" in failure
    assert "runs/cells/dead/log.txt" in failure
    assert NOTICE in result.stdout


def test_datasets_have_tables_of_their_own(runs):
    aim19, early = srbench().stdout.split("NOTE")
    assert "aim19, preset quick" in aim19
    assert "bicubic" in aim19
    assert NOTICE not in aim19
    assert "bicubic" not in early
    assert "w2-early@embedded, preset quick" in early


def test_a_folder_can_be_named_in_two_ways(runs, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    expected = srbench("--csv").stdout
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert srbench(runs, "--csv").stdout == expected
    assert srbench("--runs", runs, "--csv").stdout == expected


def test_a_plan_chooses_its_cells(runs):
    keys = [line["key"] for line in csv.DictReader(io.StringIO(srbench("first", "--csv").stdout))]
    assert keys == ["ots0", "bicubic"]
    assert srbench("--plan", "first", "--csv").stdout == srbench("first", "--csv").stdout


def test_cells_of_a_plan_that_have_not_run_are_announced(runs):
    result = srbench("--plan", "latest", "--csv")
    assert "1 of 2 cells of second have not run yet" in result.stderr
    assert len(result.stdout.splitlines()) == 2


def test_an_unknown_plan(runs):
    result = srbench("third")
    assert result.exit_code != 0
    assert "no plan 'third'" in str(result.exception)
    assert "first, second" in str(result.exception)


def test_json_is_one_document_even_beside_warnings(runs):
    (runs / "cells" / "broken").mkdir()
    (runs / "cells" / "broken" / "record.json").write_text('{"schema_version": 1, "iden')
    result = srbench("--json")

    document = json.loads(result.stdout)
    assert [board["title"] for board in document["boards"]] == ["aim19", "w2-early@embedded"]
    assert document["boards"][1]["rows"][0]["values"]["l2-uvp"]["mean"] == 6.0
    assert document["boards"][1]["notice"] == NOTICE
    assert "not JSON" in document["invalid"][0]["reason"]
    assert "broken/record.json is left out" in result.stderr
    assert result.exit_code == 0


def test_intervals_are_those_of_the_published_page():
    folder = ROOT / "leaderboards"
    result = srbench(folder / "records" / "w2-early@embedded", "--json")
    shown, = json.loads(result.stdout)["boards"]
    page = json.loads((folder / "pages" / "w2-early@embedded.json").read_bytes())
    intervals = [{row["label"]: row["values"]["l2-uvp"]["interval"] for row in board["rows"]}
                 for board in (shown, page)]
    assert intervals[0]["linear"] == [6.913914334, 7.772703554]  # of seeds and images together
    assert {name: intervals[0][name] for name in intervals[1]} == intervals[1]


def test_latex(runs):
    result = srbench("--latex")
    assert result.stdout.count(r"\begin{tabular}") == 2
    assert r"ots & \textbf{6.0} {\scriptsize [-6.7, 18.7]} & \textbf{25.00}" in result.stdout


def test_nothing_matched_is_exit_code_4(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = srbench()
    assert result.exit_code == 4
    assert result.stdout == ""
    assert "no records in runs" in result.stderr
    assert "srbench run" in result.stderr


def test_names_of_plugins_are_neither_markup_nor_terminal_codes():
    hostile = "[bold]x[/bold]\x1b[31m[link=http://x]"
    parts = results_tables([make_record(hostile, title=hostile, notice=hostile),
                            make_record(hostile, seed=1, title=hostile, status="failed",
                                        reason=hostile)])
    console = Console(record=True, width=400, file=io.StringIO(), force_terminal=True)
    for part in parts:
        console.print(part)
    text = console.export_text(styles=False)
    assert text.count("[bold]x[/bold]�[31m[link=http://x]") == 5
    assert "\x1b[31m[link" not in console.file.getvalue()


def test_flags_are_shown_beside_the_method():
    record = make_record()
    record.outcome.flags = ["identity-map"]
    console = Console(record=True, width=200, file=io.StringIO())
    for part in results_tables([record]):
        console.print(part)
    assert "ots (identity-map)" in console.export_text()


def test_no_finished_cell_still_shows_what_happened():
    console = Console(record=True, width=200, file=io.StringIO())
    for part in results_tables([make_record(status="timeout", reason="killed after 5 s")]):
        console.print(part)
    text = console.export_text()
    assert "no cell finished" in text
    assert "timeout: ots, seed 0: killed after 5 s" in text


def narrow(records, width: int) -> list[str]:
    """Lines of the tables on a terminal of that width; none may be wider than it."""
    console = Console(width=width, file=io.StringIO(), legacy_windows=False)
    for part in results_tables(records, width=width):
        console.print(part)
    return console.file.getvalue().splitlines()


def test_what_does_not_fit_is_named_below_the_table_and_nothing_is_cut():
    names = {f"metric-{number}": float(number) for number in range(9)}
    records = [make_record("wgan-gp[lambda=100000]", metrics={"l2-uvp": 5.0, **names}),
               make_record("ots", metrics={"l2-uvp": 4.0, **names})]
    wide, small = narrow(records, 400), narrow(records, 80)
    assert not [line for line in wide if "for want of space" in line]
    assert max(len(line.rstrip()) for line in small if "[lambda" in line) <= 80
    assert "wgan-gp[lambda=100000]" in "\n".join(small)
    said = " ".join(line.strip() for line in small)
    shown = [name for name in names if f"not shown for want of space: {name}" in said
             or f", {name}" in said.partition("not shown for want of space:")[2]]
    assert shown == list(names)[-len(shown):]
    assert 0 < len(shown) < len(names)


def test_at_least_the_ranking_column_is_shown():
    records = [make_record("a-method-with-a-very-long-name-indeed" * 2, metrics={"l2-uvp": 5.0,
                                                                               "psnr": 20.0})]
    said = " ".join(narrow(records, 40))
    assert "L2-UVP" in said
    assert "not shown for want of space: PSNR" in " ".join(said.split())


def test_columns_that_miss_for_one_reason_share_a_line():
    gone = {name: make_metric(name, None, unavailable="does not apply to vectors")
            for name in ("ssim", "lpips")}
    lines = narrow([make_record("ots", metrics={"l2-uvp": 5.0, **gone})], 200)
    assert sum("does not apply to vectors" in line for line in lines) == 1
    assert any(line.lower().startswith("no value of ssim, lpips: does not") for line in lines)
