"""The contract of a metric."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srbench.api.problem import Problem


@dataclass(frozen=True, kw_only=True)
class EvaluationContext:
    """What a metric may know when it is built.

    Parameters
    ----------
    problem : Problem
        Shapes and domain of the data.
    known_map : bool
        Whether targets are the true map's values.
    facts : dict
        `Dataset.facts`: total variance of Q, transport cost, number of test pairs.
    device : torch.device
        Where predictions and targets live.
    fingerprint : str
        `Dataset.fingerprint`, to name what depends only on the test images.
    store : dict
        Handed to every metric and to every evaluation of one dataset object: networks shared by
        metrics and features of the targets are kept here, under names that carry the protocol.
    """

    problem: Problem
    known_map: bool
    facts: dict[str, Any]
    device: torch.device
    fingerprint: str = ""
    store: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a metric computes.

    Parameters
    ----------
    value : float
        The score over all images.
    count : int
        Number of images it is made of.
    per_image : list of float or None
        One value for each image in test order, where the metric is a mean over images.
    interval : tuple of float or None
        95 % interval over the test images, where one exists.
    reference : dict
        Values of the data itself to read the score against, e.g. ``{"hr": 0.16, "lr": 0.12}``.
    detail : dict
        Further facts (rank of a covariance, smallest eigenvalue, number of repetitions).
    """

    value: float
    count: int
    per_image: list[float] | None = None
    interval: tuple[float, float] | None = None
    reference: dict[str, float] = field(default_factory=dict)
    detail: dict[str, Any] = field(default_factory=dict)


class Metric(ABC):
    """Scores a method's output in one pass over the test images.

    Class attributes
    ----------------
    protocol : str
        Id of the exact definition, e.g. ``"psnr/rgb-float-clamped/v1"``; values of two ids never
        share a column.
    mode : {"eval", "train10", "patches"}
        Predictions it is fed: the map in eval mode, or as the released evaluation of the paper
        runs it, BatchNorm in train mode on batches of ten; or the map in eval mode on the test
        patches of a `CropDataset`, each restored on its own, with HR patches that are cut
        independently of them.
    image_only : bool
        Does not apply to vectors.
    needs_map : bool
        Applies only where the true map is known.
    """

    protocol: ClassVar[str]
    mode: ClassVar[Literal["eval", "train10", "patches"]] = "eval"
    image_only: ClassVar[bool] = True
    needs_map: ClassVar[bool] = False

    def __init__(self, context: EvaluationContext) -> None:
        """Build the metric; raises `MissingWeights` when pretrained weights are absent."""
        self.context = context

    @classmethod
    def unsuited(cls, context: EvaluationContext) -> str:
        """Say why the metric does not apply to a dataset; empty where it does."""
        return ""

    @abstractmethod
    def update(self, prediction: Tensor, target: Tensor, lr: Tensor) -> None:
        """Take one batch: T(x), the true HR and x, each (N, ...) in the nominal range [-1, 1]."""

    @abstractmethod
    def compute(self) -> Score:
        """Return the score of everything taken so far."""

    def self_check(self) -> None:
        """Raise `SrbenchError` if the metric fails on a case whose answer is known."""
