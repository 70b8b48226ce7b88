"""One metric's column in an evaluation: a value, or the reason why there is none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from srbench.api.metric import Metric, Score
from srbench.errors import PluginError, SrbenchError
from srbench.results.record import MetricValue

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from torch import Tensor

    from srbench.api.metric import EvaluationContext
    from srbench.registry.infos import MetricInfo

    Result = TypeVar("Result")


class Entry(Protocol):
    """What the catalog hands over for a metric: its facts, and its class on demand."""

    @property
    def info(self) -> MetricInfo:
        """The `MetricInfo` the plugin declared."""
        ...

    def load(self) -> type[Metric]:
        """Import the implementation."""
        ...


class Column:
    """A metric on its way through an evaluation.

    Whatever goes wrong in a metric makes its own value unavailable and nothing else: a finished
    training is never lost to the measuring of it.

    Parameters
    ----------
    entry : Entry
        The metric.
    context : EvaluationContext
        What it is built with.
    """

    def __init__(self, entry: Entry, context: EvaluationContext) -> None:
        self.info = entry.info
        self.unavailable: str | None = None
        self.remedy: str | None = None
        self.metric: Metric | None = None
        self.score: Score | None = None
        self.kind = self._attempt(lambda: self._loaded(entry))
        self.protocol: str = getattr(self.kind, "protocol", "")
        self.mode: str = getattr(self.kind, "mode", "eval")
        if self.kind is not None and not self._excluded(self.kind, context):
            kind = self.kind
            self.metric = self._attempt(lambda: _build(kind, context))

    def _excluded(self, kind: type[Metric], context: EvaluationContext) -> bool:
        """Whether the metric does not apply to the dataset; says why."""
        if kind.image_only and not context.problem.is_image:
            self.withdraw("does not apply to vectors")
        elif kind.needs_map and not context.known_map:
            self.withdraw("does not apply: the true map of the dataset is not known")
        elif kind.mode == "patches" and not context.facts.get("patch_count"):
            self.withdraw("does not apply: the dataset has no test patches")
        elif reason := self._attempt(lambda: kind.unsuited(context)):
            self.withdraw(reason)
        return self.unavailable is not None

    def _loaded(self, entry: Entry) -> type[Metric]:
        """Import the implementation and check what it is."""
        kind = entry.load()
        if not (isinstance(kind, type) and issubclass(kind, Metric)):
            raise PluginError(f"{self.info.load} of metric {self.info.name!r} is no srbench.Metric")
        return kind

    @property
    def live(self) -> bool:
        """Whether the metric still takes batches."""
        return self.metric is not None and self.unavailable is None

    def withdraw(self, reason: str, remedy: str = "") -> None:
        """Give up on the value and say why; the first reason stays."""
        if self.unavailable is None:
            self.unavailable, self.remedy = reason, remedy or None

    def update(self, prediction: Tensor, target: Tensor, lr: Tensor) -> None:
        """Feed one batch."""
        metric = self.metric
        if metric is not None and self.live:
            self._attempt(lambda: metric.update(prediction, target, lr))

    def finish(self) -> MetricValue:
        """Compute the score and return what the record keeps of it."""
        metric = self.metric
        if metric is not None and self.live:
            self.score = self._attempt(lambda: _scored(metric))
        return self._value(self.score if self.unavailable is None else None)

    def _value(self, score: Score | None) -> MetricValue:
        value = MetricValue(
            title=self.info.title,
            unit=self.info.unit,
            direction=self.info.direction,
            decimals=self.info.decimals,
            protocol=self.protocol,
            unavailable=self.unavailable,
            remedy=self.remedy,
        )
        if score is not None:
            value.value, value.count = float(score.value), score.count
            value.interval = None if score.interval is None else list(score.interval)
            value.reference, value.detail = score.reference, score.detail
        return value

    def _attempt(self, action: Callable[[], Result]) -> Result | None:
        """Run a plugin's code; a failure becomes the reason why there is no value."""
        try:
            return action()
        except SrbenchError as error:
            self.withdraw(error.message, error.hint)
        except Exception as error:  # a plugin's arbitrary code: its fault must not cost the cell
            self.withdraw(f"the metric failed with {type(error).__name__}: {error}")
        return None


def _scored(metric: Metric) -> Score:
    """Compute a metric's score and check that it is one, with a finite value."""
    score = metric.compute()
    if not isinstance(score, Score):
        raise PluginError(f"the metric gave a {type(score).__name__}, no srbench.Score")
    if not math.isfinite(score.value):
        raise SrbenchError(f"the metric gave {score.value!r}")
    return score


def _build(kind: type[Metric], context: EvaluationContext) -> Metric:
    """Build a metric and let it check itself."""
    metric = kind(context)
    metric.self_check()
    return metric
