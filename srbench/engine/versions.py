"""Versions of installed packages that decide numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata

# What srbench itself computes numbers with. Its other requirements parse options, draw pages and
# write files.
NUMERIC = ("torch", "torchvision", "numpy", "scipy", "scikit-image", "piq", "lpips", "pytorch-fid",
           "pillow")
# Modules of NUMERIC and of srbench's other requirements whose name is not their distribution's.
KNOWN_MODULES = {"skimage": "scikit-image", "PIL": "pillow", "pytorch_fid": "pytorch-fid"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def versions(distributions: Iterable[str], imported: Iterable[str] = ()) -> dict[str, str | None]:
    """Versions that are part of a cell's identity.

    Parameters
    ----------
    distributions : iterable of str
        Of the plugins: what they declare to require counts, extras left out.
    imported : iterable of str
        Top-level modules whose distributions count as if they were declared: what a plugin given
        as a file imports, since a file can declare nothing.

    Returns
    -------
    dict of str to str or None
        By normalised name; None where a package is not installed. srbench is not among them: its
        modules count one by one.
    """
    names = {*NUMERIC, *_distributions_of(imported)}
    for distribution in distributions:
        names |= _declared(distribution)
    return {name: _version(name) for name in sorted(names - {"srbench"})}


def _declared(distribution: str) -> set[str]:
    """Normalised names of what a distribution requires without any extra."""
    try:
        lines = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return set()
    plain = [line for line in lines if "extra" not in line.partition(";")[2]]
    return {_normalised(found[0]) for line in plain if (found := NAME.match(line.strip()))}


def _distributions_of(modules: Iterable[str]) -> set[str]:
    """Normalised names of the distributions that provide some modules."""
    names = {module: KNOWN_MODULES.get(module, module) for module in modules}
    unknown = {module for module, name in names.items() if _version(name) is None}
    # The table is made from the lists of files of everything that is installed, hence last.
    table = metadata.packages_distributions() if unknown else {}
    return {_normalised(name) for module in names
            for name in (table.get(module, ()) if module in unknown else (names[module],))}


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
