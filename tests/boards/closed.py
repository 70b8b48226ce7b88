"""What makes a page closed: its own scripts and styles, by hash, and no way out or in."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

from srbench.boards import markup
from tests.boards.conftest import Page

PACKAGE = Path(markup.__file__).parent
BOARD = ["templates/board.js", "pixels/pixels.js", "charts/charts.js"]
LIGHT_TABLE = ["pixels/lighttable.js"]
FETCHING = {"link", "iframe", "frame", "object", "embed", "base", "audio", "video", "source",
            "track", "portal", "applet", "image", "use", "foreignobject", "animate", "set"}


class _Raw(HTMLParser):
    """Script and style elements with their whole text."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str], str]] = []
        self._open = False
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self._open = tag in ("script", "style")
        if self._open:
            self.found.append((tag, {name: value or "" for name, value in attrs}, ""))

    def handle_endtag(self, tag):
        self._open = False

    def handle_data(self, data):
        if self._open:
            tag, attributes, text = self.found[-1]
            self.found[-1] = tag, attributes, text + data


def elements(source: str, kind: str) -> list[tuple[dict[str, str], str]]:
    """Attributes and text of each script or style element."""
    return [(attributes, text) for tag, attributes, text in _Raw(source).found if tag == kind]


def readable(source: str) -> str:
    """The page without the text of its library, which has addresses of its own."""
    for attributes, text in elements(source, "script"):
        if attributes.get("id") == "chart-library":
            source = source.replace(text, "")
    return source


def own(names: list[str]) -> str:
    """Text of our files, as a page holds them in one element."""
    return "\n".join((PACKAGE / name).read_text(encoding="utf-8") for name in names)


def hashed(text: str) -> str:
    """What a policy calls a text, by hashlib."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def check_scripts(source: str, charts: list[str], script: list[str] = BOARD) -> list[object]:
    """Check that a page's scripts are ours and return what the inert ones say.

    First a specification for each chart, then the library if there is any chart, then our script,
    the only one that runs; the policy allows it, the library and the style, and nothing else.
    """
    found = elements(source, "script")
    data = {"lighttable": "lt-data"}.get(Path(script[0]).stem)
    inert = [{"type": "application/json", "data-chart": name} for name in charts]
    inert += [{"type": "application/json", "id": data}] if data else []
    inert += [{"type": "text/plain", "id": "chart-library"}] if charts else []
    assert [attributes for attributes, _ in found] == [*inert, {}]
    assert found[-1][1] == own(script)
    allowed = [found[-1][1]]
    if charts:
        library = found[-2][1]
        assert library == import_module("srbench.boards.charts").interactive_library()
        allowed.append(library)
    (attributes, style), = elements(source, "style")
    assert attributes == {}
    policies = [meta["content"] for meta in Page.of(source).all("meta") if "http-equiv" in meta]
    assert policies == [
        f"default-src 'none'; img-src {chr(39) + 'self' + chr(39) + ' ' if data else ''}data:; "
        f"style-src {hashed(style)}; script-src {' '.join(map(hashed, allowed))}; "
        "base-uri 'none'; form-action 'none'"]
    said = [text for attributes, text in found if attributes.get("type") == "application/json"]
    assert not [text for text in said if set(text) & set("<>&")]
    return [json.loads(text) for text in said]


def check_nothing_is_fetched(source: str) -> None:
    """Check that no element and no attribute asks for anything, or runs anything."""
    page = Page.of(source)
    assert not FETCHING & {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")
                    or name in ("style", "srcset", "srcdoc", "ping", "action", "formaction")], tag
        assert attributes.get("src", "data:image/").startswith("data:image/"), tag
        assert tag == "a" or "href" not in attributes, tag
        assert not attributes.get("href", "").startswith(("http:", "https:", "//", "javascript:",
                                                          "data:")), tag
        assert not any("url(" in value and not value.startswith("url(#")
                       for value in attributes.values()), tag
    (_, style), = elements(source, "style")
    assert "@import" not in style
    assert "url(" not in style


def counted(page: Page) -> Counter[str]:
    """How many elements of each kind; the parts that labels break into are not counted."""
    return Counter(tag for tag, attributes in page.tags if attributes.get("class") != "part")
