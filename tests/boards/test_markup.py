"""What templates share: escaping, filters, and the hashes of the content security policy."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from srbench.boards.markup import (
    LONGEST,
    amount,
    breakable,
    csp_hash,
    embedded,
    environment,
    gib,
    nobreak,
    script_json,
)

HOSTILE = "<b>x</b>\"'&\u202e{{7*7}}"


def render(source: str, **values) -> str:
    return environment().from_string(source).render(**values)


def test_text_is_escaped_and_cannot_turn_around():
    assert render("{{ text }}", text=HOSTILE) == (
        "&lt;b&gt;x&lt;/b&gt;&#34;&#39;&amp;\ufffd{{7*7}}")


def test_text_keeps_its_lines_and_ends_somewhere():
    assert render("{{ text }}", text="a\nb\x1b[31m") == "a\nb\ufffd[31m"
    shown = render("{{ text }}", text="x" * (LONGEST + 50))
    assert shown.startswith("x" * LONGEST)
    assert shown.endswith("… (50 more characters)")


def test_undefined_names_are_refused():
    with pytest.raises(UndefinedError, match="nothing"):
        render("{{ nothing }}")


def test_numbers_and_markup_pass():
    assert render("{{ a }} {{ b }} {{ c }}", a=1.5, b=Markup("<i>"), c=None) == "1.5 <i> None"


def test_the_templates_are_the_packages():
    assert {"base.html", "board.html", "index.html"} <= set(environment().list_templates())


def test_hashes_are_those_that_browsers_make():
    text = "window.x = 1 // λ"
    name, _, digest = csp_hash(text).partition("-")
    assert name == "sha256"
    assert base64.b64decode(digest) == hashlib.sha256(text.encode("utf-8")).digest()
    # Of the empty text, as every list of such hashes has it.
    assert csp_hash("") == "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


@pytest.mark.parametrize("hostile", ["</script><script>alert(1)", "<!--<script>", "]]>&amp;",
                                     "\u2028\u2029", "\"'\\", HOSTILE])
def test_json_inside_a_script_element_ends_nothing(hostile):
    text = str(script_json({hostile: [hostile, 1.5, None]}))
    assert json.loads(text) == {hostile: [hostile, 1.5, None]}
    assert not set(text) & set("<>&")
    assert text.isascii()


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_without_numbers_is_refused(number):
    with pytest.raises(ValueError, match="JSON"):
        script_json([number])


@pytest.mark.parametrize(("label", "expected"), [
    ("ots", "ots"),
    ("gan[lambda=1]", '<span class="part">gan</span><span class="part">[lambda=1]</span>'),
    ("gan[a=1,b=2]", '<span class="part">gan</span><span class="part">[a=1,</span>'
                     '<span class="part">b=2]</span>'),
    ("<b>", "&lt;b&gt;"),
    ("<b>[\"'&]", '<span class="part">&lt;b&gt;</span>'
                  '<span class="part">[&#34;&#39;&amp;]</span>')])
def test_labels_break_after_brackets_and_commas(label, expected):
    assert str(breakable(label)) == expected
    assert render("{{ label | breakable }}", label=label) == expected


def test_a_label_of_many_lines_is_one():
    assert str(breakable("a\nb\u202ec")) == "a b\ufffdc"


@pytest.mark.parametrize(("number", "text"), [
    (0, "0"), (7, "7"), (999, "999"), (999.4, "999"), (999.6, "1.00 k"), (1000, "1.00 k"),
    (1280, "1.28 k"), (12_800, "12.8 k"), (128_000, "128 k"), (999_400, "999 k"),
    (999_600, "1.00 M"), (7_032_131, "7.03 M"), (1_280_000_000, "1.28 G"), (5e12, "5000 G")])
def test_amounts_by_hand(number, text):
    assert amount(number) == text


@pytest.mark.parametrize(("number", "text"), [
    (0, "0.00"), (2**30, "1.00"), (1.5 * 2**30, "1.50"), (5 * 2**20, "0.00"), (2**34, "16.00")])
def test_bytes_by_hand(number, text):
    assert gib(number) == text


@pytest.mark.parametrize(("text", "expected"), [
    ("12.8 % and", "12.8\u00a0% and"), ("3 dB, 5 s", "3\u00a0dB, 5\u00a0s"),
    ("3 seeds", "3 seeds"), ("5 samples", "5 samples"), ("a % b", "a % b")])
def test_units_stay_with_their_numbers(text, expected):
    assert nobreak(text) == expected


def test_what_does_not_break_is_still_escaped():
    assert render("{{ text | nobreak }}", text="<b>5 %") == "&lt;b&gt;5\u00a0%"


@pytest.mark.parametrize("uri", ["data:image/webp;base64,UklGRg==", "data:image/png;base64,iVBO"])
def test_embedded_images_are_whole_however_long(uri):
    long = uri.rstrip("=") + "A" * (2 * LONGEST)
    assert render("{{ uri | embedded }}", uri=long) == long


@pytest.mark.parametrize("uri", [
    "http://x/a.png", "a.png", "", "data:image/svg+xml;base64,PHN2Zz4=", "data:text/html;base64,x",
    "data:image/png;base64,a\" onerror=x", "data:image/png;base64,a\n", "javascript:alert(1)"])
def test_no_other_address_is_an_image(uri):
    with pytest.raises(ValueError, match="not embedded"):
        embedded(uri)
