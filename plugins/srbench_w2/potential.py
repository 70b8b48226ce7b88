"""A convex potential whose gradient blurs an image, in closed form.

Legend: y clean image (Q), x = grad psi(y) blurry image (P), L Gaussian blur, B blur plus floor m,
C colour features, tau and w scale and weight of the nonlinear part, t strength of the pair.

The potential of the embedded pairs is::

    psi_1(y) = 1/2 <y, B y> + w * tau * sum log cosh(C L y / tau + b),   B = m I + (g - m) L
    psi_t(y) = (1 - t)/2 |y|^2 + t * psi_1(y)

L acts on each colour plane and is diagonal in the orthonormal two-dimensional DCT-II basis, with
eigenvalues exp(-|k|^2 / (2 cutoff^2)): a symmetric Gaussian blur with reflecting borders. C mixes
the colours of each pixel. B is symmetric with eigenvalues between m and g, and log cosh is convex,
so psi_t is strongly convex and its gradient is the optimal transport map of any distribution of y
for the quadratic cost (Brenier's theorem). psi_t lies on McCann's displacement interpolation
between the identity and grad psi_1: its transport cost is t^2 times that of psi_1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Rows of sqrt(2) C: the three colours, their sum, two opponent colours; C^T C is the identity.
_FEATURES = (
    (1.0, 0.0, 0.0),
    (0.0, 1.0, 0.0),
    (0.0, 0.0, 1.0),
    (3**-0.5, 3**-0.5, 3**-0.5),
    (2**-0.5, 0.0, -(2**-0.5)),
    (6**-0.5, -2 * 6**-0.5, 6**-0.5),
)


@dataclass(frozen=True, kw_only=True)
class BlurSettings:
    """Constants of psi_1.

    Parameters
    ----------
    floor : float
        m, the eigenvalue of B at the highest frequencies.
    gain : float
        g, the eigenvalue of B for the mean of a colour plane. ``gain + weight / scale`` bounds the
        slope of the map; below 1, contrast falls.
    cutoff : float
        Width of the blur's spectrum, in half-cycles per image side.
    weight, scale : float
        w and tau of the nonlinear part, which flattens the extremes of the tone curve.
    offsets : tuple of float
        b, one for each row of C.
    """

    floor: float = 0.1
    gain: float = 0.55
    cutoff: float = 2.3
    weight: float = 0.26
    scale: float = 0.6
    offsets: tuple[float, ...] = (0.3, -0.2, 0.1, -0.4, 0.5, -0.3)


def dct_matrix(size: int) -> Tensor:
    """Orthonormal DCT-II matrix of shape (size, size), float64; row k has k half-cycles."""
    k = torch.arange(size, dtype=torch.float64)[:, None]
    position = torch.arange(size, dtype=torch.float64)[None, :] + 0.5
    matrix = math.sqrt(2 / size) * torch.cos(math.pi * k * position / size)
    matrix[0] /= math.sqrt(2)
    return matrix


def blur_matrix(size: int, cutoff: float) -> Tensor:
    """Blur of one image line as a symmetric matrix (size, size), float64.

    Its eigenvectors are the rows of `dct_matrix`, its eigenvalues exp(-k^2 / (2 cutoff^2)).
    """
    basis = dct_matrix(size)
    response = torch.exp(-torch.arange(size, dtype=torch.float64).square() / (2 * cutoff**2))
    return basis.T @ (response[:, None] * basis)


def log_cosh(value: Tensor) -> Tensor:
    """Compute log cosh without overflow."""
    size = value.abs()
    return size + torch.nn.functional.softplus(-2 * size) - math.log(2)


class BlurPotential:
    """The potential psi_t and its gradient for images of shape (N, 3, size, size).

    Parameters
    ----------
    size : int
        Image side.
    settings : BlurSettings
        Constants of psi_1.
    strength : float
        t in (0, 1].
    device : torch.device or str
        Where images live.
    dtype : torch.dtype
        Their precision.

    Attributes
    ----------
    convexity : float
        (1 - t) + t m, a lower bound of the Hessian's eigenvalues.
    """

    def __init__(self, size: int, settings: BlurSettings, strength: float = 1.0, *,
                 device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        features = torch.tensor(_FEATURES, dtype=torch.float64) * math.sqrt(0.5)
        self.convexity = 1 - strength + strength * settings.floor
        self.linear = strength * (settings.gain - settings.floor)
        self.weight, self.scale = strength * settings.weight, settings.scale
        self.matrix = blur_matrix(size, settings.cutoff).to(device, dtype)
        self.features = features.to(device, dtype)
        self.offsets = torch.tensor(settings.offsets).to(device, dtype)[:, None]

    def blur(self, images: Tensor) -> Tensor:
        """L y for each colour plane of ``images``, shape kept."""
        return ((images @ self.matrix).mT @ self.matrix).mT

    def value(self, y: Tensor) -> Tensor:
        """psi_t(y), shape (N,)."""
        smooth = self.blur(y)
        quadratic = self.convexity * y.square() + self.linear * y * smooth
        nonlinear = log_cosh(self._arguments(smooth)).sum((1, 2))
        return 0.5 * quadratic.sum((1, 2, 3)) + self.weight * self.scale * nonlinear

    def gradient(self, y: Tensor) -> Tensor:
        """Grad psi_t(y) = (1-t) y + t (B y + w L C^T tanh(C L y / tau + b)), shape as ``y``."""
        bent = self.features.T @ torch.tanh(self._arguments(self.blur(y)))
        low = self.linear * y + self.weight * bent.view(y.shape)
        return self.convexity * y + self.blur(low)

    def _arguments(self, smooth: Tensor) -> Tensor:
        """C L y / tau + b from L y, shape (N, 6, pixels)."""
        return (self.features / self.scale) @ smooth.flatten(2) + self.offsets
