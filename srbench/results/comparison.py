"""Two methods on one dataset, compared metric by metric."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from srbench.results.frame import values_of
from srbench.results.record import MetricValue, Record
from srbench.results.statistics import (
    Bootstrap,
    Difference,
    Estimate,
    Sample,
    badness,
    compare,
    estimate,
    holm,
)

Evidence = Callable[[Sequence[Record], str], Sample]
ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One metric of two methods A and B.

    Attributes
    ----------
    metric : str
        Name.
    about : MetricValue
        Title, unit, direction, decimals, protocol and reference, as in a record.
    a, b : Estimate
        Of each method alone.
    difference : Difference
        A - B; where HR images have the value that is aimed at, of the distances from it. Adjusted
        over the family of metrics.
    fixed : Difference
        The same with the trainings taken as they are.
    trained : (bool, bool)
        Whether A and B were trained.
    images : int
        Test images that the values are made of; 0 if unknown.
    missing : tuple of str
        Seeds without a value, in words.
    """

    metric: str
    about: MetricValue
    a: Estimate
    b: Estimate
    difference: Difference
    fixed: Difference
    trained: tuple[bool, bool]
    images: int = 0
    missing: tuple[str, ...] = ()

    @property
    def a_is_better(self) -> bool:
        """Whether A's mean is the better one."""
        gap = self.difference.difference
        return gap > 0 if self.about.direction == "higher" else gap < 0

    @property
    def apart(self) -> bool | None:
        """Whether the data tell A and B apart, after Holm; None where no test could be made."""
        p = self.difference.adjusted
        return None if p is None else p < ALPHA

    @property
    def apart_alone(self) -> bool:
        """Whether the data would tell A and B apart if this metric were the only one."""
        return self.difference.p is not None and self.difference.p < ALPHA


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All metrics of two methods. ``refused`` holds metrics that are not compared, with reasons."""

    compared: tuple[Compared, ...]
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def family(self) -> int:
        """Number of tests that Holm's correction is over."""
        return sum(one.difference.p is not None for one in self.compared)


def compare_methods(a: Sequence[Record], b: Sequence[Record], metrics: Sequence[str],
                    evidence: Evidence, names: tuple[str, str] = ("A", "B")) -> Comparison:
    """Compare the finished records of two methods, one of each seed, on one dataset and preset.

    Parameters
    ----------
    a, b : sequence of Record
        Of the one and of the other method.
    metrics : sequence of str
        In the order of the answer; they are one family for Holm's correction.
    evidence : callable
        Makes the sample of records and a metric, e.g. `srbench.results.evidence.Evidence`.
    names : (str, str)
        What the methods are called in reasons.
    """
    bootstrap = Bootstrap()
    compared: list[Compared] = []
    refused: dict[str, str] = {}
    for metric in metrics:
        why = _refusal(a, b, metric, names)
        if why:
            refused[metric] = why
        else:
            compared.append(_compared(a, b, metric, evidence, names, bootstrap))
    adjusted = holm([one.difference.p for one in compared])
    return Comparison(refused=refused, compared=tuple(
        replace(one, difference=replace(one.difference, adjusted=p))
        for one, p in zip(compared, adjusted, strict=True)))


def shared_metrics(a: Sequence[Record], b: Sequence[Record]) -> list[str]:
    """Metrics that both methods have an entry of, with a value or not, in the order of A's."""
    first, second = ({name: None for record in side for name in record.values.final}
                     for side in (a, b))
    return [name for name in first if name in second]


def has_value(records: Sequence[Record], metric: str) -> bool:
    """Whether any of the records has a value of the metric."""
    return bool(_valued(records, metric))


def _valued(records: Sequence[Record], metric: str) -> list[Record]:
    return [record for record in records
            if (value := record.values.final.get(metric)) and value.value is not None]


def _refusal(a: Sequence[Record], b: Sequence[Record], metric: str,
             names: tuple[str, str]) -> str:
    """Why a metric is not compared; empty where it is."""
    for side, name in zip((a, b), names, strict=True):
        if not _valued(side, metric):
            value = next((found for record in side
                          if (found := values_of(record, "final").get(metric))), None)
            why = (value.unavailable if value else "") or "it was not measured"
            return f"{name} has no value: {why}"
    protocols = {record.values.final[metric].protocol
                 for side in (a, b) for record in _valued(side, metric)}
    if len(protocols) > 1:
        return f"values of different protocols, {' and '.join(sorted(protocols))}"
    about = _valued(a, metric)[0].values.final[metric]
    if about.direction == "target" and not math.isfinite(_target(about)):
        return "the value of the HR images, which is aimed at, is not in the record"
    return ""


def _compared(a: Sequence[Record], b: Sequence[Record], metric: str, evidence: Evidence,
              names: tuple[str, str], bootstrap: Bootstrap) -> Compared:
    sides = _valued(a, metric), _valued(b, metric)
    about = sides[0][0].values.final[metric]
    samples = [evidence(side, metric) for side in sides]
    first, second = samples
    if about.direction == "target":
        first, second = (badness(sample, "target", _target(about)) for sample in samples)
    missing = tuple(
        f"seed {record.identity.seed} of {name} has no value" for side, given, name
        in zip(sides, (a, b), names, strict=True) for record in given if record not in side)
    return Compared(
        metric=metric, about=about, a=estimate(samples[0], bootstrap),
        b=estimate(samples[1], bootstrap), difference=compare(first, second),
        fixed=compare(first, second, trainings=False), missing=missing,
        trained=(first.trained, second.trained),
        images=max(record.values.final[metric].count for side in sides for record in side))


def _target(about: MetricValue) -> float:
    return about.reference.get("hr", math.nan)
