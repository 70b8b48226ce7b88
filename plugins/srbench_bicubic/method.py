"""Bicubic interpolation as the paper's code does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from srbench import Method, Skipped

if TYPE_CHECKING:
    from srbench.training import Training


class Bicubic(Method):
    """Up-samples by the problem's scale; learns nothing.

    The operation Up of arXiv 2202.01116: cubic convolution with a = -0.75, pixel areas aligned
    (``align_corners=False``), no antialiasing, not clamped. At scale 1 it returns its input.
    """

    distributed = True  # there is nothing to learn

    def build(self) -> None:
        """Check that there is an image to interpolate.

        Raises
        ------
        Skipped
            On vectors.
        """
        if not self.problem.is_image:
            raise Skipped(f"bicubic interpolates images, not vectors of {self.problem.dim} values")

    def fit(self, training: Training) -> None:
        """Return at once."""

    def forward(self, lr: Tensor) -> Tensor:
        """Map images (N, 3, h, w) to (N, 3, s*h, s*w); values may leave the input's range."""
        scale = float(self.problem.scale)
        return F.interpolate(lr, scale_factor=scale, mode="bicubic", align_corners=False)
