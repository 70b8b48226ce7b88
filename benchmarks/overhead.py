"""What the harness costs: T and f steps of optimal transport, bare and through `Training`.

    python benchmarks/overhead.py [--blocks 12] [--steps 20] [--batch 4] [--threads 1] [--scalars]

Both loops do the same work on the same numbers: draws from a pool of random 32 x 32 images, one
update of the map (UNet) and one of the potential (ResNetPotential) by Adam. Blocks alternate and
the median of the ratios of neighbours is printed, so that slow drifts of the machine cancel; times
are processor times, which other programs disturb least. The goal is at most 2 %. ``--scalars``
compares the harness without and with the scalars that a tracked run tells, through a pipe as in a
cell.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from srbench import Dataset, Method, Parameters, PoolSettings, Problem
from srbench.engine.events import EventWriter
from srbench.engine.scalars import ScalarsFile
from srbench.networks import ResNetPotential, UNet
from srbench.training import Training, seed_everything

SIDE, POOL = 32, 1024
PROBLEM = Problem(domain="image", lr_shape=(3, SIDE, SIDE), hr_shape=(3, SIDE, SIDE))


class Noise(Dataset):
    """Normal images, drawn from a pool."""

    def __init__(self) -> None:
        super().__init__(Parameters(), "noise")
        self.problem = PROBLEM

    @property
    def pool(self) -> PoolSettings:
        """Return a pool that is never refreshed: the bare loop has none either."""
        return PoolSettings(size=POOL, block=256, refresh_every=0)

    def fingerprint(self) -> str:
        """Return a name: nothing is stored."""
        return "noise"

    def sample_lr(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` images, (n, 3, 32, 32)."""
        return torch.randn(n, *self.problem.lr_shape, generator=generator)

    def sample_hr(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` images, (n, 3, 32, 32)."""
        return torch.randn(n, *self.problem.hr_shape, generator=generator)

    def test_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield nothing: nothing is evaluated."""
        return iter(())

    def validation_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield nothing: nothing is evaluated."""
        return iter(())


class Map(Method):
    """A small UNet; the loops below train it."""

    def build(self) -> None:
        """Create the network."""
        self.T = UNet(8)

    def fit(self, training: Training) -> None:
        """Do nothing: the benchmark writes the loop out."""

    def forward(self, lr: Tensor) -> Tensor:
        """Map (n, 3, 32, 32) to (n, 3, 32, 32)."""
        mapped: Tensor = self.T(lr)
        return mapped


def networks() -> tuple[Map, nn.Module]:
    """Return a new map and potential with the same weights at every call."""
    seed_everything(0)
    return Map(Parameters(), PROBLEM), ResNetPotential(size=SIDE, filters=8)


def bare_block(steps: int, batch: int) -> Iterator[None]:
    """Run the loop without the harness, yielding before and after it."""
    method, potential = networks()
    for module in (method, potential):
        module.to(memory_format=torch.channels_last)
    optimizer_map = torch.optim.Adam(method.parameters(), 1e-4)
    optimizer_potential = torch.optim.Adam(potential.parameters(), 1e-4)
    generator = torch.Generator().manual_seed(0)
    pools = [torch.randn(POOL, SIDE, SIDE, 3, generator=generator) for _ in range(2)]

    def draw(pool: Tensor) -> Tensor:
        order = torch.randint(POOL, (batch,), generator=generator)
        return pool.index_select(0, order).permute(0, 3, 1, 2)

    for step in range(steps + 1):
        if step == 1:
            yield
        x = draw(pools[0])
        mapped = method(x)
        loss = (mapped - x).square().mean() - potential(mapped).mean()
        optimizer_map.zero_grad(set_to_none=True)
        torch.autograd.backward(loss, inputs=list(method.parameters()))
        optimizer_map.step()
        x, y = draw(pools[0]), draw(pools[1])
        with torch.no_grad():
            mapped = method(x)
        loss = potential(mapped).mean() - potential(y).mean()
        optimizer_potential.zero_grad(set_to_none=True)
        torch.autograd.backward(loss, inputs=list(potential.parameters()))
        optimizer_potential.step()
    yield


def harness_block(steps: int, batch: int, log_every: int = 20,
                  on_event: Callable[[dict[str, Any]], None] | None = None) -> Iterator[None]:
    """Run the same loop through `Training`, yielding before and after it."""
    method, potential = networks()
    training = Training(method, Noise(), seed=0, device=torch.device("cpu"), log_every=log_every,
                        on_event=on_event)
    potential = training.track(potential=potential)
    optimizer_map, optimizer_potential = training.track(
        optimizer_map=torch.optim.Adam(method.parameters(), 1e-4),
        optimizer_potential=torch.optim.Adam(potential.parameters(), 1e-4))
    for step in training.steps(steps + 1):
        if step.index == 1:
            yield
        x = training.lr(batch)
        mapped = method(x)
        loss_map = (mapped - x).square().mean() - potential(mapped).mean()
        step.minimize(loss_map, optimizer_map)
        x, y = training.lr(batch), training.hr(batch)
        with torch.no_grad():
            mapped = method(x)
        loss_potential = potential(mapped).mean() - potential(y).mean()
        step.minimize(loss_potential, optimizer_potential)
        step.log(loss_map=loss_map, loss_potential=loss_potential)
    yield


def seconds(block: Iterator[None], steps: int) -> float:
    """Return the processor time of a step, without the first, which fills the pool."""
    next(block)
    start = time.process_time()
    next(block)
    return (time.process_time() - start) / steps


def scalars(options: argparse.Namespace) -> None:
    """Measure what telling scalars costs a cell and its job, and print a table."""
    sink = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert sink.stdin is not None
    tell, counted = EventWriter(sink.stdin.fileno()), [0]

    def without(event: dict[str, Any]) -> None:
        if event["event"] != "scalars":
            tell(event)

    def with_scalars(event: dict[str, Any]) -> None:
        counted[0] += event["event"] == "scalars"
        tell(event)

    print("| log every | without, ms | with, ms | overhead | told, a step |")
    print("|---|---|---|---|---|")
    for every in (20, 1):
        counted[0], steps = 0, options.steps
        pairs = [tuple(seconds(harness_block(steps, options.batch, every, told), steps)
                       for told in (without, with_scalars)) for _ in range(options.blocks)]
        plain, told = (median(times) * 1e3 for times in zip(*pairs, strict=True))
        ratio = median(with_it / without_it for without_it, with_it in pairs)
        print(f"| {every} | {plain:.2f} | {told:.2f} | {100 * (ratio - 1):+.1f} % "
              f"| {counted[0] / options.blocks / (steps + 1):.2f} |")
    sink.stdin.close()
    sink.wait()
    with tempfile.TemporaryDirectory() as folder:
        file, number = ScalarsFile(Path(folder)), 5000
        start = time.process_time()
        for step in range(number):
            file.add({"event": "scalars", "kind": "train", "stage": "main", "step": step,
                      "row": 2 * step, "seconds": 0.1 * step, "images": 8 * step, "calls": step,
                      "values": {"loss_map": 0.125 * step, "loss_potential": -0.5}})
        file.flush()
        spent = (time.process_time() - start) / number
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / number
    print(f"\nIn the job: {spent * 1e6:.0f} us and {size:.0f} bytes for each.")


def main() -> None:
    """Measure and print a row of a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--scalars", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.scalars:
        scalars(options)
        return
    pairs = [(seconds(bare_block(options.steps, options.batch), options.steps),
              seconds(harness_block(options.steps, options.batch), options.steps))
             for _ in range(options.blocks)]
    bare, harness = (median(times) * 1e3 for times in zip(*pairs, strict=True))
    ratio = median(with_it / without for without, with_it in pairs)
    print("| step | bare, ms | harness, ms | overhead |")
    print("|---|---|---|---|")
    print(f"| T + f, {SIDE} x {SIDE}, batch {options.batch}, {options.threads} thread(s) "
          f"| {bare:.2f} | {harness:.2f} | {100 * (ratio - 1):+.1f} % |")


if __name__ == "__main__":
    main()
