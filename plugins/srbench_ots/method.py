"""Optimal transport solver, Algorithm 1 of arXiv 2202.01116.

Legend: T = the map, f = the potential, c = the transport cost, x ~ P (low resolution), y ~ Q (high
resolution), K_T = steps of T for each step of f, k_c = steps of f between two references of c.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from srbench import Skipped
from srbench.files import ensure, read_manifest
from srbench.networks.adversarial import potential_gap
from srbench.networks.edsr import EDSR
from srbench.networks.perceptual import VGGFeatures
from srbench.paths import user_path
from srbench_minimax.game import OFFICIAL, MinimaxMethod, Players
from srbench_ots.checkpoints import read_edsr
from srbench_ots.cost import TransportCost
from srbench_ots.parameters import OTSParams

if TYPE_CHECKING:
    from torch import nn

    from srbench import Parameters
    from srbench.training import Step, Training

MANIFEST = Path(__file__).with_name("official_files.json")
OFFICIAL_FILE = "benchmark/checkpoints/IPM_vs_OTS/T.pt"
OFFICIAL_PHOTOGRAPHS = "state_dicts/AIM_EDSR_{cost}.pt"


class OTS(MinimaxMethod):
    """Learns T as the optimal transport map from P to Q.

    ``sup_f inf_T  E f(y) + E [c(x, T(x)) - f(T(x))]`` with f unconstrained (equation 7).
    """

    Params = OTSParams
    distributed = True
    params: OTSParams

    @classmethod
    def requires(cls, params: Parameters) -> tuple[str, ...]:
        """VGG-16 for the perceptual cost."""
        needed = isinstance(params, OTSParams) and params.cost == "vgg" and not params.pretrained
        return ("vgg16",) if needed else ()

    def build(self) -> None:
        """Create T and the cost; see `MinimaxMethod.build`.

        Raises
        ------
        Skipped
            If the map or the cost does not fit the problem.
        MissingWeights
            If the perceptual cost is asked for and VGG-16 is not on this machine.
        """
        if self.params.cost == "vgg" and not self.problem.is_image:
            raise Skipped("cost='vgg' compares images, not vectors", hint="use cost=mse")
        super().build()
        # A plain object: what it holds belongs to the training, not to the weights of the map.
        perceptual = self.requires(self.params) != ()
        features = VGGFeatures() if perceptual else None
        self.cost = TransportCost(self.up, self.mapped_by, features)

    def build_map(self) -> nn.Module:
        """Create the network of T: an EDSR on photographs, else as `MinimaxMethod` does."""
        if self.problem.domain != "sr":
            return super().build_map()
        return EDSR(self.params.blocks, self.params.features, scale=self.problem.scale)

    def official_file(self) -> Path:
        """Path of the authors' file of T, fetched once and verified."""
        name = OFFICIAL_FILE
        if self.problem.domain == "sr":
            name = OFFICIAL_PHOTOGRAPHS.format(cost=self.params.cost.upper())
        return ensure(read_manifest(MANIFEST)[name])

    def pretrained_map(self) -> nn.Module:
        """T of the checkpoint that ``pretrained`` names; see `read_edsr` for photographs."""
        if self.problem.domain != "sr":
            return super().pretrained_map()
        given = self.params.pretrained
        path = self.official_file() if given == OFFICIAL else user_path(given)
        return read_edsr(path, self.problem.scale)

    def fit(self, training: Training) -> None:
        """Run Algorithm 1; returns at once where T was loaded from a checkpoint."""
        p = self.params
        if p.pretrained:
            return
        players = self.open(training)
        self.cost.to(training.device)
        if p.cost_refresh:
            training.track(reference=self.cost.keep(self.network))
        for step in training.steps(p.iterations):
            self.cost.refresh(step.index, p.cost_refresh, self.network)
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
        cost = self.cost(x, mapped)
        loss = self.params.cost_factor * cost - players.f(mapped).mean()
        step.minimize(loss, players.map_optimizer)
        self.update_average()
        step.log(loss_map=loss, cost=cost)
