"""The page in a browser: no request, no sideways scrolling, both themes, no script, print."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.boards.chromium import unfold, violations

WIDTHS = [320, 760, 2560]


@pytest.fixture
def committed():
    """A page of many columns."""
    pages = Path(__file__).resolve().parents[2] / "leaderboards" / "pages"
    return pages / "w2-early@embedded.html"


def test_the_page_asks_for_nothing_but_itself(visit, board):
    page = visit(board)
    page.wait_for_load_state("networkidle")
    page.mouse.wheel(0, 20_000)  # charts wake up where they come into view
    page.wait_for_timeout(500)
    outside = [url for url in page.asked if not url.startswith("data:")]
    assert outside == [board.as_uri()]
    assert page.complaints == []


@pytest.mark.parametrize("which", ["board", "light_table", "front_page"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit, request, which, scheme):
    page = visit(request.getfixturevalue(which), color_scheme=scheme)
    unfold(page)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert which == "light_table" or ground == {
        "light": "rgb(255, 255, 255)", "dark": "rgb(17, 20, 24)"}[scheme]
    assert violations(page) == []


def test_axe_would_find_something(visit, board):
    page = visit(board)
    page.evaluate("document.querySelector('main').append(document.createElement('img'))")
    assert any(found.startswith("image-alt") for found in violations(page))


@pytest.mark.parametrize("which", ["board", "light_table", "front_page"])
@pytest.mark.parametrize("width", WIDTHS)
def test_only_tables_scroll_sideways(visit, request, which, width):
    page = visit(request.getfixturevalue(which), width=width)
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints == []


def test_names_stay_in_view_when_the_table_is_scrolled(visit, board):
    page = visit(board, width=320)
    table = page.locator(".scroll").first
    assert table.evaluate("e => e.scrollWidth > e.clientWidth")
    table.evaluate("e => e.scrollLeft = 200")
    name = page.locator("#rows th").first.bounding_box()
    assert 0 <= name["x"] < 40


def test_without_scripts_everything_is_there_but_re_sorting(visit, board):
    with_scripts, page = visit(board), visit(board, java_script_enabled=False)
    for selector in ("#rows tr", "figure.chart svg", "img", "details", "h2", "h3", "dd",
                     "input[name^=pix-]"):
        assert page.locator(selector).count() == with_scripts.locator(selector).count() > 0
    assert page.locator("#view").is_hidden()
    assert page.locator("thead button").count() == 0
    assert all(row.is_visible() for row in page.locator("#rows tr").all())
    assert page.locator(".finding").inner_text() == with_scripts.locator(".finding").inner_text()
    for link in page.locator("nav a[href^='#']").all():
        assert page.locator(link.get_attribute("href")).count() == 1


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("which", ["board", "light_table", "committed"])
def test_print_is_light_and_cuts_nothing(visit, request, which, scripts):
    printable = 1032  # CSS pixels between the margins of A4 landscape
    page = visit(request.getfixturevalue(which), width=printable, color_scheme="dark",
                 java_script_enabled=scripts)
    page.emulate_media(media="print", color_scheme="dark")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
    cut = page.evaluate("""width => [...document.querySelectorAll("td, th, img, pre, svg, p")]
        .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > width + 1)
        .map(e => e.outerHTML.slice(0, 100))""", printable)
    assert cut == []
    assert page.locator("nav").first.is_hidden()
    assert page.pdf(landscape=True).startswith(b"%PDF")


def test_scripts_that_were_smuggled_in_would_not_run(visit, board):
    page = visit(board)
    page.evaluate("""() => {
        const script = document.createElement('script');
        script.textContent = 'document.title = "broken"';
        document.body.append(script);
    }""")
    assert page.title() != "broken"
    assert any("Content Security Policy" in text for text in page.complaints)


def test_a_keyboard_alone_reaches_every_control_and_sees_where_it_is(visit, board):
    page = visit(board)
    unfold(page)
    wanted = page.evaluate("""() => {
        const all = [...document.querySelectorAll(
                "a[href], button, input, select, summary, [tabindex='0']")]
            .filter(e => e.checkVisibility({visibilityProperty: true}) && e.tabIndex >= 0);
        all.forEach((e, i) => e.dataset.walk = e.type === "radio" ? "group " + e.name : i);
        return [...new Set(all.map(e => e.dataset.walk))];
    }""")
    reached, faint = set(), []
    for _ in range(3 * len(wanted)):
        page.keyboard.press("Tab")
        mark, ring = page.evaluate("""() => {
            const e = document.activeElement, s = getComputedStyle(e);
            const beside = e.nextElementSibling || e.parentElement;
            return [e.dataset.walk ?? null,
                    parseFloat(s.outlineWidth) >= 2 && s.outlineStyle !== "none"
                    || parseFloat(getComputedStyle(beside).outlineWidth) >= 2];
        }""")
        if mark is None and reached >= set(wanted):
            break
        reached.add(mark)
        if mark is not None and not ring:
            faint.append(mark)
    assert set(wanted) <= reached
    assert faint == []


def test_targets_are_large_enough(visit, board):
    page = visit(board)
    unfold(page)
    small = page.evaluate("""() => [...document.querySelectorAll(
            "button, summary, label:has(input)")]
        .filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 24)
        .map(e => e.outerHTML.slice(0, 120))""")
    assert small == []
