"""A one-file plugin for tests: small images, and methods that misbehave in every way we know of.

Importing it imports no torch. What a method does stands in its class, one after another.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

from srbench import DatasetInfo, MethodInfo, hookimpl

WAYS = (
    "good", "early", "raises-in-fit", "raises-in-forward", "raises-in-build", "lacks-a-package",
    "exits", "exits-at-once", "segfaults", "kills-itself", "aborts-without-memory",
    "gpu-out-of-memory", "out-of-memory", "holds-the-gil", "ignores-sigterm", "leaves-a-daemon",
    "hangs-with-a-daemon", "gives-inf", "gives-nan-in-one", "gives-another-shape",
    "gives-bytes", "gives-a-list", "gives-another-range", "prints", "prints-to-the-descriptor",
    "writes-files", "changes-everything", "starts-threads")
PRINTED = 1 << 30  # bytes
MEBIBYTE = b"nothing to see here " * 52_428 + b"and so on\n......\n"[:16]
THREADS = 1000


def class_name(way):
    return "".join(word.title() for word in way.split("-"))


@hookimpl
def srbench_methods():
    methods = [MethodInfo(name=f"hostile-{way}", summary=f"A method that {way}.",
                          load=f"{__name__}:{class_name(way)}") for way in WAYS]
    return [*methods, MethodInfo(name="hostile-breaks-on-import", summary="Cannot be imported.",
                                 load=f"{__name__}:BreaksOnImport")]


@hookimpl
def srbench_datasets():
    return [DatasetInfo(name="small-images", summary="Smooth images and brighter ones.",
                        load=f"{__name__}:SmallImages")]


def __getattr__(name):
    if name == "BreaksOnImport":
        import runpy

        runpy.run_path(str(Path(__file__).with_name("hostile_import.py")))
    classes = _classes()
    if name in classes:
        return classes[name]
    raise AttributeError(name)


_cache: dict = {}


def _classes():
    """Build the classes on first use, so that discovery imports no torch."""
    if not _cache:
        _cache["SmallImages"] = _dataset()
        good = _good()
        _cache["Good"] = good
        for make in (_that_end, _that_stay, _that_give, _that_leave_traces):
            _cache.update({kind.__name__: kind for kind in make(good)})
    return _cache


def _dataset():
    import torch

    from srbench import Dataset, Parameters, Problem

    class SmallImages(Dataset):
        known_map = True
        source = "generated"

        def __init__(self, params: Parameters, name: str) -> None:
            super().__init__(params, name)
            self.problem = Problem(domain="image", lr_shape=(3, 16, 16), hr_shape=(3, 16, 16))

        def fingerprint(self):
            return hashlib.sha256(b"small images, version 1").hexdigest()

        def sample_lr(self, n, generator):
            coarse = torch.rand(n, 3, 4, 4, generator=generator)
            return torch.nn.functional.interpolate(coarse, size=16, mode="bilinear") - 0.6

        def sample_hr(self, n, generator):
            return self.sample_lr(n, generator) + 0.2

        def test_batches(self, batch_size):
            return self._pairs(1, 40, batch_size)

        def validation_batches(self, batch_size):
            return self._pairs(2, 8, batch_size)

        def _pairs(self, seed, count, batch_size):
            lr = self.sample_lr(count, torch.Generator().manual_seed(seed))
            for part in lr.split(batch_size):
                yield part, part + 0.2

        def facts(self):
            return {"hr_variance": 40.0, "test_size": 40}

    return SmallImages


def _good():
    import torch

    from srbench import Method

    class Good(Method):
        """Learns how much brighter the images are."""

        def build(self):
            self.offset = torch.nn.Parameter(torch.zeros(()))

        def fit(self, training):
            self.before()
            optimizer = training.track(optimizer=torch.optim.Adam(self.parameters(), lr=0.05))
            for step in training.steps(20):
                loss = (self(training.lr(8)).mean() - training.hr(8).mean()).square()
                step.minimize(loss, optimizer)
            self.after()

        def before(self):
            """What a hostile method does first."""

        def after(self):
            """What it does when it has learned."""

        def forward(self, lr):
            return self.given(lr + self.offset)

        def given(self, output):
            """What it returns: in train mode always what is right."""
            return output

    return Good


def _that_end(good):
    """Methods that end before their time."""
    import torch

    class Early(good):
        def fit(self, training):
            return

    class RaisesInFit(good):
        def before(self):
            raise RuntimeError("the hostile fit gives up")

    class RaisesInForward(good):
        def given(self, output):
            raise ZeroDivisionError("the hostile forward gives up")

    class RaisesInBuild(good):
        def build(self):
            raise ValueError("the hostile build gives up")

    class LacksAPackage(good):
        def before(self):
            import a_package_nobody_has.inside  # noqa: F401

    class Exits(good):
        def before(self):
            sys.exit(0)

    class ExitsAtOnce(good):
        def before(self):
            os._exit(0)

    class Segfaults(good):
        def before(self):
            ctypes.string_at(0)

    class KillsItself(good):
        def before(self):
            os.kill(os.getpid(), signal.SIGKILL)

    class AbortsWithoutMemory(good):
        def before(self):
            os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n"
                        b"  what():  std::bad_alloc\n")
            os.abort()

    class GpuOutOfMemory(good):
        def before(self):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80.00 GiB.")

    class OutOfMemory(good):
        def before(self):
            bytearray(1 << 62)

    return (Early, RaisesInFit, RaisesInForward, RaisesInBuild, LacksAPackage, Exits, ExitsAtOnce,
            Segfaults, KillsItself, AbortsWithoutMemory, GpuOutOfMemory, OutOfMemory)


def leave_a_daemon():
    """A grandchild in a session of its own, whose parent has ended; its number is in a file."""
    if (child := os.fork()) == 0:
        os.setsid()
        if os.fork() == 0:
            Path("daemon.new").write_text(str(os.getpid()))
            Path("daemon.new").rename("daemon")
            time.sleep(600)
        os._exit(0)
    os.waitpid(child, 0)
    while not Path("daemon").exists():
        time.sleep(0.01)


def _that_stay(good):
    """Methods that do not end, or leave somebody behind who does not."""
    class HoldsTheGil(good):
        def before(self):
            while True:  # a signal ends the C library's sleep
                ctypes.PyDLL(None).sleep(600)

    class IgnoresSigterm(good):
        def before(self):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                time.sleep(1)

    class LeavesADaemon(good):
        def before(self):
            leave_a_daemon()

    class HangsWithADaemon(good):
        def before(self):
            leave_a_daemon()
            time.sleep(600)

    return HoldsTheGil, IgnoresSigterm, LeavesADaemon, HangsWithADaemon


def _that_give(good):
    """Methods that return what is no image of the right kind."""
    import torch

    class Given(good):
        def given(self, output):
            return output if self.training else self.wrong(output)

    class GivesInf(Given):
        def wrong(self, output):
            return output / 0

    class GivesNanInOne(Given):
        def wrong(self, output):
            if len(output) == 40:
                output[17, 1, 2, 3] = torch.nan
            return output

    class GivesAnotherShape(Given):
        def wrong(self, output):
            return output[..., :-1]

    class GivesBytes(Given):
        def wrong(self, output):
            return ((output + 1) * 127.5).byte()

    class GivesAList(Given):
        def wrong(self, output):
            return output.tolist()

    class GivesAnotherRange(Given):
        def wrong(self, output):
            return (output + 1) * 127.5

    return (GivesInf, GivesNanInOne, GivesAnotherShape, GivesBytes, GivesAList,
            GivesAnotherRange)


def _that_leave_traces(good):
    """Methods that work and do something else besides."""
    import numpy as np
    import torch

    class Prints(good):
        def before(self):
            text = MEBIBYTE.decode()
            for _ in range(PRINTED >> 20):
                sys.stdout.write(text)
            sys.stdout.write("the last words on stdout\n")
            sys.stdout.flush()

    class PrintsToTheDescriptor(good):
        def before(self):
            for _ in range(PRINTED >> 20):
                rest = MEBIBYTE
                while rest:
                    rest = rest[os.write(1, rest):]
            os.write(1, b"the last words on the descriptor\n")

    class WritesFiles(good):
        def before(self):
            Path("beside.txt").write_text("written by a method")
            Path("sub").mkdir(exist_ok=True)
            Path("sub/deep.txt").write_text("deep")

    class ChangesEverything(good):
        def after(self):
            os.chdir("/")
            os.environ["HOSTILE"] = "1"
            os.environ.pop("PATH", None)
            np.mean = lambda *given, **named: 0.0
            torch.mean = lambda *given, **named: torch.zeros(())
            torch.set_default_dtype(torch.float64)
            torch.set_num_threads(2)
            torch.set_grad_enabled(False)
            torch.use_deterministic_algorithms(True)
            torch.manual_seed(666)
            np.random.seed(666)

    class StartsThreads(good):
        def before(self):
            threading.stack_size(64 << 10)
            for _ in range(THREADS):
                threading.Thread(target=time.sleep, args=(600,)).start()

    return Prints, PrintsToTheDescriptor, WritesFiles, ChangesEverything, StartsThreads
