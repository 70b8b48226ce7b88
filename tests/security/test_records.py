"""Records from elsewhere: what breaks the rules is left out with the reason, nothing followed."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import parquet

from srbench.boards.build import build_board
from srbench.boards.page import log_linker
from srbench.boards.pixels import make_pixels
from srbench.boards.table import make_boards
from srbench.cli import cli
from srbench.errors import StoreError
from srbench.foreign.paths import plain_file, plain_path
from srbench.foreign.strict_json import parse
from srbench.results import per_image, reading
from srbench.results.artefacts import list_artefacts
from srbench.results.per_image import read_per_image
from srbench.results.reading import load
from srbench.results.record import Artefact
from srbench.results.samples import open_rgb, write_samples
from srbench.results.store import Store
from tests.aim19.conftest import chunk, png
from tests.boards.conftest import Page
from tests.results.factory import make_record, make_samples


@pytest.fixture
def store(tmp_path) -> Store:
    """A store with one good record, called ``good``."""
    found = Store(tmp_path / "runs")
    found.commit(make_record("bicubic", key="good", metrics={"psnr": 20.0}))
    return found


def plant(store: Store, change) -> Path:
    """A record whose text was changed."""
    path = store.commit(make_record(key="bad"))
    path.write_text(change(path.read_text()))
    return path


def replaced(old, new):
    def change(text):
        assert old in text
        return text.replace(old, new, 1)
    return change


def with_artefact(name):
    def change(text):
        document = json.loads(text)
        document["artefacts"] = {"x": {"path": name, "sha256": "0" * 64, "size": 1}}
        return json.dumps(document)
    return change


FAULTS = {
    "NaN": (replaced('"value": 6.1', '"value": NaN'), "NaN is no JSON number"),
    "infinity": (replaced('"seconds_fit": 12.5', '"seconds_fit": -Infinity'), "-Infinity is no"),
    "1e999": (replaced('"value": 6.1', '"value": 1e999'), "1e999 is no JSON number"),
    "twice": (replaced('"seed": 0', '"seed": 0, "seed": 1'), "the key 'seed' occurs twice"),
    "future": (replaced('"schema_version": 1', '"schema_version": 99'), "99 is newer than 1"),
    "type": (replaced('"seed": 0', '"seed": "0"'), "identity.seed: Input should be a valid int"),
    "unknown": (replaced('"seed": 0', '"seed": 0, "x\\u001b[2J": 1'), "Extra inputs are not"),
    "key": (replaced('"key": "bad"', '"key": "../good"'), "../good is not its folder's name"),
    "half": (lambda text: text[:len(text) // 2], "is not JSON"),
    "deep": (replaced('"facts": {}', '"facts": ' + '{"a":' * 50 + "1" + "}" * 50), "nests deeper"),
    "log": (replaced('"log": "log.txt"', '"log": "../../../secret"'), "outcome.log: Value error"),
    "absolute": (with_artefact("/etc/passwd"), "artefacts.x.path: Value error"),
    "climbing": (with_artefact("images/../../good/record.json"), "is no plain path inside"),
    "drive": (with_artefact("C:\\x"), "a letter that no path of a record holds"),
    "turned": (with_artefact("images/\u202egnp.exe"), "a letter that no path of a record holds"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_breaks_the_rules_is_shown_as_invalid_with_its_reason(store, fault):
    change, reason = FAULTS[fault]
    path = plant(store, change)
    result = CliRunner().invoke(cli, ["show", str(store.runs)])
    assert result.exit_code == 0
    line, = (line for line in result.stdout.splitlines() if line.startswith("invalid: "))
    assert str(path) in line
    assert reason in line
    assert "\x1b" not in result.stdout
    assert any(line.startswith("bicubic") for line in result.stdout.splitlines())

    strict = CliRunner().invoke(cli, ["show", str(store.runs), "--strict"])
    assert (strict.exit_code, strict.stdout) == (3, result.stdout)
    path.unlink()
    assert CliRunner().invoke(cli, ["show", str(store.runs), "--strict"]).exit_code == 0


def test_every_form_says_it(store):
    plant(store, FAULTS["twice"][0])
    rows = list(csv.DictReader(io.StringIO(run(store, "--csv"))))
    assert [(row["key"], row["status"]) for row in rows] == [("good", "ok"), ("bad", "invalid")]
    assert "occurs twice" in rows[1]["reason"]
    assert rows[0]["seed"] == "0"  # not 0.0
    latex = run(store, "--latex").splitlines()
    assert "occurs twice" in next(line for line in latex if line.startswith("% invalid: "))
    assert "occurs twice" in json.loads(run(store, "--json"))["invalid"][0]["reason"]


def run(store, form):
    result = CliRunner().invoke(cli, ["show", str(store.runs), form, "--strict"])
    assert result.exit_code == 3
    return result.stdout


def test_only_invalid_records(tmp_path):
    store = Store(tmp_path)
    plant(store, FAULTS["half"][0])
    assert CliRunner().invoke(cli, ["show", str(tmp_path)]).exit_code == 4
    assert CliRunner().invoke(cli, ["show", str(tmp_path), "--strict"]).exit_code == 3


def test_the_page_lists_them(store, tmp_path):
    plant(store, FAULTS["unknown"][0])
    records, invalid = store.records()
    path = build_board(records, tmp_path / "out", runs=store.runs, definitions={}, invalid=invalid)
    page = Page.of(path.read_text(encoding="utf-8"))
    assert page.unbalanced == []
    assert "bad/record.json : invalid: identity.x\ufffd[2J: Extra inputs" in page.text
    assert {"href": "#invalid"} in page.all("a")
    assert "bicubic" in page.text


def test_a_record_of_many_megabytes_is_not_read(store, monkeypatch):
    path = plant(store, replaced('"reason": ""', f'"reason": "{"x" * 2**24}"'))
    monkeypatch.setattr(reading, "parse", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(StoreError, match=r"at most 16,777,216 are read"):
        load(path)


def test_links_and_pipes_are_no_records(store, tmp_path):
    for name in ("link", "pipe"):
        (store.runs / "cells" / name).mkdir()
    (store.runs / "cells" / "link" / "record.json").symlink_to(
        store.cell_folder("good") / "record.json")
    os.mkfifo(store.runs / "cells" / "pipe" / "record.json")
    reasons = {entry.path.parent.name: entry.reason for entry in store.records()[1]}
    assert reasons == {"link": "record.json is a link, which is not followed",
                       "pipe": "record.json is no regular file"}


def test_a_record_under_another_name_does_not_count_for_a_run(store):
    (store.runs / "cells" / "other").mkdir()
    (store.runs / "cells" / "other" / "record.json").write_bytes(
        (store.cell_folder("good") / "record.json").read_bytes())
    assert store.read("other") is None
    assert store.read("good") is not None


@pytest.mark.parametrize("name", ["a", "images/lr_0.png", "work/10:30.log", "ä/ö", "..a/b"])
def test_plain_paths(name):
    assert plain_path(name) == Artefact(path=name, sha256="", size=1).path == name


@pytest.mark.parametrize("name", ["", "/", "/a", "..", "a/../b", "./a", "a/", "a//b", "a\\b", "a\0",
                                  "a\nb", "c:/a", "\u202ea"])
def test_paths_that_are_none(name):
    with pytest.raises(ValueError, match=r"no plain path|no path of a record"):
        plain_path(name)


def test_files_are_reached_through_no_link(tmp_path):
    folder, outside = tmp_path / "cell", tmp_path / "outside"
    (folder / "images").mkdir(parents=True)
    outside.mkdir()
    (outside / "a.png").write_bytes(b"secret")
    (folder / "images" / "a.png").write_bytes(b"mine")
    (folder / "images" / "link.png").symlink_to(outside / "a.png")
    (folder / "linked").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    assert plain_file(folder, "images/a.png").read_bytes() == b"mine"
    for name, words in (("images/link.png", "is a link"), ("linked/a.png", "linked is a link"),
                        ("pipe", "no regular file"), ("images", "no regular file"),
                        ("absent", "No such file"), ("../outside/a.png", "no plain path")):
        with pytest.raises(StoreError, match=words):
            plain_file(folder, name)
    assert list(list_artefacts(folder)) == ["images/a.png"]


def test_a_log_outside_is_not_linked(tmp_path):
    (tmp_path / "secret").write_text("x")
    (tmp_path / "runs" / "cells" / "a").mkdir(parents=True)
    (tmp_path / "runs" / "cells" / "a" / "log.txt").symlink_to(tmp_path / "secret")
    link = log_linker(tmp_path / "runs", tmp_path / "out")
    assert link("cells/a/../../../secret") == link("cells/a/log.txt") == ""


def test_pictures_behind_links_are_not_shown(tmp_path):
    record = make_record("ots", key="cell")
    secret = tmp_path / "secret"
    write_samples(secret, make_samples(count=2))
    folder = tmp_path / "cells" / "cell"
    folder.mkdir(parents=True)
    (folder / "images").symlink_to(secret)
    board, = make_boards([record])
    assert make_pixels(board, tmp_path / "cells") is None
    (folder / "images").unlink()
    write_samples(folder / "images", make_samples(count=2))
    (folder / "images" / "prediction_1.png").unlink()
    (folder / "images" / "prediction_1.png").symlink_to(secret / "prediction_1.png")
    pixels = make_pixels(board, tmp_path / "cells")
    missing = [(option.label, scene.number) for option in pixels.options
               for scene, shot in zip(pixels.scenes, option.shots, strict=True)
               if shot.picture is None]
    # The link is as good as absent, as if one image had been kept.
    assert (missing, len(pixels.scenes)) == ([], 1)


HEADER = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(("content", "words"), [
    (HEADER + chunk(b"IHDR", (20_000).to_bytes(4) * 2 + b"\x08\x02\0\0\0"), "20000 x 20000 pixels"),
    (HEADER + chunk(b"IHDR", bytes(8) + b"\x08\x02\0\0\0"), "0 x 0 pixels"),
    (png(np.zeros((4, 4, 3), np.uint16)), "no PNG of 8-bit RGB"),
    (png(np.zeros((4, 4, 4), np.uint8)), "no PNG of 8-bit RGB"),
    (png(np.zeros((4, 4, 1), np.uint8)), "no PNG of 8-bit RGB"),
    (b"", "no PNG"), (b"GIF89a" + bytes(60), "no PNG"), (b"\xff\xd8\xff\xe0" + bytes(60), "no PNG"),
    (png(np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8))[:900], "trunc"),
    (HEADER + chunk(b"IHDR", (9).to_bytes(4) * 2 + b"\x08\x02\0\0\0")
     + chunk(b"IDAT", b"no deflate stream") + chunk(b"IEND", b""), "broken data stream")])
def test_pictures_that_are_none_are_not_decoded(tmp_path, content, words):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(OSError, match=words):
        open_rgb(path)


def test_a_picture_file_of_many_megabytes_is_not_read(tmp_path):
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(2**27)
    with pytest.raises(OSError, match="at most 67,108,864 are read"):
        open_rgb(tmp_path / "a.png")


class TestPerImage:
    def write(self, path, table):
        parquet.write_table(pa.table(table), path)
        return path

    def test_what_a_cell_writes_comes_back(self, tmp_path):
        values = {"psnr": [20.0, np.nan], "a b": [1.0, 2.0]}
        pd.DataFrame(values).to_parquet(tmp_path / "a")
        found = read_per_image(tmp_path / "a")
        assert list(found) == list(values)
        assert all(np.array_equal(found[name], values[name], equal_nan=True) for name in values)

    @pytest.mark.parametrize(("table", "words"), [
        ({"a": ["text"]}, "column 'a' holds string, not numbers"),
        ({"a": [1]}, "holds int64"), ({"a": [[1.0]]}, "holds list"),
        ({"a": [b"x" * 1000]}, "holds binary"), ({"a": [{"b": 1.0}]}, "holds struct")])
    def test_other_kinds_of_columns(self, tmp_path, table, words):
        with pytest.raises(StoreError, match=words):
            read_per_image(self.write(tmp_path / "a", table))

    def test_too_much(self, tmp_path, monkeypatch):
        path = self.write(tmp_path / "a", {"a": pa.array(np.zeros(200_000))})
        assert path.stat().st_size < 20_000
        monkeypatch.setattr(per_image, "MOST_ROWS", 100_000)
        with pytest.raises(StoreError, match="200,000 rows of 1 columns"):
            read_per_image(path)
        monkeypatch.setattr(per_image, "LARGEST", 100)
        with pytest.raises(StoreError, match="at most 100 are read"):
            read_per_image(path)

    @pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", bytes(99)])
    def test_no_parquet(self, tmp_path, content):
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(StoreError, match="a is no parquet file"):
            read_per_image(tmp_path / "a")


def test_constants_of_python_where_they_are_allowed():
    assert parse(b'{"a": [NaN, -Infinity, 1e999]}', constants=True)["a"][1:] == [-np.inf, np.inf]
    assert parse(b"1e5") == 1e5


def test_a_cell_may_hold_infinite_parameters_and_a_record_may_not(tmp_path):
    (tmp_path / "cell.json").write_text('{"parts": {"cap": Infinity}}')
    assert reading.json_object(tmp_path / "cell.json") == {"parts": {"cap": np.inf}}
    with pytest.raises(StoreError, match="Infinity is no JSON number"):
        reading.json_object(tmp_path / "cell.json", constants=False)
