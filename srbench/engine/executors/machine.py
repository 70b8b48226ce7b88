"""What this machine has, and what of it is taken."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

import psutil

from srbench.engine.executors.gpus import visible_gpus
from srbench.engine.executors.limits import Limits
from srbench.errors import UsageError

if TYPE_CHECKING:
    from srbench.plan import Cell

# What a cell is packed by that says nothing: those of preset quick took 1.0 to 1.25 on the CPU.
UNKNOWN_GIB = 1.5
SHARE = 0.9  # of the free memory that cells may take


@dataclass(frozen=True)
class Machine:
    """What cells are packed on.

    Attributes
    ----------
    cores : int
        CPU cores this process may use.
    memory_gib : float
        Memory for all cells together.
    gpus : mapping of str to float
        Memory (GiB) by the name that ``CUDA_VISIBLE_DEVICES`` takes.
    """

    cores: int
    memory_gib: float
    gpus: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def here(cls) -> Machine:
        """Look at this machine, or at the container's share of it."""
        free, limit = psutil.virtual_memory().available / 2**30, Limits.here().memory_gib
        free = free if limit is None else min(free, limit)
        return cls(cores(), SHARE * free, visible_gpus())

    def gpus_for(self, cell: Cell) -> list[str]:
        """GPUs a cell may run on: the one its device names, or all."""
        names, number = list(self.gpus), cell.device.partition(":")[2]
        return names[int(number):int(number) + 1] if number else names

    def check(self, cells: Iterable[Cell]) -> None:
        """Refuse cells that would wait for ever.

        Raises
        ------
        UsageError
            If one wants more GPUs than there are.
        """
        for cell in cells:
            if not cell.device.startswith("cuda"):
                continue
            there = len(self.gpus_for(cell))
            if cell.ranks > there:
                raise UsageError(
                    f"{cell.name} wants {cell.ranks} GPU{'s' * (cell.ranks > 1)} of device "
                    f"{cell.device}, of which this machine has {there}",
                    hint=f"--gpus-per-cell {there}" if there else
                    "--device cpu; where nvidia-smi is missing, name the GPUs in "
                    "CUDA_VISIBLE_DEVICES")


def cores() -> int:
    """CPU cores this process may use; a part of one counts as one."""
    there = (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity")
             else os.cpu_count() or 1)
    limit = Limits.here().cores
    return there if limit is None else max(1, min(there, ceil(limit)))


@dataclass(frozen=True)
class Place:
    """What one job takes of a machine."""

    threads: int
    memory_gib: float
    gpus: tuple[str, ...] = ()
    gpu_gib: float = 0.0
    whole_gpus: bool = False


class Packing:
    """Places jobs so that declared threads, memory and GPUs are not exceeded.

    A machine on which nothing runs takes any job: one that is too big for it then fails on its own
    terms instead of waiting for ever.

    Parameters
    ----------
    machine : Machine
        What there is.
    jobs : int or None
        Most jobs at a time. Where given, threads are the user's business and not counted.
    """

    def __init__(self, machine: Machine, jobs: int | None = None) -> None:
        self._machine, self._jobs = machine, jobs
        self.places: list[Place] = []

    def find(self, cell: Cell, *, alone: bool = False,
             avoid: tuple[str, ...] = ()) -> Place | None:
        """Place for a cell, not taken yet; None where there is no room now.

        Raises
        ------
        UsageError
            If it wants more GPUs than there are.
        """
        if self._jobs is not None and len(self.places) >= self._jobs:
            return None
        threads = cell.identity.threads * cell.ranks
        memory = cell.memory_gib or UNKNOWN_GIB
        on_gpu = cell.device.startswith("cuda")
        if self.places and not on_gpu and alone:
            return None
        if self.places and not self._fits(threads, memory):
            return None
        if not on_gpu:
            return Place(threads, self._machine.memory_gib if alone else memory)
        whole = alone or cell.gpu_memory_gib == 0
        gpus = self._gpus(cell, whole=whole, avoid=avoid)
        return None if gpus is None else Place(threads, memory, gpus, cell.gpu_memory_gib, whole)

    def _fits(self, threads: int, memory: float) -> bool:
        taken = sum(place.memory_gib for place in self.places)
        busy = sum(place.threads for place in self.places)
        return (taken + memory <= self._machine.memory_gib
                and (self._jobs is not None or busy + threads <= self._machine.cores))

    def _gpus(self, cell: Cell, *, whole: bool, avoid: tuple[str, ...]) -> tuple[str, ...] | None:
        """GPUs for a cell, those it did not run on before first, then the emptiest."""
        self._machine.check([cell])
        taken: Counter[str] = Counter()
        closed = set()
        for place in self.places:
            for gpu in place.gpus:
                taken[gpu] += 1
                if place.whole_gpus:
                    closed.add(gpu)
        free = {gpu: memory - sum(place.gpu_gib for place in self.places if gpu in place.gpus)
                for gpu, memory in self._machine.gpus.items()
                if gpu not in closed and gpu in self._machine.gpus_for(cell)}
        fitting = [gpu for gpu in free if (taken[gpu] == 0 if whole else
                                           free[gpu] >= cell.gpu_memory_gib or taken[gpu] == 0)]
        fitting.sort(key=lambda gpu: (gpu in avoid, -free[gpu]))
        return tuple(fitting[:cell.ranks]) if len(fitting) >= cell.ranks else None
