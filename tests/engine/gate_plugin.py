"""A plugin for tests: a training that stops half way until a file is there.

The file is named by the environment variable ``GATE``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from srbench import MethodInfo, hookimpl


@hookimpl
def srbench_methods():
    return [MethodInfo(name="toy-gate", summary="A toy that waits half way.",
                       load=f"{__name__}:Gate")]


def __getattr__(name):
    if name != "Gate":
        raise AttributeError(name)
    import torch

    from srbench import Method, Parameters

    class Gate(Method):
        class Params(Parameters):
            iterations: int = 40

        def build(self):
            self.offset = torch.nn.Parameter(torch.zeros(self.problem.dim))

        def fit(self, training):
            optimizer = training.track(optimizer=torch.optim.Adam(self.parameters(), lr=0.05))
            for step in training.steps(self.params.iterations):
                gap = self(training.lr(64)).mean(0) - training.hr(64).mean(0)
                step.minimize(gap.square().sum(), optimizer)
                time.sleep(0.02)  # long enough to tell of a step before the gate
                while step.index == 20 and not Path(os.environ["GATE"]).exists():
                    time.sleep(0.02)

        def forward(self, lr):
            return lr + self.offset

    globals()[name] = Gate
    return Gate
