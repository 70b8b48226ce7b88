"""For plugin authors' own tests: synthetic datasets with a known map, trainings, the checks.

Nothing here needs a network or takes long, and importing it imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from srbench.conformance.photographs import SyntheticPhotographs, problems
    from srbench.conformance.registry import checks
    from srbench.conformance.run import check_plugin
    from srbench.conformance.synthetic import SyntheticImages, SyntheticVectors
    from srbench.conformance.training import Trained, train

_LAZY = {
    "SyntheticImages": "srbench.conformance.synthetic",
    "SyntheticPhotographs": "srbench.conformance.photographs",
    "SyntheticVectors": "srbench.conformance.synthetic",
    "Trained": "srbench.conformance.training",
    "check_plugin": "srbench.conformance.run",
    "checks": "srbench.conformance.registry",
    "problems": "srbench.conformance.photographs",
    "train": "srbench.conformance.training",
}

__all__ = [
    "SyntheticImages",
    "SyntheticPhotographs",
    "SyntheticVectors",
    "Trained",
    "check_plugin",
    "checks",
    "problems",
    "train",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'srbench.testing' has no attribute {name!r}")
