"""The Training object a method's ``fit`` is handed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from srbench.api.dataset import CropDataset, Dataset
from srbench.api.method import Method
from srbench.errors import DataError, UsageError
from srbench.training.budget import UNLIMITED, Budget
from srbench.training.photographs import Photographs
from srbench.training.ranks import ALONE, Ranks
from srbench.training.result import TrainingResult
from srbench.training.session import Session
from srbench.training.stage import Stage, Step
from srbench.training.state import Settings, State

MAIN = "main"


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
    ranks : Ranks, optional
        The processes that share the training, from `srbench.training.distributed.joined`. Each has
        a `Training` of the same arguments; rank 0 alone writes files and tells of progress.

    Raises
    ------
    UsageError
        If there are several processes and the method does not say it can be split over them.

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
                 should_stop: Callable[[], bool] | None = None,
                 ranks: Ranks | None = None) -> None:
        ranks = ranks or ALONE
        if ranks.world > 1 and not method.distributed:
            raise UsageError(f"{type(method).__name__} cannot be trained by {ranks.world} "
                             "processes together", hint="take one GPU per cell")
        on_event = on_event or _ignore
        ranks.listen(on_event)
        settings = Settings(
            seed=seed, device=device, precision=precision, folder=folder,
            budget=budget or UNLIMITED, checkpoint_seconds=checkpoint_seconds,
            log_every=log_every, validate=validate, validations=validations,
            oracle_direction=oracle_direction, on_event=on_event if ranks.is_first else _ignore,
            should_stop=should_stop or _never, ranks=ranks)
        self.problem, self.device, self.seed = dataset.problem, device, seed
        self._dataset = dataset
        self._state = State(method, dataset, settings)
        self._session = Session(self._state)
        method.train()

    def lr(self, n: int, size: int | None = None) -> Tensor:
        """Draw ``n`` LR samples, (n, 3, h, w) in NHWC memory order or (n, d), float32, [-1, 1].

        In a training of W processes ``n`` counts the samples of all: within stages each process
        gets its ``n / W`` of them, outside each gets all.

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
        ParameterError
            If ``n`` is no multiple of the number of processes.
        """
        return self._state.draw("lr", n, size)

    def hr(self, n: int, size: int | None = None) -> Tensor:
        """Draw ``n`` HR samples, independent of every LR draw; sizes and formats as of `lr`."""
        return self._state.draw("hr", n, size)

    def share(self, batch: Tensor) -> Tensor:
        """Return this process's rows of a tensor drawn for a whole batch, one row a sample.

        With one process that is the tensor itself. Rank 0's tensor counts, so that several
        processes train on the numbers that one would have drawn.
        """
        return self._state.ranks.share(batch)

    def rows(self, n: int) -> slice:
        """Return which of ``n`` samples, made alike in all processes, this one works on.

        Raises
        ------
        ParameterError
            If ``n`` is no multiple of the number of processes.
        """
        return self._state.ranks.rows(n)

    def once(self) -> AbstractContextManager[bool]:
        """Have work done once for all processes, such as writing a file.

        Yields
        ------
        bool
            Whether this process is the one to do it; the others wait at the end of the body.
        """
        return self._state.once()

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

    def give_way(self, worked: bool = True) -> None:
        """Let a long piece of work within a step be stopped; ask after each part of it.

        The step is begun again from the last checkpoint, so only what lies in `scratch` outlives
        this. Of several processes all must ask.

        Parameters
        ----------
        worked : bool
            Whether there was anything to do; the first process says it for all.

        Raises
        ------
        Interrupted
            If the training is asked to stop.
        """
        self._session.give_way(worked)

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
            oracle_looks=state.oracle.looks, world=state.ranks.world,
            batchnorm_span=min(state.tracked.spans.values(), default=None))


def _ignore(event: dict[str, Any]) -> None:
    """Take an event nobody watches."""


def _never() -> bool:
    return False
