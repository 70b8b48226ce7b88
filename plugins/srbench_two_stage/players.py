"""A generator and its discriminator, with their optimisers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import torch
from torch import nn

if TYPE_CHECKING:
    from srbench.training import Training


class Players(NamedTuple):
    """The two networks of an adversarial stage and what moves them.

    Attributes
    ----------
    g, d : Module
        Generator and discriminator.
    g_optimizer, d_optimizer : Optimizer
        One for each.
    """

    g: nn.Module
    d: nn.Module
    g_optimizer: torch.optim.Optimizer
    d_optimizer: torch.optim.Optimizer

    @classmethod
    def of(cls, g: nn.Module, d: nn.Module, adam: tuple[float, float, float]) -> Self:
        """Give both networks Adam with (learning rate, beta1, beta2), updates fused."""
        lr, beta1, beta2 = adam
        optimizers = [torch.optim.Adam(network.parameters(), lr=lr, betas=(beta1, beta2),
                                       fused=True) for network in (g, d)]
        return cls(g, d, *optimizers)

    def track(self, training: Training, stage: str) -> None:
        """Have a resume restore both optimisers."""
        training.track(**{f"{stage}_optimizer": self.g_optimizer,
                          f"{stage}_discriminator_optimizer": self.d_optimizer})

    def set_rate(self, rate: float) -> None:
        """Give both optimisers a learning rate."""
        for optimizer in (self.g_optimizer, self.d_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = rate
