"""All checks there are, in the order they are run in."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from srbench.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable

    from srbench.conformance.check import Check, Kind

# Each has ``CHECKS``, a tuple of `Check`.
MODULES = ("targets", "method_metadata", "method_training", "method_map", "method_conduct",
           "dataset_checks", "metric_checks")


def checks(kind: Kind | None = None) -> tuple[Check, ...]:
    """Return the checks of one kind of thing, or all of them.

    Parameters
    ----------
    kind : {"method", "dataset", "metric"}, optional
        What they are run on.
    """
    found = [check for name in MODULES if find_spec(f"srbench.conformance.{name}")
             for check in import_module(f"srbench.conformance.{name}").CHECKS]
    return tuple(check for check in found if kind in (None, check.kind))


def chosen(names: Iterable[str]) -> frozenset[str]:
    """Return ``names`` as a set; empty stands for all.

    Raises
    ------
    UnknownName
        If there is no check of a name.
    """
    known, wanted = {check.name for check in checks()}, frozenset(names)
    for name in sorted(wanted - known):
        raise UnknownName("check", name, known)
    return wanted
