"""A one-file plugin for tests: a vector dataset with a known map, methods that end in every way."""

from __future__ import annotations

import hashlib
import os
import signal
import time

from srbench import DatasetInfo, MethodInfo, hookimpl

WAYS = ("shift", "slow", "raise", "exit", "segv", "hang", "nan", "skip", "missing", "oom", "shape")


@hookimpl
def srbench_methods():
    return [MethodInfo(name=f"toy-{way}", summary=f"A toy that ends by: {way}.",
                       load=f"{__name__}:{way.title()}") for way in WAYS]


@hookimpl
def srbench_datasets():
    return [DatasetInfo(name="toy", summary="Gaussian and its shift by one.",
                        load=f"{__name__}:Toy")]


def __getattr__(name):
    classes = _classes()
    if name in classes:
        return classes[name]
    raise AttributeError(name)


_cache: dict = {}


def _classes():
    """Build the classes on first use, so that discovery imports no torch."""
    if _cache:
        return _cache
    import torch

    from srbench import Dataset, Field, Method, Parameters, Problem, Skipped

    class Toy(Dataset):
        class Params(Parameters):
            dim: int = Field(4, ge=1)
            test_size: int = Field(64, ge=1)

        known_map = True
        source = "generated"

        def __init__(self, params, name):
            super().__init__(params, name)
            shape = (params.dim,)
            self.problem = Problem(domain="vector", lr_shape=shape, hr_shape=shape)

        def fingerprint(self):
            text = f"toy {self.params.dim} {self.params.test_size}"
            return hashlib.sha256(text.encode()).hexdigest()

        def prepare(self, device):
            self.device = device

        def sample_lr(self, n, generator):
            return torch.randn(n, self.params.dim, generator=generator, device=self.device)

        def sample_hr(self, n, generator):
            return self.sample_lr(n, generator) + 1

        def _pairs(self, seed, size, batch_size):
            generator = torch.Generator().manual_seed(seed)
            lr = torch.randn(size, self.params.dim, generator=generator)
            for chunk in lr.split(batch_size):
                yield chunk.to(self.device), chunk.to(self.device) + 1

        def test_batches(self, batch_size):
            return self._pairs(1, self.params.test_size, batch_size)

        def validation_batches(self, batch_size):
            return self._pairs(2, 32, batch_size)

        def facts(self):
            return {"hr_variance": float(self.params.dim), "transport_cost": self.params.dim / 2,
                    "test_size": self.params.test_size}

    class Shift(Method):
        class Params(Parameters):
            iterations: int = Field(200, ge=1)
            lr: float = Field(0.05, gt=0)
            sleep: float = Field(0.0, ge=0)

        def build(self):
            self.offset = torch.nn.Parameter(torch.zeros(self.problem.dim))

        def fit(self, training):
            optimizer = training.track(optimizer=torch.optim.Adam(self.parameters(),
                                                                  lr=self.params.lr))
            for step in training.steps(self.params.iterations):
                gap = self(training.lr(64)).mean(0) - training.hr(64).mean(0)
                loss = gap.square().sum()
                step.minimize(loss, optimizer)
                step.log(loss=loss)
                if self.params.sleep:
                    time.sleep(self.params.sleep)

        def forward(self, lr):
            return lr + self.offset

    class Slow(Shift):
        class Params(Shift.Params):
            sleep: float = Field(0.05, ge=0)

    def ends(name, action):
        return type(name, (Shift,), {"fit": lambda self, training: action()})

    class Nan(Shift):
        def fit(self, training):
            optimizer = training.track(optimizer=torch.optim.SGD(self.parameters(), lr=1.0))
            for step in training.steps(100):
                loss = (self.offset.sum() - 1).square() * (float("nan") if step.index == 7 else 1)
                step.minimize(loss, optimizer)

    class Skip(Shift):
        def build(self):
            raise Skipped("this toy makes no sense here")

    class Shape(Shift):
        def forward(self, lr):
            return lr[:, :1]

    def raise_error():
        raise RuntimeError("the toy is broken")

    def out_of_memory():
        raise MemoryError("the toy wants more")

    def missing():
        from srbench.errors import MissingDependency

        raise MissingDependency("the package 'toyland' is not installed",
                                hint="pip install toyland")

    _cache.update(Toy=Toy, Shift=Shift, Slow=Slow, Nan=Nan, Skip=Skip, Shape=Shape,
                  Raise=ends("Raise", raise_error), Exit=ends("Exit", lambda: os._exit(0)),
                  Segv=ends("Segv", lambda: os.kill(os.getpid(), signal.SIGSEGV)),
                  Hang=ends("Hang", lambda: time.sleep(600)), Oom=ends("Oom", out_of_memory),
                  Missing=ends("Missing", missing))
    return _cache
