"""The metrics as pure functions: the formulas that evaluations use, to be called on tensors.

Images are float tensors (N, 3, H, W) of nominal range [-1, 1], as `srbench.load` returns them. A
function of pairs gives one value per image, whose mean a leaderboard shows; a function of sets
gives one value. What a metric of a leaderboard does besides (which images, which batches, which
weights) is its protocol: docs/protocols.md.
"""

from srbench.metrics.colours import (
    colour_shift,
    palette_gap,
    palette_sw2,
    palette_variance,
    spectrum,
    spectrum_gap,
)
from srbench.metrics.features import fid, inception_features, kid, mind, sliced_w2
from srbench.metrics.images import lpips, psnr, ssim
from srbench.metrics.maps import cosine, l2_uvp, total_variance, transport_cost

__all__ = [
    "colour_shift",
    "cosine",
    "fid",
    "inception_features",
    "kid",
    "l2_uvp",
    "lpips",
    "mind",
    "palette_gap",
    "palette_sw2",
    "palette_variance",
    "psnr",
    "sliced_w2",
    "spectrum",
    "spectrum_gap",
    "ssim",
    "total_variance",
    "transport_cost",
]
