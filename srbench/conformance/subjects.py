"""What a check is handed: one thing a plugin provides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srbench.conformance.check import NotTried
from srbench.errors import MissingDependency, MissingWeights, Skipped

if TYPE_CHECKING:
    from srbench.api.dataset import Dataset
    from srbench.api.metric import Metric
    from srbench.conformance.check import Kind
    from srbench.registry.catalog import Entry
    from srbench.registry.infos import DatasetInfo, MetricInfo

PRESET = "quick"
ABSENT = (Skipped, MissingWeights, MissingDependency)


@dataclass(frozen=True)
class Subject:
    """A method, dataset or metric, and where it comes from.

    Parameters
    ----------
    entry : Entry
        As `srbench.registry.catalog.discover` found it.
    kind : {"method", "dataset", "metric"}
        What it is.
    """

    entry: Entry[Any]
    kind: Kind

    @property
    def name(self) -> str:
        """The name users type."""
        return str(self.entry.info.name)


@dataclass(frozen=True)
class DatasetSubject(Subject):
    """A dataset."""

    entry: Entry[DatasetInfo]
    kind: Kind = "dataset"

    def open(self) -> Dataset:
        """Return a fresh dataset with the parameters of its ``quick`` preset, not yet prepared.

        Raises
        ------
        NotTried
            If its data or a package it needs is not on this machine.
        """
        cls = self.entry.load()
        params = cls.Params.resolve(PRESET, "", dict(self.entry.info.fixed))
        try:
            dataset: Dataset = cls(params, self.name)
        except ABSENT as error:
            raise NotTried(str(error)) from error
        return dataset


@dataclass(frozen=True)
class MetricSubject(Subject):
    """A metric."""

    entry: Entry[MetricInfo]
    kind: Kind = "metric"

    def load(self) -> type[Metric]:
        """Return the class."""
        cls: type[Metric] = self.entry.load()
        return cls
