"""A small sound method, and a way to ask one check about a variant of it in this process."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from srbench import Field, Method, MethodInfo, Parameters
from srbench.conformance.check import Check, Failed, NotTried
from srbench.conformance.method_subject import MethodSubject
from srbench.conformance.registry import checks
from srbench.registry.catalog import Entry

CITATION = "@misc{toy, author = {A}, title = {T}, year = {2026}}"


class Toy(Method):
    """A linear map on vectors, a convolution on images, added to the (upsampled) input."""

    class Params(Parameters):
        iterations: int = Field(30, ge=1)
        milestones: list[int] = Field([10, 20])
        presets: ClassVar = {"quick": {}, "paper": {"iterations": 100}}

    def build(self) -> None:
        d, s = self.problem.dim, self.problem.scale
        self.net = nn.Sequential(nn.Conv2d(3, 3 * s * s, 3, padding=1), nn.PixelShuffle(s)) \
            if self.problem.is_image else nn.Linear(d, d)

    def fit(self, training) -> None:
        optimizer = training.track(optimizer=torch.optim.Adam(self.parameters(), lr=1e-2))
        for step in training.steps(self.params.iterations):
            self.one(training, step, optimizer)

    def one(self, training, step, optimizer) -> None:
        loss = (self(training.lr(4)).mean(0) - training.hr(4).mean(0)).square().mean()
        step.minimize(loss, optimizer)
        step.log(loss=loss)

    def forward(self, lr):
        s = self.problem.scale
        return (lr if s == 1 else F.interpolate(lr, scale_factor=float(s))) + self.net(lr)


def subject_of(kind: type, problem: str = "vectors", **info: Any) -> MethodSubject:
    """A method as the catalog would have it."""
    words = {"name": kind.__name__.lower(), "summary": "A toy.", "citation": CITATION,
             "licence": "MIT", "load": f"{kind.__module__}:{kind.__name__}", **info}
    entry = Entry(MethodInfo(**words), "toy", "toys", "1", sys.modules[kind.__module__])

    class Subject(MethodSubject):
        def load(self) -> type:
            return kind

    return Subject(entry, problem=problem)


@cache
def by_name() -> dict[str, Check]:
    """All checks of methods."""
    return {check.name: check for check in checks("method")}


def said(kind: type | MethodSubject, check: str, problem: str = "vectors") -> str:
    """What a check says of a method: its complaint, ``"not tried: ..."``, or nothing."""
    subject = kind if isinstance(kind, MethodSubject) else subject_of(kind, problem)
    try:
        by_name()[check].run(subject)
    except Failed as error:
        return str(error)
    except NotTried as error:
        return f"not tried: {error}"
    return ""
