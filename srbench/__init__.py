"""srbench: the harness in which unpaired image super-resolution methods are compared.

Importing it imports no torch; names that need torch are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from srbench.errors import Skipped, SrbenchError
from srbench.registry.hookspecs import hookimpl
from srbench.registry.infos import DatasetInfo, MethodInfo, MetricInfo

if TYPE_CHECKING:
    from pydantic import Field

    import srbench.metrics as metrics
    from srbench.api.dataset import CropDataset, Dataset, PoolSettings
    from srbench.api.known_map import KnownMapDataset
    from srbench.api.method import Method
    from srbench.api.metric import EvaluationContext, Metric, Score
    from srbench.api.parameters import Parameters
    from srbench.api.problem import Problem
    from srbench.python.results import Results, open_runs
    from srbench.python.run import run
    from srbench.python.trained import TrainedMap, load
    from srbench.registry.events import Scalars, TrackedCell, TrackedRun
    from srbench.training import Training

__version__ = "0.1.0"

_LAZY = {
    "CropDataset": "srbench.api.dataset",
    "Dataset": "srbench.api.dataset",
    "EvaluationContext": "srbench.api.metric",
    "Field": "pydantic",
    "KnownMapDataset": "srbench.api.known_map",
    "Method": "srbench.api.method",
    "Metric": "srbench.api.metric",
    "Parameters": "srbench.api.parameters",
    "PoolSettings": "srbench.api.dataset",
    "Problem": "srbench.api.problem",
    "Results": "srbench.python.results",
    "Scalars": "srbench.registry.events",
    "Score": "srbench.api.metric",
    "TrackedCell": "srbench.registry.events",
    "TrackedRun": "srbench.registry.events",
    "TrainedMap": "srbench.python.trained",
    "Training": "srbench.training",
    "load": "srbench.python.trained",
    "metrics": "srbench.metrics",
    "open_runs": "srbench.python.results",
    "run": "srbench.python.run",
}

__all__ = [
    "CropDataset",
    "Dataset",
    "DatasetInfo",
    "EvaluationContext",
    "Field",
    "KnownMapDataset",
    "Method",
    "MethodInfo",
    "Metric",
    "MetricInfo",
    "Parameters",
    "PoolSettings",
    "Problem",
    "Results",
    "Scalars",
    "Score",
    "Skipped",
    "SrbenchError",
    "TrackedCell",
    "TrackedRun",
    "TrainedMap",
    "Training",
    "hookimpl",
    "load",
    "metrics",
    "open_runs",
    "run",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        module = import_module(_LAZY[name])
        return module if name == "metrics" else getattr(module, name)
    raise AttributeError(f"module 'srbench' has no attribute {name!r}")
