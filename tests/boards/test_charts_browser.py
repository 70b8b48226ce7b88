"""Charts in a browser from file://, under the page's policy, offline: still, alive, broken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jinja2
import pytest

import srbench.boards
from srbench.boards.charts import (
    chart_script,
    chart_style,
    interactive_library,
    path,
    scatter,
)
from srbench.boards.charts.look import DARK
from srbench.boards.markup import csp_hash
from tests.boards.chart_boards import HOSTILE, board, column, entry, paper_board, row
from tests.boards.chromium import launched, violations, visits

TEMPLATES = Path(srbench.boards.__file__).with_name("templates")
PAGE = """\
<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Charts</title>
<style>{{ style | safe }}</style></head><body><main><h1>Charts</h1>
{% from "_charts.html" import chart %}{% for one in charts %}{{ chart(one) }}{% endfor %}</main>
<script type="text/plain" id="chart-library">{{ library | safe }}</script>
<script>{{ script | safe }}</script></body></html>"""
STYLE = """
:root { color-scheme: light dark; --ink: #16191d; --paper: #fff; --muted: #59616b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ebee; --paper: #111418; --muted: #a5aeb8; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px sans-serif; }
main { padding: 8px; } .scroll { overflow-x: auto; }
"""


def page_of(charts, *, spoiled=False):
    library, script, style = interactive_library(), chart_script(), STYLE + chart_style()
    policy = (f"default-src 'none'; img-src data:; style-src '{csp_hash(style)}'; "
              f"script-src '{csp_hash(script)}' '{csp_hash(library)}'")
    jinja = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True)
    return jinja.from_string(PAGE).render(
        charts=charts, policy=policy, style=style, script=script,
        library=library + ("//" if spoiled else ""))


@pytest.fixture(scope="module")
def browser():
    with launched() as browser:
        yield browser


@pytest.fixture
def visit(browser):
    with visits(browser) as visit:
        yield visit


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("charts")
    rows = [replace(row("a", entry(3.0), entry(9.0)), label=f"{HOSTILE}{'w' * 90}"),
            row("ots", entry(1.0), entry(5.0))]
    columns = [replace(column("l2-uvp"), title=HOSTILE), column("fid")]
    pages = {"paper": page_of([scatter(paper_board()), path(paper_board())]),
             "spoiled": page_of([scatter(paper_board())], spoiled=True),
             "hostile": page_of([scatter(board(rows, columns))])}
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in pages}


def alive(page, count=2):
    for index in range(count):
        figure = page.locator("figure.chart").nth(index)
        figure.scroll_into_view_if_needed()
        page.wait_for_function(
            "i => document.querySelectorAll('figure.chart')[i].matches('.interactive')", arg=index)
    return page


def ticks(page):
    return sorted(page.locator("#chart-scatter .role-axis-label text").all_text_contents())


def test_charts_come_alive_under_the_policy_without_a_request(visit, files):
    page = alive(visit(files["paper"]))
    assert page.asked == [files["paper"].as_uri()]
    assert page.complaints == []
    assert page.locator("figure.chart svg").count() == 2
    assert page.locator("#chart-scatter svg .mark-symbol path").count() > 10
    drawn = page.locator("#chart-scatter svg")
    assert drawn.get_attribute("role") == "img"
    assert drawn.get_attribute("viewBox") == "0 0 520 440"
    words = drawn.get_attribute("aria-describedby")
    assert "ots is best in both" in page.locator(f"#{words}").text_content()


def test_without_scripts_the_pictures_and_their_numbers_are_there(visit, files):
    page = visit(files["paper"], java_script_enabled=False)
    assert page.locator("figure.chart svg").count() == 2
    assert page.locator("#chart-scatter svg text", has_text="ots").is_visible()
    assert page.locator("#chart-path table tbody tr").count() == 10
    assert page.complaints == []


def test_where_the_library_is_not_the_one_the_policy_knows_the_pictures_stay(visit, files):
    page = visit(files["spoiled"])
    page.wait_for_timeout(500)
    assert page.locator("figure.interactive").count() == 0
    assert page.locator("#chart-scatter svg text", has_text="ots").is_visible()
    assert page.asked == [files["spoiled"].as_uri()]
    assert all("Content Security Policy" in text for text in page.complaints)


def test_marks_tell_their_numbers_and_hostile_texts_stay_texts(visit, files):
    page = alive(visit(files["hostile"]), 1)
    page.locator("#chart-scatter .mark-symbol path[fill='#0060A8']").first.hover()
    tip = page.locator("#vg-tooltip-element")
    assert tip.is_visible()
    assert "ots\n" in tip.text_content()
    page.locator("#chart-scatter .mark-symbol path[fill='#B84A00']").first.hover()
    assert "<script>alert(1)</script>" in tip.text_content()
    box = tip.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 1280
    assert page.locator("main script:not([type])").count() == 0
    assert page.complaints == []
    page.mouse.move(5, 5)
    assert not tip.is_visible()


def test_a_row_pointed_at_stands_out_and_marks_tell_theirs(visit, files):
    page = alive(visit(files["paper"]))
    page.evaluate("""() => {
        window.told = [];
        document.addEventListener('srbench:highlight', e => told.push(e.detail.label));
        document.dispatchEvent(new CustomEvent('srbench:highlight', {detail: {label: 'ots'}}));
    }""")
    page.wait_for_timeout(100)
    faded = page.locator("#chart-scatter .mark-symbol path[opacity='0.12']").count()
    assert faded >= 9
    assert page.locator("#chart-scatter .mark-symbol path[fill='#0060A8']").first.get_attribute(
        "opacity") == "1"
    page.locator("#chart-scatter .mark-symbol path[fill='#0060A8']").first.hover()
    page.mouse.move(1200, 5)
    told = page.evaluate("told")
    assert told[1] == "ots"
    assert told[-1] == ""
    page.wait_for_timeout(100)
    assert page.locator("#chart-scatter .mark-symbol path[opacity='0.12']").count() == 0


def test_buttons_zoom_move_and_reset_by_the_keyboard(visit, files):
    page = alive(visit(files["paper"]))
    before = ticks(page)
    bar = page.locator("#chart-scatter").get_by_role("group", name="Zoom")
    for name in ("Zoom in", "Move left", "Move up"):
        bar.get_by_role("button", name=name).focus()
        page.keyboard.press("Enter")
        page.wait_for_timeout(60)
        now = ticks(page)
        assert now != before
    bar.get_by_role("button", name="Show all").click()
    page.wait_for_timeout(60)
    assert ticks(page) == before
    sizes = [button.bounding_box() for button in bar.get_by_role("button").all()]
    assert all(min(size["width"], size["height"]) >= 24 for size in sizes)


def test_the_wheel_scrolls_the_page_and_zooms_only_with_ctrl(visit, files):
    page = alive(visit(files["paper"]))
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(100)
    before = ticks(page)
    page.mouse.move(250, 250)
    page.mouse.wheel(0, 120)
    page.wait_for_timeout(200)
    assert page.evaluate("scrollY") > 0
    assert ticks(page) == before
    page.keyboard.down("Control")
    page.mouse.wheel(0, -120)
    page.keyboard.up("Control")
    page.wait_for_timeout(200)
    assert ticks(page) != before


@pytest.mark.parametrize("scripts", [True, False])
def test_the_dark_theme_recolours_the_picture_drawn_or_alive(visit, files, scripts):
    page = visit(files["paper"], color_scheme="dark", java_script_enabled=scripts)
    if scripts:
        alive(page)
    label = page.locator("#chart-scatter svg text", has_text="ots").last
    red, green, blue = (int(DARK["#0060A8"][i:i + 2], 16) for i in (1, 3, 5))
    assert label.evaluate("e => getComputedStyle(e).fill") == f"rgb({red}, {green}, {blue})"
    page.emulate_media(media="print", color_scheme="dark")
    assert label.evaluate("e => getComputedStyle(e).fill") == "rgb(0, 96, 168)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit, files, scheme):
    page = alive(visit(files["paper"], color_scheme=scheme))
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert violations(page) == []


@pytest.mark.parametrize("width", [320, 760])
def test_a_narrow_page_scrolls_in_its_charts_only(visit, files, width):
    page = alive(visit(files["paper"], width=width))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("#chart-scatter svg").bounding_box()
    assert box["width"] >= 480
