"""The site: built strictly, complete, and closed: nothing is fetched to build or to read it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.blocks import ROOT

# Elements a browser fetches by itself, and the attribute that says from where.
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Elements(HTMLParser):
    """Collects what a page refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag in FETCHED and values.get("rel") not in {"canonical", "prev", "next"}:
            self.fetched += [target] if (target := values.get(FETCHED[tag])) else []
        if tag == "a":
            self.links.append(values.get("href") or "")


def build(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Build as CI does; with --quiet mkdocs would count no warnings, and --strict mean nothing."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder),
         *words], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "http_proxy": "http://127.0.0.1:9",
             "https_proxy": "http://127.0.0.1:9"})


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert not done.returncode, done.stderr + done.stdout
    return folder


@pytest.fixture(scope="module")
def pages(site):
    """Every page of the documentation; the boards have tests of their own."""
    return {path.relative_to(site).as_posix(): Elements(path.read_text(encoding="utf-8"))
            for path in sorted(site.glob("*.html")) if path.name != "404.html"}


def test_every_page_of_docs_is_on_the_site(site, pages):
    wanted = {path.with_suffix(".html").name for path in (ROOT / "docs").glob("*.md")}
    assert set(pages) == wanted | {"changelog.html", "contributing.html"}
    assert not list(site.rglob("*.py"))


def test_a_reader_fetches_nothing_from_elsewhere(site, pages):
    for name, page in pages.items():
        assert len(page.fetched) > 3, name
        for target in page.fetched:
            assert not re.match(r"(?:[a-z]+:)?//", target), f"{name} fetches {target}"
            assert (site / target.partition("?")[0]).is_file(), f"{name}: {target}"
    for path in site.rglob("*.css"):
        style = path.read_text(encoding="utf-8")
        assert not re.search(r"url\(\s*['\"]?(?:https?:)?//", style), path


def test_links_of_pages_that_come_from_outside_docs_hold(site, pages):
    for name in ("contributing.html", "changelog.html", "index.html", "results.html"):
        for link in pages[name].links:
            target, _, anchor = link.partition("#")
            if target and not re.match(r"[a-z]+:", target):
                path = site / unquote(target)
                assert path.is_file(), f"{name}: {link}"
                if anchor and path.suffix == ".html" and path.parent == site:
                    assert f'id="{anchor}"' in path.read_text(encoding="utf-8"), f"{name}: {link}"


def test_the_boards_are_there_as_published(site):
    published = ROOT / "leaderboards/pages"
    for path in published.rglob("*"):
        if path.is_file():
            copy = site / "boards" / path.relative_to(published)
            assert copy.read_bytes() == path.read_bytes()
    assert "boards/index.html" in (site / "index.html").read_text(encoding="utf-8")


def test_a_dead_link_fails_the_build(tmp_path):
    """Inside docs/, out of it, and to a heading that is not there."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "build_hooks.py").write_text((ROOT / "docs/build_hooks.py").read_text())
    (docs / "index.md").write_text("# Home\n\n[a](gone.md) [b](../gone.toml) [c](#gone)\n\n"
                                   "[fine](../leaderboards/w2.toml)\n")
    (tmp_path / "leaderboards").mkdir()
    (tmp_path / "leaderboards/w2.toml").write_text("")
    settings = re.sub(r"^(?:nav|extra_css):\n(?:[ -].*\n)+", "",
                      (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), flags=re.MULTILINE)
    (tmp_path / "mkdocs.yml").write_text(settings)
    done = build(tmp_path / "site", "--config-file", str(tmp_path / "mkdocs.yml"))
    assert done.returncode == 1
    said = done.stderr + done.stdout
    for dead in ("gone.md", "gone.toml", "#gone"):
        assert dead in said
    assert "w2.toml" not in said


def test_lists_begin_after_an_empty_line():
    """Or they are no lists on the site, though they are where the repository is shown."""
    for path in [*sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]:
        text = re.sub(r"^( *)```.*?^\1```$", "", path.read_text(encoding="utf-8"),
                      flags=re.DOTALL | re.MULTILINE)
        for before, line in zip(text.splitlines(), text.splitlines()[1:], strict=False):
            if re.match(r"(?:[-*]|\d+\.) ", line) and before.strip():
                assert re.match(r" |[-*] |\d+\. |\||#|<!--", before), f"{path.name}: {line}"
