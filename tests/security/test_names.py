"""Names, reasons and notes of anybody, on their way to a terminal, a table, a page."""

from __future__ import annotations

import csv
import io
import json

import pytest
from click.testing import CliRunner
from rich.console import Console

from srbench.boards.build import build_board
from srbench.boards.markup import LONGEST
from srbench.boards.table import make_boards
from srbench.boards.text import board_latex, records_csv
from srbench.cli import cli
from srbench.cli.console import Output
from srbench.cli.tables import results_tables
from srbench.foreign.text import escaped_json, inert_cell, printable, printable_lines
from srbench.results.store import Store
from tests.boards.conftest import Page
from tests.results.factory import log_file, make_metric, make_record

EVIL = {
    "clear": "\x1b[2J\x1b[H", "title": "\x1b]0;owned\x07", "c1": "\x9b31m", "bell": "\x07\x08",
    "link": "\x1b]8;;http://x\x1b\\click\x1b]8;;\x1b\\", "return": "fine\rFAKE",
    "lines": "a\nall is ok\nb",
    "turned": "\u202etxt.exe", "isolate": "\u2066a\u2069", "mark": "\ufeffots", "zero": "o\u200bts",
    "tag": "a\U000e0041b", "separator": "a\u2028b", "script": "<script>alert(1)</script>",
    "end": "</script></style><img src=x onerror=alert(1)>", "address": "javascript:alert(1)",
    "braces": "{{7*191}}{% raise %}", "formula": "=cmd|'/c calc'!A0",
    "latex": r"\input{/etc/passwd}",
    "shell": "$(touch x)`touch x`; touch x", "yaml": "!!python/object/apply:os.system ['x']",
    "toml": '"""\n[set]\n', "megabyte": "x" * 1_000_000,
}
STEERING = set("\x1b\x9b\x07\x08\r\u202e\u2066\u2069\ufeff\u200b\u2028")


def evil_records(word):
    """A finished and a failed cell that say a word wherever they can say anything."""
    metric = make_metric("psnr", 20.0, title=word, unit=word, protocol=word)
    gone = make_metric("ssim", None, title=word, unavailable=word, remedy=word)
    good = make_record(word, title=word, notice=word, key="good", source=word,
                       metrics={"psnr": metric, "ssim": gone}, method_params={word: word})
    good.outcome.flags, good.outcome.notes = [word], [word]
    good.environment = {word: word}
    bad = make_record(word, seed=1, title=word, notice=word, status="failed", reason=word,
                      key="bad")
    bad.outcome.log_tail = [word]
    return [good, bad]


@pytest.mark.parametrize("name", EVIL)
def test_a_terminal_is_not_steered(name):
    console = Console(width=200, file=io.StringIO(), force_terminal=True, color_system=None)
    for part in results_tables(evil_records(EVIL[name])):
        console.print(part)
    shown = console.file.getvalue()
    assert not STEERING & set(shown)
    assert len(shown) < 30_000
    assert not any(line.strip() == "all is ok" for line in shown.splitlines())


@pytest.mark.parametrize("name", EVIL)
def test_no_form_of_show_steers_it_either(tmp_path, name):
    store, word = Store(tmp_path), EVIL[name][:300_000]  # a record has 16 MiB at most
    for record in evil_records(word):
        store.commit(record)
    for form in ("--json", "--csv", "--latex"):
        result = CliRunner().invoke(cli, ["show", str(tmp_path), form])
        assert result.exit_code == 0
        assert not STEERING & set(result.output), form
    document = json.loads(CliRunner().invoke(cli, ["show", str(tmp_path), "--json"]).stdout)
    assert document["boards"][0]["rows"][0]["label"] == word  # escaped, not changed


@pytest.mark.parametrize("say", ["answer", "heading", "note", "warn", "error", "table"])
def test_whatever_is_said_is_clean(capsys, say):
    word = EVIL["clear"] + EVIL["turned"]
    output = Output()
    output.table([word], [[word]]) if say == "table" else getattr(output, say)(word)
    printed = "".join(capsys.readouterr())
    assert "\ufffd[2J" in printed
    assert not STEERING & set(printed)


@pytest.mark.parametrize("name", EVIL)
def test_a_page_has_no_element_more(tmp_path, name):
    word = EVIL[name]
    records = evil_records(word)
    log_file(tmp_path / "runs", records[1])
    plain, page = (Page.of(build_board(several, tmp_path / folder, runs=tmp_path / "runs",
                                       definitions={"psnr": said}).read_text(encoding="utf-8"))
                   for several, folder, said in ((evil_records("ots[a]"), "plain", "ots[a]"),
                                                 (records, "evil", word)))
    assert page.unbalanced == []
    kinds = {tag for tag, _ in page.tags}
    assert kinds <= {tag for tag, _ in plain.tags}
    assert {key for _, attributes in page.tags for key in attributes} <= {
        key for _, attributes in plain.tags for key in attributes}
    assert not any(tag.get("href", "").startswith("javascript:") for tag in page.all("a"))
    assert "1337" not in page.text
    assert not STEERING & set(page.text)
    source = (tmp_path / "evil").glob("*.html")
    assert all(path.stat().st_size < 40 * LONGEST for path in source)


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1",
                                  "＝cmd()", "－1"])
def test_no_spreadsheet_runs_a_text(text):
    assert inert_cell(text).startswith("'")
    rows = list(csv.reader(io.StringIO(records_csv([make_record(text, reason=text)]))))
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@", "＝", "－")) for cell in rows[1])


def test_numbers_of_a_csv_file_stay_numbers():
    rows = list(csv.DictReader(io.StringIO(records_csv([make_record(metrics={"cosine": -0.5})]))))
    assert rows[0]["cosine"] == "-0.5"


def test_no_command_of_latex_is_smuggled_in():
    record = make_record(r"\input{x}%&$#_^~" + "\n\\end{document}", title="t\n\\write18{touch x}")
    text = board_latex(make_boards([record])[0])
    row = next(line for line in text.splitlines() if "input" in line)
    assert r"\textbackslash{}input\{x\}\%\&\$\#\_\textasciicircum{}\textasciitilde{}" in row
    assert not any(line.startswith("\\write18") for line in text.splitlines())


def test_what_printable_does():
    assert printable("ots[λ=10] ± 3\u00a0%") == "ots[λ=10] ± 3\u00a0%"
    assert printable("a\x1b[1mb\tc\nd") == "a\ufffd[1mb c d"
    assert printable("x" * 30, most=10) == "x" * 10 + "… (20 more characters)"
    assert printable_lines("a\x07\nb\r\n") == "a\ufffd\nb \n"
    assert printable_lines("abc\ndef", most=5) == "abc\nd… (2 more characters)"
    assert json.loads(escaped_json('"a\u009b\u202e\U000e0041ä"')) == "a\u009b\u202e\U000e0041ä"
    assert printable("\ud800") == "\ufffd"
