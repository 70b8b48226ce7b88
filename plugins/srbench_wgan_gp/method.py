"""WGAN-GP with a content loss, the regularised IPM GAN of arXiv 2202.01116, section 6.1.

Legend: T = the map, f = the critic, lam = weight lambda of the content loss, x ~ P (low
resolution), y ~ Q (high resolution), eta = interpolation weight of the gradient penalty.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from srbench import Field
from srbench.errors import ParameterError
from srbench.files import ensure, read_manifest
from srbench.networks.adversarial import (
    gradient_penalty,
    interpolate,
    interpolation_weights,
    mse_cost,
    potential_gap,
)
from srbench_minimax.game import MinimaxMethod, Players
from srbench_minimax.parameters import VECTOR, MinimaxParameters
from srbench_wgan_gp import PUBLISHED_LAMBDAS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from srbench.training import Step, Training

MANIFEST = Path(__file__).with_name("official_files.json")
OFFICIAL_FILE = "benchmark/checkpoints/IPM_vs_OTS/T_GP10_LAMBDA{lam:g}.pt"


class WGANGPParams(MinimaxParameters):
    """Settings of regularised WGAN-GP.

    Presets
    -------
    ``paper``
        Section 6.1: 15K steps of T, penalty weight 10, otherwise as OTS (Table 4): batch 64,
        learning rates 1e-4, UNet base 64. What the paper leaves open is as in the released code:
        10 critic steps, Adam betas (0, 0.9), no weight decay, fan-out initialisation.
    ``code``
        The released notebook: 25,000 steps of T, UNet base 32.
    ``quick``
        Ours: the small networks of OTS's ``quick`` and, as there, 1 + 5 updates an iteration.
    ``...@vector``
        Ours, as for OTS.

    Attributes
    ----------
    iterations : int
        Steps of T.
    lam : float
        Weight ``lambda`` of the content loss: 0 is a plain WGAN-GP; large values pin T to the
        identity. The paper's best of eight is 100.
    gp_weight : float
        Weight of the gradient penalty.
    critic_steps : int
        Steps of f before each step of T.
    """

    lam: float = Field(100.0, alias="lambda", ge=0)
    gp_weight: float = Field(10.0, ge=0)
    critic_steps: int = Field(10, ge=1)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {"iterations": 15_000, "critic_steps": 10, "batch_size": 64, "unet_base": 64},
        "code": {"iterations": 25_000, "critic_steps": 10, "batch_size": 64, "unet_base": 32},
        "quick": {
            "iterations": 700,
            "critic_steps": 2,
            "batch_size": 8,
            "unet_base": 8,
            "potential_filters": 8,
            "potential_slope": None,
            "residual": True,
            "map_average": 0.98,  # a window of 7 % of the steps of T, as for OTS
            "lr_map": 4e-3,
            "lr_potential": 2e-3,
        },
        "paper@vector": VECTOR,
        "code@vector": VECTOR,
        "quick@vector": {**VECTOR, "iterations": 3000, "critic_steps": 10, "batch_size": 512},
    }


class WGANGP(MinimaxMethod):
    """Learns T by ``min_T  lam E c(x, T(x)) + W1(T#P, Q)`` (equation 2 with a WGAN-GP critic)."""

    Params = WGANGPParams
    distributed = True
    params: WGANGPParams

    def official_file(self) -> Path:
        """Path of the authors' weights for this lambda, fetched once and verified.

        Raises
        ------
        ParameterError
            If there are none for this lambda.
        """
        if self.params.lam not in PUBLISHED_LAMBDAS:
            raise ParameterError(
                f"there are no published weights for lambda={self.params.lam:g}",
                hint=f"there are for lambda = {', '.join(map(str, PUBLISHED_LAMBDAS))}",
            )
        return ensure(read_manifest(MANIFEST)[OFFICIAL_FILE.format(lam=self.params.lam)])

    def fit(self, training: Training) -> None:
        """Alternate critic and map; returns at once where T was loaded from a checkpoint."""
        p = self.params
        if p.pretrained:
            return
        players = self.open(training)
        for step in training.steps(p.iterations):
            for _ in range(p.critic_steps):
                self.ascend_critic(training, step, players)
            self.descend_map(training, step, players)
            for schedule in players.schedules:
                schedule.step()
        self.eval()

    def ascend_critic(self, training: Training, step: Step, players: Players) -> None:
        """One step of f on ``mean f(T(x)) - mean f(y) + gp_weight GP``, T in eval mode."""
        n = self.params.batch_size
        x, y = training.lr(n), training.hr(n)
        with self.seen_by_potential():
            mapped = self(x)
        gap = potential_gap(players.f, mapped, y)
        eta = interpolation_weights(y[:1].expand(n, *y.shape[1:]))  # of all processes' samples
        points = interpolate(mapped, y, training.share(eta))
        penalty = gradient_penalty(players.f, points)
        loss = self.params.gp_weight * penalty - gap
        step.minimize(loss, players.potential_optimizer)
        step.log(loss_f=loss, gap=gap, penalty=penalty)

    def descend_map(self, training: Training, step: Step, players: Players) -> None:
        """One step of T, in train mode, on ``lam c(x, T(x)) - mean f(T(x))`` with fresh x."""
        x = training.lr(self.params.batch_size)
        self.train()
        with self.itself():
            mapped = self(x)
        cost = mse_cost(x, mapped)
        loss = self.params.lam * cost - players.f(mapped).mean()
        step.minimize(loss, players.map_optimizer)
        self.update_average()
        step.log(loss_map=loss, cost=cost)
