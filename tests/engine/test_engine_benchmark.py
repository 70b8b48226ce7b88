"""The benchmark of the engine runs and says what it measured; times are not asserted."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "engine.py"


@pytest.mark.slow
def test_the_benchmark_runs_with_tiny_sizes():
    done = subprocess.run([sys.executable, str(SCRIPT), "--cells", "2", "--plan", "40",
                           "--repeats", "1"], text=True, capture_output=True, check=False,
                          timeout=240)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| [\d].*\|$", done.stdout, re.MULTILINE)
    assert len(rows) == 3
    assert rows[1].startswith("| 40 |")
    assert rows[2].endswith("| yes |"), "a poisoned cell costs only itself"
