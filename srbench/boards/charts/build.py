"""Pieces of Vega-Lite specifications, made with Altair."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from srbench.boards.charts.chart import Chart
from srbench.boards.charts.labels import Box, Placed, fit
from srbench.boards.charts.look import INK, MUTED, PAPER, config
from srbench.boards.charts.scales import Axis, tidy
from srbench.boards.charts.svg import draw
from srbench.foreign.text import LONGEST, printable, printable_lines

Values = Sequence[Mapping[str, Any]]
# A row or mark that a reader points at stands out; all do while "highlight" is empty.
SHOWN = "highlight == '' || datum.label == highlight"
FADED = 0.12
TITLE_Y = -20  # pixels from the top of a field
NUMBER = "format(datum.value, ',.6~g')"


def altair() -> Any:
    """Altair, when a chart is first drawn; it takes a third of a second to import."""
    return import_module("altair")


def unchecked() -> Any:
    """Altair without validation, which takes four fifths of the time; a test validates instead."""
    return import_module("altair.utils.schemapi").debug_mode(False)


class Panel:
    """One view of a chart: scales, then layers from back to front.

    Parameters
    ----------
    x, y : Axis
        Their ends and ticks are parameters (``NAME-x`` ...), so that a page can zoom.
    name : str
        Letters; prefix of the parameters.
    width, height : int
        Pixels of the field that is drawn on.
    """

    def __init__(self, x: Axis, y: Axis, *, name: str, width: int, height: int,
                 title: str = "") -> None:
        self.x, self.y, self.name, self.title = x, y, name, title
        self.width, self.height = width, height
        self.layers: list[Any] = []
        self.given: dict[str, dict[str, Any]] = {}
        self.named = False  # whether the ticks of x have names, which no other tick would have

    @property
    def frame(self) -> Box:
        """The field."""
        return Box(0, 0, self.width, self.height)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a value from the field's left and top."""
        return self.x.place(x) * self.width, (1 - self.y.place(y)) * self.height

    def axes(self, *, x: Mapping[str, Any] | None = None,
             y: Mapping[str, Any] | None = None) -> None:
        """Say how the two axes look, in Vega-Lite's words."""
        self.given = {"x": dict(x or {}), "y": dict(y or {})}

    def add(self, kind: str, values: Values, *, fades: bool = True, mark: Any = None,
            **channels: Any) -> None:
        """Add a layer of marks; an empty one is left out."""
        if not values:
            return
        with unchecked():
            self._layer(kind, values, fades, mark or {}, channels)

    def _layer(self, kind: str, values: Values, fades: bool, mark: dict[str, Any],
               channels: dict[str, Any]) -> None:
        alt = altair()
        encoding = {name: f"{name}:Q" for name in ("x", "y", "x2", "y2") if name in values[0]}
        encoding |= channels
        for name in ("x2", "y2"):
            if encoding.get(name) == f"{name}:Q":
                encoding[name] = name  # a second end has the type of the first
        for name in ("x", "y"):
            if isinstance(encoding.get(name), str):
                encoding[name] = self._channel(name, encoding[name])
        for name in ("color", "shape"):
            if name in values[0] and name not in channels:
                encoding[name] = getattr(alt, name.title())(f"{name}:N", scale=None, legend=None)
        if fades:
            mark = {**mark, "opacity": alt.expr(f"{SHOWN} ? {mark.get('opacity', 1)} : {FADED}")}
        if "tip" in values[0]:
            encoding["tooltip"] = alt.Tooltip("tip:N")
        chart = alt.Chart(alt.InlineData(values=[_plain(value) for value in values]))
        self.layers.append(getattr(chart, f"mark_{kind}")(**{"clip": True, **mark})
                           .encode(**encoding))

    def texts(self, placed: Sequence[tuple[Placed, tuple[float, float], Mapping[str, Any]]], *,
              size: int = 12) -> None:
        """Add labels, each with the values of its place, and lines from those that are far off."""
        alt = altair()
        values = [{"x": x, "y": y, "text": label.text, "dx": round(label.dx, 1),
                   "dy": round(label.dy, 1), "align": label.align, "leader": label.leader, **more}
                  for label, (x, y), more in placed]
        self.add("rule", [value for value in values if value["leader"]], fades=False,
                 x2="x", y2="y", color=alt.value(MUTED),
                 mark={"x2Offset": alt.expr("datum.dx"), "y2Offset": alt.expr("datum.dy"),
                       "strokeWidth": 0.75, "clip": False})
        self.add("text", values, text="text:N",
                 mark={"dx": alt.expr("datum.dx"), "dy": alt.expr("datum.dy"), "clip": False,
                       "align": alt.expr("datum.align"), "fontSize": size,
                       "stroke": PAPER, "strokeWidth": 3, "strokeJoin": "round"})

    def spec(self) -> dict[str, Any]:
        """Return the view in Vega-Lite."""
        alt = altair()
        if self.title:
            self.write([{"at": 0, "text": fit(self.title, self.width + 8)}], y=TITLE_Y,
                       fontSize=12, fontWeight="bold")
        # Without consolidation the data stay in their layers, with no names of Altair's making.
        with unchecked(), alt.data_transformers.enable("default", consolidate_datasets=False,
                                                       max_rows=None):
            chart = alt.layer(*self.layers).properties(width=self.width, height=self.height)
            spec: dict[str, Any] = chart.to_dict(validate=False)
        for name in ("$schema", "config"):
            spec.pop(name, None)
        return spec

    def write(self, values: Values, *, y: float, colour: str = INK, **mark: Any) -> None:
        """Write ``text`` at pixels: ``at`` from the field's left, ``y`` from its top.

        Vega-Lite's own titles would move with what lies beside them.
        """
        alt = altair()
        self.add("text", values, fades=False, text="text:N", color=alt.value(colour),
                 mark={"x": alt.expr("datum.at"), "y": y, "align": "left", "fontSize": 11,
                       "clip": False, **mark})

    def rule(self, start: tuple[float, float], end: tuple[float, float], colour: str,
             *, width: float = 0.75, dash: Sequence[float] = (1, 0)) -> None:
        """Draw a thin line between two pixels, which may lie outside the field."""
        alt = altair()
        self.add("line", [{"at": x, "down": y} for x, y in (start, end)], fades=False,
                 color=alt.value(colour),
                 mark={"x": alt.expr("datum.at"), "y": alt.expr("datum.down"),
                       "strokeWidth": width, "strokeDash": list(dash), "clip": False})

    def parameters(self) -> list[dict[str, Any]]:
        """Ends and ticks of both axes, which the scales refer to."""
        found: list[dict[str, Any]] = []
        for name, ends in (("x", self.x), ("y", self.y)):
            key = f"{self.name}_{name}"
            found += [{"name": f"{key}_low", "value": ends.low},
                      {"name": f"{key}_high", "value": ends.high},
                      {"name": f"{key}_ticks", "value": list(ends.ticks)}]
        return found

    def zoom(self) -> dict[str, Any]:
        """Say which parameters move the view."""
        return {name: {"key": f"{self.name}_{name}", "log": ends.log, "reverse": ends.reverse,
                       "named": self.named and name == "x"}
                for name, ends in (("x", self.x), ("y", self.y))}

    def _channel(self, name: str, field: str) -> Any:
        alt = altair()
        ends = self.x if name == "x" else self.y
        key = f"{self.name}_{name}"
        kind = alt.X if name == "x" else alt.Y
        kind_of = {"type": "log"} if ends.log else {"type": "linear", "zero": False}
        scale = alt.Scale(**kind_of, nice=False, reverse=ends.reverse,
                          domain=alt.expr(f"[{key}_low, {key}_high]"))
        axis = alt.Axis(**{"values": alt.expr(f"{key}_ticks"), "labelExpr": NUMBER, "title": None,
                           **self.given.get(name, {})})
        return kind(field, scale=scale, axis=axis)


def assemble(panels: Sequence[Panel], *, name: str, title: str, description: str,
             table: Sequence[Sequence[str]], size: tuple[int, int], padding: Mapping[str, int],
             columns: int = 1, spacing: tuple[int, int] = (0, 0)) -> Chart:
    """Make the chart of panels of equal size, ``columns`` of them in a row.

    Parameters
    ----------
    size : (int, int)
        Pixels of the whole picture.
    padding : mapping
        ``left`` and ``top``, pixels before the first field.
    spacing : (int, int)
        Pixels between the fields of a row, and between rows.
    """
    views = [panel.spec() for panel in panels]
    body = views[0] if len(views) == 1 else {
        "concat": views, "columns": columns, "bounds": "flush",
        "spacing": {"column": spacing[0], "row": spacing[1]}}
    parameters: list[dict[str, Any]] = [{"name": "highlight", "value": ""}]
    for panel in panels:
        parameters += panel.parameters()
    across, down = min(columns, len(panels)), math.ceil(len(panels) / columns)
    right = size[0] - padding["left"] - across * (panels[0].width + spacing[0]) + spacing[0]
    bottom = size[1] - padding["top"] - down * (panels[0].height + spacing[1]) + spacing[1]
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json", **body,
        "params": parameters, "config": config(), "autosize": {"type": "none"},
        "padding": {**padding, "right": right, "bottom": bottom},
        "usermeta": {"srbench": {"zoom": [panel.zoom() for panel in panels], "size": list(size)}}}
    title, description = printable(title), printable(description)
    return Chart(name=name, title=title, description=description, spec=spec,
                 svg=draw(spec, name=name, title=title, description=description, size=size),
                 table=tuple(tuple(row) for row in table))


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Values for a specification: rounded numbers, printable texts."""
    found: dict[str, Any] = {}
    for key, entry in value.items():
        if isinstance(entry, float):
            entry = tidy(entry)
        elif isinstance(entry, str):
            entry = printable_lines(entry, most=LONGEST)
        found[key] = entry
    return found
