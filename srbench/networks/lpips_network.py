"""The network of LPIPS (package `lpips`, AlexNet, version 0.1), and LPIPS as a loss.

Towers of prediction and target can be run apart. Values equal the package's own up to rounding;
gradients are finite where the package's are not, at pixels whose features are all zero.
"""

from __future__ import annotations

import re
import warnings
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch

from srbench import weights

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-10  # added to the norm of a feature vector, as in the package
SMALLEST = 1e-30  # of a squared norm, whose square root has no derivative at 0


@cache
def lpips_package() -> Any:
    """Import the package `lpips` when it is needed: with torchvision it takes seconds."""
    return import_module("lpips")


def build_network(features: dict[str, Tensor]) -> Any:
    """Build the package's LPIPS on AlexNet features, nothing fetched, no random state moved.

    Parameters
    ----------
    features : dict
        ``features.N.weight`` and ``features.N.bias`` of torchvision's AlexNet, as
        `srbench.weights.load("alexnet")` gives them.

    Returns
    -------
    lpips.LPIPS
        In eval mode, frozen, channels last.
    """
    package = lpips_package()
    with torch.random.fork_rng(devices=()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package still uses torchvision's old argument names
        network = package.LPIPS(net="alex", pnet_rand=True, pretrained=True, verbose=False)
    names = network.net.state_dict()
    network.net.load_state_dict({key: features[_torchvision_name(key)] for key in names})
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def load_lpips() -> Any:
    """Build LPIPS on the AlexNet weights of this machine, as `build_network`.

    Raises
    ------
    MissingWeights
        If they are not on this machine; the hint is the command that gets them.
    CorruptFile
        If the file is not what was stored.
    """
    return build_network(weights.load("alexnet"))


def _torchvision_name(key: str) -> str:
    """Name of an entry of the package's sliced AlexNet in torchvision's: drops the slice."""
    return re.sub(r"^slice\d+\.", "features.", key)


def unit_features(network: Any, images: Tensor) -> list[Tensor]:
    """Feature maps of images, each pixel's vector of length 1 (or 0, where all features are).

    Parameters
    ----------
    network : lpips.LPIPS
        As `build_network` makes it.
    images : Tensor
        ``(N, 3, H, W)``, in [-1, 1]; at least 32 pixels a side. Not clamped.

    Returns
    -------
    list of Tensor
        ``(N, C_k, H_k, W_k)``, float32 also under autocast, differentiable.
    """
    images = images.contiguous(memory_format=torch.channels_last)
    maps = network.net(network.scaling_layer(images))
    return [_unit(layer) for layer in maps]


def lpips_distance(network: Any, first: list[Tensor], second: list[Tensor]) -> Tensor:
    """LPIPS of each image from the unit features of two batches.

    Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
    CVPR 2018, equation 1.

    Returns
    -------
    Tensor
        ``(N,)``, at least 0, differentiable.
    """
    total = torch.zeros(len(first[0]), device=first[0].device)
    for linear, a, b in zip(network.lins, first, second, strict=True):
        total = total + linear((a - b).square()).mean((1, 2, 3))
    return total


def lpips_loss(network: Any, image: Tensor, reference: Tensor) -> Tensor:
    """Mean LPIPS of a batch, as FSSR and DASR train on it.

    Parameters
    ----------
    network : lpips.LPIPS
        As `load_lpips` makes it: frozen.
    image, reference : Tensor
        ``(N, 3, H, W)``, in [0, 1]; gradients reach ``image`` only.

    Returns
    -------
    Tensor
        Scalar, at least 0.
    """
    with torch.no_grad():
        wanted = unit_features(network, 2 * reference - 1)
    return lpips_distance(network, unit_features(network, 2 * image - 1), wanted).mean()


def _unit(layer: Tensor) -> Tensor:
    """Divide each pixel's vector by its length, in float32 at least; zeros stay zeros."""
    layer = layer.float() if layer.dtype in (torch.float16, torch.bfloat16) else layer
    norm = layer.square().sum(1, keepdim=True).clamp_min(SMALLEST).sqrt()
    return layer / (norm + EPSILON)
