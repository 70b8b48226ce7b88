"""Discovery of plugins: each is checked alone, and a broken one harms nobody else."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from srbench.errors import PluginError, UnknownName
from srbench.registry.implementation import load_implementation, remedy
from srbench.registry.infos import DatasetInfo, MethodInfo, MetricInfo
from srbench.registry.inspection import Inspection, inspect_plugin
from srbench.registry.sources import Source, file_sources, installed_sources
from srbench.registry.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import ModuleType

    from typing_extensions import TypeVar

    InfoT = TypeVar("InfoT", bound=MethodInfo | DatasetInfo | MetricInfo, default=Any)
else:
    from typing import TypeVar

    InfoT = TypeVar("InfoT")


@dataclass(frozen=True)
class Entry(Generic[InfoT]):
    """One name that can be run, and where it comes from.

    Parameters
    ----------
    info : MethodInfo, DatasetInfo or MetricInfo
        What the plugin says about it.
    plugin : str
        Name of the entry point, or the path given with ``--plugin``.
    distribution, version : str
        The installed distribution; ``"file"`` and a digest for a one-off file.
    module : module
        The plugin's top module.
    """

    info: InfoT
    plugin: str
    distribution: str
    version: str
    module: ModuleType

    @property
    def origin(self) -> str:
        """``distribution:plugin``, unique among plugins."""
        return f"{self.distribution}:{self.plugin}"

    def load(self) -> type[Any]:
        """Import the implementation and return its class; this may import torch.

        Raises
        ------
        MissingDependency
            If a package the implementation imports is not installed.
        PluginError
            If it cannot be imported for another reason, or is not the class it must be.
        """
        return load_implementation(self.info, self.origin)


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that was set aside.

    Parameters
    ----------
    plugin, distribution : str
        As in `Entry`.
    reason : str
        What is wrong with it, in one line.
    names : tuple of str
        The names it would have provided, as far as its hooks could be read.
    """

    plugin: str
    distribution: str
    reason: str
    names: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """``distribution:plugin``."""
        return f"{self.distribution}:{self.plugin}"

    @property
    def short(self) -> str:
        """What its tracker would be called."""
        return Path(self.plugin).stem if self.distribution == "file" else self.plugin

    @property
    def remedy(self) -> str:
        """What the user can do about it."""
        return remedy(self.distribution, self.plugin)


@dataclass
class Catalog:
    """Every method, dataset, metric and tracker that can be used, and the plugins that cannot.

    Parameters
    ----------
    methods, datasets, metrics : dict of str to Entry
        By name; srbench's own first, then by distribution and entry point.
    trackers : dict of str to Tracker
        In the same order.
    broken : list of BrokenPlugin
        Plugins that were set aside.
    extra : list of Path
        Absolute paths of the one-off plugins: what another process passes to `discover` to see
        the same catalog.
    """

    methods: dict[str, Entry[MethodInfo]] = field(default_factory=dict)
    datasets: dict[str, Entry[DatasetInfo]] = field(default_factory=dict)
    metrics: dict[str, Entry[MetricInfo]] = field(default_factory=dict)
    trackers: dict[str, Tracker] = field(default_factory=dict)
    broken: list[BrokenPlugin] = field(default_factory=list)
    extra: list[Path] = field(default_factory=list)

    def method(self, name: str) -> Entry[MethodInfo]:
        """Return the method of that name; raises as `dataset` does."""
        return self._find("method", name, self.methods)

    def dataset(self, name: str) -> Entry[DatasetInfo]:
        """Return the dataset of that name.

        Raises
        ------
        UnknownName
            If nothing provides it; the message carries the nearest name.
        PluginError
            If it comes from a broken plugin.
        """
        return self._find("dataset", name, self.datasets)

    def metric(self, name: str) -> Entry[MetricInfo]:
        """Return the metric of that name; raises as `dataset` does."""
        return self._find("metric", name, self.metrics)

    def tracker(self, name: str) -> Tracker:
        """Return the tracker of that name; raises as `dataset` does."""
        if name in self.trackers:
            return self.trackers[name]
        self.refuse_broken(name)
        other = [kind for kind, entries in self._groups().items() if name in entries]
        hint = f"{name!r} is a {other[0]}" if other else self._broken_hint(self.trackers)
        raise UnknownName("tracker", name, self.trackers, hint=hint)

    def entries(self) -> Iterable[tuple[str, Entry]]:
        """Yield (kind, entry) for what cells are made of; the kind is in the singular."""
        for kind, group in self._groups().items():
            for entry in group.values():
                yield kind, entry

    def refuse_broken(self, name: str) -> None:
        """Raise `PluginError` if ``name`` would come from a broken plugin."""
        for plugin in self.broken:
            if name in (*plugin.names, plugin.plugin, plugin.short):
                raise PluginError(
                    f"{name!r} comes from broken plugin {plugin.origin}: {plugin.reason}",
                    hint=plugin.remedy)

    def _find(self, kind: str, name: str, group: Mapping[str, Entry[InfoT]]) -> Entry[InfoT]:
        if name in group:
            return group[name]
        self.refuse_broken(name)
        other = [word for word, entries in self._groups().items() if name in entries]
        hint = f"{name!r} is a {other[0]}" if other else ""
        raise UnknownName(kind, name, group, hint=hint or self._broken_hint(group))

    def _broken_hint(self, group: Mapping[str, object]) -> str:
        """Known names, and the plugins whose names nobody can know; empty when none is broken."""
        unread = [plugin.origin for plugin in self.broken if not plugin.names]
        if not unread:
            return ""
        known = f"known: {', '.join(sorted(group))}; " if group else ""
        return f"{known}broken plugins may provide more: {', '.join(unread)} (srbench doctor)"

    def _groups(self) -> dict[str, Mapping[str, Entry]]:
        return {"method": self.methods, "dataset": self.datasets, "metric": self.metrics}

    def _join(self, source: Source, found: Inspection) -> None:
        """Take what a plugin provides, all of it or nothing."""
        reason = found.problem or self._taken(source, found)
        if reason or found.module is None:
            self.broken.append(BrokenPlugin(source.plugin, source.distribution, reason,
                                            found.names()))
            return
        for info in found.infos:
            where = (source.plugin, source.distribution, source.version, found.module)
            if isinstance(info, MethodInfo):
                self.methods[info.name] = Entry(info, *where)
            elif isinstance(info, DatasetInfo):
                self.datasets[info.name] = Entry(info, *where)
            elif isinstance(info, MetricInfo):
                self.metrics[info.name] = Entry(info, *where)
        if found.events:
            self.trackers[source.name] = Tracker(source.name, source.plugin, source.distribution,
                                                 source.version, found.module, found.events)

    def _holds(self, source: Source) -> bool:
        """Whether a file is that of an installed plugin, so that its names are its own."""
        held = [*(entry.module for _, entry in self.entries()),
                *(tracker.module for tracker in self.trackers.values())]
        return str(source.path) in {getattr(module, "__file__", None) for module in held}

    def _taken(self, source: Source, found: Inspection) -> str:
        """Why the names of a plugin cannot be taken, or empty."""
        for kind, info in found.labelled():
            holder = self._groups()[kind].get(info.name)
            if holder is not None:
                return f"the {kind} name {info.name!r} is already provided by {holder.origin}"
        if found.events and source.name in self.trackers:
            return (f"the tracker name {source.name!r} is already provided by "
                    f"{self.trackers[source.name].origin}")
        return ""


def discover(extra: Sequence[Path] = ()) -> Catalog:
    """Find all installed plugins and the given files, each loaded and checked on its own.

    srbench's own distribution comes first, so no one can take a built-in's name; then the others
    by distribution and entry-point name, never by the order of installation; then ``extra``.

    Parameters
    ----------
    extra : sequence of Path
        One-off plugins: Python files or packages outside any distribution.

    Raises
    ------
    UsageError
        If there is none at a path of ``extra``.
    """
    sources = file_sources(extra)
    catalog = Catalog(extra=[source.path for source in sources if source.path is not None])
    # stdout is the answer of the command; what a plugin prints while it is imported is not.
    with redirect_stdout(sys.stderr):
        for source in [*installed_sources(), *sources]:
            if not catalog._holds(source):
                catalog._join(source, inspect_plugin(source))
    return catalog
