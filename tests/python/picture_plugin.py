"""A one-file plugin for tests: small images at scale 2, and maps whose every part can go wrong."""

from __future__ import annotations

from srbench import DatasetInfo, MethodInfo, hookimpl


@hookimpl
def srbench_methods():
    return [MethodInfo(name=name, summary="A small network.", load=f"{__name__}:{cls}")
            for name, cls in (("pix", "Net"), ("pix-rigid", "Rigid"), ("pix-still", "Still"))]


@hookimpl
def srbench_datasets():
    return [DatasetInfo(name="pixels", summary="Waves, blurred.", load=f"{__name__}:Pixels")]


_cache: dict = {}


def __getattr__(name):
    if not _cache:
        _cache.update(_classes())
    if name in _cache:
        return _cache[name]
    raise AttributeError(name)


def _classes():
    import torch
    from torch import nn
    from torch.nn.functional import avg_pool2d

    from srbench import Dataset, Field, Method, Parameters, Problem

    class Pixels(Dataset):
        class Params(Parameters):
            hue: float = Field(0.2, ge=-1, le=1)

        source = "generated"

        def __init__(self, params, name):
            super().__init__(params, name)
            self.problem = Problem(domain="sr", lr_shape=(3, 8, 8), hr_shape=(3, 16, 16), scale=2)

        def fingerprint(self):
            return f"{self.params.hue:+.3f}".encode().hex().ljust(64, "0")

        def prepare(self, device):
            self.device = device

        def sample_hr(self, n, generator):
            phase = torch.rand(n, 3, 16, 1, generator=generator) * 3
            return torch.sin(phase + torch.arange(16) / 3) * 0.8 + self.params.hue

        def sample_lr(self, n, generator):
            return avg_pool2d(self.sample_hr(n, generator), 2)

        def _pairs(self, seed, batch_size):
            hr = self.sample_hr(20, torch.Generator().manual_seed(seed))
            for part in hr.split(batch_size):
                yield avg_pool2d(part, 2), part

        def test_batches(self, batch_size):
            return self._pairs(1, batch_size)

        def validation_batches(self, batch_size):
            return self._pairs(2, batch_size)

        def facts(self):
            return {"test_size": 20}

    class Net(Method):
        class Params(Parameters):
            iterations: int = Field(8, ge=1)

        def build(self):
            self.norm = nn.BatchNorm2d(3)
            self.conv = nn.Conv2d(3, 12, 3, padding=1)
            self.drop = nn.Dropout(0.5)
            self.seen = 0  # of calls: nothing a map may depend on

        def fit(self, training):
            optimizer = training.track(optimizer=torch.optim.Adam(self.parameters(), lr=0.01))
            for step in training.steps(self.params.iterations):
                gap = self(training.lr(8)).mean() - training.hr(8).mean()
                step.minimize(gap.square(), optimizer)

        def forward(self, lr):
            return nn.functional.pixel_shuffle(self.drop(self.conv(self.norm(lr))), 2)

    class Rigid(Net):
        """Takes images of one size."""

        def build(self):
            super().build()
            self.bias = nn.Parameter(torch.zeros(3, 16, 16))

        def forward(self, lr):
            return super().forward(lr) + self.bias

    class Still(Method):
        """Learns without a step."""

        def build(self):
            self.colour: torch.Tensor
            self.register_buffer("colour", torch.zeros(3, 1, 1))

        def fit(self, training):
            self.colour.copy_(training.hr(64).mean((0, 2, 3)).view(3, 1, 1))

        def forward(self, lr):
            sides = [2 * side for side in lr.shape[2:]]
            return self.colour.expand(len(lr), 3, *sides)

    return {"Pixels": Pixels, "Net": Net, "Rigid": Rigid, "Still": Still}
