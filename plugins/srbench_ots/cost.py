"""The transport cost c(x, T(x)) = b(reference(x), T(x)) and its moving reference.

Source: arXiv 2202.01116, section 6.2 and appendix C. Legend: b = a distance of images of one size;
the reference is Up(x), bicubic interpolation, and later a frozen copy T' of the map.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from srbench.networks.adversarial import mse_cost
from srbench.networks.perceptual import VGGFeatures, vgg_cost

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn


class TransportCost:
    """c, with what it needs beside T.

    Parameters
    ----------
    up : callable
        Up: brings x to the shape of T(x).
    mapped_by : callable
        Takes a network of T's build and x; returns the map's value with it.
    features : VGGFeatures or None
        Features of the perceptual cost; None takes the mean squared error.
    """

    def __init__(
        self,
        up: Callable[[Tensor], Tensor],
        mapped_by: Callable[[nn.Module, Tensor], Tensor],
        features: VGGFeatures | None,
    ) -> None:
        self._up, self._mapped_by, self._features = up, mapped_by, features
        self.reference: nn.Module | None = None
        self._moved = False

    def to(self, device: torch.device) -> None:
        """Bring the features to ``device``."""
        if self._features is not None:
            self._features.to(device)

    def keep(self, network: nn.Module) -> nn.Module:
        """Make the frozen copy of T that `refresh` turns into the reference, and return it."""
        self.reference = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        return self.reference

    def refresh(self, index: int, every: int, network: nn.Module) -> None:
        """Before step ``index`` of f, replace the reference where it is time to.

        Parameters
        ----------
        index : int
            Steps of f done so far.
        every : int
            k_c; 0 never replaces it.
        network : Module
            T as it is now.
        """
        self._moved = bool(every) and index >= every
        if self._moved and index % every == 0:
            assert self.reference is not None
            self.reference.load_state_dict(network.state_dict())

    def __call__(self, x: Tensor, mapped: Tensor) -> Tensor:
        """Return the cost of mapping ``x`` to ``mapped``, averaged over the batch; a scalar."""
        with torch.no_grad():
            near = self._up(x)
            if self._moved and self.reference is not None:
                near = self._mapped_by(self.reference, x)
        if self._features is None:
            return mse_cost(near, mapped)
        return vgg_cost(self._features, mapped, near)
