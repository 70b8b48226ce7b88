"""The plugin API on one page.

A plugin is a module named in the entry-point group ``srbench`` of an installed distribution, or a
file or package given with ``--plugin PATH``. It implements any of these hooks with ``@hookimpl``.
Its top module is metadata only: importing it must not import torch.

The first three say what a plugin provides. The others are events, and a plugin that listens to
one is a *tracker*: it is named after the plugin and called only where ``--track NAME`` asks for it,
in the process of ``srbench run``, never in that of a cell, from one thread of its own. A function
may leave out arguments it does not use. docs/hooks.md says more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from srbench.registry.events import Scalars, TrackedCell, TrackedRun
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


@hookspec
def srbench_run_started(run: TrackedRun) -> None:
    """Begin: nothing has started yet. A deliberate error raised here stops the run.

    Such errors are those of `srbench.errors`, and the import of a package that is not installed.
    """
    raise AssertionError("a specification is never called")


@hookspec
def srbench_cell_started(run: TrackedRun, cell: TrackedCell) -> None:
    """A cell starts, or goes on; the scalars that follow are the whole curve from its first step.

    Called once for a cell in one run of ``srbench run`` or ``resume``, however often it is tried.
    """
    raise AssertionError("a specification is never called")


@hookspec
def srbench_scalars(run: TrackedRun, cell: TrackedCell, scalars: Scalars) -> None:
    """Values of one moment of a training, in the order in which they were measured."""
    raise AssertionError("a specification is never called")


@hookspec
def srbench_cell_finished(run: TrackedRun, cell: TrackedCell, record: dict[str, Any]) -> None:
    """A cell that was started ended in some way; ``record`` is what its ``record.json`` holds."""
    raise AssertionError("a specification is never called")


@hookspec
def srbench_run_finished(run: TrackedRun) -> None:
    """All cells ended, or the user stopped the run: close what is open."""
    raise AssertionError("a specification is never called")
