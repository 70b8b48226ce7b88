"""The Training object a method's ``fit`` is handed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from srbench.api.dataset import CropDataset, Dataset
from srbench.api.method import Method
from srbench.errors import DataError
from srbench.results.record import StageCost
from srbench.training.budget import UNLIMITED, Budget
from srbench.training.photographs import Photographs
from srbench.training.session import Session
from srbench.training.stage import Stage, Step
from srbench.training.state import Settings, State

MAIN = "main"


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


class Training:
    """Steps, samples, budget, checkpoints, clocks and precision for one method on one dataset.

    Parameters
    ----------
    method : Method
        The map; moved to ``device`` and set to train mode.
    dataset : Dataset
        Prepared on ``device``.
    seed : int
        Seed of the cell; every draw follows from it.
    device : torch.device
        Where everything runs.
    precision : {"fp32", "bf16"}
        Arithmetic of the steps; fp32 uses TF32 where the GPU has it.
    folder : Path, optional
        The cell's folder, for ``checkpoint/`` and ``history.parquet``. Without one nothing is kept.
    budget : Budget, optional
        Limit over all stages.
    checkpoint_seconds : float
        Least time between two checkpoints.
    log_every : int
        Steps between two readings of logged values; the device is waited for only there.
    validate : callable, optional
        Scores the method; the first key is what the oracle chooses by. It runs in eval mode
        without gradients, off the clock, and leaves no trace in the training.
    validations : int
        Evenly spaced validations of each stage, the last at its end.
    oracle_direction : {"lower", "higher"}
        Which values of the first metric are better.
    on_event : callable, optional
        Takes dictionaries with ``"event"``: ``"progress"`` (at most five a second), with stage,
        step, steps, rate (1/s), eta (s) and values; ``"validation"``, with stage, step and values;
        ``"checkpoint"``, with stage, step and seconds.
    should_stop : callable, optional
        Asked after every step; True writes a checkpoint and raises `Interrupted`.

    Attributes
    ----------
    problem : Problem
        Shapes and domain of the data.
    device, seed
        As given.
    """

    def __init__(self, method: Method, dataset: Dataset, *, seed: int, device: torch.device,
                 precision: str = "fp32", folder: Path | None = None,
                 budget: Budget | None = None, checkpoint_seconds: float = 60.0,
                 log_every: int = 20,
                 validate: Callable[[Method], dict[str, float]] | None = None,
                 validations: int = 10,
                 oracle_direction: Literal["lower", "higher"] = "lower",
                 on_event: Callable[[dict[str, Any]], None] | None = None,
                 should_stop: Callable[[], bool] | None = None) -> None:
        settings = Settings(
            seed=seed, device=device, precision=precision, folder=folder,
            budget=budget or UNLIMITED, checkpoint_seconds=checkpoint_seconds,
            log_every=log_every, validate=validate, validations=validations,
            oracle_direction=oracle_direction, on_event=on_event or _ignore,
            should_stop=should_stop or _never)
        self.problem, self.device, self.seed = dataset.problem, device, seed
        self._dataset = dataset
        self._state = State(method, dataset, settings)
        self._session = Session(self._state)
        method.train()

    def lr(self, n: int, size: int | None = None) -> Tensor:
        """Draw ``n`` LR samples, (n, 3, h, w) in NHWC memory order or (n, d), float32, [-1, 1].

        Parameters
        ----------
        n : int
            Number of samples.
        size : int, optional
            Side of the crops, on photographs (`CropDataset`); ``problem.lr_shape`` by default.

        Raises
        ------
        DataError
            If there are no crops of that size.
        """
        return self._state.draw("lr", n, size)

    def hr(self, n: int, size: int | None = None) -> Tensor:
        """Draw ``n`` HR samples, independent of every LR draw; sizes and formats as of `lr`."""
        return self._state.draw("hr", n, size)

    def images(self, role: Literal["lr", "hr"]) -> Photographs:
        """Return the whole training photographs of a role; LR and HR ones are never paired.

        Raises
        ------
        DataError
            If the dataset is not one of photographs.
        """
        if not isinstance(self._dataset, CropDataset):
            raise DataError(f"{self._dataset.title} has no whole photographs",
                            hint='ask for them only where problem.domain is "sr"')
        return Photographs(self._dataset.train_images(role), self.device,
                           self._state.ledger.count_images)

    def charge(self, *, images: int) -> None:
        """Count images the method trains on that it did not draw here, such as generated ones."""
        self._state.ledger.count_images(images)

    def uncharged(self) -> AbstractContextManager[None]:
        """Charge nothing for the body: to make again what was charged before and then lost."""
        return self._state.ledger.uncharged()

    def scratch(self, name: str) -> Path:
        """Return a folder for files the method makes, such as generated pairs.

        It is there again in a resumed training, unless somebody removed it, and is removed when
        the training is finished.
        """
        return self._state.scratch.folder(name)

    def track(self, **objects: Any) -> Any:
        """Name what a resumed training must restore: networks beside the method, optimizers, ...

        Parameters
        ----------
        **objects
            Modules (moved to the device in place, so optimizers keep their parameters), optimizers,
            schedulers: anything with ``state_dict`` and ``load_state_dict``.

        Returns
        -------
        object or tuple
            What was given; a tuple when several.

        Raises
        ------
        ValueError
            If a name is taken, or an object cannot be saved.
        """
        for name, value in objects.items():
            self._state.track(name, value)
        values = tuple(objects.values())
        return values[0] if len(values) == 1 else values

    def stage(self, name: str, until: float = 1.0) -> Stage:
        """Open the stage ``name``.

        Parameters
        ----------
        name : str
            Unique in the training.
        until : float
            Share of the user's budget, in (0, 1], that is used up when the stage must end; what
            remains is for later stages. Without a budget it has no effect.
        """
        return Stage(self._session, name, until)

    def steps(self, n: int) -> Iterator[Step]:
        """Yield the steps of the only stage of a method, ``"main"``."""
        return self.stage(MAIN).steps(n)

    def generator(self, name: str) -> torch.Generator:
        """Return a random stream of the method's own; checkpoints keep its state."""
        return self._state.generator(name)

    def finish(self) -> TrainingResult:
        """End the training after ``fit``: last flush, checkpoint and history.

        Raises
        ------
        Diverged
            If the weights of the map are not finite.
        """
        self._session.close()
        state = self._state
        state.scratch.clear()
        return TrainingResult(
            stages=[counts.cost() for counts in state.ledger.stages.values()],
            steps=state.ledger.steps, seconds=state.ledger.seconds,
            parameters=state.tracked.parameters,
            parameters_beside=state.tracked.parameters_beside, resumes=state.resumes,
            history=state.history.columns, oracle_state=state.oracle.state,
            oracle_step=state.oracle.step, oracle_value=state.oracle.value,
            oracle_looks=state.oracle.looks)


def _ignore(event: dict[str, Any]) -> None:
    """Take an event nobody watches."""


def _never() -> bool:
    return False
