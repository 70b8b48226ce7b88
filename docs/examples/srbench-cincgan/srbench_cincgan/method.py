"""CinCGAN of Yuan et al. (2018): a cycle that cleans LR images inside one that enlarges them.

x is a noisy LR image, z an unpaired HR image, y = z shrunk by 4 is a clean LR image.
G1 = ``clean`` takes x to y, SR = ``sr`` y to z; G2 and G3, each the ``back`` of its cycle, take
y and z to x.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from srbench import Field, Method, Parameters, Skipped, Training
from srbench.networks import EDSR, imresize, up_bicubic
from srbench.training import Step
from srbench_cincgan.losses import (
    absolute_loss,
    generator_loss,
    judge_loss,
    square_loss,
    total_variation,
)
from srbench_cincgan.networks import Judge, Pool, Translator

SCALE = 4


class CinCGAN(Method):
    """T(x) = SR(G1(x)), learned in three stages: inner cycle, SR on bicubic pairs, both jointly."""

    class Params(Parameters):
        """The paper's values, but for the steps of SR and of the joint stage: see README."""

        clean_iterations: int = Field(400_000, ge=1, description="steps of the inner cycle alone")
        sr_iterations: int = Field(300_000, ge=1, description="steps of SR on bicubic pairs")
        joint_iterations: int = Field(400_000, ge=1, description="steps of both cycles")
        batch_size: int = Field(16, ge=1, le=256, description="crops of each of P and Q")
        crop: int = Field(32, ge=16, le=256, description="side of LR crops; HR ones are 4 times it")
        lr: float = Field(2e-4, gt=0, le=1, description="Adam, inner cycle")
        sr_lr: float = Field(1e-4, gt=0, le=1, description="Adam, SR on bicubic pairs")
        joint_lr: float = Field(1e-4, gt=0, le=1, description="Adam, both cycles")
        halve_every: int = Field(40_000, ge=1, description="steps after which rates are halved")
        beta1: float = Field(0.5, ge=0, lt=1, description="Adam, except for SR alone: 0.9 there")
        w_cycle: float = Field(10.0, ge=0, description="inner: weight of G2(G1(x)) - x")
        w_identity: float = Field(5.0, ge=0, description="inner: weight of G1(y) - y")
        w_tv: float = Field(0.5, ge=0, description="inner: weight of the variation of G1(x)")
        v_cycle: float = Field(10.0, ge=0, description="outer: weight of G3(T(x)) - x")
        v_identity: float = Field(5.0, ge=0, description="outer: weight of SR(y) - z")
        v_tv: float = Field(2.0, ge=0, description="outer: weight of the variation of T(x)")
        features: int = Field(64, ge=1, le=1024, description="width of G1, G2, G3 and D1, D2")
        blocks: int = Field(6, ge=0, le=64, description="residual blocks of G1, G2, G3")
        sr_features: int = Field(256, ge=1, le=1024, description="width of EDSR")
        sr_blocks: int = Field(32, ge=0, le=128, description="residual blocks of EDSR")
        sr_res_scale: float = Field(0.1, gt=0, le=1, description="factor of EDSR's blocks")
        residual: bool = Field(False, description="add networks to their input or its enlargement")
        pool: int = Field(50, ge=1, le=1000, description="fakes kept for D; at least a batch is")
        clean_share: float = Field(0.4, gt=0, lt=1, description="of a budget, when stage 1 ends")
        sr_share: float = Field(0.6, gt=0, lt=1, description="of a budget, when stage 2 ends")
        presets: ClassVar[dict[str, dict[str, Any]]] = {
            "paper": {},
            "quick": {
                "clean_iterations": 300,
                "sr_iterations": 600,
                "joint_iterations": 150,
                "batch_size": 4,
                "crop": 24,
                "features": 16,
                "blocks": 2,
                "sr_features": 32,
                "sr_blocks": 4,
                "sr_res_scale": 1.0,
                "sr_lr": 5e-4,
                "residual": True,
            },
        }

    params: Params

    def build(self) -> None:
        """Make G1 and SR; other problems than x4 photographs are skipped."""
        if self.problem.domain != "sr" or self.problem.scale != SCALE:
            found = f"domain {self.problem.domain}, scale {self.problem.scale}"
            raise Skipped(f"CinCGAN enlarges photographs by {SCALE}, not {found}")
        p = self.params
        self.clean = Translator(p.features, p.blocks, residual=p.residual)
        self.sr = EDSR(p.sr_blocks, p.sr_features, scale=SCALE, res_scale=p.sr_res_scale)

    def enlarge(self, clean: Tensor) -> Tensor:  # (N, 3, h, w) -> (N, 3, 4 h, 4 w)
        """SR(y)."""
        out: Tensor = self.sr(clean)
        return out + up_bicubic(clean, SCALE) if self.params.residual else out

    def forward(self, lr: Tensor) -> Tensor:  # (N, 3, h, w) -> (N, 3, 4 h, 4 w)
        """T(x) = SR(G1(x))."""
        return self.enlarge(self.clean(lr))

    def notes(self) -> list[str]:
        """What differs from what the paper says."""
        said = ["EDSR is trained here on bicubic pairs; the paper starts from published weights."]
        if self.params.residual:
            said.append("G1, G2, G3 and EDSR are added to their input or to its enlargement.")
        return said

    def fit(self, training: Training) -> None:
        """Three stages; the networks that only help are tracked, not released."""
        inner = Inner(self, training)
        self.learn_to_clean(training, inner)
        self.learn_to_enlarge(training)
        self.learn_jointly(training, inner, Outer(self, training))

    def draw(self, training: Training) -> tuple[Tensor, Tensor, Tensor]:
        """Noisy LR x, clean LR y and HR z, where y = z shrunk and x has nothing to do with both."""
        p = self.params
        x = training.lr(p.batch_size, size=p.crop)
        z = training.hr(p.batch_size, size=SCALE * p.crop)
        return x, imresize(z, 1 / SCALE), z

    def learn_to_clean(self, training: Training, inner: Inner) -> None:
        """Stage 1: the inner cycle alone."""
        p = self.params
        for step in training.stage("clean", until=p.clean_share).steps(p.clean_iterations):
            inner.set_rate(p.lr * 0.5 ** (step.index // p.halve_every))
            x, y, _ = self.draw(training)
            step.log(**inner.update(step, x, y))

    def learn_to_enlarge(self, training: Training) -> None:
        """Stage 2: SR on bicubic pairs, with L1 as EDSR has it."""
        p = self.params
        adam = training.track(sr_adam=torch.optim.Adam(self.sr.parameters(), lr=p.sr_lr))
        for step in training.stage("enlarge", until=p.sr_share).steps(p.sr_iterations):
            z = training.hr(p.batch_size, size=SCALE * p.crop)
            loss = absolute_loss(self.enlarge(imresize(z, 1 / SCALE)), z)
            step.minimize(loss, adam)
            step.log(sr=loss)

    def learn_jointly(self, training: Training, inner: Inner, outer: Outer) -> None:
        """Stage 3: a step of the inner cycle, then one of the outer cycle through G1."""
        p = self.params
        for step in training.stage("joint").steps(p.joint_iterations):
            rate = p.joint_lr * 0.5 ** (step.index // p.halve_every)
            inner.set_rate(rate)
            outer.set_rate(rate)
            x, y, z = self.draw(training)
            step.log(**inner.update(step, x, y), **outer.update(step, x, y, z))


class Cycle:
    """What both cycles have: a way back, a discriminator with its pool, two optimizers."""

    def __init__(
        self, method: CinCGAN, training: Training, name: str, forth: Iterable[nn.Parameter]
    ) -> None:
        self.method, self.params = method, method.params
        p = self.params
        outer = name == "outer"
        side = p.crop * (SCALE if outer else 1)
        self.back: nn.Module = Translator(
            p.features, p.blocks, shrink=SCALE if outer else 1, residual=p.residual
        )
        self.judge: nn.Module = Judge(p.features, stride=2 if outer else 1)
        self.pool = Pool(max(p.pool, p.batch_size), (3, side, side))
        training.track(
            **{f"{name}_back": self.back, f"{name}_judge": self.judge, f"{name}_pool": self.pool}
        )
        betas = (p.beta1, 0.999)
        self.adam = torch.optim.Adam([*forth, *self.back.parameters()], betas=betas)
        self.judge_adam = torch.optim.Adam(self.judge.parameters(), betas=betas)
        training.track(**{f"{name}_adam": self.adam, f"{name}_judge_adam": self.judge_adam})
        self.chance = training.generator(f"{name}_pool")

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of both optimizers."""
        for group in (*self.adam.param_groups, *self.judge_adam.param_groups):
            group["lr"] = rate

    def judge_step(self, step: Step, real: Tensor, fake: Tensor) -> Tensor:
        """Let the discriminator learn from real images and from fakes out of the pool."""
        shown = self.pool.swap(fake.detach(), self.chance)
        loss = judge_loss(self.judge(real), self.judge(shown))
        step.minimize(loss, self.judge_adam)
        return loss


class Inner(Cycle):
    """G1 and G2 between noisy and clean LR images (equation 5)."""

    def __init__(self, method: CinCGAN, training: Training) -> None:
        super().__init__(method, training, "inner", method.clean.parameters())

    def update(self, step: Step, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """A step of D1, then one of G1 and G2; what they minimised."""
        p, clean = self.params, self.method.clean
        fake = clean(x)
        judged = self.judge_step(step, y, fake)
        loss = (
            generator_loss(self.judge(fake))
            + p.w_cycle * square_loss(self.back(fake), x)
            + p.w_identity * absolute_loss(clean(y), y)
            + p.w_tv * total_variation(fake)
        )
        step.minimize(loss, self.adam)
        return {"inner_judge": judged, "inner": loss}


class Outer(Cycle):
    """T = SR(G1) and G3 between noisy LR and HR images (equation 10)."""

    def __init__(self, method: CinCGAN, training: Training) -> None:
        super().__init__(method, training, "outer", method.parameters())

    def update(self, step: Step, x: Tensor, y: Tensor, z: Tensor) -> dict[str, Tensor]:
        """A step of D2, then one of G1, SR and G3; what they minimised."""
        p = self.params
        fake = self.method(x)
        judged = self.judge_step(step, z, fake)
        loss = (
            generator_loss(self.judge(fake))
            + p.v_cycle * square_loss(self.back(fake), x)
            + p.v_identity * square_loss(self.method.enlarge(y), z)
            + p.v_tv * total_variation(fake)
        )
        step.minimize(loss, self.adam)
        return {"outer_judge": judged, "outer": loss}
