"""A dataset while it is checked: opened once, drawn from and read as the harness does it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Tensor

from srbench.api.dataset import CropDataset, Dataset
from srbench.conformance.check import Failed, NotTried
from srbench.conformance.effects import CPU, Effects
from srbench.errors import DataError, MissingDependency, MissingWeights, Skipped
from srbench.training.seeding import mix

if TYPE_CHECKING:
    from srbench.registry.catalog import Entry
    from srbench.registry.infos import DatasetInfo

Role = Literal["lr", "hr"]
Pairs = list[tuple[Tensor, Tensor]]

BLOCK = 64  # samples drawn at a time
VALUES = 2**22  # values of samples drawn for statistics, fewer where they are slow
MOST = 1024  # samples
SECONDS = 3.0  # spent on drawing them
PAIRS = 64  # test pairs that are compared
BATCH = 16
# What is not on this machine says nothing about the plugin.
ABSENT = (DataError, MissingDependency, MissingWeights, Skipped)


class Openable(Protocol):
    """What the checks need of a subject."""

    entry: Entry[DatasetInfo]

    def open(self) -> Dataset:
        """Return a fresh dataset with its quick parameters."""
        ...


class Trial:
    """What is found out about one dataset, each thing once.

    Parameters
    ----------
    subject : Openable
        The dataset.

    Attributes
    ----------
    effects : Effects
        What opening and using it did to the process.
    """

    def __init__(self, subject: Openable) -> None:
        self.subject = subject
        self.effects = Effects()
        self._fault: Exception | None = None

    def fresh(self) -> Dataset:
        """Return a new object, not prepared; raises `NotTried` where that cannot be had."""
        dataset: Dataset = self._guarded("the constructor", self.subject.open)
        return dataset

    def prepared(self) -> Dataset:
        """Return a new object, prepared on the CPU."""
        dataset = self.fresh()
        self._guarded("prepare", lambda: dataset.prepare(CPU))
        return dataset

    def _guarded(self, what: str, action: Any) -> Any:
        if self._fault is not None:
            raise NotTried(f"it does not open: {self._fault}")
        try:
            with self.effects.of(what):
                return action()
        except NotTried:
            raise
        except ABSENT as error:
            raise NotTried(str(error)) from error
        except Exception as error:  # a plugin's arbitrary code; one check reports it
            self._fault = error
            raise NotTried(f"it does not open: {type(error).__name__}: {error}") from error

    def must_open(self) -> None:
        """Raise `Failed` if a fault of the plugin's own keeps it from being opened."""
        try:
            _ = self.dataset
        except NotTried:
            if self._fault is None:
                raise
            raise Failed(f"opening it raised {type(self._fault).__name__}: {self._fault}"
                         ) from self._fault

    @cached_property
    def dataset(self) -> Dataset:
        """The object most checks look at, prepared on the CPU."""
        return self.prepared()

    @cached_property
    def other(self) -> Dataset:
        """A second object, to compare with."""
        return self.prepared()

    @property
    def photographs(self) -> CropDataset:
        """The dataset as one of photographs; raises `NotTried` where it is not."""
        if not isinstance(self.dataset, CropDataset):
            raise NotTried("it is no CropDataset")
        return self.dataset

    def draw(self, role: Role, n: int, seed: int, dataset: Dataset | None = None) -> Tensor:
        """Draw ``n`` samples of a role with a generator of that seed."""
        dataset = dataset or self.dataset
        generator = torch.Generator(CPU).manual_seed(seed)
        with self.effects.of(f"sample_{role}"):
            samples: Tensor = getattr(dataset, f"sample_{role}")(n, generator)
        return samples

    def harness_draw(self, role: Role, n: int, number: int) -> Tensor:
        """Draw as the harness does: a generator for each role and draw, from the cell's seed."""
        return self.draw(role, n, mix(0, role, number))

    @cached_property
    def samples(self) -> dict[Role, list[Tensor]]:
        """Blocks of both roles, drawn in turn as a training does; at least two of each."""
        blocks: dict[Role, list[Tensor]] = {"lr": [], "hr": []}
        until = time.perf_counter() + SECONDS
        most = min(MOST, max(4 * BLOCK, VALUES // self.dataset.problem.dim))
        for number in range(most // BLOCK):
            for role, drawn in blocks.items():
                drawn.append(self.harness_draw(role, BLOCK, number))
            if number >= 1 and time.perf_counter() > until:
                break
        return blocks

    def pairs(self, split: Literal["test", "validation"], *, batch_size: int = BATCH,
              most: int = PAIRS, dataset: Dataset | None = None) -> Pairs:
        """Return the first pairs of a split, each an LR and an HR image without batch dimension."""
        with self.effects.of(f"{split}_batches"):
            batches = getattr(dataset or self.dataset, f"{split}_batches")(batch_size)
            return list(islice(_one_by_one(batches), most))

    @cached_property
    def test(self) -> Pairs:
        """The first test pairs."""
        return self.pairs("test")

    @cached_property
    def validation(self) -> Pairs:
        """The first validation pairs; raises `NotTried` where the dataset says it has none."""
        if not self.dataset.has_validation:
            raise NotTried("it says it has no validation pairs")
        return self.pairs("validation")


def trial(subject: Any) -> Trial:
    """Return the trial of a subject, begun when it is first asked for."""
    known = vars(subject)  # a frozen dataclass, whose attributes cannot be set
    if "trial" not in known:
        known["trial"] = Trial(subject)
    found: Trial = known["trial"]
    return found


def say_fingerprint(name: str, plugins: list[str]) -> None:
    """Print the fingerprint of a dataset with its quick parameters, for another process to read."""
    import sys
    from pathlib import Path

    from srbench.conformance.subjects import DatasetSubject
    from srbench.registry.catalog import discover

    entry = discover([Path(plugin) for plugin in plugins]).dataset(name)
    sys.stdout.write(json.dumps({"fingerprint": DatasetSubject(entry).open().fingerprint()}) + "\n")


def _one_by_one(batches: Any) -> Iterator[tuple[Tensor, Tensor]]:
    for lr, hr in batches:
        if len(lr) != len(hr):
            raise Failed(f"a batch holds {len(lr)} LR and {len(hr)} HR images")
        yield from zip(lr, hr, strict=True)

