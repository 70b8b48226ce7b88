"""From the name of a module to the files that count with it, without importing anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import invalidate_caches, metadata
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

LEFT_OUT_SUFFIXES = frozenset({".md", ".rst", ".pyc", ".pyi"})
LEFT_OUT_NAMES = frozenset({"__pycache__", "py.typed"})
SITE = frozenset({"site-packages", "dist-packages"})
STANDARD = Path(os.__file__).resolve().parent


@dataclass(frozen=True)
class Unit:
    """What counts as a whole: a package with all its files, or one module.

    Parameters
    ----------
    name : str
        Dotted name.
    path : Path
        The package's folder, or the file of the module.
    installed : bool
        Whether it is a file of an installed distribution.
    """

    name: str
    path: Path
    installed: bool

    @property
    def top(self) -> str:
        """Its top-level package."""
        return self.name.partition(".")[0]

    def files(self) -> Iterator[tuple[str, Path, str]]:
        """Yield a name that is the same on every machine, the path, and of Python the module.

        The module of ``a/__init__.py`` is ``a.__init__``: what its relative imports start from.
        """
        base = self.name.replace(".", "/")
        if not self.path.is_dir():
            inner = "/__init__" if self.path.name == "__init__.py" else ""
            shown = base + inner + self.path.suffix
            module = shown.removesuffix(".py").replace("/", ".")
            yield shown, self.path, module if self.path.suffix == ".py" else ""
            return
        for path in sorted(_walk(self.path)):
            inside = path.relative_to(self.path)
            module = ".".join([self.name, *inside.with_suffix("").parts])
            yield f"{base}/{inside.as_posix()}", path, module if path.suffix == ".py" else ""


def _walk(folder: Path) -> Iterator[Path]:
    """Files of a package that may decide a number, also behind links to folders."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = str(Path(place).resolve())
        # A link to a folder above would lead in circles.
        folders[:] = [] if real in seen else [name for name in folders if _counts(name)]
        if real not in seen:
            yield from (path for name in names if _counts(name)
                        and (path := Path(place, name)).is_file())
        seen.add(real)


def _counts(name: str) -> bool:
    """Whether a file or folder of a package may decide a number."""
    return not (name.startswith(".") or name in LEFT_OUT_NAMES
                or Path(name).suffix in LEFT_OUT_SUFFIXES)


class Finder:
    """Finds units on the import path of this process; remembers what it found."""

    def __init__(self) -> None:
        invalidate_caches()  # modules may have been written since the last plan
        self._specs: dict[str, ModuleSpec | None] = {}
        self._units: dict[tuple[str, Path | None], Unit | None] = {}
        self._records: dict[Path, set[str]] = {}

    def spec(self, module: str) -> ModuleSpec | None:
        """Where a module is; its parents are not imported."""
        if module not in self._specs:
            parent, _, _ = module.rpartition(".")
            if not parent:
                self._specs[module] = _top_spec(module)
            else:
                above = self.spec(parent)
                inside = above and above.submodule_search_locations
                self._specs[module] = PathFinder.find_spec(module, inside) if inside else None
        return self._specs[module]

    def unit(self, module: str, beside: Path | None = None) -> Unit | None:
        """The outermost package with an ``__init__`` that holds a module, or the module itself.

        Parameters
        ----------
        module : str
            Dotted name.
        beside : Path, optional
            Folder to look in where the import path has no such module: a plugin given as a file
            may put its own folder on the path only later.

        Returns
        -------
        Unit or None
            None for the standard library and for what is not there.
        """
        if (module, beside) not in self._units:
            self._units[module, beside] = self._find(module, beside)
        return self._units[module, beside]

    def _find(self, module: str, beside: Path | None) -> Unit | None:
        top, *below = module.split(".")
        spec = self.spec(top)
        if spec is None and beside is not None:
            spec = PathFinder.find_spec(top, [str(beside)])
        name = top
        while spec is not None and not spec.has_location:  # a package without __init__
            if not below or not spec.submodule_search_locations:
                return None
            name = f"{name}.{below.pop(0)}"
            spec = PathFinder.find_spec(name, spec.submodule_search_locations)
        if spec is None or spec.origin is None:
            return None
        origin = Path(spec.origin)
        if not origin.is_file() or _is_standard(origin):
            return None
        path = origin.parent if spec.submodule_search_locations else origin
        return Unit(name, path, self._is_installed(top, path.parents[name.count(".")]))

    def _is_installed(self, top: str, folder: Path) -> bool:
        """Whether a folder of the import path holds a package because pip put it there."""
        if folder.name in SITE:
            return True
        if folder not in self._records:
            self._records[folder] = {name for info in folder.glob("*.dist-info")
                                     for name in packages_of(metadata.PathDistribution(info))}
        return top in self._records[folder]


def packages_of(distribution: metadata.Distribution) -> set[str]:
    """Top-level packages and modules among the files of a distribution."""
    tops = {Path(file.parts[0]).stem if len(file.parts) == 1 else file.parts[0]
            for file in distribution.files or ()}
    return {top for top in tops if top.isidentifier()}


def _top_spec(module: str) -> ModuleSpec | None:
    """Where a top-level module is; None where the import system cannot say."""
    try:
        return find_spec(module)
    except (ImportError, ValueError):  # __main__, and modules made by hand, have no spec
        return None


def _is_standard(origin: Path) -> bool:
    """Whether a file belongs to the standard library."""
    place = origin.resolve()
    return place.is_relative_to(STANDARD) and not SITE & {parent.name for parent in place.parents}
