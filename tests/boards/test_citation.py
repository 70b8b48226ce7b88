"""What is cited for a board."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from srbench import DatasetInfo, MethodInfo, __version__
from srbench.boards.board import Board, Published, Table
from srbench.boards.citation import board_bibtex, entries
from srbench.registry.catalog import Catalog, Entry
from tests.results.factory import make_record

OTS = "@article{ots22,\n  title = {A {B} C},\n}"
DATA = "@misc{data21, title = {D}}"


def catalog(**citations: str) -> Catalog:
    """Return a catalog with methods of these citations, and the dataset ``w2-early``."""
    def entry(info):
        return Entry(info, "p", "d", "1", ModuleType("m"))

    return Catalog(
        methods={name: entry(MethodInfo(name=name, summary="s", load="a:B", citation=text))
                 for name, text in citations.items()},
        datasets={"w2-early": entry(DatasetInfo(name="w2-early", summary="s", load="a:B",
                                                citation=DATA))})


def board(*records, absent=(), datasets=("w2-early@embedded",)) -> Board:
    table = Table(columns=(), rows=(), absent=tuple(
        (label, {"psnr": Published(value=1, tolerance=1, source="T", verdict="not tried", why="")})
        for label in absent))
    return Board(name="b", title="B", preset="quick", final=table, failures=(),
                 oracle=Table(columns=(), rows=()), records=tuple(records), datasets=datasets)


def keys(text: str) -> list[str]:
    return re.findall(r"^@\w+\{([^,]+),", text, re.MULTILINE)


def test_methods_datasets_the_paper_and_srbench():
    text = board_bibtex(board(make_record("ots"), make_record("wgan-gp[lambda=1]")),
                        catalog(ots=OTS, other="@misc{other, x = {}}",
                                **{"wgan-gp": "@misc{gan, x = {1}}"}))
    assert keys(text) == ["srbench", "gazdieva2022optimal", "data21", "ots22", "gan"]
    assert OTS in text
    assert text.count("{") == text.count("}")
    assert "version = {0.1.0}" in text
    assert "year    = {2026}" in text


def test_every_key_once_whatever_its_case():
    text = board_bibtex(board(make_record("ots"), make_record("b")),
                        catalog(ots=OTS, b=OTS.replace("ots22", "OTS22").replace("C", "other")),
                        cite=[DATA, "@misc{more, x = {y}}"])
    assert keys(text) == ["srbench", "gazdieva2022optimal", "data21", "more", "OTS22"]


def test_published_methods_that_nobody_ran_are_cited():
    text = board_bibtex(board(absent=["ots[pretrained=official]", "MM:R"]), catalog(ots=OTS))
    assert keys(text) == ["srbench", "gazdieva2022optimal", "data21", "ots22"]
    assert f"version = {{{__version__}}}" in text
    assert "year" not in text.split("}\n\n")[0], "without records there is no date to state"


def test_versions_are_those_of_the_records():
    old, new = make_record(seed=0), make_record(seed=1)
    old.origin.srbench_version = "0.0.9"
    new.origin.srbench_version = "1.0}\\input{x"
    text = board_bibtex(board(new, old), catalog())
    assert "version = {0.0.9, 1.0inputx}" in text
    assert board_bibtex(board(old, new), catalog()) == text


@pytest.mark.parametrize(("text", "found"), [
    ("", []), ("no entry", []), ("@misc{a, t = {x}", []),
    ("@misc{a, t = {x}} and @misc{b, t = {y}}", ["a", "b"]),
    ("@misc{bad, t = {x} @misc{good, t = {y}}", ["good"]),
    ("@comment{c, t}@misc{a, t = {\\}}}", ["a"]),
    ("@ misc { a , t = 1}", ["a"]), ("@string{s, t}", []),
])
def test_entries_whose_braces_close(text, found):
    assert [key for key, _ in entries(text)] == found


def test_control_characters_do_not_reach_the_file():
    (_, entry), = entries("@misc{a, t = {x\x1b[2J\u202e}}")
    assert "\x1b" not in entry
    assert "\u202e" not in entry


def test_the_installed_plugins_are_asked_by_default():
    text = board_bibtex(board(make_record("ots"), make_record("wgan-gp[lambda=1]")))
    assert keys(text)[:2] == ["srbench", "gazdieva2022optimal"]
    assert {"korotin2021neural", "gulrajani2017improved"} <= set(keys(text))
    assert len(keys(text)) == len(set(keys(text)))
