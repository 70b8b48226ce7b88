"""What all templates share: escaping, filters, hashes for the content security policy."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.foreign.text import printable, printable_lines

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

PACKAGE = Path(__file__).parent
LONGEST = 20_000  # characters of one text in a page
IMAGE = re.compile(r"data:image/(?:webp|png);base64,[A-Za-z0-9+/=]*")


@cache
def environment() -> Environment:
    """The templates, with everything escaped and undefined names refused."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(loader=FileSystemLoader(PACKAGE / "templates"), autoescape=True,
                       finalize=_fit, undefined=StrictUndefined, trim_blocks=True,
                       lstrip_blocks=True)
    made.filters |= {"breakable": breakable, "amount": amount, "embedded": embedded,
                     "gib": gib, "nobreak": nobreak, "plain": printable, "library": library}
    return made


def csp_hash(text: str) -> str:
    """Source expression that allows an inline script or style of exactly this text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def script_json(data: object) -> Markup:
    """JSON that can stand inside a script element, whatever its strings hold."""
    from markupsafe import Markup

    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for letter in "<>&":  # what ends the element or opens a comment
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def breakable(label: str) -> Markup:
    """HTML of a label whose lines break after brackets and commas, elsewhere only if they must."""
    from markupsafe import Markup

    parts = re.split(r"(?<=,)|(?=\[)", printable(label))
    if len(parts) == 1:
        return Markup("{}").format(parts[0])
    return Markup("").join(Markup('<span class="part">{}</span>').format(part) for part in parts)


def nobreak(text: str) -> str:
    """Text whose units and ranges stay with their numbers."""
    return re.sub(r"(?<=\d) (?=%|dB|s\b)", "\u00a0", text)


def embedded(uri: str) -> Markup:
    """Address of an image inside the page, whole however long."""
    from markupsafe import Markup

    if not IMAGE.fullmatch(uri):
        raise ValueError("an image of the page is not embedded in it")
    return Markup(uri)


def library(text: str) -> Markup:
    """A script that stands in the page as text, so that nothing runs it by itself."""
    from markupsafe import Markup

    if "</script" in text.lower() or "<!--" in text:
        raise ValueError("the script would end its own element")
    return Markup(text)


def amount(number: float) -> str:
    """Format a large count with three digits.

    >>> amount(7_032_131), amount(1280), amount(0)
    ('7.03 M', '1.28 k', '0')
    """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size * 0.9995:
            digits = max(0, 2 - int(math.log10(max(number, size) / size)))
            return f"{number / size:.{digits}f} {unit}"
    return f"{number:.0f}"


def gib(number: float) -> str:
    """Format bytes in GiB.

    >>> gib(1.5 * 2**30)
    '1.50'
    """
    return f"{number / 2**30:.2f}"


def _fit(value: object) -> object:
    """What stands in the page for a value: of text, nothing that turns it around, nor all of it."""
    return value if type(value) is not str else printable_lines(value, most=LONGEST)
