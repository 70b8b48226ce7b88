"""Protocol ids have one form; tests/docs/test_protocols_page.py compares the page with them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from srbench.evaluation.plugin import srbench_metrics
from srbench.registry.implementation import load_implementation

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "protocols.md"


@pytest.fixture(scope="module")
def kinds():
    return {info.name: (info, load_implementation(info, "srbench:metrics"))
            for info in srbench_metrics()}


def test_an_id_names_its_metric_and_ends_in_a_version(kinds):
    for _, kind in kinds.values():
        assert re.fullmatch(r"[a-z0-9-]+(/[a-z0-9.-]+)+/v[1-9]\d*", kind.protocol)


def test_the_documents_commands_name_weights_there_are():
    from srbench.backbones import BACKBONES

    named = re.findall(r"^srbench fetch weights (\S+)$", DOCUMENT.read_text(encoding="utf-8"),
                       re.MULTILINE)
    assert named
    assert set(named) <= set(BACKBONES)
