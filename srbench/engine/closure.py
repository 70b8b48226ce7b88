"""The code a cell runs through: files found by following imports.

::

    plugin package   every file of it: Python by its syntax tree, other files by their bytes
    srbench          each module that is reached, alone; `NEUTRAL` ones neither counted nor followed
    local code       a package or module outside site-packages: as a plugin package
    site-packages    not read, see `srbench.engine.versions`
    standard library ignored

A module is reached where an import at any depth names it, except below ``if TYPE_CHECKING:``.
A module whose name only the running program knows is not seen outside the package that loads it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from srbench.engine.sources import Import, Source, read_source
from srbench.engine.units import Finder, Unit
from srbench.errors import PluginError

HARNESS = "srbench"
# Packages of srbench that load each of their names from a module when it is first used.
LAZY = ("srbench", "srbench.networks", "srbench.testing")
# Modules of srbench that a cell reaches but that decide none of its numbers, and why.
# A name that ends in ".*" stands for the package and everything below it.
NEUTRAL = {
    "srbench": "loads names lazily: each is followed to its module",
    "srbench.networks": "loads names lazily: each is followed to its module",
    "srbench.testing": "loads names lazily: each is followed to its module",
    "srbench.errors": "messages",
    "srbench.atomic": "how files are written",
    "srbench.files": "fetches files and checks the hashes that plugins and weights name",
    "srbench.download": "fetches files",
    "srbench.paths": "says where files are; what is in them counts",
    "srbench.foreign.paths": "says where files are; what is in them counts",
    "srbench.foreign.strict_json": "reads records",
    "srbench.foreign.text": "messages",
    "srbench.plan": "what it decides is in the key already",
    "srbench.spec.*": "what it decides is in the key already",
    "srbench.registry.*": "finds plugins, whose code counts by itself",
    "srbench.evaluation.plugin": "what metrics are called; their protocols are in the key",
    "srbench.results.*": "keeps numbers",
    "srbench.boards.*": "shows numbers",
    "srbench.cli.*": "passes on what the user typed",
    "srbench.running.*": "passes on what the user typed",
    "srbench.python.*": "passes on what the user typed, and calls what was trained",
    "srbench.engine": "has no code",
    "srbench.engine.closure": "makes keys",
    "srbench.engine.identity": "makes keys; IDENTITY_SCHEMA is raised where their meaning changes",
    "srbench.engine.sources": "makes keys",
    "srbench.engine.units": "makes keys",
    "srbench.engine.versions": "makes keys",
    "srbench.engine.events": "tells how far a cell is",
    "srbench.engine.executors.*": "where and when a cell runs",
    "srbench.engine.outcome": "names how a cell failed",
    "srbench.engine.oom": "names how a cell failed",
}


def is_neutral(module: str) -> bool:
    """Whether a module of srbench decides no number."""
    parts = module.split(".")
    return module in NEUTRAL or any(".".join(parts[:depth]) + ".*" in NEUTRAL
                                    for depth in range(1, len(parts) + 1))


@dataclass(frozen=True)
class Reach:
    """What a cell's code reaches.

    Parameters
    ----------
    units : tuple of Unit
        What counts by its files, by name.
    installed : frozenset of str
        Top-level packages of other distributions that code outside srbench imports; their files
        are not read.
    """

    units: tuple[Unit, ...]
    installed: frozenset[str]


class Closure:
    """Follows imports and digests what they reach, as it is on disk when first asked.

    One object serves one plan, so that edits between two plans are seen.
    """

    def __init__(self) -> None:
        self._finder = Finder()
        self._sources: dict[Path, Source] = {}
        self._next: dict[Unit, list[Unit]] = {}

    def reach(self, targets: Iterable[str], own: Collection[str] = ()) -> Reach:
        """Everything reached from implementations ``"module:Class"`` or modules.

        Parameters
        ----------
        targets : iterable of str
            Where to start.
        own : collection of str
            Top-level packages that are followed although they are installed, beside those of the
            targets: the rest of their distributions.

        Raises
        ------
        PluginError
            If a target cannot be found.
        """
        modules = [target.partition(":")[0] for target in targets]
        waiting: list[Unit] = []
        for module in modules:
            found = self._named(module)
            if not found and not is_neutral(module):
                raise PluginError(f"cannot find the package {module.partition('.')[0]!r}",
                                  hint="is the plugin installed in this environment?")
            waiting += found
        read = {*own, HARNESS, *(module.partition(".")[0] for module in modules)}
        reached: dict[str, Unit] = {}
        installed: set[str] = set()
        while waiting:
            unit = waiting.pop()
            if unit.name not in reached:
                reached[unit.name] = unit
                foreign = {other for other in self._follow(unit)
                           if other.installed and other.top not in read}
                waiting += [other for other in self._follow(unit) if other not in foreign]
                if unit.top != HARNESS:
                    installed |= {other.top for other in foreign}
        return Reach(tuple(reached[name] for name in sorted(reached)), frozenset(installed))

    def digests(self, units: Iterable[Unit]) -> dict[str, str]:
        """Digest of each file of some units, by a name that is the same on every machine."""
        return {name: self._source(path).digest for unit in units for name, path, _ in unit.files()}

    def _source(self, path: Path) -> Source:
        if path not in self._sources:
            self._sources[path] = read_source(path)
        return self._sources[path]

    def _follow(self, unit: Unit) -> list[Unit]:
        """What the files of a unit import."""
        if unit not in self._next:
            found: dict[Unit, None] = {}
            for _, path, module in unit.files():
                source = self._source(path)
                for item in source.imports if module else ():
                    found |= dict.fromkeys(self._imported(item, module, path, source))
            self._next[unit] = list(found)
        return self._next[unit]

    def _imported(self, item: Import, module: str, path: Path, source: Source) -> Iterator[Unit]:
        """What one import statement of the file ``path``, imported as ``module``, reaches."""
        base = item.module
        if item.level:
            package = module.split(".")[:-item.level]
            base = ".".join([*package, item.module] if item.module else package)
        if not base:
            return
        beside = None if "." in module else path.parent
        yield from self._named(base, beside)
        for name in item.names:
            yield from self._named(f"{base}.{name}", beside)
        if base.partition(".")[0] == HARNESS:
            for target in self._lazy_targets(base, item.names, source):
                if target.startswith(f"{HARNESS}."):  # Field is pydantic's
                    yield from self._named(target)

    def _named(self, module: str, beside: Path | None = None) -> list[Unit]:
        """The units that importing a module runs: of srbench itself and the packages above it."""
        if module.partition(".")[0] != HARNESS:
            unit = self._finder.unit(module, beside)
            return [] if unit is None else [unit]
        if self._finder.spec(module) is None:
            return []
        parts, found = module.split("."), []
        for depth in range(1, len(parts) + 1):
            name = ".".join(parts[:depth])
            spec = self._finder.spec(name)
            if spec is not None and spec.origin is not None and not is_neutral(name):
                found.append(Unit(name, Path(spec.origin), installed=False))
        return found

    def _lazy_targets(self, base: str, names: tuple[str, ...], source: Source) -> set[str]:
        """Modules behind the names that an import takes from the packages in `LAZY`."""
        tables = {package: self._lazy_table(package) for package in LAZY}
        table = tables.get(base, {})
        targets = set(table.values()) if "*" in names else {
            table[name] for name in names if name in table}
        # A package that is bound to a name is a door to whatever is read behind a dot.
        bound = [tables[f"{base}.{name}"] for name in names if f"{base}.{name}" in tables]
        for door in bound if names else tables.values():
            targets |= {target for name, target in door.items()
                        if source.dynamic or name in source.attributes}
        return targets

    def _lazy_table(self, package: str) -> Mapping[str, str]:
        spec = self._finder.spec(package)
        return {} if spec is None or spec.origin is None else self._source(Path(spec.origin)).lazy
