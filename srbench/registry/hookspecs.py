"""The plugin API on one page.

A plugin is a module named in the entry-point group ``srbench`` of an installed distribution, or a
file given with ``--plugin path.py``. It implements any of these hooks with ``@hookimpl``. Its top
module is metadata only: importing it must not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from srbench.registry.infos import DatasetInfo, MethodInfo, MetricInfo

PROJECT = "srbench"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def srbench_methods() -> Iterable[MethodInfo]:
    """Return the methods this plugin provides. Called once, at discovery."""
    raise AssertionError("a specification is never called")


@hookspec
def srbench_datasets() -> Iterable[DatasetInfo]:
    """Return the datasets this plugin provides. Called once, at discovery."""
    raise AssertionError("a specification is never called")


@hookspec
def srbench_metrics() -> Iterable[MetricInfo]:
    """Return the metrics this plugin provides. Called once, at discovery."""
    raise AssertionError("a specification is never called")
