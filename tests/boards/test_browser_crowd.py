"""Pages under strain: hostile texts everywhere, and five hundred methods."""

from __future__ import annotations

import pytest

from srbench.boards.build import build_board
from tests.boards.chromium import unfold
from tests.boards.hostile import texts
from tests.results.factory import make_metric, make_record

MOST = 2 * 2**20  # bytes of a page


def hostile_metrics(number, text):
    unit = text[:20] if number == 9 else "%"
    return {"l2-uvp": make_metric("l2-uvp", float(number), unit=unit),
            "psnr": make_metric("psnr", None, unavailable=text, remedy=text)}


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory):
    """Two hundred texts as labels, parameters, reasons, flags, notes, and more."""
    records = []
    for number, text in enumerate(texts()):
        record = make_record(
            text, title="data", status="ok" if number % 4 else "failed", reason=text,
            metrics=hostile_metrics(number, text) if number % 4 else {}, seed=number % 3,
            method_params={text[:60]: text, "nested": {text[:40]: [text]}},
            method_given={"k": number}, notice=text if number == 5 else "", method=text)
        record.outcome.flags, record.outcome.notes = [text], [text]
        record.outcome.log_tail = [text]
        record.environment = {text[:50]: text}
        record.origin.method_distribution = text
        records.append(record)
    folder = tmp_path_factory.mktemp("hostile")
    return build_board(records, folder / "out", runs=folder / "runs")


@pytest.mark.parametrize("width", [320, 1280])
def test_two_hundred_hostile_texts_do_nothing(visit, hostile_page, width):
    page = visit(hostile_page, width=width)
    unfold(page)
    page.wait_for_timeout(300)
    assert page.evaluate("window.hit") is None
    assert page.complaints == []
    assert [url for url in page.asked if not url.startswith("data:")] == [hostile_page.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("main > section").count() >= 4  # nothing was swallowed by a stray tag
    assert page.locator("#rows tr").count() == 150
    assert page.locator("#failures ~ ol > li").count() == 50
    tags = set(page.evaluate("[...document.querySelectorAll('main *')].map(e => e.tagName)"))
    assert not tags & {"SCRIPT", "IFRAME", "OBJECT", "EMBED", "LINK", "META", "BASE", "STYLE",
                       "MARQUEE", "VIDEO", "TEMPLATE", "PLAINTEXT", "XMP"} - {"SCRIPT"}
    assert all(kind == "application/json" for kind in page.evaluate(
        "[...document.querySelectorAll('main script')].map(s => s.type)"))


def test_hostile_texts_are_shown_not_dropped(visit, hostile_page):
    page = visit(hostile_page)
    shown = page.evaluate("[...document.querySelectorAll('#rows tr')].map(r => r.dataset.label)")
    for text in ("</script><script>window.hit=1</script>", "{{ 7 * 7 }}",
                 "<img src=x onerror=window.hit=1>", "λ"):
        assert text in shown or any(text in label for label in shown) or \
            text in page.locator("#failures ~ ol").inner_text()


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """A page of 500 methods with three seeds."""
    records = [make_record(f"method-{row}[a={row % 7},b=x{row}]", seed=seed, title="data",
                           metrics={name: value + (row * 37 % 500) / 10 + seed / 10
                                    for name, value in (("l2-uvp", 5.0), ("psnr", 10.0),
                                                        ("cosine", 0.1), ("lpips", 0.1))})
               for row in range(500) for seed in range(3)]
    folder = tmp_path_factory.mktemp("crowded")
    return build_board(records, folder / "out", runs=folder / "runs")


def test_five_hundred_rows_fit_and_work(visit, crowded):
    assert crowded.stat().st_size <= MOST
    page = visit(crowded)
    assert page.locator("#rows tr").count() == 500
    page.locator("#results-table thead button", has_text="PSNR").click()
    values = page.locator("#rows tr").evaluate_all("rows => rows.map(r => r.cells[3].textContent)")
    numbers = [float(value.split()[0]) for value in values]
    assert numbers == sorted(numbers, reverse=True)
    page.fill("#view-q", "method-49")
    assert page.locator("#view-status").inner_text().startswith("11 of 500 methods")
    assert page.complaints == []
