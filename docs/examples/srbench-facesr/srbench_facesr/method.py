"""FaceSR of Bulat et al. (2018): learn how images degrade, then undo it on pairs made that way.

High-to-low turns an HR image y and noise into an LR image that a critic cannot tell from a real
one; low-to-high T turns it back, against y and a second critic. Only T is the map.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from srbench import Field, Method, Parameters, Skipped, Training
from srbench.training import Step
from srbench_facesr.losses import critic_loss, generator_loss, pixel_loss
from srbench_facesr.networks import SCALE, Critic, HighToLow, LowToHigh


class FaceSR(Method):
    """T, learned in two stages: high-to-low against LR images, then low-to-high on its pairs."""

    class Params(Parameters):
        """The paper's values, but for the numbers of steps: see README."""

        degrade_iterations: int = Field(200_000, ge=1, description="steps of high-to-low")
        iterations: int = Field(200_000, ge=1, description="steps of low-to-high")
        critic_steps: int = Field(
            5, ge=1, le=20, description="steps of a critic for each of a generator"
        )
        batch_size: int = Field(64, ge=1, le=1024, description="crops of each of P and Q")
        crop: int = Field(
            16, ge=16, le=128, multiple_of=4, description="side of LR crops; HR is 4 x"
        )
        lr: float = Field(1e-4, gt=0, le=1, description="Adam, all networks")
        beta1: float = Field(0.0, ge=0, lt=1, description="Adam")
        beta2: float = Field(0.9, ge=0, lt=1, description="Adam")
        pixel_weight: float = Field(1.0, ge=0, description="alpha: squared error, both stages")
        gan_weight: float = Field(0.05, ge=0, description="beta: adversarial loss, both stages")
        noise: int = Field(64, ge=1, le=1024, description="length of high-to-low's noise vector")
        features: int = Field(64, ge=1, le=1024, description="width of all networks")
        depth: int = Field(2, ge=1, le=16, description="blocks at each size in high-to-low")
        low_blocks: int = Field(12, ge=0, le=64, description="blocks of T at the size of LR")
        middle_blocks: int = Field(3, ge=0, le=64, description="blocks of T at twice that size")
        high_blocks: int = Field(2, ge=0, le=64, description="blocks of T at the size of HR")
        critic_blocks: int = Field(6, ge=1, le=16, description="blocks of both critics")
        residual: bool = Field(
            False, description="add generators to the averaged or enlarged input"
        )
        degrade_share: float = Field(0.5, gt=0, lt=1, description="of a budget, for high-to-low")
        presets: ClassVar[dict[str, dict[str, Any]]] = {
            "paper": {},
            "quick": {
                "degrade_iterations": 150,
                "iterations": 400,
                "critic_steps": 1,
                "batch_size": 8,
                "lr": 4e-4,
                "features": 16,
                "depth": 1,
                "low_blocks": 3,
                "middle_blocks": 1,
                "high_blocks": 1,
                "critic_blocks": 3,
                "residual": True,
            },
        }

    params: Params

    def build(self) -> None:
        """Make T; other problems than x4 photographs are skipped."""
        if self.problem.domain != "sr" or self.problem.scale != SCALE:
            found = f"domain {self.problem.domain}, scale {self.problem.scale}"
            raise Skipped(f"FaceSR enlarges photographs by {SCALE}, not {found}")
        p = self.params
        depths = (p.low_blocks, p.middle_blocks, p.high_blocks)
        self.enlarge = LowToHigh(depths, p.features, residual=p.residual)

    def forward(self, lr: Tensor) -> Tensor:
        """T(x): (N, 3, h, w) -> (N, 3, 4 h, 4 w)."""
        out: Tensor = self.enlarge(lr)
        return out

    def notes(self) -> list[str]:
        """What differs from what the paper says."""
        crop = self.params.crop
        said = [f"Learned on {crop}-pixel crops of photographs; the paper has whole faces of 16."]
        if self.params.residual:
            said.append("Generators are added to the averaged or enlarged input.")
        return said

    def fit(self, training: Training) -> None:
        """Learn the degradation, freeze it, learn to undo it."""
        p = self.params
        degrade = HighToLow(SCALE * p.crop, p.noise, p.features, p.depth, residual=p.residual)
        training.track(degrade=degrade)
        self.learn_to_degrade(training, degrade)
        degrade.eval().requires_grad_(False)
        self.learn_to_enlarge(training, degrade)

    def learn_to_degrade(self, training: Training, degrade: HighToLow) -> None:
        """Stage 1: high-to-low, close to the averaged HR image, against the critic of LR images."""
        p = self.params
        game = Game(self, training, "low", degrade, p.crop)
        chance = training.generator("low_noise")
        stage = training.stage("high-to-low", until=p.degrade_share)
        for step in stage.steps(p.degrade_iterations):
            for _ in range(p.critic_steps):
                hr, noise = self.draw(training, chance)
                fake = degrade(hr, noise)
                critic = game.critic_step(step, training.lr(p.batch_size, size=p.crop), fake)
            pixel, gan = game.generator_step(step, fake, hr)
            step.log(low_critic=critic, low_pixel=pixel, low_gan=gan)

    def learn_to_enlarge(self, training: Training, degrade: HighToLow) -> None:
        """Stage 2: low-to-high on generated pairs, against the critic of HR images."""
        p = self.params
        game = Game(self, training, "high", self.enlarge, SCALE * p.crop)
        chance = training.generator("high_noise")
        for step in training.stage("low-to-high").steps(p.iterations):
            for _ in range(p.critic_steps):
                hr, noise = self.draw(training, chance)
                with torch.no_grad():
                    lr = degrade(hr, noise)
                fake = self(lr)
                critic = game.critic_step(step, hr, fake)
            pixel, gan = game.generator_step(step, fake, hr)
            step.log(high_critic=critic, high_pixel=pixel, high_gan=gan)

    def draw(self, training: Training, chance: torch.Generator) -> tuple[Tensor, Tensor]:
        """HR crops and the noise that is to degrade them."""
        p = self.params
        hr = training.hr(p.batch_size, size=SCALE * p.crop)
        return hr, torch.randn(len(hr), p.noise, generator=chance, device=hr.device)


class Game:
    """A generator against its critic, each with its optimizer."""

    def __init__(
        self, method: FaceSR, training: Training, name: str, generator: nn.Module, side: int
    ) -> None:
        p = self.params = method.params
        self.critic: nn.Module = Critic(side, p.features, p.critic_blocks)
        training.track(**{f"{name}_critic": self.critic})
        options: dict[str, Any] = {"lr": p.lr, "betas": (p.beta1, p.beta2)}
        self.adam = torch.optim.Adam(generator.parameters(), **options)
        self.critic_adam = torch.optim.Adam(self.critic.parameters(), **options)
        training.track(**{f"{name}_adam": self.adam, f"{name}_critic_adam": self.critic_adam})

    def critic_step(self, step: Step, real: Tensor, fake: Tensor) -> Tensor:
        """Let the critic learn; returns its loss."""
        loss = critic_loss(self.critic(real), self.critic(fake.detach()))
        step.minimize(loss, self.critic_adam)
        return loss

    def generator_step(self, step: Step, fake: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Let the generator learn; returns both terms of its loss, before their weights."""
        pixel, gan = pixel_loss(fake, target), generator_loss(self.critic(fake))
        step.minimize(self.params.pixel_weight * pixel + self.params.gan_weight * gan, self.adam)
        return pixel, gan
