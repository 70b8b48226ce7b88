"""LPIPS of the package `lpips` (AlexNet, version 0.1), in batches.

The towers of prediction and target are run apart, because those of the targets are needed only
once per dataset. Values equal the package's own up to rounding.
"""

from __future__ import annotations

import re
import warnings
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from srbench import weights
from srbench.evaluation.mean import MeanMetric, expect, pattern
from srbench.evaluation.modes import preserved_randomness

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.metric import EvaluationContext

PROTOCOL = "lpips/alex-v0.1/rgb-float-clamped/v1"
KEPT_BYTES = 2**30  # targets' features are kept for the next evaluation up to this size


@cache
def lpips_package() -> Any:
    """Import the package `lpips` when it is needed: with torchvision it takes seconds."""
    return import_module("lpips")


def build_network(features: dict[str, Tensor]) -> Any:
    """Build the package's LPIPS on AlexNet features, nothing fetched, no random state moved.

    Parameters
    ----------
    features : dict
        ``features.N.weight`` and ``features.N.bias`` of torchvision's AlexNet.

    Returns
    -------
    lpips.LPIPS
        In eval mode, without gradients, channels last.
    """
    with preserved_randomness(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package still uses torchvision's old argument names
        network = lpips_package().LPIPS(net="alex", pnet_rand=True, pretrained=True, verbose=False)
    names = network.net.state_dict()
    network.net.load_state_dict({key: features[_torchvision_name(key)] for key in names})
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _torchvision_name(key: str) -> str:
    """Name of an entry of the package's sliced AlexNet in torchvision's: drops the slice."""
    return re.sub(r"^slice\d+\.", "features.", key)


@torch.inference_mode()
def tower(network: Any, images: Tensor) -> list[Tensor]:
    """Unit-normalised feature maps of images (N, 3, H, W), clamped to [-1, 1]."""
    images = images.clamp(-1, 1).contiguous(memory_format=torch.channels_last)
    maps = network.net(network.scaling_layer(images))
    return [lpips_package().normalize_tensor(layer) for layer in maps]


@torch.inference_mode()
def distance(network: Any, first: list[Tensor], second: list[Tensor]) -> Tensor:
    """LPIPS of each image from two towers, shape (N,): Zhang et al. (2018), equation 1."""
    total = torch.zeros(len(first[0]), device=first[0].device)
    for linear, a, b in zip(network.lins, first, second, strict=True):
        total += linear((a - b).square_()).mean((1, 2, 3))
    return total


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
