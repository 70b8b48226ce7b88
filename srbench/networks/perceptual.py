"""Losses on the features of a frozen VGG, with ImageNet weights."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench import weights
from srbench.errors import ParameterError
from srbench.networks.loading import load_strict

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, for images in [0, 1]
COST_LAYERS = (3, 8, 15, 22)  # of VGG-16: after the ReLU of conv1_2, conv2_2, conv3_3, conv4_3
CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # between poolings
WIDTHS = (64, 128, 256, 512, 512)
LAST_CONVOLUTION = {16: 28, 19: 34}  # conv5_3 and conv5_4


class VGGFeatures(nn.Module):
    """Chosen layers of torchvision's VGG with ImageNet weights; frozen, always in eval mode.

    Gradients flow through it to its input. Layers after the last chosen one are not built.

    Parameters
    ----------
    depth : {16, 19}
        Which VGG.
    layers : tuple of int
        Indices in torchvision's ``features`` whose outputs are wanted, ascending.
    normalise : bool
        Whether images are in [0, 1] and are normalised to ImageNet's mean and deviation first;
        otherwise they are taken as they are.

    Raises
    ------
    MissingWeights
        If the weights are not on this machine; the hint is the command that gets them.
    CorruptFile
        If they are not those of this network.
    ParameterError
        If there is no such depth or layer.
    """

    def __init__(
        self,
        depth: Literal[16, 19] = 16,
        layers: tuple[int, ...] = COST_LAYERS,
        *,
        normalise: bool = False,
    ) -> None:
        super().__init__()
        if depth not in CONVOLUTIONS:
            raise ParameterError(f"a VGG of depth {depth}", hint="use 16 or 19")
        parts = _features(depth)
        if not layers or list(layers) != sorted({one for one in layers if 0 <= one < len(parts)}):
            raise ParameterError(
                f"layers {layers} of VGG-{depth}",
                hint=f"give different ones from 0 to {len(parts) - 1}, ascending",
            )
        self.layers, self.normalise = tuple(layers), normalise
        self.features = nn.Sequential(*parts[: layers[-1] + 1])
        state = weights.load(f"vgg{depth}")
        needed = self.features.state_dict(prefix="features.")
        load_strict(self, {key: state[key] for key in needed if key in state})
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).reshape(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> VGGFeatures:
        """Stay in eval mode, whatever the enclosing module does."""
        return super().train(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of images.

        Parameters
        ----------
        x : Tensor
            ``(N, 3, H, W)``; in [0, 1] if they are normalised here.

        Returns
        -------
        list of Tensor
            ``(N, C_k, H_k, W_k)`` for each chosen layer.
        """
        if self.normalise:
            x = (x - self.get_buffer("mean")) / self.get_buffer("std")
        found = []
        for index, layer in enumerate(self.features):
            kept = index - 1 in self.layers  # its input must not be overwritten
            x = F.relu(x, inplace=not kept) if isinstance(layer, nn.ReLU) else layer(x)
            if index in self.layers:
                found.append(x)
        return found


def esrgan_features(depth: Literal[16, 19] = 19) -> VGGFeatures:
    """Features ESRGAN compares: the last convolution before its ReLU, of images in [0, 1].

    VGG-19's conv5_4 (``features[34]``) in ESRGAN and FSSR; VGG-16's conv5_3 (``features[28]``) is
    the nearest thing where only those weights can be had.
    """
    return VGGFeatures(depth, (LAST_CONVOLUTION[depth],), normalise=True)


def feature_l1(features: VGGFeatures, image: Tensor, reference: Tensor) -> Tensor:
    """Mean absolute difference of the features of two batches, summed over the layers.

    Parameters
    ----------
    features : VGGFeatures
        As `esrgan_features` builds them.
    image, reference : Tensor
        ``(N, 3, H, W)`` in [0, 1]; gradients reach ``image`` only.

    Returns
    -------
    Tensor
        Scalar, at least 0.
    """
    with torch.no_grad():
        wanted = features(reference)
    pairs = zip(features(image), wanted, strict=True)
    return torch.stack([F.l1_loss(one, other) for one, other in pairs]).sum()


def vgg_distance(features: VGGFeatures, a: Tensor, b: Tensor) -> Tensor:
    """Sum over the layers of the mean squared difference of the features of a and b.

    Each layer is averaged over batch, channels and pixels. Arguments as in `vgg_cost`.
    """
    pairs = zip(features(a), features(b), strict=True)
    return torch.stack([F.mse_loss(one, other) for one, other in pairs]).sum()


def vgg_cost(
    features: VGGFeatures,
    a: Tensor,
    b: Tensor,
    *,
    mse: float = 1.0,
    mae: float = 1 / 3,
    vgg: float = 1 / 50,
) -> Tensor:
    """Perceptual transport cost of arXiv 2202.01116: MSE + MAE / 3 + VGG / 50.

    Per image, then averaged over the batch, which is the average over everything.

    Parameters
    ----------
    features : VGGFeatures
        Of VGG-16, its default layers, not normalised: the paper's code shows it [-1, 1].
    a, b : Tensor
        ``(N, 3, H, W)``, in [-1, 1].
    mse, mae, vgg : float
        Weights of the three parts.

    Returns
    -------
    Tensor
        Scalar, at least 0.
    """
    pixels = mse * F.mse_loss(a, b) + mae * F.l1_loss(a, b)
    return pixels + vgg * vgg_distance(features, a, b)


def _features(depth: int) -> list[nn.Module]:
    """Layers of torchvision's ``features``, uninitialised, no random state moved."""
    layers: list[nn.Module] = []
    inputs = 3
    for count, width in zip(CONVOLUTIONS[depth], WIDTHS, strict=True):
        for _ in range(count):
            convolution = nn.Conv2d(inputs, width, 3, padding=1, device="meta")
            layers += [convolution.to_empty(device="cpu"), nn.ReLU()]
            inputs = width
        layers.append(nn.MaxPool2d(2))
    return layers
