"""What a training leaves besides the weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from srbench.results.record import StageCost


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a finished training leaves besides the method's weights.

    Attributes
    ----------
    stages : list of StageCost
        Cost of each stage; draws and calls outside stages stand under ``"outside stages"``.
    steps, seconds : int, float
        Sums over the stages.
    parameters, parameters_beside : int
        Trainable values of the map, and of tracked networks beside it.
    resumes : int
        How often the training was taken up again.
    history : dict of str to list
        Columns of the history (`srbench.training.history`).
    oracle_state : dict of str to Tensor or None
        State of the method at its best validation, on the CPU; None without validations.
    oracle_step : int or None
        Steps of all stages at that moment.
    oracle_value : float or None
        First validation metric at that moment.
    oracle_looks : int
        Number of validations.
    world : int
        Processes that finished the training together.
    batchnorm_span : int or None
        Fewest samples a BatchNorm took its statistics of, in one process; None without BatchNorm.
    """

    stages: list[StageCost]
    steps: int
    seconds: float
    parameters: int
    parameters_beside: int
    resumes: int
    history: dict[str, list[Any]] = field(repr=False)
    oracle_state: dict[str, Tensor] | None = field(repr=False)
    oracle_step: int | None
    oracle_value: float | None
    oracle_looks: int
    world: int = 1
    batchnorm_span: int | None = None
