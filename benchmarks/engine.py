"""What running many cells costs: packing, long plans, start-up.

    python benchmarks/engine.py [--cells 40] [--slots 2] [--plan 10000] [--repeats 3]

Makespan: so many short cells, one of which ends its process by ``os._exit``, on so many slots, from
the first start to the last record. It is compared with the ideal, the sum of what each cell takes
when it runs alone (the median of the repeats) divided by the slots. Planning and the page are no
part of either. The goal is 1.15.

Long plans: ``srbench run --dry-run`` of a plan (goal 5 s for 10,000 cells), and ``srbench status``
of a store with the files a real run of that plan leaves (goal 2 s). Both with the start of Python.

Start-up: a cell that trains one step, from its start to its record, beyond what importing torch
takes in a process of its own (goal 3 s).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from srbench.engine.executors.local import LocalExecutor
from srbench.engine.live import Live
from srbench.engine.scheduler import Scheduler
from srbench.engine.verdict import bare_record
from srbench.plan import Cell, Request, make_plan
from srbench.registry.catalog import discover
from srbench.results.record import Record, Status
from srbench.results.store import Store
from srbench.spec import parse_specs

STATUS = {"short": Status.OK, "poison": Status.CRASHED}
PLUGIN = '''
import os

from srbench import DatasetInfo, MethodInfo, hookimpl


@hookimpl
def srbench_methods():
    return [MethodInfo(name="short", summary="Trains for a moment.", load=f"{__name__}:Short"),
            MethodInfo(name="poison", summary="Ends its process.", load=f"{__name__}:Poison")]


@hookimpl
def srbench_datasets():
    return [DatasetInfo(name="normal", summary="Normal vectors.", load=f"{__name__}:Normal")]


def __getattr__(name):
    if name not in ("Short", "Poison", "Normal"):
        raise AttributeError(name)
    import torch

    from srbench import Dataset, Method, Parameters, Problem

    class Normal(Dataset):
        known_map = True

        def __init__(self, params, name):
            super().__init__(params, name)
            self.problem = Problem(domain="vector", lr_shape=(4,), hr_shape=(4,))

        def fingerprint(self):
            return "normal"

        def sample_lr(self, n, generator):
            return torch.randn(n, 4, generator=generator)

        sample_hr = sample_lr

        def test_batches(self, batch_size):
            values = torch.randn(batch_size, 4, generator=torch.Generator().manual_seed(1))
            yield values, values

        validation_batches = test_batches

        def facts(self):
            return {"hr_variance": 4.0}

    class Short(Method):
        class Params(Parameters):
            iterations: int = 4000

        def build(self):
            self.map = torch.nn.Linear(4, 4)

        def fit(self, training):
            optimizer = training.track(optimizer=torch.optim.Adam(self.parameters()))
            for step in training.steps(self.params.iterations):
                step.minimize(self(training.lr(64)).square().mean(), optimizer)

        def forward(self, lr):
            return self.map(lr)

    class Poison(Short):
        def fit(self, training):
            os._exit(0)

    globals().update(Short=Short, Poison=Poison, Normal=Normal)
    return globals()[name]
'''


def plan(plugin: Path, methods: str, seeds: int) -> list[Cell]:
    """Return the cells of methods and so many seeds."""
    request = Request(methods=parse_specs([methods]), datasets=parse_specs(["normal"]),
                      seeds=list(range(seeds)), preset="quick", precision="fp32", device="cpu",
                      threads=1, metrics=["l2-uvp"])
    return make_plan(request, discover([plugin]), "benchmark")


def run(cells: Sequence[Cell], slots: int) -> tuple[float, list[Record]]:
    """Seconds and records of cells run in a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        scheduler = Scheduler(Store(Path(folder)), LocalExecutor(jobs=slots),
                              on_event=lambda cell, event: None)
        started = time.perf_counter()
        records = scheduler.run(cells)
        return time.perf_counter() - started, records


def alone(cell: Cell, repeats: int) -> float:
    """Seconds a cell takes that runs alone."""
    times = []
    for _ in range(repeats):
        seconds, (record,) = run([cell], 1)
        if record.outcome.status is not STATUS[cell.identity.method]:
            raise SystemExit(f"{cell.name}: {record.outcome.reason}")
        times.append(seconds)
    return median(times)


def makespan(plugin: Path, cells: int, slots: int, repeats: int) -> None:
    """Measure many short cells and print a table."""
    members = plan(plugin, "short", cells - 1)
    poison, = plan(plugin, "poison", 1)
    one, dead = alone(members[0], repeats), alone(poison, repeats)
    ideal = (len(members) * one + dead) / slots
    members.insert(len(members) // 2, poison)
    seconds, records = run(members, slots)
    expected = all(record.outcome.status is STATUS[cell.identity.method]
                   for cell, record in zip(members, records, strict=True))
    print("| cells | slots | one alone, s | ideal, s | makespan, s | ratio | records as expected |")
    print("|---|---|---|---|---|---|---|")
    print(f"| {cells}, one poisoned | {slots} | {one:.2f} | {ideal:.1f} | {seconds:.1f} "
          f"| {seconds / ideal:.2f} | {'yes' if expected else 'no'} |")


def leave_store(runs: Path, cells: Sequence[Cell]) -> None:
    """Write what a run of a plan leaves, one of twenty cells failed and one of twenty waiting."""
    store = Store(runs)
    store.write_plan("long", {"id": "long", "cells": [cell.key for cell in cells],
                              "names": [cell.name for cell in cells]})
    for number, cell in enumerate(cells):
        if number % 20 == 19:
            continue
        status = Status.FAILED if number % 20 == 18 else Status.OK
        folder = store.cell_folder(cell.key)
        folder.mkdir(parents=True)
        (folder / "cell.json").write_text(cell.model_dump_json(indent=1))
        (folder / ".lock").touch()
        live = Live(folder, {"key": cell.key, "executor": "local"})
        store.commit(bare_record(cell, status, "why"), durable=False)
        live.end(status, "why")


def command(*words: str, repeats: int) -> float:
    """Seconds of a command line, the median of the repeats."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run([sys.executable, *words], check=False, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return median(times)


def long_plan(plugin: Path, cells: int, repeats: int) -> None:
    """Measure planning and status of a long plan and print a table."""
    planned = command("-m", "srbench", "run", "--plugin", str(plugin), "--methods", "short",
                      "--dataset", "normal", "--seeds", f"0-{cells - 1}", "--dry-run",
                      repeats=repeats)
    with tempfile.TemporaryDirectory() as folder:
        leave_store(Path(folder), plan(plugin, "short", cells))
        shown = command("-m", "srbench", "status", "--runs", folder, repeats=repeats)
    print("| cells | run --dry-run, s | status, s |\n|---|---|---|")
    print(f"| {cells:,} | {planned:.2f} | {shown:.2f} |")


def start_up(plugin: Path, repeats: int) -> None:
    """Measure what a cell costs that trains one step and print a table."""
    cell, = plan(plugin, "short[iterations=1]", 1)
    torch, whole = command("-c", "import torch", repeats=repeats), alone(cell, repeats)
    print("| cell of one step, s | import torch, s | beyond, s |\n|---|---|---|")
    print(f"| {whole:.2f} | {torch:.2f} | {whole - torch:.2f} |")


def main() -> None:
    """Measure and print three Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", type=int, default=40)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--plan", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plugin = Path(folder, "short_plugin.py")
        plugin.write_text(PLUGIN)
        load = os.getloadavg()[0]
        start_up(plugin, options.repeats)
        print()
        long_plan(plugin, options.plan, options.repeats)
        print()
        makespan(plugin, options.cells, options.slots, options.repeats)
    print(f"\nload of the machine: {load:.1f} before, {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
