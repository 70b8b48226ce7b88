"""Optimal transport solver, Algorithm 1 of arXiv 2202.01116.

Legend: T = the map, f = the potential, c = the transport cost, x ~ P (low resolution), y ~ Q (high
resolution), K_T = steps of T for each step of f.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from srbench import Field
from srbench.files import ensure, read_manifest
from srbench.networks.adversarial import mse_cost, potential_gap
from srbench_minimax.game import MinimaxMethod, MinimaxParameters, Players

if TYPE_CHECKING:
    from collections.abc import Mapping

    from srbench.training import Step, Training

MANIFEST = Path(__file__).with_name("official_files.json")
OFFICIAL_FILE = "benchmark/checkpoints/IPM_vs_OTS/T.pt"
VECTOR = {  # ours: neither paper nor code runs on vectors
    "batch_size": 1024,
    "lr_map": 3e-3,
    "lr_potential": 3e-3,
    "beta1": 0.5,
    "lr_decay": "linear",
    "residual": True,
    "hidden": 128,
    "depth": 3,
    "activation": "relu",
}


class OTSParams(MinimaxParameters):
    """Settings of OTS.

    Presets
    -------
    ``paper``
        Table 4 of the paper, row Benchmark: 10K steps of f, K_T = 10, batch 64, both learning
        rates 1e-4; UNet base 64 (appendix C). What the paper leaves open is as in the released
        code that made its numbers: Adam betas (0, 0.9), no weight decay, fan-out initialisation.
    ``code``
        The released notebook of the Wasserstein-2 experiment: 25,000 steps of f, UNet base 32.
    ``quick``
        Ours: small networks and a residual map, minutes on two CPU cores at 32 x 32.
    ``...@vector``
        Ours: perceptrons with about the parameters of the benchmark's own networks; neither paper
        nor code runs OTS on vectors.

    Attributes
    ----------
    iterations : int
        Steps of f.
    inner_steps : int
        K_T.
    cost : {"mse"}
        c(x, T(x)), divided by the number of values of a sample.
    cost_factor : float
        Factor of the cost; a positive one leaves the ideal map unchanged.
    order : {"f-first", "T-first"}
        Which network moves first in an outer iteration; f in the paper.
    """

    inner_steps: int = Field(10, ge=1)
    cost: Literal["mse"] = "mse"
    cost_factor: float = Field(1.0, gt=0)
    order: Literal["f-first", "T-first"] = "f-first"

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {"iterations": 10_000, "inner_steps": 10, "batch_size": 64, "unet_base": 64},
        "code": {"iterations": 25_000, "inner_steps": 10, "batch_size": 64, "unet_base": 32},
        "quick": {
            "iterations": 900,
            "inner_steps": 3,
            "batch_size": 8,
            "unet_base": 8,
            "potential_filters": 8,
            "potential_slope": None,
            "residual": True,
            "map_average": 0.995,  # a window of 7 % of the steps of T
            "lr_map": 4e-3,
            "lr_potential": 2e-3,
        },
        "paper@vector": VECTOR,
        "code@vector": VECTOR,
        "quick@vector": {**VECTOR, "iterations": 3000, "inner_steps": 10, "batch_size": 512},
    }


class OTS(MinimaxMethod):
    """Learns T as the optimal transport map from P to Q.

    ``sup_f inf_T  E f(y) + E [c(x, T(x)) - f(T(x))]`` with f unconstrained (equation 7).
    """

    Params = OTSParams
    params: OTSParams

    def official_file(self) -> Path:
        """Path of the authors' ``T.pt``, fetched once and verified."""
        return ensure(read_manifest(MANIFEST)[OFFICIAL_FILE])

    def fit(self, training: Training) -> None:
        """Run Algorithm 1; returns at once where T was loaded from a checkpoint."""
        p = self.params
        if p.pretrained:
            return
        players = self.open(training)
        for step in training.steps(p.iterations):
            if p.order == "f-first":
                self.ascend_potential(training, step, players)
            for _ in range(p.inner_steps):
                self.descend_map(training, step, players)
            if p.order == "T-first":
                self.ascend_potential(training, step, players)
            for schedule in players.schedules:
                schedule.step()
        self.eval()

    def ascend_potential(self, training: Training, step: Step, players: Players) -> None:
        """One step of f on ``L_f``, against T in eval mode: BatchNorm with running statistics."""
        n = self.params.batch_size
        x, y = training.lr(n), training.hr(n)
        with self.seen_by_potential():
            mapped = self(x)
        gap = potential_gap(players.f, mapped, y)
        step.minimize(-gap, players.potential_optimizer)
        step.log(loss_f=-gap, gap=gap)

    def descend_map(self, training: Training, step: Step, players: Players) -> None:
        """One step of T, in train mode, on ``mean [c(x, T(x)) - f(T(x))]`` with fresh x."""
        x = training.lr(self.params.batch_size)
        self.train()
        with self.itself():
            mapped = self(x)
        cost = mse_cost(x, mapped)
        loss = self.params.cost_factor * cost - players.f(mapped).mean()
        step.minimize(loss, players.map_optimizer)
        self.update_average()
        step.log(loss_map=loss, cost=cost)
