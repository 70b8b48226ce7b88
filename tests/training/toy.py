"""A two-network adversarial cell with everything a resume can lose; also a script that dies.

    python toy.py '[[FOLDER, STEP, FSYNC], ...]'   one life each; -1 kills at no step, no fsync

Parts: Adam and a scheduler for each network, dropout, batch norm, a pool with refresh, a random
stream of the method's own, Python's and NumPy's generators, draws outside stages, two stages of
which the second tracks an optimizer of its own, and code between the stages that changes weights.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from srbench import Dataset, Method, Parameters, PoolSettings, Problem
from srbench.errors import Interrupted  # noqa: F401 - for tests
from srbench.training import Training, seed_everything

CPU = torch.device("cpu")
PROBLEM = Problem(domain="image", lr_shape=(3, 6, 6), hr_shape=(3, 6, 6))
FIRST, SECOND = 13, 17
STEPS = FIRST + SECOND


class Toy(Dataset):
    """Normal LR images and shifted HR images, with or without a pool."""

    def __init__(self, pool: PoolSettings | None = None, problem: Problem = PROBLEM) -> None:
        super().__init__(Parameters(), "toy")
        self.problem = problem
        self._pool = pool

    @property
    def pool(self) -> PoolSettings | None:
        return self._pool

    def fingerprint(self) -> str:
        return "toy"

    def sample_lr(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, *self.problem.lr_shape, generator=generator)

    def sample_hr(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, *self.problem.hr_shape, generator=generator) + 1

    def test_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(())

    def validation_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(())


def small_pool() -> PoolSettings:
    return PoolSettings(size=32, block=8, refresh_every=3)


class Map(Method):
    """One convolution with batch norm and dropout; tests write `fit` out where they need more."""

    def build(self) -> None:
        self.T = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.2),
                               nn.Conv2d(4, 3, 3, padding=1))

    def forward(self, lr: Tensor) -> Tensor:
        mapped: Tensor = self.T(lr)
        return mapped

    def fit(self, training: Training) -> None:
        for _ in self.steps(training):
            pass

    def steps(self, training: Training) -> Iterator[int]:
        """Yield the total number of steps begun, in the middle of each."""
        shift = float(training.hr(4).mean())
        with torch.no_grad():
            self.T[3].bias.add_(shift)
        f = training.track(f=nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, 1)))
        optimizer_T, optimizer_f = training.track(
            optimizer_T=torch.optim.Adam(self.parameters(), 1e-2),
            optimizer_f=torch.optim.Adam(f.parameters(), 1e-2, amsgrad=True))
        schedule = training.track(
            schedule=torch.optim.lr_scheduler.StepLR(optimizer_T, 5, gamma=0.5))
        own = training.generator("own")
        for step in training.stage("first").steps(FIRST):
            self.one(training, step, f, optimizer_T, optimizer_f, own)
            schedule.step()
            yield step.index
        with torch.no_grad():
            self.T[0].weight.mul_(1 + float(training.lr(2).mean()))
        last = training.track(last=torch.optim.SGD(self.parameters(), 1e-3, momentum=0.9))
        for step in training.stage("second").steps(SECOND):
            self.one(training, step, f, last, optimizer_f, own)
            yield FIRST + step.index

    def one(self, training, step, f, optimizer_T, optimizer_f, own) -> None:
        x = training.lr(4) + 0.1 * torch.randn(4, 1, 1, 1, generator=own)
        mapped = self(x * (1 + 0.01 * random.random()) + 0.01 * np.random.rand())
        loss = (mapped - x).square().mean() - f(mapped).mean()
        step.minimize(loss, optimizer_T)
        for _ in range(2):
            with torch.no_grad():
                mapped = self(training.lr(4))
            value = f(mapped).mean() - f(training.hr(4)).mean()
            step.minimize(value, optimizer_f)
            step.log(value=value)
        step.log(loss=loss)


def score(method: Method) -> dict[str, float]:
    """Score a map, disturbing as much as a careless metric would."""
    random.random(), np.random.rand(), torch.rand(3)
    x = torch.linspace(-1, 1, 2 * 108).reshape(2, 3, 6, 6)
    return {"error": float((method(x) - x - 1).square().mean()), "mean": float(method(x).mean())}


def cell(folder: Path | None, pool: PoolSettings | None = None, **options):
    """Return a method and its training, as a worker makes them."""
    seed_everything(7)
    method = Map(Parameters(), PROBLEM)
    training = Training(method, Toy(pool or small_pool()), seed=7, device=CPU, folder=folder,
                        **{"log_every": 4, "validate": score, "validations": 3, **options})
    return method, training


def exhaust(steps, work) -> None:
    for step in steps:
        work(step)


def live(folder: Path, kill_step: int, kill_fsync: int) -> None:
    """Run the cell to its end, or until this process kills itself."""
    torch.set_num_threads(1)
    real, calls = os.fsync, iter(range(10**9))

    def fsync(descriptor: int) -> None:
        if next(calls) == kill_fsync:
            os.kill(os.getpid(), signal.SIGKILL)
        real(descriptor)

    os.fsync = fsync
    method, training = cell(folder, checkpoint_seconds=0.03)
    for step in method.steps(training):
        if step == kill_step:
            os.kill(os.getpid(), signal.SIGKILL)
    training.finish()
    weights = {name: value.contiguous() for name, value in method.state_dict().items()}
    safetensors.torch.save_file(weights, folder / "weights.safetensors")


def main() -> None:
    """Run each life in a process of its own and write how they ended."""
    ends = []
    for folder, kill_step, kill_fsync in json.loads(sys.argv[1]):
        child = os.fork()
        if child == 0:
            live(Path(folder), kill_step, kill_fsync)
            os._exit(0)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    sys.stdout.write(json.dumps(ends))


if __name__ == "__main__":
    main()
