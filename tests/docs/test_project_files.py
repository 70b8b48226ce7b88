"""CITATION.cff, the picture of the architecture, and versions: true to the code."""

from __future__ import annotations

import re
import tomllib
import xml.etree.ElementTree as ET

import pytest
import yaml

import srbench
from tests.docs.blocks import ROOT
from tests.test_package import MAY_IMPORT

PICTURE = ROOT / "docs/images/architecture.svg"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def picture():
    return ET.parse(PICTURE).getroot()


def test_citation_has_what_the_format_requires(citation):
    """Version 1.2.0 of the Citation File Format; cffconvert --validate agrees."""
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert str(citation["cff-version"]) == "1.2.0"
    assert citation["type"] == "software"
    assert citation["license"] == tomllib.loads(
        (ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["license"]
    for author in citation["authors"]:
        assert set(author) <= {"name", "family-names", "given-names"}


def test_citation_names_the_paper_as_the_method_does(citation):
    from srbench_ots import CITATION

    paper, = citation["references"]
    assert {"type", "title", "authors"} <= set(paper)
    authors = " and ".join(f"{one['family-names']}, {one['given-names']}"
                           for one in paper["authors"])
    bibtex = " ".join(CITATION.split())
    assert authors in bibtex
    assert paper["title"] in bibtex
    assert paper["url"].rpartition("/")[2] in bibtex
    assert str(paper["year"]) in bibtex


def test_versions_agree(citation):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
                       re.MULTILINE)[1]
    assert {project["version"], str(citation["version"]), newest} == {srbench.__version__}


def test_the_picture_shows_every_part(picture):
    shown = {part for group in picture.iter(f"{SVG}g") for part in group.get("data-part").split()}
    assert shown >= set(MAY_IMPORT), "docs/images/architecture.svg lacks a part"
    folders = {path.name for path in (ROOT / "srbench").iterdir()}
    assert all(part in folders or f"{part}.py" in folders for part in shown)
    for group in picture.iter(f"{SVG}g"):
        title = group.find(f"{SVG}text").text
        assert all(part in title for part in group.get("data-part").split()
                   if not part.startswith(("backbones", "weights_"))), title


def test_the_arrows_of_the_picture_are_allowed(picture):
    arrows = [(path.get("data-from"), path.get("data-to")) for path in picture.iter(f"{SVG}path")
              if path.get("data-from")]
    assert len(arrows) > 10
    for user, used in arrows:
        if user in MAY_IMPORT:  # cli may use everything
            allowed = {name.partition(".")[0] for name in MAY_IMPORT[user]}
            assert used in allowed, f"{user} may not import {used}"


def test_the_picture_is_closed_and_says_what_it_shows(picture):
    text = PICTURE.read_text(encoding="utf-8")
    assert not re.search(r"href|url\((?!#)|@import|<script", text)
    assert picture.find(f"{SVG}title").text
    assert len(picture.find(f"{SVG}desc").text) > 80
    assert "prefers-color-scheme: dark" in text
