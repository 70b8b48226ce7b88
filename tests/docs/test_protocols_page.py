"""docs/protocols.md has every metric that is installed, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from srbench.registry.catalog import discover

PAGE = (Path(__file__).resolve().parents[2] / "docs/protocols.md").read_text(encoding="utf-8")
PROTOCOL = re.compile(r"[a-z0-9][a-z0-9.-]*(?:/[A-Za-z0-9.-]+)+/v\d+")
SECTIONS = {section.partition("\n")[0].strip("` "): section
            for section in PAGE.split("\n### ")[1:] if section.startswith("`")}


@pytest.fixture(scope="module")
def installed():
    """Protocol and facts of each metric by name."""
    return {name: (entry.load().protocol, entry.info)
            for name, entry in discover().metrics.items() if entry.origin.startswith("srbench:")}


def overview(name: str) -> list[str]:
    """Cells of a metric's row in the table at the top."""
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| [`{name}`](#{name})"))
    return [cell.strip() for cell in row.split("|")[1:-1]]


def test_each_metric_has_a_section_that_begins_with_its_id(installed):
    assert set(SECTIONS) == set(installed)
    for name, (protocol, _) in installed.items():
        assert SECTIONS[name].splitlines()[2] == f"`{protocol}`", name


def test_no_id_is_named_that_is_not_installed(installed):
    named = set(PROTOCOL.findall(PAGE))
    assert named == {protocol for protocol, _ in installed.values()}


def test_the_comparison_counts_them_right(installed):
    page = (Path(__file__).resolve().parents[2] / "docs/comparison.md").read_text(encoding="utf-8")
    assert re.findall(r"srbench has (\d+) metrics", page) == [str(len(installed))]


def test_each_section_says_where_the_metric_is_from_and_what_goes_wrong(installed):
    for name in installed:
        assert "Source" in SECTIONS[name], name
        assert re.search("[Pp]itfall", SECTIONS[name]), name


def test_units_and_directions_are_those_of_the_metrics(installed):
    for name, (_, info) in installed.items():
        unit, _, direction = overview(name)[1].rpartition(", ")
        assert direction.partition(":")[0] == info.direction, name
        assert unit.replace("nats", "") == info.unit, name


def test_needs_and_intervals_are_those_of_the_metrics(installed):
    for name, entry in discover().metrics.items():
        if name not in installed:
            continue
        kind, (_, _, needs, interval) = entry.load(), overview(name)
        while needs.startswith("as `"):
            needs = overview(needs.split("`")[1])[2]
        assert ("known map" in needs) == kind.needs_map, name
        assert ("patches" in needs) == (kind.mode == "patches"), name
        assert kind.mode != "train10" or "**train mode**" in SECTIONS[name], name
        assert ("image" in needs or "patches" in needs) == kind.image_only, name
        means = any(base.__name__ == "MeanMetric" for base in kind.__mro__)
        assert (interval == "over images") == means, name
