"""What makes two cells the same: the parts of a cell's key, and the key.

::

    part                              what changes it
    method, method_params             the spec, --set and the preset, as resolved: an option that
                                      says what holds anyway changes nothing
    dataset_params                    the same of the dataset, but for where its data comes from
    dataset_fingerprint, pool         the data itself
    preset, seed, precision, budget   the options of these names
    protocols                         which metrics are computed, and by which definition
    validations                       how often the oracle looks
    threads, ranks                    the order in which numbers are added up
    method_code, dataset_code,        files that the plugins reach outside srbench, see
    metrics_code                      `srbench.engine.closure`
    srbench_code                      modules of srbench that the cell reaches
    versions                          see `srbench.engine.versions`
    identity_schema                   the meaning of all this

Comments, docstrings, formatting, the order of flags, labels, timeouts, devices, executors, the
number of cells at a time, declared memory and folders are no part of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from srbench.engine.closure import HARNESS, Closure, Reach
from srbench.engine.units import packages_of
from srbench.engine.versions import versions

IDENTITY_SCHEMA = 2
# Where every cell starts, whatever its plugins.
ROOTS = ("srbench.engine.cell", "srbench.training.training", "srbench.evaluation.evaluate")
ORIGIN_OF_FILES = "file"


@dataclass(frozen=True)
class Plugin:
    """One implementation that takes part in a cell.

    Parameters
    ----------
    target : str
        ``"module:Class"``.
    distribution : str
        The installed distribution it comes from, ``"file"`` for a one-off file.
    """

    target: str
    distribution: str


@dataclass(frozen=True)
class Code:
    """The code of a cell.

    Parameters
    ----------
    files : dict of str to dict
        By part of the identity (``"method_code"``, ...) the digest of each file.
    digests : dict of str to str
        By part SHA-256 of its files.
    versions : dict of str to str or None
        Of installed packages that decide numbers.
    """

    files: dict[str, dict[str, str]]
    digests: dict[str, str]
    versions: dict[str, str | None]


class CodeReader:
    """Reads the code of cells; one object per plan, so that edits between plans are seen."""

    def __init__(self) -> None:
        self._closure = Closure()
        self._reached: dict[Plugin, Reach] = {}
        self._packages: dict[str, Collection[str]] = {}

    def code(self, method: Plugin, dataset: Plugin, metrics: Iterable[Plugin]) -> Code:
        """Everything the cell of a method, a dataset and metrics runs through.

        Raises
        ------
        PluginError
            If a package cannot be found.
        """
        groups = {"method_code": [method], "dataset_code": [dataset], "metrics_code": list(metrics)}
        roots = self._closure.reach(ROOTS)
        files: dict[str, dict[str, str]] = {}
        harness = set(roots.units)
        for part, plugins in groups.items():
            units = {unit for plugin in plugins for unit in self._reach(plugin).units}
            files[part] = self._closure.digests(unit for unit in units if unit.top != HARNESS)
            harness |= {unit for unit in units if unit.top == HARNESS}
        files["srbench_code"] = self._closure.digests(harness)
        files = {part: dict(sorted(group.items())) for part, group in files.items()}
        plugins = [plugin for group in groups.values() for plugin in group]
        return Code(files, {part: digest_of(group) for part, group in files.items()},
                    self._versions(plugins))

    def _reach(self, plugin: Plugin) -> Reach:
        if plugin not in self._reached:
            own = {*self._packages_of(plugin.distribution), *self._packages_of(HARNESS)}
            self._reached[plugin] = self._closure.reach([plugin.target], own)
        return self._reached[plugin]

    def _packages_of(self, distribution: str) -> Collection[str]:
        if distribution not in self._packages:
            try:
                found = packages_of(metadata.distribution(distribution))
            except metadata.PackageNotFoundError:
                found = set()
            self._packages[distribution] = found
        return self._packages[distribution]

    def _versions(self, plugins: Iterable[Plugin]) -> dict[str, str | None]:
        imported: set[str] = set()
        declaring: set[str] = set()
        for plugin in plugins:
            if plugin.distribution == ORIGIN_OF_FILES:
                imported |= self._reach(plugin).installed
            elif plugin.distribution != HARNESS:
                declaring.add(plugin.distribution)
        return versions(declaring, imported)


def identity_parts(*, method: str, method_params: Mapping[str, Any],
                   dataset_params: Mapping[str, Any], fingerprint: str,
                   pool: Mapping[str, int] | None, preset: str, seed: int, precision: str,
                   budget: str, protocols: Mapping[str, str], validations: int, threads: int,
                   ranks: int, code: Code) -> dict[str, Any]:
    """Everything that decides a cell's numbers, as JSON data."""
    return {
        "identity_schema": IDENTITY_SCHEMA,
        "method": method,
        "method_params": method_params,
        "dataset_params": {name: value for name, value in dataset_params.items()
                           if name != "source"},  # where equal data came from is no difference
        "dataset_fingerprint": fingerprint,
        "pool": pool,
        "preset": preset,
        "seed": seed,
        "precision": precision,
        "budget": budget,
        "protocols": protocols,
        "validations": validations,
        "threads": threads,
        **({"ranks": ranks} if ranks > 1 else {}),
        **code.digests,
        "versions": code.versions,
    }


def digest_of(data: Any) -> str:
    """SHA-256 (hex) of JSON data in canonical form."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()


def key_of(parts: Mapping[str, Any]) -> str:
    """The key of a cell with these identity parts."""
    return digest_of(parts)
