"""One training of a method as a cell runs it, with everything seen of it."""

from __future__ import annotations

import math
import os
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import torch
from torch import nn

from srbench.conformance.guard import guard
from srbench.conformance.sightings import at
from srbench.conformance.watch import Watch
from srbench.engine.footprint import Footprint
from srbench.training.budget import Budget
from srbench.training.seeding import seed_everything
from srbench.training.training import Training
from srbench.training.validation import undisturbed

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.dataset import Dataset
    from srbench.api.method import Method
    from srbench.api.parameters import Parameters
    from srbench.training.result import TrainingResult

CPU = torch.device("cpu")
BATCH = 6  # of test samples
SETTLE = 0.2  # seconds that threads and processes get to end


@dataclass(frozen=True)
class Plan:
    """How a method is built and trained.

    Attributes
    ----------
    cls : type
        The method.
    params : Parameters
        Resolved for the dataset's domain.
    dataset : callable
        Returns a fresh dataset.
    own : frozenset of str
        Top-level packages of the plugin.
    patience : float
        Seconds of processor time after which a training is asked to stop.
    """

    cls: type[Method]
    params: Parameters
    dataset: Callable[[], Dataset]
    own: frozenset[str]
    patience: float = math.inf


@dataclass
class Attempt:
    """What came of a training.

    Attributes
    ----------
    dataset, method, result : Dataset, Method, TrainingResult or None
        As far as it came.
    training : Training or None
        What ``fit`` was handed.
    watch : Watch
        What was seen.
    changes, left : list of str
        What it changed in the process, and what it left running.
    seconds : float
        Processor time of building and fitting, which a busy machine does not stretch.
    late : bool
        Whether it was asked to stop because it took too long.
    error : Exception, SystemExit or None
        What ended it; `place` is the line of the plugin's code it came from.
    """

    watch: Watch
    dataset: Dataset | None = None
    method: Method | None = None
    result: TrainingResult | None = None
    training: Training | None = None
    changes: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    seconds: float = 0.0
    late: bool = False
    error: Exception | SystemExit | None = None
    place: str = ""
    _outputs: list[Tensor] | None = None

    def weights(self) -> dict[str, Tensor]:
        """Copies of all parameters and buffers of the map, by name."""
        assert self.method is not None
        return {name: value.clone() for name, value in self.method.state_dict().items()}

    def inputs(self) -> list[Tensor]:
        """LR test batches, the same ones at each call."""
        assert self.dataset is not None
        return [lr for lr, _ in self.dataset.test_batches(BATCH)]

    def outputs(self) -> list[Tensor]:
        """T of the LR test batches in eval mode without gradients, made once."""
        if self._outputs is None:
            self._outputs = [self.map(lr) for lr in self.inputs()]
        return self._outputs

    def map(self, lr: Tensor) -> Tensor:
        """Return T(lr) in eval mode without gradients; the method's mode comes back after."""
        assert self.method is not None
        with undisturbed(self.method, lr.device):
            mapped: Tensor = self.method(lr)
        return mapped


def attempt(plan: Plan, *, seed: int = 0, budget: Budget, folder: Path | None = None,
            stop_after: int | None = None, device: torch.device = CPU,
            watched: bool = False) -> Attempt:
    """Build and fit a method once; whatever it raises ends up in `Attempt.error`.

    Parameters
    ----------
    plan : Plan
        What is trained on what.
    seed : int
        Seed of the cell.
    budget : Budget
        Limit of the training.
    folder : Path, optional
        The cell's folder, where checkpoints are kept.
    stop_after : int, optional
        The training is asked to stop after this many steps.
    device : torch.device
        Where it is trained.
    watched : bool
        Whether everything is watched; it makes no difference to the numbers.
    """
    done = Attempt(Watch(plan.own))
    done.dataset = plan.dataset()
    done.dataset.prepare(device)
    if watched:
        guard(done.dataset, done.watch)
    seed_everything(seed)
    with done.watch.watching() if watched else nullcontext(), _apart(done):
        started = time.process_time()
        try:
            _fit(plan, done, seed, budget, folder, stop_after, device)
        except (Exception, SystemExit) as error:
            done.error, done.place = error, place_of(error, plan.own)
        done.seconds = time.process_time() - started
    return done


def _fit(plan: Plan, done: Attempt, seed: int, budget: Budget, folder: Path | None,
         stop_after: int | None, device: torch.device) -> None:
    """The straight line of a cell, up to the evaluation."""
    dataset = done.dataset
    assert dataset is not None
    done.method = method = plan.cls(plan.params, dataset.problem).to(device)
    deadline = time.process_time() + plan.patience

    def stopping() -> bool:
        done.late = done.late or time.process_time() > deadline
        steps = training._state.ledger.steps
        return done.late or (stop_after is not None and steps >= stop_after)

    training = WatchedTraining(method, dataset, seed=seed, device=device, folder=folder,
                               budget=budget, log_every=1, should_stop=stopping)
    done.training = training
    training.watched_by(done.watch)
    method.fit(training)
    done.result = training.finish()


class WatchedTraining(Training):
    """A training that tells a watch which networks it counts the calls of."""

    _watch: Watch | None = None

    def watched_by(self, watch: Watch) -> None:
        """Tell ``watch`` of the map, its children, and of what is tracked from now on."""
        if not watch.looking:
            return
        self._watch = watch
        method = self._state.method
        watch.follow(self, {"map": method, **{f"map.{name}": child for name, child
                                              in method.named_children()}})

    def track(self, **objects: Any) -> Any:
        """Track, and tell."""
        given = super().track(**objects)
        if self._watch is not None:
            self._watch.follow(self, {name: value for name, value in objects.items()
                                      if isinstance(value, nn.Module)})
        return given


@contextmanager
def _apart(done: Attempt) -> Iterator[None]:
    """Run the body in a folder of its own; note and put back what it changes in the process."""
    home = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="cell-", ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        footprint, before = Footprint(), _running()
        try:
            yield
        finally:
            done.changes = [sentence.removeprefix("the method ").partition("; put back")[0]
                            for sentence in footprint.undo() if "threads running" not in sentence]
            done.left = _left(before, done.watch)
            os.chdir(home)


def _running() -> set[Any]:
    """Threads and child processes of this process."""
    return {*threading.enumerate(), *psutil.Process().children(recursive=True)}


def _left(before: set[Any], watch: Watch) -> list[str]:
    """What was started and still runs, in words; it gets a moment to end."""
    deadline = time.monotonic() + SETTLE
    while True:
        threads = [item for item in _running() - before if isinstance(item, threading.Thread)
                   and (not item.daemon or watch.runs_own(getattr(item, "_target", None)))]
        processes = [item for item in _running() - before if isinstance(item, psutil.Process)
                     and item.status() != psutil.STATUS_ZOMBIE]
        if (not threads and not processes) or time.monotonic() > deadline:
            return [*(f"thread {item.name!r}" for item in threads),
                    *(f"process {item.name()!r}" for item in processes)]
        time.sleep(SETTLE / 10)


def place_of(error: BaseException, own: frozenset[str]) -> str:
    """Return the innermost line of the plugin's own code that an exception went through."""
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] in own:
            place = at(frame.f_code.co_filename, line)
    return place
