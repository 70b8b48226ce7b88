"""The page in a browser: no request, no sideways scrolling, both themes, keyboard, print."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]
CONTRAST = """
() => {
  const channel = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) =>
    0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const numbers = text => text.match(/[0-9.]+/g).map(Number);
  const ground = element => {
    for (; element; element = element.parentElement) {
      const color = numbers(getComputedStyle(element).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const worst = {};
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    const style = getComputedStyle(element);
    if (!own || style.visibility === "hidden") continue;
    const pair = [luminance(numbers(style.color)), luminance(ground(element))];
    const [a, b] = pair.sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) worst[element.tagName + "." + element.className] = ratio;
  }
  return worst;
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Debian's chromium, or any other in the path."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("no chromium in the path: install it to test pages in a browser")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=executable, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def visit(browser, board: Path):
    """Open the board in a fresh context; requests and complaints are collected on the page."""
    contexts = []

    def go(width: int = 1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.asked, page.complaints = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(board.as_uri())
        return page

    yield go
    for context in contexts:
        context.close()


def test_the_page_asks_for_nothing_but_itself(visit, board):
    page = visit()
    page.wait_for_load_state("networkidle")
    outside = [url for url in page.asked if not url.startswith("data:")]
    assert outside == [board.as_uri()]
    assert page.complaints == []


@pytest.mark.parametrize("width", [320, 760, 1280, 2560])
def test_only_tables_scroll_sideways(visit, width):
    page = visit(width)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints == []
    if width == 320:
        table = page.locator(".scroll").first
        assert table.evaluate("e => e.scrollWidth > e.clientWidth")
        table.evaluate("e => e.scrollLeft = 200")
        name = page.locator("tbody th").first.bounding_box()
        assert 0 <= name["x"] < 40  # the method's name stays in view


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_themes(visit, scheme):
    page = visit(color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 20, 24)"}[scheme]
    assert page.evaluate(CONTRAST) == {}


def test_pictures_are_shown_whole_and_without_smoothing(visit):
    page = visit()
    shown = page.locator(".gallery img").evaluate_all(
        "all => all.map(i => [i.complete && i.naturalWidth, i.width,"
        " getComputedStyle(i).imageRendering])")
    assert len(shown) == 56
    assert all(entry == [64, 128, "pixelated"] for entry in shown)


def test_the_keyboard_reaches_links_tables_and_definitions_with_a_visible_focus(visit):
    page = visit()
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        tag, width = page.evaluate("[document.activeElement.tagName,"
                                   " getComputedStyle(document.activeElement).outlineWidth]")
        reached.add(tag)
        assert tag == "BODY" or width == "3px"
    assert {"A", "DIV", "SUMMARY"} <= reached
    page.locator("summary", has_text="What the columns mean").focus()
    page.keyboard.press("Enter")
    assert page.get_by_text("Peak signal-to-noise ratio").is_visible()


def test_print_is_light_and_cuts_no_table(visit):
    page = visit(1000, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator(".scroll").first.evaluate("e => getComputedStyle(e).overflowX") == "visible"
    assert not page.locator("nav").is_visible()
    assert page.pdf().startswith(b"%PDF")


def test_scripts_that_were_smuggled_in_would_not_run(visit):
    page = visit()
    page.evaluate("""() => {
        const script = document.createElement('script');
        script.textContent = 'document.title = "broken"';
        document.body.append(script);
    }""")
    assert page.title() != "broken"
    assert any("Content Security Policy" in text for text in page.complaints)
