"""The input of the Mix3ToMix10 pairs: three Gaussians with the official centres and maps.

Legend: c_k = centre and M_k = map of component k; a sample is ``0.4 M_k z + c_k`` with normal z.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor

COMPONENTS = 3
STD = 0.4  # the notebooks' standard deviation of each component before the common scaling
SEED = 0  # the official constructor calls numpy.random.seed(0) before it draws


@dataclass(frozen=True)
class GaussianMixture:
    """Equally weighted Gaussians ``N(c_k, std^2 M_k M_k^T)``.

    Parameters
    ----------
    centres : Tensor
        Shape (K, d).
    maps : Tensor
        Shape (K, d, d).
    std : float
        Factor of every map.
    """

    centres: Tensor
    maps: Tensor
    std: float = STD

    def to(self, device: torch.device) -> GaussianMixture:
        """Return the same mixture with its tensors on ``device``."""
        return GaussianMixture(self.centres.to(device), self.maps.to(device), self.std)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` samples, shape (n, d), on the device of ``generator``.

        Every map is applied to every z and one result kept: three times the multiplications that
        sorting by component takes, but the device never waits for the host.
        """
        components, dim = self.centres.shape
        device = self.centres.device
        chosen = torch.randint(components, (n,), generator=generator, device=device)
        z = torch.randn(n, dim, generator=generator, device=device)
        candidates = (z @ self.maps.flatten(0, 1).T).reshape(n, components, dim)
        mapped: Tensor = candidates[torch.arange(n, device=device), chosen]
        return self.std * mapped + self.centres[chosen]


def official_mixture(dim: int, random: np.random.RandomState | None = None) -> GaussianMixture:
    """Build the benchmark's mixture in ``dim`` dimensions.

    Each coordinate of the three centres is a permutation of (-1, 0, 1), each map has random rows
    of unit length, and both are scaled so that the total variance is ``dim``. The legacy NumPy
    generator is consumed in the official order, so the numbers are the official ones.

    Parameters
    ----------
    dim : int
        Number of dimensions d.
    random : numpy.random.RandomState, optional
        Generator to draw from; a fresh one with the official seed 0 unless given.

    Returns
    -------
    GaussianMixture
        Centres (3, d) and maps (3, d, d), float32 on the CPU.
    """
    random = random or np.random.RandomState(SEED)
    labels = list(range(COMPONENTS))
    columns = [random.choice(labels, COMPONENTS, replace=False) - 1 for _ in range(dim)]
    centres = np.stack(columns, axis=1).astype(np.float32)
    maps = random.normal(size=(COMPONENTS, dim, dim)).astype(np.float32)
    maps /= np.linalg.norm(maps, axis=2, keepdims=True)
    mean_square = np.square(centres).sum(1).mean()
    scale = sqrt((mean_square + dim * STD**2) / dim)
    return GaussianMixture(torch.from_numpy(centres / scale), torch.from_numpy(maps / scale))
