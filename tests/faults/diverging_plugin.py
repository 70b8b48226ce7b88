"""A one-file plugin for tests: methods in one of whose networks numbers stop being finite."""

from __future__ import annotations

from srbench import MethodInfo, hookimpl

WAYS = ("loss", "gradient", "potential", "weights")


@hookimpl
def srbench_methods():
    return [MethodInfo(name=f"diverges-in-{way}", summary=f"Its {way} is not finite.",
                       load=f"{__name__}:{way.title()}") for way in WAYS]


def __getattr__(name):
    if name.lower() in WAYS:
        return _method(name)
    raise AttributeError(name)


def _method(name):
    """Build a class on first use, so that discovery imports no torch."""
    import torch

    from srbench import Field, Method, Parameters

    class Diverging(Method):
        class Params(Parameters):
            at: int = Field(30, ge=1)

        def build(self):
            self.offset = torch.nn.Parameter(torch.zeros(self.problem.dim))

        def forward(self, lr):
            return lr + self.offset

        def fit(self, training):
            f = training.track(f=torch.nn.Linear(self.problem.dim, 1))
            map_optimizer, f_optimizer = training.track(
                map=torch.optim.SGD(self.parameters(), 1e-3), f_sgd=torch.optim.SGD(
                    f.parameters(), 1e-3))
            for step in training.steps(60):
                now = step.index + 1 == self.params.at
                gap = (self(training.lr(8)).mean(0) - training.hr(8).mean(0)).square().sum()
                if now and name == "Loss":
                    gap = gap * torch.nan
                if now and name == "Gradient":  # sqrt(0) is 0, its slope infinite
                    gap = gap + (self.offset - self.offset.detach()).sum().sqrt()
                step.minimize(gap, map_optimizer)
                value = f(training.hr(8)).mean().square()
                step.minimize(value / 0 if now and name == "Potential" else value, f_optimizer)
            if name == "Weights":  # behind the last step, where no loss tells
                with torch.no_grad():
                    self.offset[0] = torch.inf

    Diverging.__name__ = name
    return Diverging
