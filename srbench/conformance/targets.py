"""From the name a user types to the things that are checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.conformance.check import Check, Kind, Result, Verdict
from srbench.errors import UnknownName
from srbench.registry.catalog import discover
from srbench.registry.sources import plugin_file

if TYPE_CHECKING:
    from srbench.registry.catalog import BrokenPlugin, Catalog


@dataclass(frozen=True)
class Target:
    """A thing that is checked."""

    kind: Kind
    name: str


@dataclass(frozen=True)
class Found:
    """What a name stands for.

    Attributes
    ----------
    targets : list of Target
        What is checked.
    results : list of Result
        Of the check ``discovered``, one for each plugin.
    plugins : list of Path
        One-off plugins, as `discover` takes them.
    """

    targets: list[Target] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    plugins: list[Path] = field(default_factory=list)


def resolve(name: str, plugins: Sequence[Path] = ()) -> Found:
    """Find everything ``name`` stands for: a path, a thing, or a plugin with all it provides.

    A broken plugin is found too: it fails the check ``discovered``.

    Raises
    ------
    UnknownName
        If nothing has the name.
    UsageError
        If a file does not exist.
    """
    path = [plugin_file(Path(name))] if name.endswith(".py") or os.sep in name else []
    catalog = discover([*plugins, *path])
    wanted = str(path[0]) if path else name
    found = [(kind, entry) for kind, entry in catalog.entries() if not path
             and entry.info.name == name]
    found = found or [(kind, entry) for kind, entry in catalog.entries()
                      if wanted in (entry.plugin, entry.distribution,
                                    getattr(entry.module, "__file__", None))]
    broken = [plugin for plugin in catalog.broken if wanted in
              (plugin.plugin, plugin.distribution, *plugin.names)] if not found else []
    sound = {entry.plugin for _, entry in found} | {
        tracker.plugin for tracker in catalog.trackers.values() if not found
        and wanted in (tracker.name, tracker.plugin, tracker.distribution)}
    if not sound and not broken and not path and Path(name).is_dir():
        return resolve(f".{os.sep}{name}", plugins)  # names come before folders
    if not sound and not broken:
        raise UnknownName("method, dataset, metric or plugin", name, _names(catalog),
                          hint="srbench list, or the path of a Python file or a folder")
    return Found([Target(kind, entry.info.name) for kind, entry in found],  # type: ignore[arg-type]
                 [*map(_discovered, sorted(sound)), *map(_broken, broken)], catalog.extra)


def _names(catalog: Catalog) -> set[str]:
    entries = [entry for _, entry in catalog.entries()]
    return {entry.info.name for entry in entries} | {entry.plugin for entry in entries}


def _discovered(plugin: str) -> Result:
    return Result(check=DISCOVERED.name, kind="plugin", subject=Path(plugin).name,
                  verdict=Verdict.PASSED)


def _broken(plugin: BrokenPlugin) -> Result:
    return Result(check=DISCOVERED.name, kind="plugin", subject=Path(plugin.plugin).name,
                  verdict=Verdict.FAILED, detail=plugin.reason, remedy=DISCOVERED.remedy)


def _is_discovered(subject: object) -> None:
    """Nothing to run: `resolve` says it."""


DISCOVERED = Check(
    name="discovered", kind="plugin",
    what="The plugin is found, its hooks return what they must, and its names are free.",
    remedy="Mend what the reason names: a hook marked with @hookimpl that returns MethodInfo, "
           "DatasetInfo or MetricInfo records with names of their own.", run=_is_discovered)
CHECKS = (DISCOVERED,)
