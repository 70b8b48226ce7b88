"""The built-in metrics are declared as any plugin's, without torch."""

from __future__ import annotations

import subprocess

from srbench.api.metric import Metric
from srbench.evaluation.plugin import srbench_metrics
from srbench.registry.implementation import load_implementation


def test_every_declared_metric_loads():
    for info in srbench_metrics():
        kind = load_implementation(info, "srbench:metrics")
        assert issubclass(kind, Metric)
        base = info.name.removesuffix("-official").removesuffix("-notebook")
        assert kind.protocol.startswith(f"{base}/")


def test_directions_and_units_of_the_papers_columns():
    facts = {info.name: (info.direction, info.unit) for info in srbench_metrics()}
    assert facts["l2-uvp"] == ("lower", "%")
    assert facts["psnr"] == ("higher", "dB")
    assert facts["ssim"] == ("higher", "")
    assert facts["lpips"] == facts["fid"] == facts["kid"] == ("lower", "")
    assert facts["palette-variance"] == ("target", "")


def test_declaring_them_imports_no_torch(python):
    code = ("import sys, srbench.evaluation.plugin as p; p.srbench_metrics(); "
            "sys.exit('torch' in sys.modules)")
    assert subprocess.run([python, "-c", code], check=False).returncode == 0
