"""`srbench.Results`: frames, pages, comparisons, and the table that a notebook shows."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

import srbench
from srbench.boards.build import render_alone
from srbench.cli import main
from srbench.errors import StoreError, UnknownName, UsageError
from srbench.results.store import Store
from tests.results.factory import make_metric, make_record

HOSTILE = 'x<script>alert(1)</script>" onload="alert(2)'


def cell(label, value, seed=0, **options):
    metrics = options.pop("metrics", None) or {"l2-uvp": value, "psnr": 30 - value}
    return make_record(label=label, seed=seed, metrics=metrics, **options)


@pytest.fixture(scope="module")
def records():
    found = [cell(label, value + seed, seed) for seed in (0, 1, 2)
             for label, value in (("ots", 6.0), ("wgan-gp[lambda=10]", 16.0))]
    return [*found, make_record(label="dasr", status="failed", metrics={}, reason="no memory left"),
            cell("ots", 3.0, title="mix3tomix10[dim=2]")]


@pytest.fixture(scope="module")
def runs(records, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("world") / "runs")
    for record in records:
        store.commit(record, durable=False)
    keys = [record.identity.key for record in records]
    store.write_plan("2026-01-02-030405", {"cells": [*keys[:2], "f" * 64]})
    return store.runs


@pytest.fixture(scope="module")
def results(records, runs):
    return srbench.Results(records, runs)


class Page(HTMLParser):
    """Tags, ids and rows of cells of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.rows: list[list[str]] = []
        self.columns: list[str] = []
        self._inside = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given[name] for name in ("href", "src") if name in given]
        self.handlers += [name for name in given if name.startswith("on")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")
            self._inside = True
            if "data-col" in given:
                self.columns.append(given["data-col"])

    def handle_endtag(self, tag):
        if tag in ("th", "td"):
            self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.rows[-1][-1] += data

    def values(self):
        return [[re.sub(r"\s+", " ", text).strip() for text in row] for row in self.rows]


def test_one_row_per_cell_and_one_per_method(results):
    frame, summary = results.frame, results.summary.set_index(["title", "label"])
    assert len(frame) == len(results) == len(results.records) == 8
    assert frame["l2-uvp"].tolist()[:2] == [6.0, 16.0]
    assert frame["status"].tolist().count("failed") == 1
    row = summary.loc["w2-early", "ots"]
    assert (row["l2-uvp"], row["l2-uvp.sd"], row["l2-uvp.n"]) == (7.0, 1.0, 3)
    assert ("w2-early", "dasr") not in summary.index


def test_a_cell_with_two_records_counts_once_in_the_summary(records, runs):
    older = cell("ots", 99.0, 0, finished="2020-01-01T00:00:00+00:00")
    both = srbench.Results([older, *records], runs)
    assert len(both.frame) == 9
    assert both.summary["l2-uvp"].iloc[0] == 7.0


def test_failures_name_status_reason_and_log(results):
    failed, = results.failures.to_dict("records")
    assert (failed["label"], failed["status"], failed["reason"]) == ("dasr", "failed",
                                                                     "no memory left")
    assert failed["log"].startswith(str(results.runs / "cells"))
    assert failed["log"].endswith("log.txt")
    assert list(srbench.Results([], "runs").failures.columns) == list(results.failures.columns)


def test_boards_rank(results):
    first = {board.title: board for board in results.boards}["w2-early"]
    assert [row.label for row in first.final.rows] == ["ots", "wgan-gp[lambda=10]"]
    assert first.final.rows[0].entries[0].estimate.mean == 7.0


def test_the_comparison_is_that_of_the_command_line(results, runs, capsys):
    found = results.compare("ots", "wgan-gp", dataset="w2-early")
    assert main(["compare", "ots", "wgan-gp", "--runs", str(runs), "--dataset", "w2-early"]) == 0
    assert capsys.readouterr().out.strip() == repr(found) == str(found)
    assert found.summary == "ots is better in L2-UVP and PSNR."
    row = found.frame.set_index("metric").loc["l2-uvp"]
    assert (row["a"], row["b"], row["difference"]) == (7.0, 17.0, -10.0)
    assert row["low"] < -10 < row["high"] < 0
    assert row["better"] == "ots"
    only = results.compare("ots", "wgan-gp", "psnr", dataset="w2-early")
    assert only.frame["metric"].tolist() == ["psnr"]
    assert only.frame["p_holm"].equals(only.frame["p"])
    assert results.compare("ots", "wgan", ["psnr", "l2-uvp"],
                           dataset="w2-early").frame["metric"].tolist() == ["psnr", "l2-uvp"]


def test_comparisons_that_cannot_be_made(results):
    with pytest.raises(UnknownName, match="no finished method named 'dasr'"):
        results.compare("ots", "dasr")
    with pytest.raises(UsageError, match="with itself"):
        results.compare("ots", "ots")


def test_a_comparison_in_a_notebook_is_escaped(runs):
    pair = [cell(HOSTILE, 5.0, seed) for seed in (0, 1)] + [cell("b", 7.5, seed) for seed in (0, 1)]
    html = srbench.Results(pair, runs).compare("x", "b")._repr_html_()
    found = Page(html)
    assert set(found.tags) == {"div", "h4", "p"}
    assert found.handlers == []
    assert "&lt;script&gt;" in html


def test_the_notebook_shows_the_table_of_the_page(results, runs):
    board = next(board for board in results.boards if board.title == "w2-early")
    page = Page(render_alone(board, runs, runs, catalog=results._installed()))
    shown = Page(srbench.Results([r for r in results.records if r.identity.title == "w2-early"],
                                 runs)._repr_html_())
    rows = {row[1]: row for row in page.values() if len(row) > 2}
    for row in shown.values():
        wanted = rows[row[1]]
        assert row[:2] == wanted[:2]
        assert row[2:] == [text for text in wanted[2:] if text in row[2:]]
    assert [row[1] for row in shown.values()[1:3]] == ["ots", "wgan-gp[lambda=10]"]
    assert shown.values()[3][1] == "dasr"


def test_the_notebook_runs_nothing_fetches_nothing_and_has_each_id_once(results):
    html = results._repr_html_()
    found = Page(html)
    assert found.tags["table"] == 2
    assert found.tags["style"] == 1
    assert not {"script", "iframe", "link", "img", "object", "form", "base"} & set(found.tags)
    assert found.handlers == []
    assert "url(" not in html
    assert "@import" not in html
    assert max(Counter(found.ids).values()) == 1
    assert all(link[0] == "#" and link[1:] in found.ids for link in found.links)
    for rule in re.findall(r"[^{}]+(?=\{)", re.search(r"<style>(.*?)</style>", html, re.S)[1]):
        assert all(part.strip().startswith(".srbench-results") for part in rule.split(","))
    assert "background: none" in html
    assert "#fff" not in html.lower()


def test_names_of_anybody_are_text(runs):
    odd = [cell(HOSTILE, 5.0, title=HOSTILE, notice=HOSTILE),
           make_record(label="b", status="failed", metrics={}, reason=HOSTILE, title=HOSTILE)]
    found = Page(srbench.Results(odd, runs)._repr_html_())
    assert found.tags["script"] == 0
    assert found.handlers == []
    assert any(HOSTILE in row for row in found.values() for row in row)


def test_columns_that_a_page_hides_at_first_are_named(runs):
    many = {"l2-uvp": 5.0, **{f"m{n}": make_metric(f"m{n}", float(n)) for n in range(9)},
            "fid": make_metric("fid", None, unavailable="no weights", remedy="srbench fetch x")}
    made = srbench.Results([cell("ots", 1.0, metrics=many)], runs)
    board, = made.boards
    html = made._repr_html_()
    hidden = [board.final.columns[index].heading for index in (8, 9)]
    assert f"Not shown here: {', '.join(hidden)}." in html
    assert "No value of fid: no weights; to mend it: srbench fetch x." in html
    assert len(Page(html).columns) == 9 + 8  # rank, method, costs


def test_reasons_of_missing_values_are_numbered_anew(runs):
    gap = {"unavailable": "no weights", "remedy": "srbench fetch weights inception"}
    metrics = {"l2-uvp": 5.0, "patch-mind": make_metric("patch-mind", None, **gap),
               "fid": make_metric("fid", None, **gap)}
    pair = [cell("ots", 1.0, metrics=metrics), cell("b", 1.0, metrics={"l2-uvp": 1.0})]
    found = Page(srbench.Results(pair, runs)._repr_html_())
    gaps = sorted(one for one in found.ids if "-gap-" in one)
    assert [one.rpartition("-")[2] for one in gaps] == [str(n) for n in range(1, len(gaps) + 1)]
    assert {link[1:] for link in found.links} == set(gaps)


def test_without_records_and_without_metrics(runs):
    assert "No records." in srbench.Results([], runs)._repr_html_()
    assert repr(srbench.Results([], "there")) == "no records in there"
    plain = srbench.Results([make_record(label="ots", metrics={}),
                             make_record(label="b", status="oom", metrics={}, reason="too big")],
                            runs)._repr_html_()
    assert "ots: finished, but no metric was asked for." in plain
    assert "b, seed 0: oom: too big" in plain


def test_the_plain_table_is_that_of_show(results, runs, capsys):
    text = repr(results)
    assert main(["show", "--runs", str(runs)]) == 0
    shown = capsys.readouterr().out
    for line in text.splitlines():
        assert line.split() in [other.split() for other in shown.splitlines()] or not line
    assert "failed: dasr, seed 0: no memory left" in text
    assert "\x1b" not in text


def test_a_page_alone_and_a_folder_of_pages(results, runs, records, tmp_path):
    folder = results.to_html(tmp_path / "pages")
    assert folder == tmp_path / "pages" / "index.html"
    assert len(list((tmp_path / "pages").glob("*.csv"))) == 2
    with pytest.raises(UsageError, match="these are 2 boards") as told:
        results.to_html(tmp_path / "one.html")
    assert "to_html('one')" in told.value.hint
    single = srbench.Results(records[:6], runs)
    assert single.to_html(tmp_path / "new" / "one.html") == tmp_path / "new" / "one.html"
    html = (tmp_path / "new" / "one.html").read_text()
    assert ".csv" not in html
    assert "ots" in html
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["one.html"]
    with pytest.raises(UsageError, match="no records"):
        srbench.Results([], runs).to_html(tmp_path / "none")


def test_open_runs_reads_what_is_on_disk(runs, records):
    found = srbench.open_runs(runs)
    assert len(found) == 8
    assert found.page is None
    assert {r.identity.key for r in found.records} == {r.identity.key for r in records}
    planned = srbench.open_runs(str(runs), plan="latest")
    assert [r.identity.key for r in planned.records] == [r.identity.key for r in records[:2]]
    assert len(srbench.open_runs(runs, plan="2026-01-02-030405")) == 2
    with pytest.raises(StoreError, match="no plan 'x'"):
        srbench.open_runs(runs, plan="x")
    with pytest.raises(StoreError, match="no records in nowhere") as told:
        srbench.open_runs("nowhere")
    assert "srbench.run" in told.value.hint


def test_open_runs_finds_the_page_that_was_built(records, tmp_path):
    store = Store(tmp_path)
    store.commit(records[0])
    page = srbench.open_runs(tmp_path).to_html(tmp_path / "boards")
    assert srbench.open_runs(tmp_path).page == page


def test_records_that_cannot_be_used_are_listed(records, tmp_path):
    store = Store(tmp_path)
    store.commit(records[0])
    (tmp_path / "cells" / "bad").mkdir()
    (tmp_path / "cells" / "bad" / "record.json").write_text("{}")
    found = srbench.open_runs(tmp_path)
    assert len(found) == 1
    assert "bad/record.json" in found._repr_html_()
    assert f"left out: {Path(tmp_path, 'cells', 'bad', 'record.json')}" in repr(found)


def test_frames_are_pandas(results):
    for frame in (results.frame, results.summary, results.failures):
        assert isinstance(frame, pd.DataFrame)
    assert results.frame is results.frame  # made once
