"""A training whose numbers stop being finite is named as such and never scored."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Records of all of them, by method, of one run of the command line."""
    folder = tmp_path_factory.mktemp("diverging")
    specs = "diverges-in-loss,diverges-in-gradient[at=60],diverges-in-potential,diverges-in-weights"
    done = subprocess.run(
        [sys.executable, "-m", "srbench", "run", "--plugin", str(HERE / "diverging_plugin.py"),
         "--plugin", str(HERE.parent / "toy_plugin.py"), "--dataset", "toy", "--metrics", "l2-uvp",
         "--threads", "1", "-j", "2", "--methods", specs],
        cwd=folder, text=True, capture_output=True, check=False, timeout=240)
    assert done.returncode == 3, done.stderr
    found = [json.loads(path.read_text()) for path in folder.glob("runs/cells/*/record.json")]
    return {record["identity"]["method"].removeprefix("diverges-in-"): record for record in found}


@pytest.mark.parametrize(("way", "reason"), [
    ("loss", "loss of 'map' is nan at step 30"),
    ("gradient", "gradient of 'map' is inf at step 60"),
    ("potential", "loss of 'f_sgd' is inf at step 30"),
    ("weights", "weights of 'method' are inf at step 60")])
def test_what_is_not_finite_is_named_with_its_step(records, way, reason):
    outcome = records[way]["outcome"]
    assert outcome["status"] == "diverged"
    assert outcome["reason"].startswith(reason)
    assert "lower the learning rate" in outcome["reason"]


def test_no_metric_is_computed_from_such_weights(records):
    assert {way for way, record in records.items() if record["values"]["final"] == {}} == {
        "loss", "gradient", "potential", "weights"}
