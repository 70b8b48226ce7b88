"""A chart as the page needs it: drawn, interactive, in words and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from srbench.boards.markup import script_json

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One figure.

    Attributes
    ----------
    name : str
        ``"scatter"``, ``"path"`` or ``"anytime"``; ids in the page are made from it.
    title, description : str
        What is drawn, and what is seen in it, in words.
    svg : str
        The static picture. It refers to nothing outside, has no style attribute and no script.
    spec : dict
        Vega-Lite specification of the same picture, with its data. ``usermeta.srbench.zoom`` names
        the parameters that hold the ends and the ticks of each axis.
    table : tuple of tuple of str
        The numbers; the first row is the header.
    """

    name: str
    title: str
    description: str
    svg: str
    spec: dict[str, Any]
    table: tuple[tuple[str, ...], ...]

    @property
    def markup(self) -> Markup:
        """The picture for a template that escapes; its texts are escaped already."""
        return _markup(self.svg)

    @property
    def json(self) -> Markup:
        """The specification for a script element of a template."""
        return script_json(self.spec)


def _markup(text: str) -> Markup:
    markup: Markup = import_module("markupsafe").Markup(text)
    return markup
