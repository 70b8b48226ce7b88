"""The files of several boards: front page, exports, the same bytes everywhere, damaged cells."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from srbench.boards.build import PageJob, build_board, build_pages, write_pages
from srbench.boards.definition import Definition, Expected
from srbench.registry.catalog import Catalog
from srbench.results.evidence import Evidence
from srbench.results.store import Invalid
from tests.boards.closed import check_nothing_is_fetched, check_scripts, readable
from tests.boards.conftest import Page
from tests.boards.full import CHARTS, IMAGES, SECTIONS, TITLE, full_records, history
from tests.boards.published_runs import tree
from tests.boards.worlds import only, row_of
from tests.results.factory import make_record

MOST = 2 * 1024 * 1024
PAPER = Expected(label="ots", metric="l2-uvp", dataset=TITLE, value=6.2, tolerance=0.2,
                 source="Table 2")
DONE = Definition(
    name="w2", title="Early W2", summary="Maps that are known.", preset="quick", datasets=(TITLE,),
    columns=("l2-uvp", "lpips"), command="srbench run --methods ots,gan",
    cite=("@misc{w2data, title = {X}}",),
    published=(PAPER, Expected(label="dasr", metric="l2-uvp", dataset=TITLE, value=12.5,
                               tolerance=1, source="Table 2")))
NOT_RUN = Definition(
    name="empty", title="Not run yet", preset="paper", datasets=("aim19",),
    columns=("psnr", "lpips"), published=(
        Expected(label="esrgan", metric="psnr", dataset="aim19", value=20.9, tolerance=0.2,
                 source="Table 3"),))


def page_of(path):
    return Page.of(path.read_text(encoding="utf-8"))


def sections(page):
    return [tag["id"] for tag in page.all("h2")]


def chart_names(page):
    return [tag["id"].removeprefix("chart-") for tag in page.all("figure")
            if tag.get("class") == "chart"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A runs folder, its records, the pages of two defined boards, and what was reported."""
    folder = tmp_path_factory.mktemp("pages")
    records, told = full_records(folder / "runs"), []
    jobs = [PageJob(definition=DONE, records=records, runs=folder / "runs"),
            PageJob(definition=NOT_RUN, records=[], runs=folder / "nowhere")]
    front = build_pages(jobs, folder / "out", progress=lambda *step: told.append(step))
    return folder, records, front, told


@pytest.fixture(scope="module")
def full_page(world):
    return page_of(world[0] / "out" / "w2.html")


def test_the_files_of_defined_boards(world):
    folder, _, front, told = world
    assert front == folder / "out" / "index.html"
    names = {path.name for path in (folder / "out").iterdir()}
    assert names == {"index.html", "w2-pixels", "w2-pixels.html", *(
        f"{name}.{kind}" for name in ("w2", "empty") for kind in
        ("html", "csv", "json", "tex", "bib"))}
    assert told == [("w2", 0, 2), ("empty", 1, 2)]
    assert not (folder / "nowhere").exists()


def test_a_page_with_everything(world, full_page):
    source = (world[0] / "out" / "w2.html").read_text(encoding="utf-8")
    assert len(source.encode()) <= MOST
    check_nothing_is_fetched(source)
    specs = check_scripts(source, CHARTS)
    assert chart_names(full_page) == CHARTS
    assert len(full_page.all("svg")) == len(specs) == 3
    assert sections(full_page) == SECTIONS
    assert "Palettes" in full_page.text
    assert f"the {IMAGES} test images" in full_page.text
    for target in ("Early W2", "Maps that are known.", "srbench run --methods ots,gan",
                   "trained on half the data", "SSIM of all methods", "No column for FID"):
        assert target.lower() in full_page.text.lower(), target


def test_published_values_stand_beside_ours(world, full_page):
    assert "published 6.2: reproduced" in full_page.text  # 6.0 and 6.5: 6.25 to 0.2
    assert "dasr 12.5 published not tried" in full_page.text
    data = json.loads((world[0] / "out" / "w2.json").read_text())
    values = {row["label"]: row["values"]["l2-uvp"] for row in data["rows"]}
    assert values["ots"]["published"] == {
        "value": 6.2, "tolerance": 0.2, "source": "Table 2", "verdict": "reproduced",
        "why": "2 seeds have the mean 6.25, 0.05 % from 6.2; up to 0.2 % counts as reproduced"}
    assert values["identity"]["published"] is None
    assert [absent["label"] for absent in data["absent"]] == ["dasr"]


def test_a_board_without_a_record_shows_what_was_published(world):
    folder, _, front, _ = world
    page = page_of(folder / "out" / "empty.html")
    assert page.unbalanced == page.stack == []
    check_scripts((folder / "out" / "empty.html").read_text(encoding="utf-8"), [])
    assert "Published values; nothing was run here." in page.text
    assert "esrgan 20.90 published not tried" in page.text
    assert sections(page) == ["results", "measured"]
    assert page.all("img") == page.all("figure") == []
    assert json.loads((folder / "out" / "empty.json").read_text())["rows"] == []
    assert (folder / "out" / "empty.csv").read_text().count("\n") == 1  # the header
    links = [tag["href"] for tag in page_of(front).all("a")]
    assert sorted(links) == ["empty.html", "w2.html"]


def test_the_front_page_is_closed_and_says_what_each_board_found(world):
    front = world[2]
    check_scripts(front.read_text(encoding="utf-8"), [])
    check_nothing_is_fetched(front.read_text(encoding="utf-8"))
    page = page_of(front)
    assert "ots" in page.text
    assert "6.2 %" in page.text.replace("\u00a0", " ")
    for link in (tag["href"] for tag in page.all("a")):
        assert {"href": "index.html"} in page_of(front.parent / link).all("a")


def test_the_exports_say_what_the_page_says(world):
    folder, records, _, _ = world
    rows = list(csv.DictReader(io.StringIO((folder / "out" / "w2.csv").read_text())))
    assert sorted(row["key"] for row in rows) == sorted(r.identity.key for r in records)
    assert sum(float(row["l2-uvp"]) for row in rows if row["l2-uvp"]) == 6 + 6.5 + 30 + 14 + 9
    data = json.loads((folder / "out" / "w2.json").read_text())
    assert [row["label"] for row in data["rows"]] == ["ots", "gan[lambda=10]", "gan[lambda=1]",
                                                      "identity"]
    tex = (folder / "out" / "w2.tex").read_text().splitlines()
    assert sum(line.endswith(r"\\") for line in tex) == 1 + 4
    assert tex[-1] == r"\end{tabular}"
    assert [line for line in tex if line.startswith(r"\textbf{") or r"\textbf{6" in line]
    bib = (folder / "out" / "w2.bib").read_text()
    assert "@misc{w2data," in bib
    assert "gazdieva2022optimal" in bib  # of the installed method ots


def test_building_again_changes_no_byte(world, tmp_path):
    """In the order reversed, over a first build, and in a folder of another name."""
    folder, records, _, _ = world
    shutil.copytree(folder / "runs", tmp_path / "elsewhere" / "runs")
    shutil.copytree(folder / "out", tmp_path / "elsewhere" / "out")
    jobs = [PageJob(definition=DONE, records=records[::-1], runs=tmp_path / "elsewhere" / "runs"),
            PageJob(definition=NOT_RUN, records=[], runs=tmp_path / "other")]
    build_pages(jobs, tmp_path / "elsewhere" / "out")
    assert tree(tmp_path / "elsewhere" / "out") == tree(folder / "out")


def test_nothing_of_the_machine_is_in_any_file(world):
    folder = world[0]
    here = {str(folder), str(Path.cwd()), str(Path.home()), folder.name, os.uname().nodename}
    for name, content in tree(folder / "out").items():
        assert not [word for word in here if len(word) > 5 and word.encode() in content], name


def test_links_of_logs_alone_follow_the_place_of_the_pages(world, tmp_path):
    folder, records, _, _ = world
    near, far = (build_board(records, folder / place, runs=folder / "runs")
                 for place in ("near", "a/b/c"))
    assert "../runs/cells/" in near.read_text(encoding="utf-8")
    assert far.read_text(encoding="utf-8").replace("../../../runs/", "../runs/") == \
        near.read_text(encoding="utf-8")


def test_pixels_can_be_left_out(world, tmp_path):
    folder, records, _, _ = world
    path = build_board(records, tmp_path / "out", runs=folder / "runs", pixels=False)
    assert not list(path.parent.glob("*-pixels*"))
    page = page_of(path)
    assert "pixels" in sections(page)
    assert "Whole images" not in page.text


def test_records_that_cannot_be_used_are_on_every_page(tmp_path):
    broken = Invalid(tmp_path / "runs" / "cells" / "abc" / "record.json", "no <JSON>")
    build_board([make_record(title=title) for title in ("a", "b")], tmp_path,
                runs=tmp_path / "runs", invalid=[broken])
    for name in ("a", "b"):
        page = page_of(tmp_path / f"{name}-quick.html")
        assert sections(page) == ["results", "invalid", "methods", "measured"]
        assert "abc/record.json : invalid: no <JSON>" in page.text


def test_several_boards_get_a_front_page_and_one_gets_none(tmp_path):
    records = [make_record(preset=preset, title=title, notice="stand-in" if "@" in title else "")
               for preset in ("quick", "paper") for title in ("w2-early", "w2-early@embedded")]
    told = []
    path = build_board(records, tmp_path / "out", runs=tmp_path,
                       progress=lambda *step: told.append(step))
    names = ["w2-early-paper", "w2-early-quick", "w2-early@embedded-paper",
             "w2-early@embedded-quick"]
    assert path == tmp_path / "out" / "index.html"
    page = page_of(path)
    assert [tag["href"] for tag in page.all("a")] == [f"{name}.html" for name in names]
    assert page.text.count("Note: stand-in") == 2
    assert told == [(name, number, 4) for number, name in enumerate(names)]
    alone = build_board(records[:1], tmp_path / "one", runs=tmp_path)
    assert alone == tmp_path / "one" / "w2-early-quick.html"
    assert not (tmp_path / "one" / "index.html").exists()
    assert {"href": "index.html"} not in page_of(alone).all("a")


def test_the_front_page_can_be_asked_for(tmp_path):
    board = only([make_record()])
    path = write_pages([(board, tmp_path)], tmp_path / "out", catalog=Catalog(), index=True)
    assert path.name == "index.html"
    assert {"href": "index.html"} in page_of(tmp_path / "out" / f"{board.name}.html").all("a")


def test_no_board_is_a_mistake_of_the_caller(tmp_path):
    with pytest.raises(ValueError, match="no board"):
        build_pages([], tmp_path)


def pipe(path):
    """What would make a reader wait for ever."""
    os.mkfifo(path)


def dangling(path):
    path.symlink_to(path.with_name("nothing"))


def elsewhere(path):
    path.symlink_to("/etc/hostname")


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""), "garbage": lambda path: path.write_bytes(b"\x89P"),
    "folder": lambda path: path.mkdir(), "pipe": pipe, "dangling": dangling, "link": elsewhere,
    "parquet of anything": lambda path: history_of_text(path)}
FILES = {"history.parquet": "anytime", "per_image.parquet": "intervals",
         "palettes.parquet": "palettes", "images/prediction_0.png": "images"}


def history_of_text(path):
    pd.DataFrame({"l2-uvp": ["a"], "kind": [1], "name": [2.5]}).to_parquet(path)


def damaged(world, folder, file, kinds):
    """Page of a copy of the runs in which a file of each cell is damaged, one way after another."""
    shutil.copytree(world[0] / "runs", folder / "runs")
    paths = sorted((folder / "runs" / "cells").glob(f"*/{file}"))
    for number, path in enumerate(paths):
        path.unlink()
        DAMAGE[kinds[number % len(kinds)]](path)
    assert len(paths) >= 4
    return page_of(build_board(world[1], folder / "out", runs=folder / "runs"))


@pytest.mark.parametrize("kinds", [["empty", "garbage", "folder"],
                                   ["pipe", "dangling", "link", "parquet of anything"]])
@pytest.mark.parametrize("file", FILES)
def test_damaged_files_stop_nothing_else(world, tmp_path, file, kinds):
    page = damaged(world, tmp_path, file, kinds)
    lost = FILES[file]
    assert page.unbalanced == page.stack == []
    assert sections(page) == SECTIONS
    assert chart_names(page) == [name for name in CHARTS if name != lost]
    assert ("Palettes" in page.text) == (lost != "palettes")
    assert ("No image: " in page.text) == (lost == "images")
    assert "ots has the lowest mean L2-UVP, 6.2 %" in page.text.replace("\u00a0", " ")


def test_one_damaged_history_leaves_the_curves_of_the_others(world, tmp_path):
    shutil.copytree(world[0] / "runs", tmp_path / "runs")
    victim = next(record for record in world[1] if record.identity.label == "gan[lambda=1]")
    history(tmp_path / "runs", victim, [1.0]).write_bytes(b"PAR1")
    page = page_of(build_board(world[1], tmp_path / "out", runs=tmp_path / "runs", pixels=False))
    whole = page_of(world[0] / "out" / "w2.html")
    assert chart_names(page) == CHARTS

    def curves(page):
        at = page.text.index("Numbers of this chart Method Seeds At the end")
        return re.findall(r"(ots|gan\[lambda=\d+\]) \d \d", page.text[at:at + 400])

    assert curves(whole) == ["ots", "gan[lambda=10]", "gan[lambda=1]"]
    assert curves(page) == ["ots", "gan[lambda=10]"]


def test_without_values_of_images_intervals_are_of_seeds_alone(world, tmp_path):
    records = world[1]
    board = only(records, evidence=Evidence(world[0] / "runs" / "cells"))
    bare = only(records, evidence=Evidence(tmp_path))
    with_images, without = (row_of(each, "ots").entries[0].estimate for each in (board, bare))
    assert with_images.mean == without.mean == 6.25
    assert with_images.scenes == IMAGES
    assert with_images.scene_interval is not None
    assert without.scenes == 0
    assert without.scene_interval is None


def test_the_library_weighs_most_of_a_page(world):
    source = (world[0] / "out" / "w2.html").read_text(encoding="utf-8")
    assert len(readable(source)) < 400_000 < len(source)
