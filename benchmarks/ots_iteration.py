"""One outer iteration of OTS on the image pair: the released loop against ours.

    python benchmarks/ots_iteration.py [--device cuda] [--batch 16] [--repeats 3] [--whole 1]
    python benchmarks/ots_iteration.py --clock cpu --threads 1 --batch 4    # on a busy machine

Both train the same UNet (base 32) against the same potential on 64 x 64 images, whose samplers have
the official shapes (generator and two convex potentials) and random weights. Blocks alternate in
one process; medians are printed as a markdown table. Goals on a CPU: 2.5 times in fp32, 5 in bf16.

The released loop, written out from its description: NCHW float32; every step draws x (generator
and two potential gradients by autograd) and y (generator again), though steps of T use no y; steps
of T evaluate f(y), steps of f the cost; f sees T(x) and y in two passes; each step reads its loss
and collects garbage. Ours is the plugin run by `Training`: samples from a pool, no f(y) in steps of
T, one pass of f, channels last, fused Adam, nothing read. Its networks are ours in both, which
favours the released loop a little.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import cast

import torch
from torch import Tensor, nn

from srbench import Dataset, Parameters, PoolSettings, Problem
from srbench.networks import ConvICNN64, ResNetGenerator
from srbench.training import Training, seed_everything
from srbench_ots.method import OTS, OTSParams

SHAPE = (3, 64, 64)
NOISE = 0.01
REFRESH = 16  # batches after which w2-early replaces 64 samples of its pool
BLOCK = 64
Times = dict[str, list[float]]


class Pair(Dataset):
    """Samplers with the official shapes and random weights."""

    def __init__(self, device: torch.device, pool: int) -> None:
        super().__init__(Parameters(), "random-pair")
        self.problem = Problem(domain="image", lr_shape=SHAPE, hr_shape=SHAPE)
        self.device, self._pool = device, pool
        self.G = ResNetGenerator().to(device).eval().requires_grad_(False)
        self.psi = [ConvICNN64().to(device).eval().requires_grad_(False) for _ in range(2)]

    def fingerprint(self) -> str:
        """Return a name: nothing is stored."""
        return "random-pair"

    @property
    def pool(self) -> PoolSettings:
        """Return a pool that is never refreshed; what refreshing costs is added below."""
        return PoolSettings(size=self._pool, block=BLOCK, refresh_every=0)

    @torch.no_grad()
    def sample_hr(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n`` images of the generator with a little noise."""
        z = torch.randn(n, 128, generator=generator, device=self.device)
        noise = torch.randn(n, *SHAPE, generator=generator, device=self.device)
        return cast("Tensor", self.G(z)) + NOISE * noise

    def sample_lr(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Push ``n`` images by the mean of the two gradients, by autograd."""
        y = self.sample_hr(n, generator)
        pushed = torch.zeros_like(y)
        for psi in self.psi:
            leaf = y.detach().requires_grad_()
            with torch.enable_grad():
                pushed += torch.autograd.grad(psi(leaf).sum(), leaf)[0] / 2
        return pushed

    def test_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield nothing: nothing is evaluated."""
        return iter(())

    validation_batches = test_batches


class Stopwatch:
    """Seconds of named parts, the device waited for before and after.

    ``clock="cpu"`` takes the processor's time, which other programs disturb least; it is that of
    all threads together, so use it with one.
    """

    def __init__(self, device: torch.device, clock: str) -> None:
        self._cuda = device.type == "cuda"
        self._now = time.process_time if clock == "cpu" else time.perf_counter
        self.times: Times = defaultdict(list)

    def __call__(self, part: str, work: Callable[[], object]) -> None:
        """Do ``work`` and keep its time."""
        self._wait()
        started = self._now()
        work()
        self._wait()
        self.times[part].append(self._now() - started)

    def _wait(self) -> None:
        if self._cuda:
            torch.cuda.synchronize()


class Released:
    """The released loop; ``collect`` ends each step with ``gc.collect`` and ``empty_cache``."""

    def __init__(self, pair: Pair, batch: int, *, collect: bool) -> None:
        seed_everything(0)
        method = OTS(OTSParams.resolve("code", "image", {}), pair.problem)
        self.T, self.f = method.network.to(pair.device), method.build_potential().to(pair.device)
        self.adam = {net: torch.optim.Adam(net.parameters(), 1e-4, (0.0, 0.9))
                     for net in (self.T, self.f)}
        self.pair, self.batch, self.collect = pair, batch, collect

    def step(self, moving: nn.Module, frozen: nn.Module, sign: float) -> None:
        """Move one network on ``sign (c(x, T(x)) - f(T(x)) + f(y))``, the other frozen."""
        moving.train().requires_grad_(True)
        frozen.eval().requires_grad_(False)
        x, y = self.pair.sample_lr(self.batch), self.pair.sample_hr(self.batch)
        mapped = self.T(x)
        cost = nn.functional.mse_loss(x, mapped)
        loss = sign * (cost - self.f(mapped).mean() + self.f(y).mean())
        self.adam[moving].zero_grad()
        loss.backward()
        self.adam[moving].step()
        loss.item()
        if self.collect:
            gc.collect()
            if x.is_cuda:
                torch.cuda.empty_cache()

    def block(self, watch: Stopwatch, inner_steps: int) -> None:
        """Time one step of f and ``inner_steps`` of T, draws included."""
        watch("f step", lambda: self.step(self.f, self.T, -1.0))
        for _ in range(inner_steps):
            watch("T step", lambda: self.step(self.T, self.f, 1.0))


class Ours:
    """The plugin, run by `Training` from a pool."""

    def __init__(self, pair: Pair, batch: int, precision: str) -> None:
        seed_everything(0)
        self.method = OTS(OTSParams.resolve("code", "image", {"batch_size": batch}), pair.problem)
        self.training = Training(self.method, pair, seed=0, device=pair.device,
                                 precision=precision)
        self.players = self.method.open(self.training)
        self.blocks = 0

    def block(self, watch: Stopwatch, inner_steps: int) -> None:
        """Time one step of f and ``inner_steps`` of T, draws from the pool included."""
        self.blocks += 1
        for step in self.training.stage(f"block {self.blocks}").steps(1):
            given = self.training, step, self.players
            watch("f step", partial(self.method.ascend_potential, *given))
            for _ in range(inner_steps):
                watch("T step", partial(self.method.descend_map, *given))


def measure(options: argparse.Namespace) -> tuple[dict[str, Times], Times]:
    """Run alternating blocks; return the times of each loop and of the draws."""
    device = torch.device(options.device)
    seed_everything(0)
    pool = -(-max(BLOCK, options.batch) // BLOCK) * BLOCK
    pair = Pair(device, pool)
    loops: dict[str, Released | Ours] = {"released": Released(pair, options.batch, collect=True)}
    if device.type == "cuda":
        loops["released, no gc or empty_cache"] = Released(pair, options.batch, collect=False)
    loops |= {f"ours {name}": Ours(pair, options.batch, name) for name in ("fp32", "bf16")}
    watches = {name: Stopwatch(device, options.clock) for name in loops}
    for name, loop in loops.items():
        loop.block(watches[name], 1)  # warm-up: pools, kernels, optimizer state
        watches[name].times.clear()
    draws = Stopwatch(device, options.clock)
    for _ in range(options.repeats):
        for name, loop in loops.items():
            loop.block(watches[name], options.steps)
        draws("draw of x", lambda: pair.sample_lr(options.batch))
        draws("draw of y", lambda: pair.sample_hr(options.batch))
    for _ in range(options.whole):
        for name, loop in loops.items():
            inside = Stopwatch(device, options.clock)
            watches[name]("whole", partial(loop.block, inside, options.inner_steps))
    return {name: watch.times for name, watch in watches.items()}, draws.times


def table(times: dict[str, Times], draws: Times, options: argparse.Namespace) -> list[str]:
    """Lines of a markdown table: seconds, and ratios to the released loop."""
    steps: int = options.inner_steps
    x, y = (median(draws[part]) for part in ("draw of x", "draw of y"))
    fresh = (1 + steps) * x + y
    share = 1 / REFRESH  # as the presets: 64 new samples for every 16 batches of 64 drawn

    def iteration(parts: Times) -> float:
        return median(parts["f step"]) + steps * median(parts["T step"])

    rows = [(name, median(parts["T step"]), median(parts["f step"]), iteration(parts),
             median(parts["whole"]) if "whole" in parts else None)
            for name, parts in times.items()]
    for name, t, f, total, _ in [row for row in rows if row[0].startswith("ours")]:
        rows.append((f"{name}, pool refreshed", t, f, total + share * fresh, None))
        rows.append((f"{name}, all draws fresh", t, f, total + fresh, None))
    lines = [f"| loop | T step s | f step s | f + {steps} T, s | ratio | whole s | ratio |",
             "|---|---|---|---|---|---|---|"]
    base, whole_base = rows[0][3], rows[0][4]
    for name, t, f, total, whole in rows:
        measured = f"{whole:.3f} | {whole_base / whole:.2f}" if whole and whole_base else " | "
        lines.append(f"| {name} | {t:.4f} | {f:.4f} | {total:.3f} | {base / total:.2f} "
                     f"| {measured} |")
    lines.append("")
    lines.append(f"One draw of {options.batch}: x {x:.3f} s, y {y:.3f} s. \"pool refreshed\" adds "
                 f"1/{REFRESH} of the fresh draws (each sample is drawn {REFRESH} times on "
                 "average); these and "
                 "\"all draws fresh\" are sums of measured parts, draws in fp32.")
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3, help="blocks of each loop")
    parser.add_argument("--steps", type=int, default=2, help="steps of T in a block")
    parser.add_argument("--inner-steps", type=int, default=10, help="steps of T in an iteration")
    parser.add_argument("--whole", type=int, default=1, help="whole iterations of each loop")
    parser.add_argument("--clock", default="wall", choices=("wall", "cpu"))
    parser.add_argument("--threads", type=int, default=0, help="0: as many as torch takes")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    times, draws = measure(options)
    where = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    print(f"{where}, {torch.get_num_threads()} threads, torch {torch.__version__}, batch "
          f"{options.batch}, medians of {options.repeats} blocks, {options.clock} time\n")
    print("\n".join(table(times, draws, options)))


if __name__ == "__main__":
    main()
