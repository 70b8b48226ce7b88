"""One pass over the test images that feeds every metric.

Legend: T = the method's map, x = an LR test image, y = its HR image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch

from srbench.api.metric import EvaluationContext
from srbench.errors import DataError
from srbench.evaluation.column import Column, Entry
from srbench.evaluation.modes import eval_mode, full_precision, preserved_randomness
from srbench.evaluation.passes import Pass, TrainMode, measure_batch, now
from srbench.evaluation.validation import validation_scores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from srbench.api.dataset import Dataset
    from srbench.api.method import Method
    from srbench.results.record import MetricValue

__all__ = ["Evaluation", "evaluate", "evaluation_context", "validation_scores"]

Progress = Callable[[int, int], None]

_STORES: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What one evaluation found.

    Parameters
    ----------
    values : dict of str to MetricValue
        One entry per metric asked for, in that order; each has a value or says why not.
    per_image : dict of str to list of float
        Values of each test image, in test order, of the metrics that have them.
    samples : dict of str to Tensor
        ``"lr"``, ``"prediction"`` and ``"hr"`` of the first eight test images, float32 on the CPU.
    seconds_restore : float
        Time spent in T in eval mode.
    seconds_measure : float
        Time spent in metrics, and in T where a metric wants it in train mode.
    flags : list of str
        See `srbench.evaluation.flags`.
    """

    values: dict[str, MetricValue]
    per_image: dict[str, list[float]]
    samples: dict[str, Tensor]
    seconds_restore: float
    seconds_measure: float
    flags: list[str]


def evaluate(
    method: Method,
    dataset: Dataset,
    metrics: Mapping[str, Entry],
    *,
    device: torch.device,
    batch_size: int = 64,
    on_progress: Progress | None = None,
) -> Evaluation:
    """Score a method on the test pairs of a dataset.

    The method, the state of its buffers and every random state are left as they were. Metrics of
    mode ``"train10"`` see a copy of the method in train mode, on batches of exactly ten.

    Parameters
    ----------
    method : Method
        The map, on ``device``.
    dataset : Dataset
        Prepared on ``device``.
    metrics : mapping of str to Entry
        Metrics by name.
    device : torch.device
        Where to work.
    batch_size : int
        Test images mapped at a time, at least 1.
    on_progress : callable, optional
        Called after each batch with the images done and their total number, 0 if unknown.

    Returns
    -------
    Evaluation
        Values, samples, times and flags.

    Raises
    ------
    DataError
        If the dataset has no test images.
    PluginError
        If the method's output is no tensor of the target's shape.
    """
    context = evaluation_context(dataset, device)
    total = int(context.facts.get("test_size", 0))
    with preserved_randomness(), full_precision():
        run = Pass({name: Column(entry, context) for name, entry in metrics.items()})
        train = TrainMode(method, run) if run.of_mode("train10") else None
        done = 0
        with eval_mode(method):
            for lr, hr in dataset.test_batches(batch_size):
                lr, hr = lr.to(device), hr.to(device)
                measure_batch(method, run, (lr, hr), done)
                if train is not None:
                    train.measure(lr, hr)
                done += len(hr)
                if on_progress is not None:
                    on_progress(done, total)
        if not done:
            raise DataError(f"dataset {dataset.name!r} has no test images")
        return _finished(run)


def evaluation_context(dataset: Dataset, device: torch.device) -> EvaluationContext:
    """Return what metrics may know; the store lives as long as the dataset object."""
    return EvaluationContext(
        problem=dataset.problem,
        known_map=dataset.known_map,
        facts=dataset.facts(),
        device=device,
        fingerprint=dataset.fingerprint(),
        store=_STORES.setdefault(dataset, {}),
    )


def _finished(run: Pass) -> Evaluation:
    """Close the columns and gather what was found."""
    started = now(torch.device("cpu"))
    values = {name: column.finish() for name, column in run.columns.items()}
    run.seconds_measure += now(torch.device("cpu")) - started
    per_image = {
        name: column.score.per_image
        for name, column in run.columns.items()
        if values[name].value is not None and column.score and column.score.per_image is not None
    }
    raised = run.raised | (set() if "nan" in run.raised else set(run.flags.raised()))
    return Evaluation(
        values=values,
        per_image=per_image,
        samples={name: _joined(parts) for name, parts in run.samples.items()},
        seconds_restore=run.seconds_restore,
        seconds_measure=run.seconds_measure,
        flags=sorted(raised),
    )


def _joined(parts: list[Tensor]) -> Tensor:
    """Join samples into one tensor; images of another size than the first are left out."""
    return torch.cat([part for part in parts if part.shape[1:] == parts[0].shape[1:]])
