"""The page as a document: complete, closed to the outside, safe from what plugins say."""

from __future__ import annotations

import errno
import json
import os
import re
from itertools import pairwise

import pytest

from srbench.boards import build as module
from srbench.boards.build import build_board
from srbench.boards.markup import PACKAGE
from srbench.boards.page import page_names
from srbench.boards.table import make_boards
from srbench.errors import StoreError
from srbench.foreign.text import printable
from srbench.registry.catalog import Catalog
from tests.boards.closed import check_nothing_is_fetched, check_scripts, elements, readable
from tests.boards.conftest import Page
from tests.results.factory import make_metric, make_record

HOSTILE = ["<script>alert(1)</script>", "{{1234567*7}}", "{% raise %}",
           '"><img src=x onerror=alert(1)>',
           "</style><script>1</script>", "&lt;b&gt;", "=cmd()", "a\x00b", "‮evil", "x" * 500]


@pytest.fixture(scope="module")
def page(board):
    return Page.of(board.read_text(encoding="utf-8"))


def build(records, folder, **options):
    """Page of some records without images."""
    path = build_board(records, folder / "out", runs=folder / "runs", catalog=Catalog(), **options)
    source = path.read_text(encoding="utf-8")
    check_scripts(source, [])
    check_nothing_is_fetched(source)
    return Page.of(source)


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


def test_nothing_is_fetched_and_only_our_scripts_run(board):
    source = board.read_text(encoding="utf-8")
    check_nothing_is_fetched(source)
    spec, = check_scripts(source, ["path"])
    assert spec["$schema"].startswith("https://vega.github.io/schema/vega-lite/")
    # The only addresses are the names of two formats, which nothing asks for.
    known = {"http://www.w3.org/2000/svg", spec["$schema"]}
    assert set(re.findall(r"https?://[^\s\"'<]+", readable(source))) <= known


def test_our_script_asks_for_nothing_and_makes_no_code_of_text(board):
    script = elements(board.read_text(encoding="utf-8"), "script")[-1][1]
    for word in ("fetch(", "XMLHttpRequest", "WebSocket", "EventSource", "sendBeacon", "import(",
                 "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                 "new Function", "localStorage", "document.cookie"):
        assert word not in script


def test_the_policy_would_notice_a_changed_script(board):
    source = board.read_text(encoding="utf-8")
    script = elements(source, "script")[-1][1]
    for changed in (source.replace(script, script + " "),
                    source.replace("</main>", "</main><script>1</script>"),
                    source.replace("script-src ", "script-src 'unsafe-inline' ")):
        assert changed != source
        with pytest.raises(AssertionError):
            check_scripts(changed, ["path"])


def test_every_link_leads_somewhere(page, board):
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = [attributes["href"] for attributes in page.all("a")]
    assert board.stem == "w2-early@embedded-quick"
    assert {f"{board.stem}{end}" for end in (".csv", ".json", ".tex", ".bib", "-pixels.html")} <= \
        set(links)
    assert sum(link.endswith("/log.txt") for link in links) == 2
    for link in links:
        if link.startswith("#"):
            assert link[1:] in ids
        else:
            assert (board.parent / link).is_file()


def test_the_tables_are_tables(page):
    # Results, differences to the best and to identity, oracle, protocols; a chart's numbers.
    assert len(page.all("caption")) == 5
    assert len(page.all("table")) == 5 + len(page.all("figcaption")) == 6
    assert all(header.get("scope") in ("col", "row") for header in page.all("th"))
    regions = [attributes for attributes in page.all("div") if attributes.get("class") == "scroll"]
    assert len(regions) == 6
    captions = {caption.get("id") for caption in page.all("caption")}
    for region in regions:
        assert region["tabindex"] == "0"
        assert (region["aria-labelledby"] in captions if region["role"] == "region"
                else region["role"] == "group" and region["aria-label"].endswith(": numbers"))


@pytest.mark.parametrize("words", [
    "L2-UVP % ↓ , lower is better", "PSNR dB ↑ , higher is better", "LPIPS ↓ , lower is better",
    "Palette variance ≈ , closer to the value of the HR images is better",
    "Training s", "Images seen", "Generator calls", "Critic calls", "Parameters",
    "Peak memory GiB", "Seeds"])
def test_headers_carry_unit_arrow_and_words(page, words):
    assert words in page.text


@pytest.mark.parametrize("words", [
    "ots is the least biased, with L2-UVP 6.2 % (95 % interval 4.9 to 7.5).",
    "identity scores 30.2 %. 2 of 12 cells did not finish.",
    "1,000 test pairs; 2 seeds of each trained method.",
    "Read this first: This data is a stand-in.",
    "sorted by L2-UVP, best first",
    "LPIPS of all methods : the VGG-16 weights are not on this machine. To mend it: "
    "srbench fetch vgg16",
    "diverged , seed 0: the loss is nan at step 310",
    "missing-dependency , seed 0: no reason was recorded",
    "gradient is NaN",  # the tail of the log
    "Peak signal-to-noise ratio of clamped float RGB in [0, 1], averaged over images.",
    "Closer to the value of the HR images is better.",
    "l2-uvp/total-variance/v1",
    "srbench run --methods ots,wgan-gp --dataset w2-early --seeds 0,1",
    "d" * 64, "preset quick", "its numbers are not those of the papers",
    "Not a result: these iterates were chosen by looking at true targets",
    "[lambda=0] colour-cast", "Raised for: wgan-gp[lambda=0].", "HR images 0.160",
    "Metrics along λ of wgan-gp", "Whole images, side by side", "Find a method",
    "cpu.model A processor", "1.28 M", "7.03 M"])
def test_the_page_says(page, words):
    text = page.text.replace(" : ", ": ")
    assert words.replace(" : ", ": ") in text


def test_every_picture_has_words_and_failures_come_after_results(page):
    images = [image["alt"] for image in page.all("img") if image["alt"]]
    thumbnails = [image for image in page.all("img") if not image["alt"]]
    assert len(thumbnails) == len({image["src"] for image in thumbnails}) == 7  # beside their names
    # LR, three methods and HR; differences to HR of all but itself.
    assert len(images) == len(set(images)) == 7 * (5 + 4)
    svg, = [tag for tag in page.all("svg") if tag.get("role") == "img"]
    assert svg["aria-label"] == "Metrics along λ of wgan-gp"
    order = [text for tag, text in page.texts if tag in ("span", "th", "a")]
    assert order.index("diverged") > order.index("identity")


def test_the_size_budget(board):
    assert board.stat().st_size <= 2 * 1024 * 1024
    assert len((PACKAGE / "templates" / "style.css").read_bytes()) < 10 * 1024


def test_five_hundred_rows_of_twelve_metrics_stay_within_the_budget(tmp_path):
    metrics = {f"metric-{index}": index / 7 for index in range(12)}
    records = [make_record(f"method[lambda={index}]", metrics=metrics) for index in range(500)]
    path = build_board(records, tmp_path, runs=tmp_path, catalog=Catalog())
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
    assert len(page.all("script")) == 1  # ours: see build
    assert "img" not in {tag for tag, _ in page.tags}
    assert "8641969" not in page.text
    assert printable(text) in page.text
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [
        ".bib", ".csv", ".html", ".json", ".tex"]
    assert all(path.parent == tmp_path / "out" for path in tmp_path.rglob("*.html"))


def test_file_names_are_safe_and_unique():
    titles = ["a/b", "a b", "../../etc/passwd", "", "…", "A", "w" * 500, "w2-early@embedded"]
    boards = [board for title in titles for board in make_boards([make_record(title=title)])]
    names = page_names(boards)
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9@.-]{0,130}", name) for name in names)
    assert names[-1] == "w2-early@embedded-quick"


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
    assert page.all("img") == page.all("svg") == page.all("figure") == []
    assert "#charts" not in [tag["href"] for tag in page.all("a")]
    assert "its numbers are not those of the papers" not in page.text


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match="No space left"):
        build_board([make_record()], tmp_path, runs=tmp_path, catalog=Catalog())
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


def test_no_record_is_a_mistake_of_the_caller(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        build_board([], tmp_path, runs=tmp_path)


def test_installed_metrics_explain_their_columns(tmp_path):
    path = build_board([make_record()], tmp_path, runs=tmp_path)
    page = Page.of(path.read_text(encoding="utf-8"))
    infos = module.metric_infos(module.installed())
    assert infos["psnr"].summary in page.text
    assert infos["l2-uvp"].summary in page.text
    assert infos["ssim"].summary not in page.text


def test_without_a_plugin_the_protocol_still_says_what_was_measured(tmp_path):
    page = build([make_record()], tmp_path)
    assert "PSNR [dB] Higher is better." in page.text
    assert "psnr/rgb-float-clamped/v1" in page.text
