"""Boards for tests of charts, built by hand; the numbers of the paper's Table 2."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

from srbench.boards.board import Board, Column, Entry, Published, Row, Sweep, Table
from srbench.results.statistics import Estimate

HOSTILE = '<script>alert(1)</script>"\'&]]>--> \u202e\x1b[2K {{7*7}} datum["x"] ${x} \u2028 \ud800'
LAMBDAS = (0.0, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
TABLE_2 = {"l2-uvp": (25.2, 16.7, 17.7, 12.0, 4.0, 14.0, 28.5, 30.5, 1.4),
           "fid": (57.24, 46.23, 40.04, 42.89, 24.25, 187.95, 332.7, 334.7, 15.65),
           "psnr": (17.90, 19.76, 19.34, 20.81, 25.58, 19.91, 16.90, 16.52, 30.02)}
IDENTITY = {"l2-uvp": 30.6, "fid": 335.0, "psnr": 16.5}


def column(metric="l2-uvp", **changes):
    known = {"l2-uvp": ("L2-UVP", "%", "lower", 1), "fid": ("FID", "", "lower", 1),
             "psnr": ("PSNR", "dB", "higher", 2), "lpips": ("LPIPS", "", "lower", 3)}
    title, unit, direction, decimals = known.get(metric, (metric, "", "lower", 2))
    return replace(Column(name=metric, metric=metric, title=title, unit=unit, direction=direction,
                          decimals=decimals, protocol="p/v1", count=512, reference={}), **changes)


def entry(value, half=None, *, sd=None, published=None):
    if value is None:
        return Entry(gap=1)
    interval = None if half is None else (value - half, value + half)
    told = None if published is None else Published(
        value=published, tolerance=1, source="a paper", verdict="reproduced", why="")
    return Entry(published=told, estimate=Estimate(
        mean=value, seeds=3, scenes=512, seed_sd=sd, scene_interval=None, interval=interval))


def row(label, *entries, method="", sweep=None):
    return Row(label=label, anchor="r", method=method or label.partition("[")[0], seeds=(0, 1, 2),
               entries=tuple(entries), sweep=sweep)


def swept(value, *entries, chosen=(), family="wgan-gp", parameter="lambda"):
    return row(f"{family}[{parameter}={value:g}]", *entries, method=family,
               sweep=Sweep(family=family, parameter=parameter, value=value, chosen=chosen))


def board(rows, columns, records=()):
    ordered = sorted(rows, key=lambda row: (row.entries[0].mean is None, row.entries[0].mean))
    return Board(name="b", title="w2-early", preset="paper", datasets=("w2-early",), failures=(),
                 records=tuple(records), oracle=Table(columns=tuple(columns), rows=()),
                 final=Table(columns=tuple(columns), rows=tuple(ordered)))


def paper_board(metrics=("l2-uvp", "fid", "psnr"), *, identity=True, half=0.05, records=()):
    def entries(index):
        values = [IDENTITY[m] if index is None else TABLE_2[m][index] for m in metrics]
        return [entry(value, half * value if index is not None else None) for value in values]

    rules = {100.0: ("oracle",), 10.0: ("validation",)}
    rows = [swept(lam, *entries(index), chosen=rules.get(lam, ()))
            for index, lam in enumerate(LAMBDAS)]
    rows.append(row("ots", *entries(8)))
    if identity:
        rows.append(row("identity", *entries(None)))
    return board(rows, [column(metric) for metric in metrics], records)


def layers(chart):
    """All layers of a chart as (mark type, encoding, values)."""
    views = chart.spec.get("concat", [chart.spec])
    return [(layer["mark"]["type"], layer["encoding"], layer["data"]["values"])
            for view in views for layer in view["layer"]]


def values(chart, mark, *needed):
    """Values of the layers of one mark whose data has the fields needed."""
    return [value for kind, _, data in layers(chart) if kind == mark
            for value in data if set(needed) <= set(value)]


def parameters(chart):
    return {parameter["name"]: parameter["value"] for parameter in chart.spec["params"]}


def texts(chart):
    """Texts of the picture in the order drawn, without its title and description."""
    return [element.text for element in ET.fromstring(chart.svg).iter()
            if element.tag.endswith("}text")]


def complaints(svg, name):
    """Whatever a strict page must not hold."""
    root = ET.fromstring(svg)
    found = []
    for element in root.iter():
        tag = element.tag.partition("}")[2]
        if tag in ("script", "style", "image", "use", "a", "foreignObject", "iframe", "animate"):
            found.append(tag)
        for key, text in element.attrib.items():
            bare = key.rpartition("}")[2]
            if bare in ("style", "href", "src", "class") or bare.startswith("on"):
                found.append(f"{tag} {key}")
            if key == "id" and not text.startswith(f"{name}-"):
                found.append(f"id {text}")
            if "url(" in text and not re.fullmatch(rf"url\(#{name}-\d+\)", text):
                found.append(f"{key}={text}")
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    return found + [f"id {key} twice" for key in ids if ids.count(key) > 1]
