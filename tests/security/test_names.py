"""Names, reasons and notes of anybody, on their way to a terminal, a table, a page."""

from __future__ import annotations

import csv
import io
import json
import re

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
from srbench.registry.catalog import Catalog
from srbench.results.store import Store
from tests.boards.closed import (
    LIGHT_TABLE,
    check_nothing_is_fetched,
    check_scripts,
    counted,
    readable,
)
from tests.boards.conftest import Page
from tests.boards.full import CHARTS, full_records
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


def build_evil(folder, word):
    """Sources of the page of `evil_records`; it has no chart and no image."""
    records = evil_records(word)
    log_file(folder / "runs", records[1])
    path = build_board(records, folder / "out", runs=folder / "runs", catalog=Catalog())
    return path.read_text(encoding="utf-8")


def check_words(source, plain, word):
    """Check that a page says a word and is else the page that says ``ots[a]``."""
    page, other = Page.of(source), Page.of(plain)
    assert page.unbalanced == page.stack == []
    assert not counted(page) - counted(other)
    assert {(tag, key) for tag, attributes in page.tags for key in attributes} <= {
        (tag, key) for tag, attributes in other.tags for key in attributes}
    ids = [tag["id"] for _, tag in page.tags if "id" in tag]
    assert len(ids) == len(set(ids))
    assert all(name.isascii() and re.fullmatch(r"[A-Za-z][\w.-]*", name) for name in ids)
    assert "1337" not in page.text
    assert not [key for _, tag in page.tags for key, value in tag.items()
                if "1337" in value and key not in ("src", "d", "content")]
    assert not STEERING & set(source)
    assert " ".join(printable(word, most=LONGEST).split())[:100] in page.text


@pytest.fixture(scope="module")
def plain_page(tmp_path_factory):
    return build_evil(tmp_path_factory.mktemp("plain"), "ots[a]")


@pytest.mark.parametrize("name", EVIL)
def test_a_page_has_no_element_more(tmp_path, plain_page, name):
    source = build_evil(tmp_path, EVIL[name])
    check_words(source, plain_page, EVIL[name])
    check_scripts(source, [])
    check_nothing_is_fetched(source)
    assert len(source) < 40 * LONGEST + len(plain_page)
    assert max(map(len, re.findall("x+", source))) <= LONGEST


def build_full(folder, word):
    """Sources of the page with every chart, image and section, and of the light table."""
    path = build_board(full_records(folder / "runs", word), folder / "out", runs=folder / "runs",
                       catalog=Catalog())
    assert sorted(other.stem for other in (folder / "out").glob("*.html")) == [
        path.stem, f"{path.stem}-pixels"]
    second = path.with_name(f"{path.stem}-pixels.html")
    return path.read_text(encoding="utf-8"), second.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def plain_full_pages(tmp_path_factory):
    return build_full(tmp_path_factory.mktemp("full"), "ots[a]")


# Those that steer a terminal and those that are commands elsewhere share a page, for each takes
# a second.
JOINED = {"steering": "".join(word for word in EVIL.values() if STEERING & set(word)),
          "commands": " ".join(EVIL[name] for name in ("lines", "tag", "address", "formula",
                                                       "latex", "shell", "yaml", "toml")),
          **{name: EVIL[name] for name in ("script", "end", "braces", "megabyte")}}


@pytest.mark.parametrize("name", JOINED)
def test_charts_images_and_the_light_table_have_no_element_more(tmp_path, plain_full_pages, name):
    first, second = build_full(tmp_path, JOINED[name])
    for source, plain in zip((first, second), plain_full_pages, strict=True):
        check_words(readable(source), readable(plain), JOINED[name])
    specs = check_scripts(first, CHARTS)
    said = json.dumps(specs, ensure_ascii=False)
    assert not STEERING & set(said)
    assert printable(JOINED[name])[:20] in json.dumps(specs[0], ensure_ascii=False).replace(
        "\\\\", "\\").replace('\\"', '"')
    check_scripts(second, [], LIGHT_TABLE)
    check_nothing_is_fetched(first)
    assert max(map(len, re.findall("x+", readable(first) + second))) <= LONGEST


def test_every_word_is_on_a_page_with_charts():
    everything = " ".join(JOINED.values())
    assert [name for name, word in EVIL.items() if word not in everything] == []


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
