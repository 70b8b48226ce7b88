"""What charts bring into a page: script, style, hashes, and how large they are."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from srbench.boards.charts import (
    chart_script,
    chart_style,
    interactive_library,
)
from srbench.boards.charts import library as module
from srbench.boards.charts.look import COLOURS, DARK, INK, LINE, MUTED, PAPER
from srbench.boards.markup import script_json

ROOT = Path(__file__).parents[2]


def contrast(one, other):
    def luminance(colour):
        parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_library_fits_in_an_inert_element_and_needs_no_eval():
    text = interactive_library()
    assert 500_000 < len(text.encode()) < 1_000_000
    assert "</script" not in text.lower()
    assert "expressionInterpreter" in text
    assert text.rstrip().endswith("window.srbenchVega=vegaEmbed;") or "srbenchVega" in text[-200:]
    assert interactive_library() is text


@pytest.mark.parametrize(("bundle", "message"), [
    ("x</SCRIPT>expressionInterpreter", "would end its element"),
    ("<!-- expressionInterpreter", "would end its element"), ("plain", "would need eval")])
def test_a_library_that_a_page_cannot_hold_is_refused(bundle, message, monkeypatch):
    class Vega:
        javascript_bundle = staticmethod(lambda snippet: bundle)

    monkeypatch.setattr(module, "import_module", lambda name: Vega)
    with pytest.raises(ValueError, match=message):
        module.interactive_library.__wrapped__()


def test_our_script_and_style_are_small_and_ask_for_nothing():
    script, style = chart_script(), chart_style()
    assert len(script.encode()) < 4096
    assert len(style.encode()) < 4096
    for text in (script, style):
        assert "http" not in text
        assert "url(" not in text
        assert "</" not in text
    for word in ("eval(", "innerHTML", "Function(", "document.write", "setAttribute(\"style"):
        assert word not in script


def test_each_colour_has_a_partner_in_the_dark_that_can_be_read():
    style = chart_style()
    for light, dark in DARK.items():
        assert f'.chart [fill="{light}"] {{ fill: {dark}; }}' in style
        assert f'.chart [stroke="{light}"] {{ stroke: {dark}; }}' in style
    for colour in (*COLOURS, INK, MUTED):
        assert contrast(colour, PAPER) >= 4.5
        assert contrast(DARK[colour], DARK[PAPER]) >= 4.5
    assert set(DARK) == {*COLOURS, INK, MUTED, LINE, PAPER}


def test_json_cannot_leave_its_element():
    value = {"a": "</script><!-- & \u2028", "b": [1.5, None, True, "é"]}
    text = str(script_json(value))
    assert json.loads(text) == value
    assert not set("<>&\u2028") & set(text)
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json({"a": float("nan")})


def test_the_renderers_are_exact_where_pages_are_compared_byte_by_byte():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name in ("altair", "vl-convert-python"):
        assert any(text.startswith(f"{name}>=") for text in project["dependencies"])
        assert f"{name}=={version(name)}" in project["optional-dependencies"]["test"]


def test_importing_charts_imports_neither_altair_nor_pandas():
    code = ("import sys, srbench.boards.charts; "
            "print(sorted({'altair', 'vl_convert', 'pandas', 'jinja2'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT,
                          check=True)
    assert done.stdout.strip() == "[]"
