"""The reader's view: sorting, filtering, columns, and every control in the address."""

from __future__ import annotations

import re

import pytest


def labels(page):
    return page.evaluate("[...document.querySelectorAll('#rows tr')].filter(r => !r.hidden)"
                         ".map(r => r.dataset.label)")


def hash_of(page):
    return page.evaluate("location.hash")


def head(page, title):
    return page.locator("#results-table thead button", has_text=title).first


def again(visit, board, page):
    """The same address in another window."""
    return visit(board, hash_of(page))


def test_a_header_sorts_best_first_then_worst_first_then_not(visit, board):
    page = visit(board)
    start = labels(page)
    head(page, "PSNR").click()
    best_first = labels(page)
    th = page.locator("#results-table th[aria-sort]")
    assert th.count() == 1
    assert th.get_attribute("aria-sort") == "descending"
    values = page.locator("#rows tr").evaluate_all(
        "(rows, at) => rows.map(r => parseFloat(r.cells[at].textContent))",
        page.evaluate("[...document.querySelectorAll('#results-table thead th')]"
                      ".findIndex(h => h.hasAttribute('aria-sort'))"))
    assert values == sorted(values, reverse=True)
    assert "sorted by PSNR" in page.locator("#view-status").inner_text()
    head(page, "PSNR").click()
    assert labels(page) != best_first
    assert "reversed" in page.locator("#view-status").inner_text()
    head(page, "PSNR").click()
    assert labels(page) == start
    assert hash_of(page) == ""


def test_missing_values_come_last_whichever_way(visit, board):
    page = visit(board)
    for _ in range(2):
        head(page, "Rank").click()
        shown = page.locator("#rows tr td:first-child").all_inner_texts()
        missing = [not re.match(r"\d", text) for text in shown]
        assert missing == sorted(missing)


def test_names_sort_by_their_numbers(visit, board):
    page = visit(board)
    head(page, "Method").click()
    swept = [label for label in labels(page) if label.startswith("wgan-gp")]
    assert swept == ["wgan-gp[lambda=0]", "wgan-gp[lambda=2]", "wgan-gp[lambda=10]"]


def test_the_filter_finds_names_and_says_how_many(visit, board):
    page = visit(board)
    page.fill("#view-q", "WGAN")
    assert all("wgan" in label for label in labels(page))
    assert page.locator("#view-status").inner_text().startswith("3 of 5 methods")
    page.fill("#view-q", "no such method")
    assert labels(page) == []
    page.click("#view-reset")
    assert len(labels(page)) == 5
    assert hash_of(page) == ""


def test_sweeps_fold_to_their_best(visit, board):
    page = visit(board)
    page.check("input[name=view-sweep][value=best]")
    shown = labels(page)
    assert "wgan-gp[lambda=10]" in shown
    assert "wgan-gp[lambda=0]" not in shown
    assert "ots" in shown


def test_columns_come_and_go(visit, board):
    page = visit(board)
    page.locator("#view-columns summary").click()
    box = page.locator("#view-columns label", has_text="PSNR").locator("input")
    assert box.is_checked()
    box.uncheck()
    assert head(page, "PSNR").is_hidden()
    assert page.locator("#rows tr").first.locator("td:visible").count() == page.locator(
        "#results-table thead th:visible").count() - 1  # the method is a th
    assert head(again(visit, board, page), "PSNR").is_hidden()


def state(page):
    """Everything that a reader can set."""
    return page.evaluate("""() => ({
        inputs: [...document.querySelectorAll("input, select")].map(i =>
            [i.name || i.id, i.value, i.checked]),
        open: [...document.querySelectorAll("details[id]")].filter(d => d.open).map(d => d.id),
        heads: [...document.querySelectorAll("#results-table th")].map(h =>
            [h.hidden, h.getAttribute("aria-sort")]),
        rows: [...document.querySelectorAll("#rows tr")].map(r => [r.dataset.label, r.hidden]),
    })""")


@pytest.mark.parametrize("which", ["board", "light_table"])
def test_every_control_survives_the_way_through_the_address(visit, request, which):
    path = request.getfixturevalue(which)
    page = visit(path)
    controls = page.evaluate("""() => [...document.querySelectorAll("main input, main select")]
        .map((e, i) => { e.dataset.number = i; return [i, e.type, e.name || e.id]; })""")
    assert len(controls) > 5
    unfoldable = page.locator("details[id]")
    for index in range(unfoldable.count()):
        unfoldable.nth(index).evaluate("d => d.open = true")
    for number, kind, name in controls:
        control = page.locator(f"[data-number='{number}']")
        assert re.match(r"(view|pix|lt)-", name), f"{name} is not in the address"
        if kind in ("radio", "checkbox"):
            control.evaluate("e => e.click()")
        elif kind == "range":
            control.evaluate("e => { e.value = e.max; e.dispatchEvent(new Event('input', "
                             "{bubbles: true})); e.dispatchEvent(new Event('change', "
                             "{bubbles: true})); }")
        elif kind == "number":
            control.evaluate("e => { e.value = +e.min + 1; e.dispatchEvent(new Event('change', "
                             "{bubbles: true})); }")
        elif kind == "search":
            control.evaluate("e => { e.value = 'o'; e.dispatchEvent(new Event('input', "
                             "{bubbles: true})); }")
    if which == "board":
        head(page, "L2-UVP").evaluate("b => b.click()")
    page.wait_for_timeout(100)
    before, address = state(page), hash_of(page)
    assert len(address) > 10
    other = again(visit, path, page)
    other.wait_for_timeout(200)
    assert state(other) == before
    assert hash_of(other) in (address, address.replace("%20", "+"))
    assert other.complaints == []


def test_addresses_of_anybody_break_nothing(visit, board):
    page = visit(board, "#sort=nonsense")
    for address in ("#sort=nonsense", "#sort=", "#cols=%3Cscript%3E", "#view-sweep=neither",
                    "#pix-scene=99", "#open=a,b,c", "#=", "#results", "#%E0%A4%A",
                    "#sort=m0-&cols=&q=%00", "#" + "a=b&" * 2000):
        page.evaluate("address => { location.hash = address; }", address)
        page.wait_for_timeout(20)
        assert len(labels(page)) == 5, address
        assert page.locator("input[name=view-sweep]:checked").count() == 1, address
    assert page.complaints == []


def test_a_link_to_a_place_leaves_the_view_alone(visit, board):
    page = visit(board)
    head(page, "PSNR").click()
    sorted_labels = labels(page)
    page.locator("nav a[href='#measured']").click()
    assert labels(page) == sorted_labels
    assert page.locator("#results-table th[aria-sort]").count() == 1
