"""A realistic board, and a page parser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from srbench.results.samples import write_samples
from srbench.results.store import Store
from tests.boards.chromium import Visit, launched, visits
from tests.boards.worlds import given_of
from tests.results.factory import log_file, make_metric, make_record, make_samples

VOID = {"meta", "img", "br", "wbr", "link", "input", "hr"}


@dataclass
class Page(HTMLParser):
    """What a test asks a page for: tags with attributes, texts by tag, balance."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)
    unbalanced: list[str] = field(default_factory=list)

    def __post_init__(self):
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        if not self.stack or self.stack.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.stack[-1] if self.stack else "", data.strip()))

    @classmethod
    def of(cls, text):
        page = cls()
        page.feed(text)
        page.close()
        return page

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self):
        """What a reader sees: neither style nor scripts."""
        return " ".join(" ".join(text for tag, text in self.texts
                                 if tag not in ("style", "script")).split())


def fill(runs: Path) -> list:
    """Write records, images, logs and a plan of a realistic run; return the records."""
    store = Store(runs)
    missing = make_metric("lpips", None, unavailable="the VGG-16 weights are not on this machine",
                          remedy="srbench fetch vgg16")
    records = []
    for label, score, noise in [("ots", 6.1, 0.05), ("wgan-gp[lambda=0]", 31.0, 0.6),
                                ("wgan-gp[lambda=2]", 14.2, 0.3), ("wgan-gp[lambda=10]", 9.4, 0.2),
                                ("identity", 30.2, 0.4)]:
        for seed in range(2):
            record = make_record(
                label, seed=seed, title="w2-early@embedded", notice="This data is a stand-in.",
                metrics={"psnr": 24.0 - score / 4, "lpips": missing, "palette": 0.15, "cosine": 0.9,
                         "l2-uvp": score + 0.2 * seed * (label != "identity")},
                oracle={"l2-uvp": score - 0.5} if label == "ots" else None,
                method_params={"iterations": 500, "lambda": 1.0}, method_given=given_of(label),
                seconds_fit=0.0 if label == "identity" else 12.5)
            if label == "wgan-gp[lambda=0]":
                record.outcome.flags = ["colour-cast"]
            write_samples(store.cell_folder(record.identity.key) / "images",
                          make_samples(seed, noise=noise))
            records.append(record)
    for label, status, reason in [
            ("wgan-gp[lambda=1000]", "diverged", "the loss is nan at step 310"),
            ("dasr", "missing-dependency", "")]:
        record = make_record(label, title="w2-early@embedded", notice="This data is a stand-in.",
                             status=status, reason=reason, method_given=given_of(label))
        log_file(runs, record)
        records.append(record)
    for record in records:
        store.commit(record)
    store.write_plan("2026-01-02-030405", {
        "cells": [], "command": "srbench run --methods ots,wgan-gp --dataset w2-early --seeds 0,1"})
    return records


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the realistic board's page."""
    from srbench.boards.build import build_board  # imports charts and images: slow

    runs = tmp_path_factory.mktemp("board") / "runs"
    return build_board(fill(runs), runs / "boards" / "plan", runs=runs)


@pytest.fixture(scope="session")
def light_table(board: Path) -> Path:
    """Return the path of its page with whole images."""
    return board.with_name(f"{board.stem}-pixels.html")


@pytest.fixture(scope="session")
def front_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a front page of several boards."""
    from srbench.boards.build import build_board

    folder = tmp_path_factory.mktemp("front")
    records = [make_record(title=title, notice="A stand-in." if "@" in title else "")
               for title in ("w2-early", "w2-early@embedded", "aim19")]
    return build_board(records, folder / "out", runs=folder / "runs")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's chromium, or any other in the path."""
    with launched() as found:
        yield found


@pytest.fixture
def visit(browser: Any) -> Iterator[Visit]:
    """Open a page in a fresh context, offline; see `tests.boards.chromium.visits`."""
    with visits(browser) as opened:
        yield opened
