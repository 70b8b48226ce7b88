"""What a new package is called, and the names that cannot be taken."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from srbench.errors import UsageError

if TYPE_CHECKING:
    from srbench.registry.catalog import Catalog, Entry

Kind = Literal["method", "dataset"]
NAME = re.compile(r"[a-z](?:[a-z0-9.-]*[a-z0-9])?")
LONGEST = 60  # characters: the folder and files of the package carry the name several times


@dataclass(frozen=True)
class Names:
    """The names of a new package, all of them made from the plugin's.

    Parameters
    ----------
    kind : {"method", "dataset"}
        What it provides.
    name : str
        Name of the method or dataset, and of the entry point.

    Raises
    ------
    UsageError
        If no package can be called that.
    """

    kind: Kind
    name: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or len(self.name) > LONGEST:
            raise UsageError(
                f"{self.name!r} cannot be the name of a {self.kind}: it must match {NAME.pattern} "
                f"and have at most {LONGEST} characters", hint=_proposal(self.name))
        if keyword.iskeyword(self.name) or keyword.iskeyword(self.cls):
            raise UsageError(f"{self.name!r} is a word of Python's", hint=self._longer())
        import srbench

        if self.cls in srbench.__all__:
            raise UsageError(f"a class called {self.cls!r} would hide srbench.{self.cls}",
                             hint=self._longer())

    @property
    def distribution(self) -> str:
        """Name of the distribution and of its folder."""
        return f"srbench-{self.name}"

    @property
    def module(self) -> str:
        """Name of the import package."""
        return "srbench_" + re.sub(r"[.-]", "_", self.name)

    @property
    def cls(self) -> str:
        """Name of the class."""
        return "".join(word.capitalize() for word in re.split(r"[.-]+", self.name))

    def refuse_taken(self, catalog: Catalog, *, again: bool = False) -> None:
        """Refuse a name that something installed already has.

        Parameters
        ----------
        catalog : Catalog
            What is installed.
        again : bool
            The package is written again: what its own distribution holds is no hindrance.

        Raises
        ------
        UsageError
            Naming what has it.
        """
        entry: Entry | None = (catalog.methods.get(self.name) if self.kind == "method"
                               else catalog.datasets.get(self.name))
        if entry is not None and not (again and self._is_own(entry.distribution)):
            raise UsageError(f"a {self.kind} called {self.name!r} is installed, from "
                             f"{entry.origin}", hint=self._other(entry.distribution))
        for plugin in catalog.broken:
            if self.name in (*plugin.names, plugin.plugin) and not (
                    again and self._is_own(plugin.distribution)):
                raise UsageError(f"{self.name!r} is claimed by the broken plugin {plugin.origin}",
                                 hint=self._other(plugin.distribution))
        if again:
            return
        if any(found.name and self._is_own(found.name) for found in metadata.distributions()):
            raise UsageError(f"the distribution {self.distribution} is installed",
                             hint=self._other(self.distribution))
        found = find_spec(self.module)
        if found is not None:
            raise UsageError(f"there is a module {self.module} already: {found.origin}",
                             hint=self._longer())

    def _is_own(self, distribution: str) -> bool:
        return _normal(distribution) == _normal(self.distribution)

    def _longer(self) -> str:
        return f"choose another name, such as my-{self.name}"

    def _other(self, distribution: str) -> str:
        if distribution in ("srbench", "file"):
            return self._longer()
        return f"{self._longer()}, or first: pip uninstall {distribution}"


def _normal(name: str) -> str:
    """Name of a distribution as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _proposal(name: str) -> str:
    """Say what would do in place of a name that cannot be."""
    words = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.").lstrip("0123456789-.")[:LONGEST]
    return (f"{words!r} would do" if NAME.fullmatch(words) else
            "use small letters, digits, - and ., a letter first")
