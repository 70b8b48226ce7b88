"""Debian's chromium for tests of pages: no network, and everything that a page asks for noted."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]
Visit = Callable[..., Any]


@contextmanager
def launched() -> Iterator[Any]:
    """Start the browser; the test is skipped where there is none."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("no chromium in the path: install it to test pages in a browser")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def visits(browser: Any) -> Iterator[Visit]:
    """Give a function that opens a file in a fresh context, offline.

    Requests are collected in ``page.asked``, what the console said in ``page.complaints``.
    """
    contexts = []

    def visit(path: Path, hash_: str = "", *, width: int = 1280, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True,
                                      **options)
        contexts.append(context)
        page = context.new_page()
        page.asked, page.complaints = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("dialog", lambda dialog: page.complaints.append(dialog.message))
        page.goto(path.as_uri() + hash_)
        return page

    yield visit
    for context in contexts:
        context.close()


def unfold(page: Any) -> None:
    """Open everything that can be opened."""
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")


def violations(page: Any) -> list[str]:
    """What axe-core finds wrong with the page: rule and elements."""
    folder = Path(str(import_module("axe_playwright_python").__file__)).parent
    page.evaluate((folder / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run()).violations")
    return [f"{one['id']}: {node['target']} {node['failureSummary'][:300]}"
            for one in found for node in one["nodes"]]
