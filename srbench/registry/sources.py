"""Where plugins come from: entry points of installed distributions, and single files."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.errors import PluginError, UsageError
from srbench.registry.hookspecs import PROJECT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


INIT = "__init__.py"


@dataclass(frozen=True)
class Source:
    """A plugin that is known to exist but has not been imported.

    Parameters
    ----------
    plugin : str
        Name of the entry point, or the path of the file.
    distribution, version : str
        The installed distribution; ``"file"`` and the first 12 digits of the file's SHA-256.
    entry_point : EntryPoint or None
        For an installed plugin.
    path : Path or None
        For a file.
    fault : str
        Why it cannot even be looked at.
    """

    plugin: str
    distribution: str
    version: str
    entry_point: metadata.EntryPoint | None = None
    path: Path | None = None
    fault: str = ""

    @property
    def name(self) -> str:
        """Short name: that of the entry point, or of the module that a file is imported as."""
        return self.plugin if self.path is None else module_name(self.path)

    def load(self) -> object:
        """Import the plugin; whatever its code raises comes through."""
        if self.path is not None:
            return load_file(self.path)
        if self.entry_point is None:
            raise PluginError(self.fault)
        return self.entry_point.load()


def installed_sources() -> list[Source]:
    """Return the plugins of installed distributions, srbench's own first."""
    sources: dict[str, list[Source]] = {}
    for distribution in metadata.distributions():
        found = _of_distribution(distribution)
        if found:
            # The first on the search path is the one that is imported, a second is its shadow.
            sources.setdefault(found[0].distribution.lower().replace("_", "-"), found)
    return sorted(chain.from_iterable(sources.values()),
                  key=lambda s: (s.distribution != PROJECT, s.distribution, s.plugin))


def _of_distribution(distribution: metadata.Distribution) -> list[Source]:
    """Return the plugins of one distribution; damaged metadata is a fault, not a stop."""
    try:
        text = distribution.read_text("entry_points.txt") or ""
    except UnicodeDecodeError as error:  # its bytes still tell whether it has plugins
        text = error.object.decode(errors="replace")
    if f"[{PROJECT}]" not in text:
        return []
    # Which exceptions a damaged file leads to differs between versions of Python.
    try:
        name, version = distribution.name or "unknown", distribution.version or ""
    except Exception:
        name, version = "unknown", ""
    try:
        points = distribution.entry_points.select(group=PROJECT)
    except Exception as error:
        return [Source("entry_points.txt", name, version,
                       fault=f"its entry points cannot be read: {error}")]
    return [Source(point.name, name, version, entry_point=point) for point in points]


def file_sources(paths: Sequence[Path]) -> list[Source]:
    """Return one source for each distinct file or package.

    Parameters
    ----------
    paths : sequence of Path
        Python files; of a package its ``__init__.py``, its folder, or a project's folder that
        holds no other package (``tests`` does not count).

    Raises
    ------
    UsageError
        If there is none, or a folder holds several packages.
    """
    sources = []
    for path in dict.fromkeys(plugin_file(Path(path)) for path in paths):
        parts = sorted(path.parent.rglob("*.py")) if path.name == INIT else [path]
        digest = hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()
        sources.append(Source(str(path), "file", digest[:12], path=path))
    return sources


def plugin_file(path: Path) -> Path:
    """Return the file that is imported for a path; raises as `file_sources`."""
    path = path.resolve()
    if path.is_dir():
        found = [path / INIT] if (path / INIT).is_file() else [
            init for init in sorted([*path.glob(f"*/{INIT}"), *path.glob(f"src/*/{INIT}")])
            if init.parent.name != "tests"]
        if len(found) != 1:
            raise UsageError(
                f"{str(path)!r} holds {len(found) or 'no'} packages"
                + f" ({', '.join(init.parent.name for init in found)})" * bool(found),
                hint="name the folder of one package, or a Python file")
        return found[0]
    if not path.is_file() or path.suffix != ".py":
        raise UsageError(f"no plugin file {str(path)!r}",
                         hint="a plugin is the path of a Python file or of a package's folder")
    return path


def module_name(path: Path) -> str:
    """Name a file is imported as: its own, or its folder's where it is a package."""
    return path.parent.name if path.name == INIT else path.stem


def load_file(path: Path) -> ModuleType:
    """Import a file as a top-level module named after it, so ``"stem:Class"`` finds it later.

    ``__init__.py`` stands for its folder's package, whose modules are then found below it.

    Raises
    ------
    PluginError
        If the name is no identifier, or belongs to another module.
    """
    package, name = path.name == INIT, module_name(path)
    if not name.isidentifier():
        what = "package" if package else "file"
        raise PluginError(f"the {what} name {(path.parent if package else path).name!r} is not a "
                          "Python identifier; rename it")
    present = find_spec(name)
    if present is not None and (present.origin is None or Path(present.origin).resolve() != path):
        raise PluginError(f"the file name {path.name!r} hides another module of that name "
                          f"({present.origin}); rename it")
    spec = spec_from_file_location(
        name, path, submodule_search_locations=[str(path.parent)] if package else None)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
