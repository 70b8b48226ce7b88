"""Records as cells leave them, for tests of whatever reads records."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from srbench.results.record import (
    Cost,
    Identity,
    MetricValue,
    Origin,
    Outcome,
    Record,
    StageCost,
    Status,
    Values,
)

METRICS: dict[str, dict[str, Any]] = {
    "l2-uvp": {"title": "L2-UVP", "unit": "%", "direction": "lower", "decimals": 1,
               "protocol": "l2-uvp/total-variance/v1"},
    "cosine": {"title": "Cosine", "direction": "higher", "decimals": 3,
               "protocol": "cosine/displacement/v1"},
    "psnr": {"title": "PSNR", "unit": "dB", "direction": "higher", "decimals": 2,
             "protocol": "psnr/rgb-float-clamped/v1"},
    "lpips": {"title": "LPIPS", "direction": "lower", "decimals": 3,
              "protocol": "lpips/vgg-0.1/v1"},
    "palette": {"title": "Palette variance", "direction": "target", "decimals": 3,
                "protocol": "palette/rgb-1024/v1", "reference": {"hr": 0.16, "lr": 0.12}},
}


def make_metric(name: str = "l2-uvp", value: float | None = 6.1, **changes: Any) -> MetricValue:
    """One metric's value; ``changes`` replace its fields."""
    about = METRICS.get(name, {"title": name, "direction": "higher", "protocol": f"{name}/v1"})
    return MetricValue(**{"count": 1000, **about, "value": value, **changes})


def make_record(label: str = "ots", *, seed: int = 0, title: str = "w2-early",
                preset: str = "quick", status: str = "ok", reason: str = "", key: str = "",
                metrics: Mapping[str, float | MetricValue | None] | None = None,
                oracle: Mapping[str, float | MetricValue | None] | None = None,
                notice: str = "", fingerprint: str = "d" * 64, precision: str = "fp32",
                budget: str = "", seconds_fit: float = 12.5, images: int = 1_280_000,
                parameters: int = 7_032_131, finished: str = "2026-01-02T03:04:05+00:00",
                **identity: Any) -> Record:
    """Build a finished cell; metrics are numbers by name or whole `MetricValue` objects.

    A cell that is not ok has no values unless some are given.
    """
    if metrics is None:
        metrics = {"l2-uvp": 6.1, "psnr": 24.31} if status == "ok" else {}
    name = "/".join([title, preset, label, str(seed), precision, budget, fingerprint, finished])
    facts: dict[str, Any] = {
        "key": key or hashlib.sha256(name.encode()).hexdigest(), "plan": "2026-01-02-030405",
        "label": label, "method": label.partition("[")[0], "dataset": title.partition("@")[0],
        "title": title, "source": "embedded" if "@embedded" in title else "official",
        "notice": notice, "preset": preset, "seed": seed, "scale": 1, "method_given": {},
        "method_params": {"iterations": 500}, "dataset_given": {}, "dataset_params": {},
        "precision": precision, "threads": 1, **identity}
    return Record(
        identity=Identity(**facts),
        origin=Origin(
            method_distribution="srbench", method_version="0.1.0", method_digest="a" * 64,
            dataset_distribution="srbench", dataset_version="0.1.0", dataset_digest="b" * 64,
            dataset_fingerprint=fingerprint, srbench_version="0.1.0", srbench_digest="c" * 64),
        outcome=Outcome(status=Status(status), reason=reason, started="2026-01-02T03:00:00+00:00",
                        finished=finished,
                        log_tail=[] if status == "ok" else ["step 310", "gradient is NaN"]),
        values=Values(final=_metrics(metrics), oracle=_metrics(oracle or {}),
                      oracle_step=400 if oracle else None, oracle_looks=10 if oracle else 0),
        cost=Cost(budget=budget, seconds_fit=seconds_fit, seconds_prepare=1.0,
                  parameters=parameters,
                  stages=[StageCost(name="fit", steps=500, seconds=seconds_fit, images=images,
                                    calls={"T": images // 2})] if seconds_fit else []),
        environment={"python": "3.12.1", "cpu": {"model": "A processor", "threads": 1}, "gpu": None,
                     "packages": {"torch": "2.10.0"}})


def make_samples(seed: int = 0, *, count: int = 8, side: int = 64,
                 noise: float = 0.0) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Smooth random images ``lr``, ``prediction``, ``hr`` of shape (count, 3, side, side).

    LR is HR darkened and blurred; the prediction is HR with ``noise`` added.
    """
    draw = np.random.default_rng(123)
    grid = np.linspace(0, 1, side, dtype=np.float32)
    waves = draw.uniform(1, 9, (count, 3, 2, 1, 1)).astype(np.float32)
    phase = draw.uniform(0, 6, (count, 3, 1, 1)).astype(np.float32)
    hr = np.sin(waves[:, :, 0] * grid[:, None] + waves[:, :, 1] * grid + phase)
    speckle = np.random.default_rng(seed).normal(0, 1, hr.shape).astype(np.float32)
    return {"lr": (0.6 * np.roll(hr, 2, -1) - 0.2).astype(np.float32),
            "prediction": (hr + noise * speckle).astype(np.float32), "hr": hr.astype(np.float32)}


def _metrics(values: Mapping[str, float | MetricValue | None]) -> dict[str, MetricValue]:
    return {name: value if isinstance(value, MetricValue) else make_metric(name, value)
            for name, value in values.items()}


def log_file(runs: Path, record: Record) -> Path:
    """Write the log that a record points at."""
    path = runs / "cells" / record.identity.key / record.outcome.log
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(record.outcome.log_tail))
    return path
