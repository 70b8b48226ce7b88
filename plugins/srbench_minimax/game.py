"""What methods share that train a map T against a potential f: networks, optimisers.

Legend: T = the map, f = the potential or critic, x ~ P (low resolution), y ~ Q (high resolution).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler

from srbench import Method, Skipped
from srbench.networks.resize import up_bicubic
from srbench.networks.resnet import ResNetPotential
from srbench.networks.unet import UNet
from srbench.networks.vectors import VectorMap, VectorPotential
from srbench.paths import user_path
from srbench_minimax.checkpoints import read_map
from srbench_minimax.parameters import MinimaxParameters

if TYPE_CHECKING:
    from srbench.training import Training

OFFICIAL = "official"  # value of ``pretrained`` that stands for the authors' published weights
WIDTH_GROWTH = 8  # filters_max / filters of the released potential: 512 / 64


class Players(NamedTuple):
    """The networks beside the method and everything that moves them.

    Attributes
    ----------
    f : Module
        The potential or critic.
    map_optimizer, potential_optimizer : Optimizer
        One for each network.
    schedules : list of LRScheduler
        To be stepped once in every outer iteration; empty where the rates are constant.
    """

    f: nn.Module
    map_optimizer: torch.optim.Optimizer
    potential_optimizer: torch.optim.Optimizer
    schedules: list[LRScheduler]


class MinimaxMethod(Method):
    """A map T trained against a potential f.

    Subclasses define `fit`, and `official_file` where published weights exist.
    """

    Params = MinimaxParameters
    params: MinimaxParameters

    def build(self) -> None:
        """Create T, and load it where the parameters name a checkpoint.

        Raises
        ------
        Skipped
            If the map does not fit the problem, or weights are asked for on vectors.
        CorruptFile
            If a checkpoint is not a map's, naming the first entry that differs.
        """
        p = self.params
        self.residual = p.residual and not p.pretrained
        self.network: nn.Module = self.pretrained_map() if p.pretrained else self.build_map()
        if self.residual:
            start_at_zero(self.network)
        self._itself = False
        self.average: nn.Module | None = None
        if p.map_average and not p.pretrained:
            self.average = copy.deepcopy(self.network).requires_grad_(requires_grad=False)

    def build_map(self) -> nn.Module:
        """Create the network of T: a UNet on images, a perceptron on vectors.

        Raises
        ------
        Skipped
            If input and output differ in shape.
        """
        p = self.params
        if self.problem.lr_shape != self.problem.hr_shape:
            raise Skipped(
                f"the map takes samples of one shape to the same shape, here "
                f"{self.problem.lr_shape} becomes {self.problem.hr_shape}"
            )
        if self.problem.is_image:
            return UNet(p.unet_base)
        return VectorMap(
            self.problem.dim, p.hidden, p.depth, residual=False, activation=p.activation
        )

    def forward(self, lr: Tensor) -> Tensor:
        """Map ``lr`` of shape (N, 3, h, w) to (N, 3, s*h, s*w), or (N, d) to (N, d).

        This is the averaged map, where ``map_average`` asks for one, but inside a training step.
        """
        own = self._itself or self.average is None
        return self.mapped_by(self.network if own else self.average, lr)

    def mapped_by(self, network: nn.Module | None, lr: Tensor) -> Tensor:
        """Return T(lr) with ``network``, of the build of T's own, in its place."""
        assert network is not None
        moved: Tensor = network(lr)
        return self.up(lr) + moved if self.residual else moved

    def up(self, lr: Tensor) -> Tensor:
        """Bring samples to the shape of Q: bicubic interpolation, the identity at scale 1."""
        return lr if self.problem.scale == 1 else up_bicubic(lr, self.problem.scale)

    @contextmanager
    def itself(self) -> Iterator[None]:
        """T itself in the place of its average, as a training step needs it."""
        self._itself = True
        try:
            yield
        finally:
            self._itself = False

    @contextmanager
    def seen_by_potential(self) -> Iterator[None]:
        """T as f is trained against it: itself, in eval mode, without gradients."""
        self.eval()
        with self.itself(), torch.no_grad():
            yield

    @torch.no_grad()
    def update_average(self) -> None:
        """Move the averaged map, its BatchNorm statistics too, towards T after a step of T."""
        if self.average is None:
            return
        weight = 1 - self.params.map_average
        own = self.network.state_dict().values()
        for average, value in zip(self.average.state_dict().values(), own, strict=True):
            if average.is_floating_point():
                average.lerp_(value, weight)
            else:
                average.copy_(value)

    def official_file(self) -> Path:
        """Path of the authors' published weights for these parameters, fetched and verified."""
        raise Skipped("there are no published weights of this method", hint="give a path instead")

    def pretrained_map(self) -> nn.Module:
        """UNet of the checkpoint that ``pretrained`` names, as wide as the checkpoint's."""
        if not self.problem.is_image:
            raise Skipped(
                f"pretrained={self.params.pretrained!r}: published weights are for images, not for "
                f"vectors of {self.problem.dim} values"
            )
        if self.params.pretrained == OFFICIAL:
            return read_map(self.official_file())
        return read_map(user_path(self.params.pretrained))

    def build_potential(self) -> nn.Module:
        """Create f: WGAN-QC's residual network for images, a perceptron for vectors."""
        p, side = self.params, self.problem.hr_shape[-1]
        if not self.problem.is_image:
            return VectorPotential(self.problem.dim, p.hidden, p.depth, activation=p.activation)
        if self.problem.hr_shape != (3, side, side):
            raise Skipped(f"the potential takes square images, not {self.problem.hr_shape}")
        filters = p.potential_filters
        return ResNetPotential(
            side,
            filters,
            filters_max=WIDTH_GROWTH * filters,
            res_ratio=0.1,
            init_slope=p.potential_slope,
        )

    def open(self, training: Training) -> Players:
        """Create f, both optimisers and their schedules, all of them kept for a resume."""
        p = self.params
        f = training.track(potential=self.build_potential())
        map_optimizer = training.track(map_optimizer=self.adam(self.network, p.lr_map))
        f_optimizer = training.track(potential_optimizer=self.adam(f, p.lr_potential))
        schedules = []
        if p.lr_decay != "none":
            schedules = [
                training.track(map_schedule=self.schedule(map_optimizer)),
                training.track(potential_schedule=self.schedule(f_optimizer)),
            ]
        return Players(f, map_optimizer, f_optimizer, schedules)

    def adam(self, network: nn.Module, lr: float) -> torch.optim.Adam:
        """Adam for one of the two networks, its update fused into one kernel."""
        p = self.params
        return torch.optim.Adam(
            network.parameters(),
            lr=lr,
            betas=(p.beta1, p.beta2),
            weight_decay=p.weight_decay,
            fused=True,
        )

    def schedule(self, optimizer: torch.optim.Optimizer) -> LRScheduler:
        """Decay of a learning rate to 0 over the outer iterations."""
        if self.params.lr_decay == "cosine":
            return CosineAnnealingLR(optimizer, T_max=self.params.iterations)
        return LinearLR(optimizer, 1.0, 0.0, total_iters=self.params.iterations)


def start_at_zero(network: nn.Module) -> None:
    """Set the last layer of a network to zero, so that a residual map starts at the identity."""
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    for parameter in layers[-1].parameters():
        nn.init.zeros_(parameter)
