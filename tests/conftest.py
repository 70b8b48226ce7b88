"""Fixtures every test may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Tests run beside one another, and so do the cells they start: more threads would only wait for
# each other. Before torch is imported, or it does not know.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = Path(__file__).resolve().parent / "fixtures"


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """Folder of parity fixtures that travel with the project."""
    return FIXTURES


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of reference data that does not travel with the project; skips where absent."""
    folder = Path(os.environ.get("SRBENCH_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no reference data at {folder}: set SRBENCH_SHARED to run this test")
    return folder


@pytest.fixture(autouse=True)
def private_folders(tmp_path_factory: pytest.TempPathFactory,
                    monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a cache and a data folder of its own, so none reads the user's."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("SRBENCH_CACHE", str(folder / "cache"))
    monkeypatch.delenv("SRBENCH_DATA", raising=False)
    monkeypatch.delenv("SRBENCH_WEIGHTS", raising=False)
    monkeypatch.setenv("SRBENCH_OFFLINE", "1")
    return folder


@pytest.fixture
def python() -> str:
    """The interpreter that runs the tests."""
    return sys.executable


@pytest.fixture(autouse=True)
def forgotten_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forget modules a test imported from its own folders: the next one may use their names."""
    before, root = set(sys.modules), str(tmp_path_factory.getbasetemp())
    yield
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(root):
            del sys.modules[name]
