"""Everything a training consists of at one moment: what a checkpoint saves and restores."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from srbench.api.dataset import Dataset
from srbench.api.method import Method
from srbench.errors import StoreError
from srbench.training.budget import Budget
from srbench.training.checkpoint import CheckpointStore
from srbench.training.clocks import Ledger
from srbench.training.history import History
from srbench.training.monitor import Monitor
from srbench.training.oracle import Oracle
from srbench.training.precision import Precision
from srbench.training.progress import Emit
from srbench.training.ranks import ALONE, Ranks
from srbench.training.sampling import Sampler
from srbench.training.scratch import Scratch
from srbench.training.seeding import mix, restore_rng_state, rng_state
from srbench.training.tracking import Tracked

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a training was asked for; `Training` says what each means."""

    seed: int
    device: torch.device
    precision: str
    folder: Path | None
    budget: Budget
    checkpoint_seconds: float
    log_every: int
    validate: Callable[[Method], dict[str, float]] | None
    validations: int
    oracle_direction: Literal["lower", "higher"]
    on_event: Emit
    should_stop: Callable[[], bool]
    ranks: Ranks = ALONE

    def __post_init__(self) -> None:
        if self.log_every < 1:
            raise ValueError(f"log_every={self.log_every} must be at least 1")
        if self.validations < 0:
            raise ValueError(f"validations={self.validations} must not be negative")


class State:
    """The parts of a training that a resumed one must find as they were.

    A checkpoint is restored twice: when the first stage is asked for, so that code between
    finished stages sees trained networks, and again where the training goes on, so that nothing
    such code did a second time remains.

    Parameters
    ----------
    method : Method
        The map that is trained.
    dataset : Dataset
        Prepared; what is drawn from.
    settings : Settings
        Frozen settings.
    """

    def __init__(self, method: Method, dataset: Dataset, settings: Settings) -> None:
        device, self.ranks = settings.device, settings.ranks
        self.method, self.settings = method, settings
        self.precision = Precision(settings.precision, device)
        self.ledger = Ledger(device, self.ranks.world)
        self.tracked = Tracked(method, device, self.ledger.count_calls)
        self.sampler = Sampler(dataset, settings.seed, device, self.ledger.paused, self.ranks)
        self.monitor, self.history = Monitor(device, self.ranks), History()
        self.oracle = Oracle(settings.oracle_direction)
        self.resumes = 0
        self._generators: dict[str, torch.Generator] = {}
        self._store = (None if settings.folder is None
                       else CheckpointStore(settings.folder / "checkpoint", self.ranks))
        self.scratch = Scratch(settings.folder, self.ranks)
        self._resumed: dict[str, Any] | None = None
        self._looked = self._seeded = False

    @property
    def keeps(self) -> bool:
        """Whether anything is written."""
        return self._store is not None

    def draw(self, stream: str, n: int, size: int | None = None) -> Tensor:
        """Draw ``n`` samples, charge them, and return this process's share of them."""
        with self.precision.outside():
            samples = self.sampler.draw(stream, n, size)
        self.ledger.count_images(n)
        return samples

    def track(self, name: str, value: Any) -> None:
        """Track ``value``; restore it at once where a checkpoint has been read already."""
        self.tracked.add(name, value)
        if self._resumed is not None and name in self._resumed["objects"]:
            self.tracked.load_one(name, deepcopy(self._resumed["objects"][name]))

    def generator(self, name: str) -> torch.Generator:
        """Return the stream ``name``, seeded from the cell's seed when it is first asked for."""
        if name not in self._generators:
            generator = torch.Generator(self.settings.device)
            generator.manual_seed(mix(self.settings.seed, "generator", name))
            self._generators[name] = generator
            if self._resumed is not None and name in self._resumed["generators"]:
                generator.set_state(self._resumed["generators"][name])
        return self._generators[name]

    def look(self) -> None:
        """Read the newest checkpoint, once, and restore what is tracked by now.

        Raises
        ------
        StoreError
            If it belongs to another seed or does not fit.
        """
        if self._looked or self._store is None:
            return
        self._looked = True
        state = self._store.read()
        if state is None:
            return
        if state["seed"] != self.settings.seed:
            raise StoreError(f"the checkpoint in {self.settings.folder} is of seed "
                             f"{state['seed']}, not {self.settings.seed}",
                             hint="delete the cell's checkpoint folder to start it again")
        self._resumed = state
        self._restore(deepcopy(state))
        if self.ranks.is_first and state.get("world", 1) != self.ranks.world:
            logger.warning("the checkpoint was written by %d processes and is taken up by %d: "
                           "batches are the same, but last bits and what each process draws for "
                           "itself differ", state.get("world", 1), self.ranks.world)

    def pick_up(self) -> None:
        """Restore the checkpoint for good: training goes on from here.

        Raises
        ------
        StoreError
            If other objects are tracked than the checkpoint holds.
        """
        if self._resumed is not None:
            self.tracked.agree(set(self._resumed["objects"]))
            self._restore(self._resumed)
            self._resumed, self._seeded = None, True

    def align(self) -> None:
        """Begin a stage with the same networks and with random numbers of their own everywhere.

        Up to the first stage all processes have the same random numbers, so that what `build` and
        `fit` make is the same, modules or not.
        """
        if not self._seeded:
            self.ranks.seed(self.settings.seed)
            self._seeded = True
        self.ranks.align(list(self.tracked.modules().values()))

    def check(self, where: str) -> None:
        """Raise `RankFailure` if networks differ between processes."""
        self.ranks.check(self.tracked.modules(), where)

    @contextmanager
    def once(self) -> Iterator[bool]:
        """Have the body's work done and counted once; see `Training.once`."""
        with self.ledger.by_one(), self.ranks.once() as mine:
            yield mine

    def save(self) -> None:
        """Write a checkpoint and the history; nothing where no folder is kept.

        Raises
        ------
        StoreError
            If the disk is full or does not take it.
        """
        if self._store is None or self.settings.folder is None:
            return
        first, *others = self.ranks.collect(rng_state(self.settings.device))
        if self.ranks.is_first:
            self._store.write(self._snapshot(first, others))
            self.history.write(self.settings.folder)

    def _snapshot(self, rng: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "world": self.ranks.world,
            "seed": self.settings.seed,
            "resumes": self.resumes,
            "objects": self.tracked.states(),
            "rng": rng,
            "rng of others": others,
            "generators": {name: generator.get_state()
                           for name, generator in self._generators.items()},
            "draws": dict(self.sampler.counters),
            "spans": dict(self.tracked.spans),
            "stages": self.ledger.state(),
            "pending": self.monitor.state(),
            "history": self.history.columns,
            "oracle": self.oracle.saved(),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self.resumes = state["resumes"] + 1
        self.tracked.load(state["objects"])
        for name, value in state["generators"].items():
            if name in self._generators:
                self._generators[name].set_state(value)
        self.sampler.counters = state["draws"]
        self.ledger.load(state["stages"])
        self.monitor.load(state["pending"])
        self.history.columns = state["history"]
        self.oracle.load(state["oracle"])
        self.tracked.spans = dict(state.get("spans", {}))
        generators = [state["rng"], *state.get("rng of others", [])]
        if self.ranks.rank < len(generators):
            restore_rng_state(generators[self.ranks.rank], self.settings.device)
        else:
            self.ranks.seed(self.settings.seed, "after", self.ledger.steps)
