"""From a Vega-Lite specification to an SVG that a page with a strict policy can hold."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from importlib import import_module
from typing import Any

from srbench.foreign.text import printable

_SVG = "{http://www.w3.org/2000/svg}"
_DROPPED = ("class", "role", "pointer-events", "aria-hidden", "aria-label", "aria-roledescription")
_NUMBER = re.compile(r"-?\d*\.\d{3,}(?:e-?\d+)?|-?\d+(?:\.\d+)?e-\d+")
_GEOMETRY = ("d", "transform", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "opacity",
             "stroke-width", "fill-opacity", "stroke-opacity")
_FONT = ("text-anchor", "font-family", "font-size", "font-weight")


def draw(spec: dict[str, Any], *, name: str, title: str, description: str,
         size: tuple[int, int]) -> str:
    """Render a specification whose layout measures no text.

    Parameters
    ----------
    spec : dict
        With ``autosize: none`` and all paddings given.
    name : str
        Prefix of all ids, plain letters.
    title, description : str
        Of anybody; become the picture's name and description.
    size : (int, int)
        Width and height in pixels. The picture shrinks with its column and does not grow.
    """
    vega: Any = import_module("vl_convert")
    drawn = vega.vegalite_to_svg(spec, allowed_base_urls=[])
    return clean(drawn, name=name, title=title, description=description, size=size)


def clean(drawn: str, *, name: str, title: str, description: str, size: tuple[int, int]) -> str:
    """Name the picture, make its ids its own, and leave out what a page needs not or must not have.

    Raises
    ------
    ValueError
        If an element has a style attribute, which the page's policy would block.
    """
    root = ET.fromstring(drawn)  # our renderer's output, not a stranger's
    for element in root.iter():
        if "style" in element.attrib:
            raise ValueError(f"the renderer gave a style attribute: {element.get('style')!r}")
    _prune(root)
    ids = {element.get("id", ""): f"{name}-{index}"
           for index, element in enumerate(e for e in root.iter() if e.get("id"))}
    for element in root.iter():
        _tidy(element, ids)
    width, height = size
    root.attrib.clear()
    root.attrib.update({
        "viewBox": f"0 0 {width} {height}", "width": str(width), "height": str(height),
        "role": "img", "aria-label": printable(title), "aria-describedby": f"{name}-words"})
    for position, (tag, text, key) in enumerate([("title", title, "title"),
                                                 ("desc", description, "words")]):
        element = ET.Element(f"{_SVG}{tag}", {"id": f"{name}-{key}"})
        element.text = printable(text)
        root.insert(position, element)
    ET.register_namespace("", _SVG[1:-1])
    return ET.tostring(root, encoding="unicode")


def _prune(parent: ET.Element) -> None:
    for child in list(parent):
        _prune(child)
        empty_path = child.tag == f"{_SVG}path" and (
            not child.get("d") or (not child.get("stroke") and not child.get("fill")))
        empty_group = child.tag == f"{_SVG}g" and len(child) == 0
        unseen = child.get("display") == "none" or child.get("fill") == "transparent"
        if empty_path or empty_group or unseen:
            parent.remove(child)


def _tidy(element: ET.Element, ids: dict[str, str]) -> None:
    for key in _DROPPED:
        element.attrib.pop(key, None)
    for key, value in list(element.attrib.items()):
        if key == "id":
            element.set(key, ids[value])
        elif value.startswith("url(#"):
            element.set(key, f"url(#{ids[value[5:-1]]})")
        elif key in _GEOMETRY:
            element.set(key, _NUMBER.sub(_rounded, value))
    if element.tag == f"{_SVG}text" and element.get("stroke"):
        element.set("paint-order", "stroke")  # a halo behind the letters, not over them
    if element.get("opacity") == "1":
        del element.attrib["opacity"]


def _rounded(number: re.Match[str]) -> str:
    # What differs in the last bits between two processors is the same after this.
    short = f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if short == "-0" else short
