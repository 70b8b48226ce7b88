"""Pages made from code are what the code says, and say what is in records and beside them."""

from __future__ import annotations

import copy
import json
import re
import runpy

import jsonschema
import pandas as pd
import pytest

from tests.docs.blocks import ROOT

DOCS = ROOT / "docs"
CELLS = sorted((ROOT / "leaderboards/records").glob("*/cells/*"))


@pytest.fixture(scope="module")
def generate():
    return runpy.run_path(str(DOCS / "generate.py"))


@pytest.fixture(scope="module")
def validator():
    return jsonschema.Draft202012Validator(json.loads((DOCS / "record.schema.json").read_text()))


@pytest.mark.parametrize("name", ["cli.md", "records.md", "record.schema.json"])
def test_committed_pages_are_what_is_generated(generate, name):
    text = generate["pages"]()[DOCS / name]
    assert (DOCS / name).read_text(encoding="utf-8") == text, "run: python docs/generate.py"


def test_check_names_what_is_stale(generate, monkeypatch, capsys, tmp_path):
    stale = {tmp_path / "cli.md": "new\n"}
    monkeypatch.setitem(generate["main"].__globals__, "pages", lambda: stale)
    assert generate["main"](["--check"]) == 3
    assert "cli.md is not what the code says" in capsys.readouterr().out
    assert generate["main"]([]) == 0
    assert (tmp_path / "cli.md").read_text() == "new\n"
    assert generate["main"](["--check"]) == 0


def test_help_does_not_depend_on_the_terminal(generate, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert generate["cli_page"]() == (DOCS / "cli.md").read_text(encoding="utf-8")


def test_every_command_has_its_help():
    from srbench.cli.shell import VERBS

    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert re.findall(r"^## srbench (\w+)$", page, re.MULTILINE) == list(VERBS)
    assert "### srbench board build" in page
    assert page.count("Show this message and exit.") == len(re.findall("^##+ ", page, re.MULTILINE))


def test_every_field_says_what_it_is(generate):
    schema = generate["schema"]()
    for name, group in {"Record": schema, **schema["$defs"]}.items():
        assert group["description"], name
        for field, prop in group.get("properties", {}).items():
            assert len(prop.get("description", "")) > 4, f"{name}.{field}"


def test_a_field_without_description_is_refused_and_a_later_one_says_since_when(generate):
    with pytest.raises(SystemExit, match="speed has no description"):
        generate["_fields"]({"properties": {"speed": {"type": "number"}}})
    table = generate["_fields"]({"properties": {"speed": {
        "type": "number", "description": "steps/s", "since": 2}}, "required": ["speed"]})
    assert "| `speed` | number | steps/s; since schema 2 |" in table


@pytest.mark.parametrize("folder", CELLS[::17], ids=lambda folder: folder.name[:8])
def test_published_records_follow_the_schema(folder, validator):
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    validator.validate(record)
    for wrong in (record | {"more": 1}, record | {"schema_version": 2}):
        assert not validator.is_valid(wrong)
    spoiled = copy.deepcopy(record)
    spoiled["outcome"]["status"] = "fine"
    assert not validator.is_valid(spoiled)


def documented(table: str) -> list[str]:
    """First cells of a table of docs/records.md, below the heading ``table``."""
    page = (DOCS / "records.md").read_text(encoding="utf-8")
    section = page.partition(f"## {table}\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def test_files_beside_a_record_are_as_documented():
    folder = next(cell for cell in CELLS if (cell / "images").is_dir()
                  and (cell / "palettes.parquet").is_file())
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert list(pd.read_parquet(folder / "history.parquet")) == documented("history.parquet")
    assert list(pd.read_parquet(folder / "palettes.parquet")) == documented("palettes.parquet")
    named = {name for name, value in record["values"]["final"].items() if value["per_image"]}
    assert set(pd.read_parquet(folder / "per_image.parquet")) == named
    kinds = documented("Files beside the record")
    for name in record["artefacts"]:
        assert any(name == kind or name.startswith(kind.partition("<")[0].rstrip("/") + "/")
                   for kind in kinds if kind.partition("<")[0]), name


def test_files_that_are_no_artefacts_are_as_documented():
    from srbench.results.artefacts import _NOT_ARTEFACTS, WORK

    page = (DOCS / "records.md").read_text(encoding="utf-8")
    outside = set(re.findall(r"^\| `(.*?)` \|.*\| no \|$", page, re.MULTILINE))
    assert outside == _NOT_ARTEFACTS - {"record.json"} | {f"{WORK}/"}
