"""A metric while it is checked, and the images it is fed.

Legend: x = LR image, y = HR image; perfect, mild, severe = predictions that are y, y with a little
noise and a colour cast, and y with much of both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from srbench.api.metric import EvaluationContext, Metric, Score
from srbench.api.problem import Problem
from srbench.conformance.check import Failed, NotTried
from srbench.conformance.effects import CPU, Effects
from srbench.conformance.synthetic import SyntheticImages, SyntheticVectors
from srbench.errors import MissingDependency, MissingWeights, SrbenchError
from srbench.evaluation.transport import total_variance, transport_cost
from srbench.evaluation.transport_cost import upsampled

COUNT = 20  # two batches of ten, as mode "train10" has them
SIDE = 64
SCALE = 4
BLEND = {"perfect": 0.0, "mild": 0.15, "severe": 0.6}  # share of what is not y
CAST = (0.5, -0.4, 0.3)  # colour that predictions are drawn to
Quality = Literal["perfect", "mild", "severe"]


class Loadable(Protocol):
    """What the checks need of a subject."""

    entry: Any

    def load(self) -> type[Metric]:
        """Return the class."""
        ...


@dataclass(frozen=True)
class Scene:
    """Images to be scored: x, y and what a metric may know of them."""

    name: str
    x: Tensor
    y: Tensor
    problem: Problem
    known_map: bool

    def context(self, store: dict[str, Any] | None = None) -> EvaluationContext:
        """Return a context with the facts of these images."""
        patches = COUNT if self.name == "patches" else 0
        facts: dict[str, Any] = {"test_size": COUNT, "patch_count": patches, "patch_scenes": None}
        if self.known_map:
            facts |= {"hr_variance": float(total_variance(self.y)),
                      "transport_cost": float(transport_cost(self.x, self.y))}
        return EvaluationContext(problem=self.problem, known_map=self.known_map, facts=facts,
                                 device=CPU, fingerprint="0" * 64,
                                 store={} if store is None else store)

    def prediction(self, quality: Quality) -> Tensor:
        """Return T(x) of a map of that quality."""
        generator = torch.Generator().manual_seed(11)
        noise = torch.rand(self.y.shape, generator=generator) * 1.2 - 0.6
        cast = torch.tensor(CAST).reshape(3, 1, 1) if self.y.dim() == 4 else 0.5
        share = BLEND[quality]
        return (1 - share) * self.y + share * (noise + cast)


@cache
def scenes() -> tuple[Scene, ...]:
    """Return images of one size, vectors, photographs and patches."""
    return tuple(_scenes())


def _scenes() -> Iterator[Scene]:
    generator = torch.Generator().manual_seed(5)
    images, vectors = SyntheticImages(SIDE), SyntheticVectors(4)
    x = images.sample_lr(COUNT, generator)
    yield Scene("images", x, images.true_map(x), images.problem, True)
    small = vectors.sample_lr(COUNT, generator)
    yield Scene("vectors", small, vectors.true_map(small), vectors.problem, True)
    y = images.true_map(images.sample_lr(COUNT, generator))
    low = SIDE // SCALE
    problem = Problem(domain="sr", scale=SCALE, lr_shape=(3, low, low), hr_shape=(3, SIDE, SIDE),
                      lr_extent=low, hr_extent=SIDE)
    for name in ("photographs", "patches"):
        yield Scene(name, avg_pool2d(y, SCALE), y, problem, False)


class MetricTrial:
    """What is found out about one metric, each thing once.

    Parameters
    ----------
    subject : Loadable
        The metric.

    Attributes
    ----------
    effects : Effects
        What building and using it did to the process.
    """

    def __init__(self, subject: Loadable) -> None:
        self.subject = subject
        self.effects = Effects()

    @cached_property
    def kind(self) -> type[Metric]:
        """The class."""
        return self.subject.load()

    @cached_property
    def scene(self) -> Scene:
        """The first images the metric applies to; raises `NotTried` where there are none."""
        reasons = []
        for scene in scenes():
            reason = self.excluded(scene)
            if not reason:
                return scene
            reasons.append(f"{scene.name}: {reason}")
        raise NotTried("it applies to nothing it is tried on: " + "; ".join(reasons))

    def excluded(self, scene: Scene) -> str:
        """Why the metric does not apply, by the rules of an evaluation."""
        kind = self.kind
        if kind.image_only and not scene.problem.is_image:
            return "does not apply to vectors"
        if kind.needs_map and not scene.known_map:
            return "the true map is not known"
        if (kind.mode == "patches") != (scene.name == "patches"):
            return "has no test patches" if kind.mode == "patches" else "patches"
        return kind.unsuited(scene.context())

    def build(self, store: dict[str, Any] | None = None) -> Metric:
        """Return a new metric; raises `NotTried` where its weights are not on this machine."""
        context = self.scene.context(store)
        try:
            with self.effects.of("the constructor"):
                return self.kind(context)
        except (MissingWeights, MissingDependency) as error:
            raise NotTried(str(error)) from error

    def score(self, prediction: Tensor, *, cuts: Sequence[int] = (10, 10),
              order: Tensor | None = None, store: dict[str, Any] | None = None) -> Score:
        """Feed a new metric the images in batches of the given sizes and return its score."""
        rows = torch.arange(COUNT) if order is None else order
        metric, x, y = self.build(store), self.scene.x, self.scene.y
        with self.effects.of("update and compute"):
            for part in torch.split(rows, list(cuts)):
                metric.update(prediction[part], y[part], x[part])
            score = metric.compute()
        if not isinstance(score, Score):
            raise Failed(f"compute returned a {type(score).__name__}, no srbench.Score")
        return score

    @cached_property
    def scores(self) -> dict[Quality, Score]:
        """Scores of a perfect, a mildly and a severely damaged prediction."""
        qualities: tuple[Quality, ...] = ("perfect", "mild", "severe")
        return {quality: self.score(self.scene.prediction(quality)) for quality in qualities}

    @cached_property
    def upsampled(self) -> dict[str, Score]:
        """Score of upsampled LR images; empty where a map that moves nothing has none."""
        with suppress(SrbenchError):
            score = self.score(upsampled(self.scene.x, self.scene.problem.scale))
            if math.isfinite(score.value):
                return {"trivial": score}
        return {}


def trial(subject: Any) -> MetricTrial:
    """Return the trial of a subject, begun when it is first asked for."""
    known = vars(subject)  # a frozen dataclass, whose attributes cannot be set
    if "trial" not in known:
        known["trial"] = MetricTrial(subject)
    found: MetricTrial = known["trial"]
    return found
