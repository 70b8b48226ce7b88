"""The loop a method writes: stages and their steps."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.optim import Optimizer

from srbench.training.clocks import Counts
from srbench.training.session import Session


class Step:
    """One step of a stage.

    Attributes
    ----------
    index : int
        Number of the step in its stage, from 0. Messages and the history count finished steps,
        from 1.
    """

    __slots__ = ("_session", "index")

    def __init__(self, session: Session, index: int) -> None:
        self._session, self.index = session, index

    def minimize(self, loss: Tensor, optimizer: Optimizer) -> None:
        """Take one step of ``optimizer`` down the gradient of ``loss``.

        Gradients reach the optimizer's own parameters only; backward and update run in float32
        outside autocast. Whether the loss is finite is looked at when values are flushed. In a
        training of several processes the gradient is the mean of theirs.

        Parameters
        ----------
        loss : Tensor
            A scalar that depends on the optimizer's parameters.
        optimizer : Optimizer
            Tracked by ``training.track``.

        Raises
        ------
        ValueError
            If the optimizer is not tracked or the loss is no scalar.
        """
        state = self._session.state
        name = state.tracked.name_of(optimizer)
        weights = [weight for group in optimizer.param_groups for weight in group["params"]
                   if weight.requires_grad]
        state.monitor.watch(name, self.index + 1, loss, weights)
        with state.precision.outside():
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss, inputs=weights)
            state.ranks.mean_gradients(name, weights)
            optimizer.step()

    def log(self, **values: Tensor | float) -> None:
        """Keep scalars for the history without waiting for the device.

        The history gets the mean of each name over the steps since its last row.
        """
        for name, value in values.items():
            self._session.state.monitor.log(name, value)


class Stage:
    """A named part of a training, with its own steps and costs.

    Parameters
    ----------
    session : Session
        The training it belongs to.
    name : str
        Unique in the training.
    until : float
        Share of the budget that is used up when the stage must end.

    Raises
    ------
    ValueError
        If ``until`` is not in (0, 1].
    """

    def __init__(self, session: Session, name: str, until: float = 1.0) -> None:
        if not 0 < until <= 1:
            raise ValueError(f"stage {name!r}: until={until} is not in (0, 1]")
        self._session, self.name, self._until = session, name, until

    def steps(self, n: int) -> Iterator[Step]:
        """Yield up to ``n`` steps: fewer on resume or within a budget, none when finished.

        The body of the loop runs in the training's precision. A loop left by ``break`` finishes
        the stage.

        Raises
        ------
        ValueError
            If ``n`` is negative, or the stage was run before.
        """
        if n < 0:
            raise ValueError(f"stage {self.name!r} cannot have {n} steps")
        return self._run(n)

    def _run(self, n: int) -> Iterator[Step]:
        session = self._session
        counts = session.enter(self.name, n, self._until)
        if counts is None:
            return
        with session.state.precision.tf32():
            going = session.begins(counts)
            while going:
                yield from self._one(counts)
                going = session.after_step(counts)
        session.leave(counts)

    def _one(self, counts: Counts) -> Iterator[Step]:
        """Yield the next step inside the training's precision."""
        with self._session.state.precision.body():
            try:
                yield Step(self._session, counts.steps)
            except GeneratorExit:
                counts.steps += 1
                raise
