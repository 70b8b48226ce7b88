"""What the processes of one training do together; here, what the only one does.

`Ranks` is a training in one process: everything is the identity, nothing is computed. What several
do is `srbench.training.distributed.Group`. The loop is written once, against this interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from torch import Tensor, nn

T = TypeVar("T")


class Decision(NamedTuple):
    """What follows a step: clocks and signals differ between processes, so they agree on it."""

    going: bool = False
    validate: bool = False
    stop: bool = False
    save: bool = False


class Ranks:
    """The processes that share a training, seen from one of them.

    Attributes
    ----------
    rank : int
        Number of this process; number 0 decides, and alone writes and tells.
    world : int
        How many there are.
    """

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process decides, writes and tells."""
        return self.rank == 0

    def listen(self, emit: Callable[[dict[str, Any]], None]) -> None:
        """Have signs of life sent to ``emit``."""

    # --- what is split

    def rows(self, n: int) -> slice:
        """Return the slots of a batch of ``n`` that belong to this process.

        Raises
        ------
        ParameterError
            If the batch cannot be split evenly.
        """
        return slice(0, n)

    def mine(self, batch: Tensor) -> Tensor:
        """Return the rows of this process of a batch that all of them made alike."""
        return batch

    def share(self, batch: Tensor) -> Tensor:
        """Return the rows of this process of the batch that rank 0 made."""
        return batch

    # --- what is averaged

    def mean_gradients(self, optimizer: str, weights: Sequence[Tensor]) -> None:
        """Replace every gradient by its mean over the processes.

        Parameters
        ----------
        optimizer : str
            Name of the optimizer; its weights seldom change.
        weights : sequence of Tensor
            A gradient that is None here counts as zero, and stays None if it is so everywhere.
        """

    def mean_statistics(self, tensors: Sequence[Tensor]) -> None:
        """Replace running statistics by their mean over the processes."""

    def mean(self, values: list[float]) -> list[float]:
        """Return the means of numbers over the processes."""
        return values

    # --- what is agreed on

    def decide(self, stage: str, step: int, wish: Decision) -> Decision:
        """Return rank 0's wish; a wish to stop counts whoever has it.

        Raises
        ------
        RankFailure
            If the processes are not at the same step.
        """
        return wish

    def follow(self, value: T) -> T:
        """Return rank 0's value."""
        return value

    def everywhere(self, flag: bool) -> bool:
        """Return whether the flag is set in every process."""
        return flag

    def collect(self, value: T) -> list[T]:
        """Return the values of all processes in order."""
        return [value]

    @contextmanager
    def once(self) -> Iterator[bool]:
        """Tell rank 0 to do the body's work; the others wait at the end until it is done."""
        yield True

    # --- what is equal everywhere

    def seed(self, seed: int, *words: str | int) -> None:
        """Give the global generators of all processes but rank 0 streams of their own."""

    def align(self, modules: Sequence[nn.Module]) -> None:
        """Give networks the parameters and buffers they have on rank 0."""

    def check(self, modules: Mapping[str, nn.Module], where: str) -> None:
        """Compare the parameters of networks bit by bit.

        Raises
        ------
        RankFailure
            If they differ between processes, naming the network and ``where``.
        """


ALONE = Ranks()
