"""What makes charts interactive: Vega in one script, ours that starts it, and its style."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

_SNIPPET = "window.srbenchVega = vegaEmbed;"


@lru_cache(maxsize=1)
def interactive_library() -> str:
    """Vega, Vega-Lite and vega-embed as one script, 0.9 MB; takes seconds to bundle, once.

    For an inert ``<script type="text/plain" id="chart-library">``; `chart_script` runs it when a
    reader comes near a chart, which the page's policy allows by its hash.

    Raises
    ------
    ValueError
        If the bundle could not stand in a script element, or needs ``eval``.
    """
    vega: Any = import_module("vl_convert")
    text: str = vega.javascript_bundle(_SNIPPET)
    if "</script" in text.lower() or "<!--" in text:
        raise ValueError("the bundled library holds </script or <!--, which would end its element")
    if "expressionInterpreter" not in text:
        raise ValueError("the bundled library has no expression interpreter: it would need eval")
    return text


def chart_script() -> str:
    """Return the script that makes a page's charts interactive, without margins and comments."""
    text = Path(__file__).with_name("charts.js").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith("//")) + "\n"


def chart_style() -> str:
    """Return the style of charts and their tooltip, with the colours of the dark theme."""
    return Path(__file__).with_name("charts.css").read_text(encoding="utf-8")
