"""Subjects for checks that are called in the test's own process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from srbench.conformance.check import Check, Failed, NotTried
from srbench.registry.infos import DatasetInfo, MetricInfo


@dataclass
class Opens:
    """A dataset that a function makes."""

    open: Callable[[], Any]
    entry: Any = field(default_factory=lambda: SimpleNamespace(
        distribution="file", plugin="none.py",
        info=DatasetInfo(name="toy", summary="A toy.", load="toy:Toy")))


@dataclass
class Scores:
    """A metric class, and what its plugin says of it."""

    kind: type
    direction: str = "lower"
    entry: Any = None

    def __post_init__(self) -> None:
        info = MetricInfo(name="toy", title="toy", summary="A toy.", load="toy:Toy",
                          direction=self.direction)  # type: ignore[arg-type]
        self.entry = SimpleNamespace(distribution="toy", plugin="toy", info=info)

    def load(self) -> type:
        return self.kind


def verdict(check: Check, subject: Any) -> str:
    """``"passed"``, or ``"failed: ..."`` or ``"not tried: ..."`` with what was seen."""
    try:
        check.run(subject)
    except Failed as error:
        return f"failed: {error}"
    except NotTried as error:
        return f"not tried: {error}"
    return "passed"
