"""Trainings that die: ``python -m tests.methods.lives CACHE`` runs one for each line it is sent.

A line is a JSON `Life`; the answer is how it ended. Each life is a fork of this process, which has
everything imported and has never run anything in parallel, so a life costs little and may be
killed at any moment. It is one thread from the start: the same bits whatever else runs.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from srbench import PoolSettings
from srbench.backbones import BACKBONES, store
from srbench.errors import StoreError
from srbench.networks import dsgan, patch_discriminators, perceptual
from srbench.training import checkpoint, seed_everything, stage
from srbench.training import state as training_state
from srbench.training.checkpoint import CheckpointStore, read_checkpoint
from srbench_dasr import method as dasr
from srbench_fssr import method as fssr
from srbench_ots.method import OTS
from tests.methods import backbones
from tests.methods import test_every_method_resumes as single
from tests.methods.toy import GaussianPair, train
from tests.two_stage import test_resume as staged
from tests.two_stage.toy import fit

STATE, TENSORS, MANIFEST, AFTER = "state.json", "tensors.safetensors", "manifest.json", "after"


@dataclass(frozen=True, kw_only=True)
class Life:
    """One process of a training.

    Attributes
    ----------
    case : str
        A name of `CASES`.
    folder : str
        The cell's folder.
    every : int
        Steps of this process between two checkpoints; 0 writes none before the end.
    kill_step : int
        Steps after which it kills itself, before a checkpoint is written; 0 never.
    kill_update : int
        Optimizer updates after which it kills itself, in the middle of a step; 0 never.
    kill_write : list
        ``[n, file, bytes]``: it kills itself in its n-th checkpoint when so many bytes of that
        file are written; file "after" stands for the moment when the checkpoint is in its place.
    full_after : int
        Steps after which no file may grow beyond a few bytes any more; 0 never.
    backwards : bool
        Whether the clock on the wall goes back by an hour at each look.
    forgetful : bool
        Whether it takes no random states from the checkpoint.
    """

    case: str
    folder: str
    every: int = 0
    kill_step: int = 0
    kill_update: int = 0
    kill_write: tuple[int, str, int] | None = None
    full_after: int = 0
    backwards: bool = False
    forgetful: bool = False


class PooledPair(GaussianPair):
    """Samples come from a pool that is refreshed while the training runs."""

    @property
    def pool(self) -> PoolSettings:
        return PoolSettings(size=64, block=16, refresh_every=2)


def _single(name: str) -> Callable[..., Any]:
    kind, dataset, given = single.CASES[name]
    return lambda folder, **options: train(kind, dataset(), folder=folder, seed=0,
                                           log_every=single.LOG_EVERY, **given, **options)


def _staged(name: str) -> Callable[..., Any]:
    kind, given, _ = staged.CASES[name]
    return lambda folder, **options: fit(kind, folder, seed=0, log_every=staged.LOG_EVERY,
                                         **given, **options)


def _pooled(folder: Path, **options: Any) -> Any:
    return train(OTS, PooledPair(), folder=folder, seed=0, log_every=single.LOG_EVERY,
                 **single.VECTOR, inner_steps=2, **options)


CASES: dict[str, Callable[..., Any]] = {
    **{name: _single(name) for name in single.CASES}, "ots-vector-pool": _pooled,
    **{name: _staged(name) for name in staged.CASES}}
LENGTHS = {name: sum(staged.CASES[name][2]) if name in staged.CASES else single.STEPS
           for name in CASES}


class EveryNth(float):
    """A number of seconds that has passed at every n-th look, so that checkpoints are countable."""

    def __new__(cls, n: int) -> EveryNth:
        self = super().__new__(cls, 1e9)
        self.n, self.looks = n, 0
        return self

    def __le__(self, waited: float) -> bool:  # asked by ``waited >= self``
        self.looks += 1
        return bool(self.n) and self.looks % self.n == 0


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _dying_writes(at: tuple[int, str, int]) -> None:
    """Kill this process in the middle of a checkpoint."""
    wanted, file, size = at
    written, sync = [0], checkpoint.sync

    def write(path: Path, content: bytes) -> None:
        written[0] += path.name == STATE
        if written[0] == wanted and path.name == file:
            path.write_bytes(content[:size])
            die()
        path.write_bytes(content)
        sync(path)

    def synced(path: Path) -> None:
        sync(path)
        if written[0] == wanted and file == AFTER and path.name == "checkpoint":
            die()

    checkpoint._write, checkpoint.sync = write, synced


def _dying_updates(at: int) -> None:
    """Kill this process in the middle of a step."""
    real, done = stage.Step.minimize, [0]

    def minimize(self: Any, loss: Tensor, optimizer: Any) -> None:
        real(self, loss, optimizer)
        done[0] += 1
        if done[0] == at:
            die()

    stage.Step.minimize = minimize


def _backward_clock() -> None:
    now = [time.time()]

    def going_back() -> float:
        now[0] -= 3600
        return now[0]

    time.time = going_back
    time.time_ns = lambda: int(1e9 * going_back())


def live(life: Life) -> dict[str, Any]:
    """Run a life to its end, if it has one; what it did and what its last checkpoint holds."""
    folder, steps = Path(life.folder), [0]
    # A cell begins with its seed; where it goes on, other random numbers may lie behind it.
    begun = bool(CheckpointStore(folder / "checkpoint").newest_first())
    seed_everything(os.getpid() if begun else 7)

    def after_step() -> bool:
        steps[0] += 1
        if steps[0] == life.kill_step:
            die()
        if steps[0] == life.full_after:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        return False

    if life.kill_write:
        _dying_writes(life.kill_write)
    if life.kill_update:
        _dying_updates(life.kill_update)
    if life.backwards:
        _backward_clock()
    if life.forgetful:
        training_state.restore_rng_state = lambda state, device: None
    try:
        _, result = CASES[life.case](folder, checkpoint_seconds=EveryNth(life.every),
                                     should_stop=after_step)
    except StoreError as error:
        return {"error": str(error), "steps": steps[0]}
    newest = CheckpointStore(folder / "checkpoint").newest_first()[0]
    return {"steps": steps[0], "resumes": result.resumes, "bits": bits(newest),
            "seconds": [cost.seconds for cost in result.stages],
            "costs": [cost.model_dump(exclude={"seconds"}) for cost in result.stages]}


def bits(folder: Path) -> dict[str, str]:
    """Digest of each value of a checkpoint, without clocks and the number of resumptions."""
    return {name: digest for name, digest in _digests("", read_checkpoint(folder))
            if "seconds" not in name.split("/") and name != "/resumes"}


def _digests(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _digests(f"{name}/{key}", item)
    elif isinstance(value, list | tuple) and not all(isinstance(v, int | float) for v in value):
        for index, item in enumerate(value):
            yield from _digests(f"{name}/{index}", item)
    elif isinstance(value, Tensor):
        content = value.detach().contiguous().numpy().tobytes()
        told = f"{value.dtype} {tuple(value.shape)} {value.stride()}".encode()
        yield name, hashlib.sha256(told + content).hexdigest()
    else:
        yield name, repr(value)


def prepare(cache: str) -> None:
    """Make networks narrow and put backbones into the cache, as the fixtures of `backbones` do."""
    os.environ |= {"SRBENCH_CACHE": cache, "SRBENCH_OFFLINE": "1"}
    torch.set_num_threads(1)
    perceptual.WIDTHS = backbones.NARROW
    dsgan.WIDTH = 4
    patch_discriminators.PatchNet = backbones.NarrowPatchNet
    shapes = {"alexnet": backbones.ALEXNET,
              "vgg16": backbones.vgg_shapes(backbones.VGG16, backbones.NARROW),
              "vgg19": backbones.vgg_shapes(backbones.VGG19, backbones.NARROW)}
    for name, layers in shapes.items():
        store(BACKBONES[name], backbones.random_state(layers), "a test")
    for module in (fssr, dasr):
        module.load_lpips = functools.cache(module.load_lpips)
        module.load_lpips()


def main() -> None:
    """Answer each line of standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    prepare(sys.argv[1])
    for line in sys.stdin:
        fields = json.loads(line)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                told = json.dumps(live(Life(**fields))).encode()
                with os.fdopen(write, "wb") as file:
                    file.write(told)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        os.close(write)
        with os.fdopen(read, "rb") as file:
            told = file.read()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        answers.write(json.dumps({"code": code, **json.loads(told or b"{}")}) + "\n")
        answers.flush()


class Lives:
    """The test's end: starts the process that lives are forked from.

    Parameters
    ----------
    folder : Path
        For its cache and for what lives say on standard error.
    """

    def __init__(self, folder: Path) -> None:
        import subprocess

        self.log = folder / "stderr.txt"
        with self.log.open("w") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.methods.lives", str(folder / "cache")],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True,
                cwd=Path(__file__).resolve().parents[2],
                env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

    def __call__(self, life: Life) -> dict[str, Any]:
        """Run a life; ``code`` is its exit code, negative for a signal."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(life)) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, self.log.read_text()
        found: dict[str, Any] = json.loads(answer)
        assert found["code"] in (0, -signal.SIGKILL), self.log.read_text()
        return found

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)


if __name__ == "__main__":
    main()
