"""What several processes of one training do together; see `Ranks` for what each thing means.

There is no wrapper around networks: two of them in turn, several forward passes before one
backward, and gradients of gradients break it. After a backward pass the gradients of the
optimizer's weights are averaged in one flat buffer, and every process takes the same step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from srbench.errors import ParameterError, RankFailure
from srbench.training.flat import FlatGradients, checksum
from srbench.training.ranks import Decision, Ranks
from srbench.training.seeding import mix, seed_everything

BEATS_PER_SECOND = 1.0
GO_ON = ("the first error of another rank in the log says why; the same command goes on from the "
         "last checkpoint")

T = TypeVar("T")


class Group(Ranks):
    """Processes that `torch.distributed` connects; its default group is on the device.

    Parameters
    ----------
    host : ProcessGroup
        A gloo group, for what is agreed on without waiting for the device.
    timeout : float
        Seconds after which a process that does not answer is given up.
    """

    def __init__(self, host: dist.ProcessGroup, timeout: float) -> None:
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self._host, self._timeout = host, timeout
        self._where = "before the first step"
        self._flat: dict[str, FlatGradients] = {}
        self._emit: Callable[[dict[str, Any]], None] | None = None
        self._beat_at = 0.0

    def listen(self, emit: Callable[[dict[str, Any]], None]) -> None:
        """Have ``{"event": "beat", "rank", "step"}`` sent to ``emit``, at most once a second."""
        self._emit = emit

    def rows(self, n: int) -> slice:
        """Return the slots ``rank * n / world`` up to ``(rank + 1) * n / world``; see `Ranks`."""
        if n % self.world:
            raise ParameterError(
                f"a batch of {n} cannot be split evenly over {self.world} processes",
                hint=f"make every batch size a multiple of {self.world}, or take another number "
                "of GPUs per cell")
        each = n // self.world
        return slice(self.rank * each, (self.rank + 1) * each)

    def mine(self, batch: Tensor) -> Tensor:
        """Return the rows of this process; see `Ranks`."""
        return batch[self.rows(len(batch))]

    def share(self, batch: Tensor) -> Tensor:
        """Return the rows of this process of the batch that rank 0 made; see `Ranks`."""
        rows = self.rows(len(batch))
        whole = batch.detach().clone(memory_format=torch.contiguous_format)
        self._broadcast(whole)
        return whole[rows]

    def mean_gradients(self, optimizer: str, weights: Sequence[Tensor]) -> None:
        """Average gradients in one all-reduce; see `Ranks`."""
        if not weights:
            return
        flat = self._flat.get(optimizer)
        if flat is None or not flat.holds(weights):
            flat = self._flat[optimizer] = FlatGradients(weights)
        flat.mean(self._add_up, self.world)

    @torch.no_grad()
    def mean_statistics(self, tensors: Sequence[Tensor]) -> None:
        """Average in double precision, in which equal values stay what they are; see `Ranks`."""
        if not tensors:
            return
        flat = torch.cat([tensor.reshape(-1).double() for tensor in tensors])
        self._add_up(flat)
        parts = torch.split(flat.div_(self.world), [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))

    def mean(self, values: list[float]) -> list[float]:
        """Return the means of numbers over the processes."""
        sums = torch.tensor(values, dtype=torch.float64)
        with self._told():
            dist.all_reduce(sums, group=self._host)
        return (sums / self.world).tolist()

    def decide(self, stage: str, step: int, wish: Decision) -> Decision:
        """Agree on what follows a step, and that it is the same step; see `Ranks`."""
        self._beat(step)
        own = wish if self.is_first else Decision(stop=wish.stop)
        last, minus_first, *flags = self._largest([step, -step, *map(int, own)])
        if last != -minus_first:
            raise RankFailure(f"ranks disagree: one is at step {last} of stage {stage!r}, another "
                              f"at step {-minus_first}", hint="fit must take the same steps in "
                              "every process; draw what it chooses by from training.generator")
        self._where = f"in step {step + 1} of stage {stage!r}"
        return Decision(*map(bool, flags))

    def follow(self, value: T) -> T:
        """Return rank 0's value."""
        values = [value]
        with self._told():
            dist.broadcast_object_list(values, src=0, group=self._host)
        return values[0]

    def everywhere(self, flag: bool) -> bool:
        """Return whether the flag is set in every process."""
        return not self._largest([int(not flag)])[0]

    def collect(self, value: T) -> list[T]:
        """Return the values of all processes in order."""
        values: list[Any] = [None] * self.world
        with self._told():
            dist.all_gather_object(values, value, group=self._host)
        return values

    @contextmanager
    def once(self) -> Iterator[bool]:
        """Tell rank 0 to do the body's work; see `Ranks`."""
        yield self.is_first
        self.everywhere(flag=True)

    def seed(self, seed: int, *words: str | int) -> None:
        """Give the global generators of all processes but rank 0 streams of their own."""
        if not self.is_first:
            seed_everything(mix(seed, "rank", self.rank, *words))

    @torch.no_grad()
    def align(self, modules: Sequence[nn.Module]) -> None:
        """Give networks the parameters and buffers they have on rank 0."""
        values = [value for module in modules
                  for value in chain(module.parameters(), module.buffers())]
        for value in {id(value): value for value in values}.values():
            sent = value.detach().contiguous()
            self._broadcast(sent)
            if not self.is_first:
                value.copy_(sent)

    def check(self, modules: Mapping[str, nn.Module], where: str) -> None:
        """Compare the parameters of networks bit by bit; see `Ranks`."""
        sums = [checksum(module) for module in modules.values()]
        found = self._largest([*sums, *(-value for value in sums)])
        largest, smallest = found[:len(sums)], [-value for value in found[len(sums):]]
        for name, high, low in zip(modules, largest, smallest, strict=True):
            if high != low:
                raise RankFailure(f"ranks disagree at {where}: the weights of {name!r} differ",
                                  hint="change weights through step.minimize alone, or alike in "
                                  "every process")

    def _beat(self, step: int) -> None:
        now = time.monotonic()
        if self._emit is not None and now - self._beat_at >= 1 / BEATS_PER_SECOND:
            self._beat_at = now
            self._emit({"event": "beat", "rank": self.rank, "step": step})

    def _largest(self, numbers: list[int]) -> list[int]:
        """Return the largest of each number over the processes."""
        values = torch.tensor(numbers, dtype=torch.int64)
        with self._told():
            dist.all_reduce(values, op=dist.ReduceOp.MAX, group=self._host)
        return values.tolist()

    def _add_up(self, values: Tensor) -> None:
        with self._told():
            dist.all_reduce(values)

    def _broadcast(self, values: Tensor) -> None:
        """Overwrite a contiguous tensor by that of rank 0; one on the host goes by the host."""
        with self._told():
            dist.broadcast(values, src=0, group=self._host if values.device.type == "cpu" else None)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what the transport raises into a sentence with the step."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise RankFailure(f"rank {self.rank} of {self.world}: another rank "
                              f"{_what(error, self._timeout)}, {self._where}",
                              hint=GO_ON) from error


def _what(error: RuntimeError, timeout: float) -> str:
    """Say in words what happened to the other process."""
    text = str(error).strip().partition("\n")[0]
    lowered = text.lower()
    if "timed out" in lowered or "timeout" in lowered:
        return f"did not answer within {timeout:g} s"
    if "closed" in lowered or "reset" in lowered or "connection" in lowered:
        return "is gone"
    return f"cannot be reached ({text})"
