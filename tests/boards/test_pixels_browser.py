"""The comparator and the light table in a browser: keys, no script, no request, print."""

from __future__ import annotations

import io
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from srbench.boards.pixels import make_pixels, pixels_page
from tests.boards.chromium import launched, unfold, violations, visits
from tests.boards.pictures import board_of, measured, put, rendered, scored_cells
from tests.results.factory import make_samples

HOSTILE = '"><img src=http://evil.test/a.png onerror=window.hit=1>' + "w" * 80
# By the median over methods, as one is flagged: 4, 8, 2 and 4, so scenes stand as 2, 4, 3, 1.
ROWS = {"a": [3.0, 9, 1, 4], "b": [4.0, 8, 2, 5], HOSTILE: [5.0, 7, 9, 1]}
VISIBLE = """selector => [...document.querySelectorAll(selector)]
  .filter(one => one.checkVisibility()).map(one => one.alt)"""


@pytest.fixture(scope="module")
def browser():
    with launched() as one:
        yield one


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The comparator of a small board, and its light table beside it."""
    runs = tmp_path_factory.mktemp("pixels")
    draw = np.random.default_rng(0)
    records = []
    for place, (label, row) in enumerate(ROWS.items()):
        record = measured("x", row)
        record.identity.label, record.identity.key = label, f"cell{place}"
        record.outcome.flags = ["colour-cast", HOSTILE] if place == 2 else []
        clouds = {kind: draw.uniform(0, 1, (1024, 3)) for kind in ("lr", "prediction", "hr")}
        records.append(put(runs, record, make_samples(place, count=4, side=32, noise=0.2),
                           {"l2-uvp": row}, clouds))
    board = board_of(records)
    (runs / "toy.html").write_text(rendered(make_pixels(board, runs / "cells")), encoding="utf-8")
    (runs / "toy-pixels.html").write_text(
        pixels_page(board, runs / "cells", runs, "toy-pixels"), encoding="utf-8")
    return runs


@pytest.fixture
def visit(browser):
    with visits(browser) as go:
        yield go


@pytest.fixture
def comparator(visit, pages):
    return lambda **options: visit(pages / "toy.html", **options)


@pytest.fixture
def table(visit, pages):
    return lambda hash_="", **options: visit(pages / "toy-pixels.html", hash_, **options)


def shown(page) -> list[str]:
    return page.evaluate(VISIBLE, ".pix-stage img")


@pytest.mark.parametrize("script", [False, True])
def test_arrow_keys_flicker_between_images_in_place(comparator, script):
    page = comparator(java_script_enabled=script)
    page.locator("#pix-method-lr").focus()
    page.keyboard.press("Space")
    seen, places = [], set()
    for _ in range(5):
        image = page.locator(".pix-image:visible")
        seen.append(image.get_attribute("alt"))
        places.add(tuple(image.bounding_box().values()))
        page.keyboard.press("ArrowDown")
    assert [alt.partition(",")[0] for alt in seen] == ["LR", "a", "b", HOSTILE, "HR"]
    assert len(places) == 1
    assert page.locator(".pix-image:visible").get_attribute("alt") == seen[0]


def test_scenes_zoom_and_differences_without_a_script(comparator):
    page = comparator(java_script_enabled=False)
    assert page.locator(".pix-image:visible").get_attribute("alt") == "a, median (image 4)"
    assert page.locator(".pix-values:visible").first.inner_text().strip() == "L2-UVP 4.0\u00a0%"
    page.locator("#pix-scene-1").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator(".pix-image:visible").get_attribute("alt") == "a, worst (image 2)"
    assert page.locator(".pix-values:visible").first.inner_text().strip() == "L2-UVP 9.0\u00a0%"
    for zoom in (2, 4, 8):
        page.locator(f"#pix-zoom-{zoom}").check()
        assert page.locator(".pix-image:visible").bounding_box()["width"] == 32 * zoom
    page.locator("#pix-diff").check()
    assert page.locator(".pix-image:visible").count() == 0
    assert page.locator(".pix-map:visible").get_attribute("alt").endswith("difference to HR")
    page.locator("#pix-method-hr").check()
    assert page.locator(".pix-image:visible").get_attribute("alt") == "HR, worst (image 2)"
    page.locator("#pix-all").check()
    assert page.locator(".pix-stage:visible").count() == 5
    assert not page.locator("#pix-split").is_visible()


def test_letters_change_the_scene_and_the_slider_splits(comparator):
    page = comparator()
    page.locator("#pix-diff").focus()
    page.keyboard.press("j")
    assert page.evaluate("document.querySelector('[name=pix-scene]:checked').id") == "pix-scene-2"
    for _ in range(3):
        page.keyboard.press("k")
    assert page.evaluate("document.querySelector('[name=pix-scene]:checked').id") == "pix-scene-3"
    page.locator("#pix-split").focus()
    page.keyboard.press("ArrowRight")
    half = page.locator(".pix-half")
    assert half.evaluate("e => getComputedStyle(e).clipPath") == "inset(0px 0px 0px 95%)"
    boxes = [page.locator(".pix-image:visible").nth(place).bounding_box() for place in (0, 1)]
    assert boxes[0] == boxes[1]
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    assert page.evaluate("document.querySelector('[name=pix-scene]:checked').id") == "pix-scene-3"


def test_state_set_from_outside_is_shown(comparator):
    page = comparator()
    page.evaluate("""() => {
      const set = (id, change) => {
        change(document.getElementById(id));
        document.getElementById(id).dispatchEvent(new Event("change", {bubbles: true}));
      };
      set("pix-split", e => { e.value = "40"; });
      set("pix-scene-3", e => { e.checked = true; });
      set("pix-method-m-b", e => { e.checked = true; });
    }""")
    assert shown(page) == ["b, image 1", ""]
    hr = page.evaluate("document.querySelector('#pix-method-hr').closest('.pix-option')"
                       ".querySelector('.pix-of-3 .pix-image').src")
    assert page.locator(".pix-half").get_attribute("src") == hr


@pytest.mark.parametrize("which", ["comparator", "table"])
def test_nothing_is_asked_for_but_files_beside_the_page(request, pages, which):
    page = request.getfixturevalue(which)()
    for number in range(4):
        page.locator(f"#pix-scene-{number}").check()
    page.wait_for_load_state("networkidle")
    page.wait_for_function("[...document.images].filter(i => i.checkVisibility())"
                           ".every(i => i.complete && i.naturalWidth)")
    outside = [url for url in page.asked if urlsplit(url).scheme not in ("data", "file")]
    assert outside == []
    allowed = pages.as_uri()
    assert all(url.startswith(("data:", allowed)) for url in page.asked)
    assert page.complaints == []
    assert page.evaluate("window.hit") is None


@pytest.mark.parametrize("which", ["comparator", "table"])
def test_no_width_makes_the_page_scroll_sideways(request, which):
    page = request.getfixturevalue(which)()
    unfold(page)
    for width in (320, 760, 1280, 2560):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("which", ["comparator", "table"])
def test_axe_finds_nothing(request, which):
    pytest.importorskip("axe_playwright_python")
    page = request.getfixturevalue(which)(color_scheme="dark", bypass_csp=True)
    unfold(page)
    assert violations(page) == []
    page.emulate_media(color_scheme="light")
    assert page.evaluate("async () => (await axe.run()).violations.map(v => v.id)") == []


@pytest.mark.parametrize("which", ["comparator", "table"])
def test_the_keyboard_reaches_every_control_with_a_visible_focus(request, which):
    page = request.getfixturevalue(which)()
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "(e => [e.name || e.id, getComputedStyle(e).outlineWidth])(document.activeElement)")
        reached.add(name)
        assert name == "" or outline == "3px"
    wanted = {"comparator": {"pix-scene", "pix-zoom", "pix-diff", "pix-split", "pix-all",
                             "pix-method"},
              "table": {"pix-scene", "lt-order", "lt-seed", "lt-x", "lt-y", "lt-move", "lt-link"}}
    assert wanted[which] <= reached


@pytest.mark.parametrize("script", [False, True])
def test_print_unfolds_every_crop(comparator, script):
    page = comparator(java_script_enabled=script, width=1000)
    page.emulate_media(media="print")
    images = page.locator(".pix-stage .pix-image:visible")
    assert images.count() == 5 * 4
    boxes = [images.nth(place).bounding_box() for place in range(20)]
    assert all(box["width"] > 30 and box["x"] + box["width"] <= 1000 for box in boxes)
    assert len({round(box["y"]) for box in boxes}) == 5  # one row a method
    assert not page.locator("#pix-scene-0").is_visible()
    assert "worst (image 2)" in page.locator(".pix-caption:visible").first.inner_text()
    assert page.pdf().startswith(b"%PDF")


def test_the_table_shows_one_scene_whole_cropped_and_as_differences_without_a_script(table):
    page = table(java_script_enabled=False)
    assert page.locator(".lt-whole img:visible").count() == 5
    assert page.locator(".lt-crop img:visible").count() == 5
    assert page.locator(".lt-map img:visible").count() == 2 * 4
    assert "median (image 4)" in page.locator("#lt-now").inner_text()
    page.locator("#pix-scene-0").check()
    assert "worst (image 2)" in page.locator("#lt-now").inner_text()
    assert not page.locator("#lt-tools").is_visible()
    assert not page.locator("#lt-link").is_visible()


def test_the_blended_difference_is_the_computed_one(table, pages):
    """Up to the halves of levels that the browser rounds before it enlarges them."""
    page = table(width=2000)
    frame = page.locator(".lt-map:visible").nth(1)
    frame.scroll_into_view_if_needed()
    page.wait_for_function("[...document.images].filter(i => i.checkVisibility())"
                           ".every(i => i.complete && i.naturalWidth)")
    with Image.open(io.BytesIO(frame.screenshot())) as image:
        blended = np.asarray(image.convert("RGB"))[8::16, 8::16].astype(int)
    folder = pages / "toy-pixels"
    pair = [np.asarray(Image.open(folder / name)) for name in ("4-m-a.png", "4-hr.png")]
    gain = int(page.evaluate("getComputedStyle(document.documentElement)"
                             ".getPropertyValue('--gain')")) // 2
    image, hr = (pixels[8:24, 8:24].astype(int) for pixels in pair)
    computed = np.clip(128 + gain * (image - hr), 0, 255)
    assert blended.shape == computed.shape
    assert abs(blended - computed).max() <= 3 * gain


def test_the_frame_moves_in_all_columns_and_stays_inside(table):
    page = table()
    page.locator("#lt-move").focus()
    before = page.locator(".lt-crop img:visible").nth(3).bounding_box()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("[document.getElementById('lt-x').value,"
                         " document.getElementById('lt-y').value]") == ["9", "16"]
    after = page.locator(".lt-crop img:visible").nth(3).bounding_box()
    assert before["x"] - after["x"] == pytest.approx(192 / 16, abs=0.1)
    assert before["y"] - after["y"] == pytest.approx(8 * 192 / 16, abs=0.1)
    page.locator(".lt-whole:visible").first.click(position={"x": 2, "y": 2})
    assert page.evaluate("[document.getElementById('lt-x').value,"
                         " document.getElementById('lt-y').value]") == ["0", "0"]
    page.locator("#lt-x").fill("7")
    page.keyboard.press("Tab")
    assert page.url.endswith("#x=7&y=0")


def test_scenes_are_sorted_by_disagreement_a_method_or_a_seed(table):
    page = table()

    def order():
        return page.evaluate("[...document.querySelectorAll('[name=pix-scene]')].map(e => e.value)")

    assert order() == ["2", "4", "3", "1"]
    page.locator("#lt-order").select_option("disagree")
    # Variances over a, b, the third: 0.67, 0.67, 12.7, 2.9 of the images 1 to 4.
    assert order()[:2] == ["3", "4"]
    assert "image 3" in page.locator("#lt-now").inner_text()
    page.locator("#lt-order").select_option("m-a")
    assert order() == ["2", "4", "1", "3"]
    page.locator("#lt-order").select_option("random")
    first = order()
    seen = {tuple(first)}
    for seed in range(1, 6):
        page.locator("#lt-seed").fill(str(seed))
        page.keyboard.press("Tab")
        seen.add(tuple(order()))
    assert len(seen) > 1
    page.locator("#lt-seed").fill("0")
    page.keyboard.press("Tab")
    assert order() == first


def test_a_link_restores_the_view(table):
    page = table("#scene=3&x=5&y=2&order=m-b&seed=9")
    state = page.evaluate("""[document.querySelector('[name=pix-scene]:checked').value,
      ...["lt-x", "lt-y", "lt-order", "lt-seed"].map(id => document.getElementById(id).value)]""")
    assert state == ["3", "5", "2", "m-b", "9"]
    assert page.locator("#lt-link").get_attribute("href") == "#scene=3&x=5&y=2&order=m-b&seed=9"


def test_a_link_that_makes_no_sense_breaks_nothing(table):
    page = table()
    for hash_ in ("#scene=99&x=-5&y=1e9&order=none&seed=x", "#%", "#x=<b>"):
        page.evaluate("hash => { location.hash = hash; }", hash_)
        page.wait_for_function("document.getElementById('lt-link').hash === location.hash")
        x, y = page.evaluate("['lt-x', 'lt-y'].map(id => +document.getElementById(id).value)")
        assert (x, 0 <= y <= 16) == (0 if "x" in hash_ else 8, True)
        assert "median (image 4)" in page.locator("#lt-now").inner_text()
    assert page.complaints == []


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, *_args):
        pass


def test_a_figure_can_be_saved_where_a_server_gives_the_page(browser, table, pages):
    """Files have no origin in common, so a canvas of them may not be read: no button there."""
    assert not table().locator("#lt-figure").is_visible()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(pages)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/toy-pixels.html")
        with page.expect_download() as download:
            page.locator("#lt-figure").click()
        assert download.value.suggested_filename == "figure.png"
        with Image.open(download.value.path()) as image:
            assert image.size == (12 + 5 * (256 + 12), 256 + 64 + 12)
            hr = np.asarray(image.convert("RGB"))[12:268, -268:-12][8::16, 8::16]
        with Image.open(pages / "toy-pixels" / "4-hr.png") as kept:
            assert np.array_equal(hr, np.asarray(kept)[8:24, 8:24])
        assert "Saved" in page.locator("#lt-said").inner_text()
    finally:
        context.close()
        server.shutdown()
        server.server_close()


def test_many_methods_keep_the_image_in_view(visit, tmp_path):
    """The stage stays while a long list of methods is walked through."""
    rows = {f"m{number}": [float(number)] for number in range(30)}
    pixels = make_pixels(board_of(scored_cells(tmp_path, rows)), tmp_path / "cells")
    (tmp_path / "many.html").write_text(rendered(pixels), encoding="utf-8")
    page = visit(tmp_path / "many.html")
    page.locator("#pix-method-m-m29").check()
    page.locator("#pix-method-m-m29").scroll_into_view_if_needed()
    box = page.locator(".pix-image:visible").bounding_box()
    assert 0 <= box["y"] < 900
