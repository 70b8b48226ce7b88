"""Pages that are quick to build: what is asked for, as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PageJob:
    """As the real one."""

    definition: Any
    records: Sequence[Any]
    runs: Path


def build_pages(jobs, out, *, catalog=None, invalid=(), pixels=True, progress=None):
    """Write a page that lists its records, and a front page; the real one's signature."""
    out.mkdir(parents=True, exist_ok=True)
    for number, job in enumerate(jobs):
        if progress is not None:
            progress(job.definition.name, number, len(jobs))
        keys = sorted(record.identity.key for record in job.records)
        page = {"title": job.definition.title, "keys": keys, "runs": job.runs.name,
                "invalid": len(invalid)}
        (out / f"{job.definition.name}.html").write_text(json.dumps(page))
        if pixels:
            (out / f"{job.definition.name}-pixels.html").write_text("pixels")
    (out / "index.html").write_text(" ".join(job.definition.name for job in jobs))
    return out / "index.html"


def module() -> ModuleType:
    """Return what stands in for ``srbench.boards.build``."""
    fake: Any = ModuleType("srbench.boards.build")
    fake.PageJob, fake.build_pages = PageJob, build_pages
    return fake
