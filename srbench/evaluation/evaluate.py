"""One pass over the test images that feeds every metric, and one over the test patches.

Legend: T = the method's map, x = an LR test image, y = its HR image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch

from srbench.api.dataset import CropDataset
from srbench.api.metric import EvaluationContext
from srbench.errors import DataError
from srbench.evaluation.column import Column, Entry
from srbench.evaluation.modes import eval_mode, full_precision, mapped, preserved_randomness
from srbench.evaluation.passes import Pass, TrainMode, measure_batch, measure_patches, now
from srbench.evaluation.restorer import Restorer
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
        ``"lr"``, ``"prediction"`` and ``"hr"`` of the first twelve test images, float32 on the CPU;
        of photographs the central 256x256 HR pixels and the LR pixels they belong to. An image
        whose crop has another size than the first one's is in none of the three.
    seconds_restore : float
        Time spent in T in eval mode.
    seconds_measure : float
        Time spent in metrics, and in T where a metric wants it in train mode.
    flags : list of str
        See `srbench.evaluation.flags`.
    palettes : dict of str to Tensor
        Colours in [0, 1] (not clamped) of 1024 pixels of the ``"lr"``, ``"prediction"`` and
        ``"hr"`` test images, (1024, 3) float32 on the CPU. A row of the three is one place, the
        same for every method. Empty for vectors and where the output is not finite.
    notes : list of str
        What a reader of the record must know, e.g. that images were restored in tiles.
    diverged : str
        On which test image or patch the output is first not finite; empty where it is everywhere.
    """

    values: dict[str, MetricValue]
    per_image: dict[str, list[float]]
    samples: dict[str, Tensor]
    seconds_restore: float
    seconds_measure: float
    flags: list[str]
    palettes: dict[str, Tensor] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    diverged: str = ""


def evaluate(
    method: Method,
    dataset: Dataset,
    metrics: Mapping[str, Entry],
    *,
    device: torch.device,
    batch_size: int = 64,
    on_progress: Progress | None = None,
) -> Evaluation:
    """Score a method on the test pairs of a dataset, and on its test patches where it has some.

    Method, buffers and random states are left as they were. Metrics of mode ``"train10"`` see a
    copy in train mode, on batches of exactly ten; those of mode ``"patches"`` see patches restored
    on their own, in a second pass. For photographs (domain ``"sr"``) see `Restorer`.

    Parameters
    ----------
    method, dataset : Method, Dataset
        On ``device`` and prepared for it.
    metrics : mapping of str to Entry
        Metrics by name.
    device, batch_size : torch.device, int
        Where to work, and how many test images are mapped at a time, at least 1.
    on_progress : callable, optional
        Called after each batch with the images and patches done and their total, 0 if unknown.

    Returns
    -------
    Evaluation
        Values, samples, times and flags.

    Raises
    ------
    DataError
        If the dataset has no test images.
    ParameterError
        If ``SRBENCH_TILE_PIXELS`` is no positive whole number.
    PluginError
        If the output is no tensor of the target's shape.
    """
    context = evaluation_context(dataset, device)
    problem = dataset.problem
    restorer = Restorer(method, problem.scale, device) if problem.domain == "sr" else None
    with preserved_randomness(), full_precision():
        run = Pass({name: Column(entry, context) for name, entry in metrics.items()})
        train = TrainMode(method, run) if run.of_mode("train10") else None
        tick, done = _ticker(run, context, on_progress), 0
        with eval_mode(method):
            for pair in dataset.test_batches(batch_size):
                lr, hr = (images.to(device) for images in pair)
                measure_batch(restorer or partial(mapped, method), run, (lr, hr), done)
                if train is not None:
                    train.measure(lr, hr)
                done += len(hr)
                tick(len(hr))
            _measure_patches(method, run, dataset, device, tick)
        if not done:
            raise DataError(f"dataset {dataset.name!r} has no test images")
        return _finished(run, restorer.notes() if restorer else [])


def _measure_patches(
    method: Method,
    run: Pass,
    dataset: Dataset,
    device: torch.device,
    tick: Callable[[int], None],
) -> None:
    """Run the second pass, where the dataset has patches and a metric takes them."""
    if isinstance(dataset, CropDataset) and run.of_mode("patches"):
        measure_patches(method, run, dataset, device, tick)


def _ticker(
    run: Pass, context: EvaluationContext, on_progress: Progress | None
) -> Callable[[int], None]:
    """Return a function that takes the size of a batch and tells how far both passes are."""
    total, done = int(context.facts.get("test_size", 0)), 0
    if total and run.of_mode("patches"):
        total += int(context.facts["patch_count"])

    def tick(count: int) -> None:
        nonlocal done
        done += count
        if on_progress is not None:
            on_progress(done, total)

    return tick


def evaluation_context(dataset: Dataset, device: torch.device) -> EvaluationContext:
    """Return what metrics may know; the store lives as long as the dataset object."""
    facts = {**dataset.facts(), "patch_count": 0, "patch_scenes": None}
    if isinstance(dataset, CropDataset):
        facts |= {"patch_count": dataset.patch_count, "patch_scenes": dataset.patch_scenes()}
    return EvaluationContext(
        problem=dataset.problem,
        known_map=dataset.known_map,
        facts=facts,
        device=device,
        fingerprint=dataset.fingerprint(),
        store=_STORES.setdefault(dataset, {}),
    )


def _finished(run: Pass, notes: list[str]) -> Evaluation:
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
        samples=_joined(run.samples),
        seconds_restore=run.seconds_restore,
        seconds_measure=run.seconds_measure,
        flags=sorted(raised),
        palettes=run.palettes.colours(),
        notes=notes,
        diverged=run.diverged,
    )


def _joined(samples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Join samples kind by kind; those of another size than the first are left out of all kinds."""
    shapes = [{name: row.shape for name, row in sample.items()} for sample in samples]
    fitting = [s for s, shape in zip(samples, shapes, strict=True) if shape == shapes[0]]
    return {name: torch.cat([sample[name] for sample in fitting]) for name in samples[0]}
