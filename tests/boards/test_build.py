"""The page as a document: complete, closed to the outside, safe from what plugins say."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import re
from itertools import pairwise

import pytest

from srbench.boards import build as module
from srbench.boards.build import build_board
from srbench.boards.markup import amount
from srbench.boards.page import page_names
from srbench.boards.table import make_boards
from srbench.errors import StoreError
from srbench.foreign.text import printable
from tests.boards.conftest import Page, fill
from tests.results.factory import make_metric, make_record

HOSTILE = ["<script>alert(1)</script>", "{{1234567*7}}", "{% raise %}",
           '"><img src=x onerror=alert(1)>',
           "</style><script>1</script>", "&lt;b&gt;", "=cmd()", "a\x00b", "‮evil", "x" * 500]


@pytest.fixture(scope="module")
def page(board):
    return Page.of(board.read_text(encoding="utf-8"))


def build(records, folder, **options):
    """Page of some records without images."""
    path = build_board(records, folder / "out", runs=folder / "runs", definitions={}, **options)
    return Page.of(path.read_text(encoding="utf-8"))


def test_the_document_is_well_formed(page, board):
    assert board.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert page.unbalanced == []
    assert page.stack == []
    assert page.all("html") == [{"lang": "en"}]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_one_h1_and_no_heading_level_is_skipped(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_nothing_is_fetched_and_nothing_runs(page, board):
    source = board.read_text(encoding="utf-8")
    assert "http:" not in source
    assert "https:" not in source
    assert "@import" not in source
    assert "url(" not in source
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {
        tag for tag, _ in page.tags}
    assert all(image["src"].startswith("data:image/webp;base64,") for image in page.all("img"))
    assert not [name for _, attributes in page.tags for name in attributes
                if name.startswith("on") or name == "style"]


def test_the_policy_allows_the_pages_own_style_and_no_other(page, board):
    policy = next(meta["content"] for meta in page.all("meta")
                  if meta.get("http-equiv") == "Content-Security-Policy")
    style = re.search(r"<style>(.*?)</style>", board.read_text(encoding="utf-8"), re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
                      "base-uri 'none'; form-action 'none'")


def test_every_link_leads_somewhere(page, board):
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = [attributes["href"] for attributes in page.all("a")]
    assert {"w2-early-embedded-quick.csv", "w2-early-embedded-quick.json"} <= set(links)
    assert sum(link.endswith("/log.txt") for link in links) == 2
    for link in links:
        if link.startswith("#"):
            assert link[1:] in ids
        else:
            assert (board.parent / link).is_file()


def test_the_table_is_a_table(page):
    tables = page.all("table")
    assert len(page.all("caption")) == len(tables) == 4  # results, oracle, images, protocols
    assert all(header.get("scope") in ("col", "row") for header in page.all("th"))
    regions = [attributes for attributes in page.all("div") if attributes.get("class") == "scroll"]
    assert len(regions) == len(tables)
    assert all(region["role"] == "region" and region["tabindex"] == "0" for region in regions)


@pytest.mark.parametrize("words", [
    "L2-UVP % ↓ , lower is better", "PSNR dB ↑ , higher is better", "LPIPS ↓ , lower is better",
    "Palette variance ≈ , closer to the value of the HR images is better",
    "Training s", "Images drawn", "Parameters", "Seeds"])
def test_headers_carry_unit_arrow_and_words(page, words):
    assert words in page.text


@pytest.mark.parametrize("words", [
    "ots has the lowest L2-UVP: 6.2 % (1,000 pairs, 2 seeds); next is wgan-gp[lambda=10] with "
    "9.5 %; identity scores 30.3 %. 2 of 12 cells did not finish.",
    "Read this first: This data is a stand-in.",
    "sorted by L2-UVP, best first",
    "LPIPS of all methods : the VGG-16 weights are not on this machine. To mend it: "
    "srbench fetch vgg16",
    "diverged , seed 0: the loss is nan at step 310",
    "missing-dependency , seed 0: no reason was recorded",
    "gradient is NaN",  # the tail of the log
    "Peak signal-to-noise ratio of the clamped images.",
    "l2-uvp/total-variance/v1",
    "srbench run --methods ots,wgan-gp --dataset w2-early --seeds 0,1",
    "d" * 64, "preset quick", "its numbers are not those of the papers",
    "Not a result: these iterates were chosen by looking at true targets",
    "[lambda=0] colour-cast", "Flags below a method's name", "HR images 0.160",
    "cpu.model A processor", "1.28 M", "7.03 M"])
def test_the_page_says(page, words):
    text = page.text.replace(" : ", ": ")
    assert words.replace(" : ", ": ") in text


def test_every_picture_has_words_and_failures_come_after_results(page):
    images = page.all("img")
    assert len(images) == 8 * 7  # LR, five methods, HR
    assert len({image["alt"] for image in images}) == len(images)
    order = [text for tag, text in page.texts if tag in ("span", "th", "a")]
    assert order.index("diverged") > order.index("identity")


def test_the_size_budget(board):
    assert board.stat().st_size < 2 * 1024 * 1024
    assert len((module.TEMPLATES / "style.css").read_bytes()) < 10 * 1024


def test_five_hundred_rows_of_twelve_metrics_stay_within_the_budget(tmp_path):
    metrics = {f"metric-{index}": index / 7 for index in range(12)}
    records = [make_record(f"method[lambda={index}]", metrics=metrics) for index in range(500)]
    path = build_board(records, tmp_path, runs=tmp_path, definitions={})
    assert path.stat().st_size < 2 * 1024 * 1024


@pytest.mark.parametrize("text", HOSTILE)
def test_what_plugins_say_is_text(tmp_path, text):
    missing = make_metric("lpips", None, title=text, unit=text, unavailable=text, remedy=text,
                          protocol=text or "p")
    records = [make_record(text, title=text, notice=text, method_params={text: text},
                           metrics={"l2-uvp": 5.0, "lpips": missing}),
               make_record(text, seed=1, title=text, status="failed", reason=text)]
    page = build(records, tmp_path)

    assert page.unbalanced == []
    assert "script" not in {tag for tag, _ in page.tags}
    assert "img" not in {tag for tag, _ in page.tags}
    assert "8641969" not in page.text
    assert printable(text) in page.text
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert all(path.parent == tmp_path / "out" for path in tmp_path.rglob("*.html"))


def test_several_boards_get_an_index(tmp_path):
    records = [make_record(preset=preset, title=title, notice="stand-in" if "@" in title else "")
               for preset in ("quick", "paper") for title in ("w2-early", "w2-early@embedded")]
    path = build_board(records, tmp_path, runs=tmp_path, definitions={})

    assert path == tmp_path / "index.html"
    page = Page.of(path.read_text(encoding="utf-8"))
    links = [attributes["href"] for attributes in page.all("a")]
    assert links == ["w2-early-paper.html", "w2-early-quick.html", "w2-early-embedded-paper.html",
                     "w2-early-embedded-quick.html"]
    assert page.text.count("Note: stand-in") == 2
    for link in links:
        inner = Page.of((tmp_path / link).read_text(encoding="utf-8"))
        assert {"href": "index.html"} in inner.all("a")


def test_file_names_are_safe_and_unique():
    titles = ["a/b", "a b", "../../etc/passwd", "", "…", "A", "w" * 500]
    boards = [board for title in titles for board in make_boards([make_record(title=title)])]
    names = page_names(boards)
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,130}", name) for name in names)


def test_the_same_records_give_the_same_bytes_in_any_order(tmp_path):
    records = fill(tmp_path / "runs")
    first = build_board(records, tmp_path / "a" / "x", runs=tmp_path / "runs", definitions={})
    again = build_board(records[::-1], tmp_path / "b" / "x", runs=tmp_path / "runs",
                        definitions={})
    assert first.read_bytes() == again.read_bytes()
    assert first.with_suffix(".csv").read_bytes() == again.with_suffix(".csv").read_bytes()


def test_data_beside_the_page(board):
    data = json.loads(board.with_suffix(".json").read_text())
    assert [row["label"] for row in data["rows"]] == [
        "ots", "wgan-gp[lambda=10]", "wgan-gp[lambda=2]", "identity", "wgan-gp[lambda=0]"]
    assert len(board.with_suffix(".csv").read_text().splitlines()) == 13


def test_one_seed_is_said_to_show_little(tmp_path):
    page = build([make_record("a"), make_record("b")], tmp_path)
    assert "a difference between methods may be chance" in page.text
    assert "±" not in page.text


def test_nothing_finished_and_vectors_without_images(tmp_path):
    page = build([make_record(status="timeout", reason="killed after 5 s", preset="paper")],
                 tmp_path)
    assert "No cell finished: 1 of 1 ended without a result." in page.text
    assert "killed after 5 s" in page.text
    assert "Images drawn" in page.text
    assert page.all("img") == []
    assert "its numbers are not those of the papers" not in page.text


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match="No space left"):
        build_board([make_record()], tmp_path, runs=tmp_path, definitions={})
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


def test_no_record_is_a_mistake_of_the_caller(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        build_board([], tmp_path, runs=tmp_path)


def test_installed_metrics_explain_their_columns(tmp_path):
    path = build_board([make_record()], tmp_path, runs=tmp_path)
    definitions = module.installed_definitions()
    assert definitions["psnr"] in Page.of(path.read_text(encoding="utf-8")).text


@pytest.mark.parametrize(("number", "text"), [
    (0, "0"), (7, "7"), (999, "999"), (999.6, "1.00 k"), (1000, "1.00 k"), (12_345, "12.3 k"),
    (999_999, "1.00 M"), (123_456_789, "123 M"), (2.5e9, "2.50 G")])
def test_amounts_have_three_digits(number, text):
    assert amount(number) == text
