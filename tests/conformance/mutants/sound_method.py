"""A sound method in one file: every check of methods passes. Mutants are made from its text."""

from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from srbench import Field, Method, MethodInfo, Parameters, hookimpl

CITATION = """@misc{sound2026,
  author = {Nobody, N.},
  title = {A Sound Method},
  year = {2026}
}"""


@hookimpl
def srbench_methods():
    return [MethodInfo(name="sound", summary="Matches mean colours with a small network.",
                       load=f"{__name__}:Sound", citation=CITATION, licence="MIT")]


class Sound(Method):
    class Params(Parameters):
        iterations: int = Field(200, ge=1)
        batch_size: int = Field(8, ge=1)
        rate: float = Field(1e-2, gt=0)

        presets: ClassVar = {"quick": {"iterations": 60}, "paper": {}, "code": {}}

    def build(self):
        if self.problem.is_image:
            scale = self.problem.scale
            self.net = nn.Sequential(
                nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
                nn.Conv2d(8, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))
        else:
            self.net = nn.Sequential(nn.Linear(self.problem.dim, 16), nn.ReLU(),
                                     nn.Linear(16, self.problem.dim))

    def fit(self, training):
        optimizer = torch.optim.Adam(self.parameters(), lr=self.params.rate)
        optimizer = training.track(optimizer=optimizer)
        for step in training.steps(self.params.iterations):
            lr, hr = training.lr(self.params.batch_size), training.hr(self.params.batch_size)
            mapped = self(lr)
            loss = (colour(mapped) - colour(hr)).square().sum()
            step.minimize(loss, optimizer)
            step.log(loss=loss)

    def forward(self, lr):
        return upsampled(lr, self.problem.scale) + self.net(lr)


def upsampled(lr, scale):
    return F.interpolate(lr, scale_factor=scale, mode="bilinear") if scale > 1 else lr


def colour(samples):
    """Mean of the batch: of each channel of images, of each value of vectors."""
    return samples.mean((0, 2, 3)) if samples.dim() == 4 else samples.mean(0)
