"""The document of protocols says what the installed metrics compute, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from srbench.evaluation.plugin import srbench_metrics
from srbench.registry.catalog import discover
from srbench.registry.implementation import load_implementation

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "protocols.md"
ROW = re.compile(r"^\| (?P<title>[^|]+?) \| `(?P<protocol>[^`|]+)` \| (?P<definition>[^|]+?) \|$",
                 re.MULTILINE)


@pytest.fixture(scope="module")
def rows():
    """Title and definition of each documented protocol id."""
    found = list(ROW.finditer(DOCUMENT.read_text(encoding="utf-8")))
    assert found
    return {row["protocol"]: (row["title"], row["definition"]) for row in found}


@pytest.fixture(scope="module")
def kinds():
    return {info.name: (info, load_implementation(info, "srbench:metrics"))
            for info in srbench_metrics()}


def test_the_document_has_every_protocol_id_and_only_those(rows, kinds):
    assert set(rows) == {kind.protocol for _, kind in kinds.values()}
    assert len(ROW.findall(DOCUMENT.read_text(encoding="utf-8"))) == len(rows)


def test_each_id_stands_beside_its_title_and_unit(rows, kinds):
    for info, kind in kinds.values():
        title, unit = re.fullmatch(r"(.+?)(?:, (\S+))?", rows[kind.protocol][0]).groups()
        assert (title, unit or "") == (info.title, info.unit)


def test_the_catalog_has_the_metrics_of_the_document(rows):
    installed = discover([]).metrics
    builtin = {name for name, entry in installed.items() if entry.distribution == "srbench"}
    assert {installed[name].load().protocol for name in builtin} == set(rows)


def test_an_id_names_its_metric_and_ends_in_a_version(kinds):
    for _, kind in kinds.values():
        assert re.fullmatch(r"[a-z0-9-]+(/[a-z0-9.-]+)+/v[1-9]\d*", kind.protocol)


def test_what_the_document_says_of_images_and_the_true_map_is_so(rows, kinds):
    for info, kind in kinds.values():
        _, definition = rows[kind.protocol]
        if "Images only" in definition:
            assert kind.image_only
        if "Only where the true map is known" in definition:
            assert kind.needs_map
        assert (kind.mode == "train10") == ("train mode" in definition), info.name


def test_only_ids_of_the_document_are_quoted_in_it(rows):
    """An id in running text must be one of the table: an old one would send readers astray."""
    quoted = re.findall(r"`([^`\s]+/v\d+)`", DOCUMENT.read_text(encoding="utf-8"))
    assert set(quoted) == set(rows)


def test_the_documents_commands_name_weights_there_are():
    from srbench.backbones import BACKBONES

    named = re.findall(r"^srbench fetch weights (\S+)$", DOCUMENT.read_text(encoding="utf-8"),
                       re.MULTILINE)
    assert named
    assert set(named) <= set(BACKBONES)
