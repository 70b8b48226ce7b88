"""A plugin that listens to the events of runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


@dataclass(frozen=True)
class Tracker:
    """It is used where ``--track`` names it.

    Parameters
    ----------
    name : str
        Name of the entry point, or of the file without ``.py`` or the package's folder.
    plugin, distribution, version, module
        As in `srbench.registry.catalog.Entry`.
    events : tuple of str
        The hooks it implements.
    """

    name: str
    plugin: str
    distribution: str
    version: str
    module: ModuleType
    events: tuple[str, ...]

    @property
    def origin(self) -> str:
        """``distribution:plugin``."""
        return f"{self.distribution}:{self.plugin}"

    @property
    def summary(self) -> str:
        """First line of the module's docstring."""
        return (self.module.__doc__ or "").strip().partition("\n")[0]
