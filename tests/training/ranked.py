"""Trainings in several processes: a script that runs jobs as one rank, and what starts the ranks.

    python ranked.py JOBS.json      one job after the other, with SRBENCH_RANK and so on set

A job names a kind of training and its options; what each rank found is written to the job's folder.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

import srbench_dasr.method as dasr
import srbench_fssr.method as fssr
from srbench import Method, Parameters, PoolSettings
from srbench.errors import SrbenchError
from srbench.networks import dsgan, patch_discriminators, perceptual
from srbench.training import Budget, Training, seed_everything
from srbench.training.distributed import joined
from srbench.training.distributed import own_rank as rank
from srbench.training.scratch import FOLDER
from srbench_anchors.method import Constant
from srbench_dasr.method import DASR
from srbench_fssr.method import FSSR
from srbench_ots.method import OTS
from srbench_wgan_gp.method import WGANGP
from tests.methods.backbones import NARROW, NarrowPatchNet, one_lpips
from tests.methods.photographs import Waves
from tests.methods.toy import GaussianPair, Noise
from tests.training import toy
from tests.two_stage.toy import TINY_DASR, TINY_FSSR

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[2]
VECTOR = {"iterations": 12, "batch_size": 16, "hidden": 16, "depth": 2}
IMAGE = {"iterations": 6, "batch_size": 4, "unet_base": 2, "potential_filters": 2}
SCORED = {"validate": lambda method: {"mean": float(method(torch.ones(3, 2)).mean())},
          "validations": 3}


class Split(toy.Map):
    """The toy cell with everything a resume can lose, written for several processes."""

    distributed = True

    def one(self, training, step, f, optimizer_T, optimizer_f, own) -> None:
        noise = training.share(torch.randn(4, 1, 1, 1, generator=own))
        x = training.lr(4) + 0.1 * noise + 0.01 * torch.rand(1)
        mapped = self(x)
        loss = (mapped - x).square().mean() - f(mapped).mean()
        step.minimize(loss, optimizer_T)
        with torch.no_grad():
            mapped = self(training.lr(4))
        value = f(mapped).mean() - f(training.hr(4)).mean()
        step.minimize(value, optimizer_f)
        step.log(value=value, loss=loss)


class Line(Method):
    """One linear layer; at one step one rank does a deed."""

    distributed = True

    class Params(Parameters):
        steps: int = 8
        batch: int = 4
        at: int = -1
        deed: str = ""
        by: int = 1

    params: Params

    def build(self) -> None:
        self.T = nn.Linear(2, 2)

    def forward(self, lr: Tensor) -> Tensor:
        mapped: Tensor = self.T(lr)
        return mapped

    def fit(self, training: Training) -> None:
        optimizer = training.track(optimizer=torch.optim.Adam(self.parameters(), 0.01))
        for step in training.steps(self.params.steps):
            if step.index == self.params.at and rank() == self.params.by:
                self.do(self.params.deed)
            x, y = training.lr(self.params.batch), training.hr(self.params.batch)
            loss = (self(x) - y).square().mean()
            step.minimize(loss, optimizer)
            step.log(loss=loss)

    def do(self, deed: str) -> None:
        if deed == "die":
            os._exit(9)
        if deed == "hang":
            time.sleep(1000)
        if deed == "raise":
            raise ValueError("something of this rank's own")
        with torch.no_grad():
            self.T.bias[0].add_({"perturb": 1e-6, "nan": float("nan")}.get(deed, 0.0))


class Draws(Line):
    """Keeps what it draws, within a stage and outside."""

    def fit(self, training: Training) -> None:
        self.drawn = [training.lr(6)]
        for _ in training.steps(3):
            self.drawn += [training.lr(6), training.hr(4)]
            self.drawn += [training.share(torch.rand(6, 2)), torch.arange(8)[training.rows(8)]]
        self.drawn += [training.hr(3)]


class Partial(Line):
    """Networks of which one has weights without a gradient: nowhere, or on one rank only."""

    def build(self) -> None:
        self.T, self.unused, self.sometimes = (nn.Linear(2, 2) for _ in range(3))

    def fit(self, training: Training) -> None:
        optimizer = torch.optim.AdamW(self.parameters(), 0.01, weight_decay=0.5)
        training.track(optimizer=optimizer)
        for step in training.steps(3):
            x = training.lr(4)
            mapped = self.T(x)
            if rank() == 0:
                mapped = mapped + self.sometimes(x)
            step.minimize(mapped.square().mean(), optimizer)


class Pooled(GaussianPair):
    @property
    def pool(self) -> PoolSettings:
        return PoolSettings(size=32, block=8, refresh_every=2)


class Counted:
    """`torch.distributed.all_reduce`, counted."""

    def __init__(self) -> None:
        self.real, self.number = dist.all_reduce, 0

    def __call__(self, *given, **named) -> Any:
        self.number += 1
        return self.real(*given, **named)


KINDS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "ots": (OTS, GaussianPair, {**VECTOR, "inner_steps": 3, "map_average": 0.9}),
    "wgan-gp": (WGANGP, GaussianPair, {**VECTOR, "critic_steps": 3, "lr_decay": "cosine"}),
    "ots-image": (OTS, lambda: Noise(32), {**IMAGE, "inner_steps": 2, "map_average": 0.5}),
    "fssr": (FSSR, Waves, TINY_FSSR),
    "dasr": (DASR, Waves, TINY_DASR),
    "split": (Split, lambda: toy.Toy(toy.small_pool()), {}),
    "line": (Line, GaussianPair, {}),
    "line-pooled": (Line, Pooled, {}),
    "draws": (Draws, GaussianPair, {}),
    "draws-pooled": (Draws, Pooled, {}),
    "constant": (Constant, GaussianPair, {}),
    "partial": (Partial, GaussianPair, {}),
}


def train(job: dict[str, Any], ranks: Any = None) -> dict[str, Any]:
    """Run one job; what it leaves, with the error instead where there was one."""
    if job.get("lose") and rank() == 0:
        shutil.rmtree(Path(job["folder"]) / "cell" / FOLDER, ignore_errors=True)
    method_class, dataset_class, given = KINDS[job["kind"]]
    given = {**given, **job.get("params", {})}
    seed_everything(3)
    dataset = dataset_class()
    params = (method_class.Params.resolve("quick", dataset.problem.domain, given)
              if method_class in (OTS, WGANGP, FSSR, DASR) else method_class.Params(**given))
    method = method_class(params, dataset.problem)
    events: list[dict[str, Any]] = []
    asked: list[None] = []

    def stop() -> bool:
        asked.append(None)
        return len(asked) == job.get("stop_at") and rank() == job.get("stop_by", rank())

    options = {"log_every": 4, "checkpoint_seconds": 1e9, **job.get("options", {})}
    scored = SCORED if len(dataset.problem.lr_shape) == 1 and job.get("scored") else {}
    if "budget" in options:
        options["budget"] = Budget.parse(options["budget"])
    reduced = Counted()
    dist.all_reduce, began = reduced, time.monotonic()
    try:
        training = Training(method, dataset, seed=3, device=CPU, on_event=events.append,
                            folder=Path(job["folder"]) / "cell" if job.get("keeps") else None,
                            should_stop=stop, ranks=ranks, **{**scored, **options})
        method.fit(training)
        result = training.finish()
    except SrbenchError as error:
        return {"error": type(error).__name__, "text": str(error), "events": events,
                "seconds": time.monotonic() - began}
    finally:
        dist.all_reduce = reduced.real
    return {"error": None, "events": events, "history": result.history, "world": result.world,
            "span": result.batchnorm_span, "steps": result.steps, "resumes": result.resumes,
            "costs": [cost.model_dump(exclude={"seconds"}) for cost in result.stages],
            "parameters": result.parameters, "oracle": [result.oracle_step, result.oracle_value],
            "weights": {name: value.contiguous() for name, value in method.state_dict().items()},
            "all_reduces": reduced.number,
            "drawn": getattr(method, "drawn", []), "rng": torch.rand(4)}


def launch(folder: Path, jobs: list[dict[str, Any]], world: int = 2, timeout: float = 60,
           awaited: tuple[int, ...] = (0, 1)) -> list[list[dict[str, Any]]]:
    """Run jobs in ``world`` processes; by job and rank what they left, empty where a rank died.

    ``timeout`` is that of the ranks; only the awaited ranks are waited for, others are killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, job in enumerate(jobs):
        job.setdefault("folder", str(folder / f"job{number}"))
        Path(job["folder"]).mkdir(exist_ok=True)
        job["out"] = str(folder / f"out{number}")
    (folder / "jobs.json").write_text(json.dumps(jobs))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "SRBENCH_WORLD": str(world),
                   "SRBENCH_RANK_TIMEOUT": str(timeout),
                   "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    processes = [subprocess.Popen([sys.executable, __file__, str(folder / "jobs.json")],
                                  env={**environment, "SRBENCH_RANK": str(rank)})
                 for rank in range(world)]
    try:
        for rank in awaited:
            processes[rank].wait(timeout=250)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    outs = [[Path(f"{job['out']}-{rank}.pt") for rank in range(world)] for job in jobs]
    return [[torch.load(out) if out.exists() else {} for out in ranks] for ranks in outs]


def narrow() -> None:
    """What the fixture of this name does, for a process of its own."""
    perceptual.WIDTHS, dsgan.WIDTH = NARROW, 4
    patch_discriminators.PatchNet = NarrowPatchNet
    for module in (fssr, dasr):
        module.load_lpips = one_lpips


def wait_for_others(folder: Path) -> None:
    """Return when all ranks are here: on a busy machine some are long in importing torch."""
    (folder / f"ready{rank()}").touch()
    while len(list(folder.glob("ready*"))) < int(os.environ["SRBENCH_WORLD"]):
        time.sleep(0.05)


def main() -> None:
    torch.set_num_threads(1)
    narrow()
    wait_for_others(Path(sys.argv[1]).parent)
    for job in json.loads(Path(sys.argv[1]).read_text()):
        out = f"{job['out']}-{os.environ['SRBENCH_RANK']}.pt"
        os.environ["SRBENCH_RENDEZVOUS"] = f"{job['out']}-rendezvous"
        torch.manual_seed(12345)  # a process before this one left other random numbers
        try:
            with joined(CPU) as ranks:
                left = train(job, ranks)
                torch.save(left, out)
                if left["error"]:
                    raise RuntimeError(left["text"])
        except (RuntimeError, SrbenchError):
            if not left["error"]:
                raise


if __name__ == "__main__":
    main()
