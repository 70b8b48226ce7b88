"""LPIPS of the package `lpips` (AlexNet, version 0.1), in batches.

The towers of prediction and target are run apart, because those of the targets are needed only
once per dataset. Values equal the package's own up to rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch

from srbench import weights
from srbench.evaluation.mean import MeanMetric, expect, pattern
from srbench.networks.lpips_network import (
    build_network,
    lpips_distance,
    lpips_package,
    unit_features,
)

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.metric import EvaluationContext

__all__ = ["LPIPS", "PROTOCOL", "build_network", "distance", "lpips_package", "tower"]

PROTOCOL = "lpips/alex-v0.1/rgb-float-clamped/v1"
KEPT_BYTES = 2**30  # targets' features are kept for the next evaluation up to this size


@torch.inference_mode()
def tower(network: Any, images: Tensor) -> list[Tensor]:
    """Unit-normalised feature maps of images (N, 3, H, W), clamped to [-1, 1]."""
    return unit_features(network, images.clamp(-1, 1))


@torch.inference_mode()
def distance(network: Any, first: list[Tensor], second: list[Tensor]) -> Tensor:
    """LPIPS of each image from two towers, shape (N,): Zhang et al. (2018), equation 1."""
    return lpips_distance(network, first, second)


class LPIPS(MeanMetric):
    """Mean LPIPS of clamped float RGB."""

    protocol: ClassVar[str] = PROTOCOL

    def __init__(self, context: EvaluationContext) -> None:
        super().__init__(context)
        network = context.store.get(PROTOCOL)
        if network is None:
            network = build_network(weights.load("alexnet")).to(context.device)
            context.store[PROTOCOL] = network
        self._network: Any = network
        self._towers: dict[tuple[int, int], list[Tensor]] = context.store.setdefault(
            f"{PROTOCOL}/targets/{context.fingerprint}", {}
        )
        self._taken = 0

    def values(self, prediction: Tensor, target: Tensor, lr: Tensor) -> Tensor:
        """Return the LPIPS of each image."""
        return distance(self._network, tower(self._network, prediction), self._target_tower(target))

    def _target_tower(self, target: Tensor) -> list[Tensor]:
        """Tower of a batch of targets, kept for later passes: test pairs never change order."""
        where = (self._taken, len(target))
        self._taken += len(target)
        maps = self._towers.get(where)
        if maps is None:
            maps = tower(self._network, target)
            kept = sum(m.nbytes for ms in self._towers.values() for m in ms)
            if kept + sum(m.nbytes for m in maps) <= KEPT_BYTES:
                self._towers[where] = maps
        return maps

    def self_check(self) -> None:
        """Check LPIPS(x, x) = 0 and that different images are apart."""
        images = pattern(2, (3, 64, 64)).to(self.context.device)
        first = tower(self._network, images)
        expect("LPIPS(x, x)", float(distance(self._network, first, first).max()), 0, tolerance=1e-7)
        other = tower(self._network, images.flip(3) * 0.5)
        apart = float(distance(self._network, first, other).min() > 1e-4)
        expect("LPIPS of different images being positive", apart, 1, tolerance=0)
