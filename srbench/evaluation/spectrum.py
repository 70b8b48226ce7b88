"""Gap between the radial power spectra of restored and HR images.

Legend: f = radial frequency in cycles per pixel; P = |FFT|^2 / (H W), the power, which for white
noise is its variance at every f; ring = the frequencies at most 1/128 from k/64; profile = mean of
log P over the frequencies of each ring.

Upsampling leaves traces in the high frequencies that networks do not undo (Jung and Keuper, arXiv
2012.03110; Schwarz et al., arXiv 2111.02447), and a map that averages over what it cannot know
loses them. The radial mean is that of Durall et al. (CVPR 2020). A circular Gaussian blur of
deviation s lowers log P by exactly ``4 pi^2 s^2 f^2``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import torch

from srbench.api.metric import Metric, Score
from srbench.errors import SrbenchError
from srbench.evaluation.mean import expect, pattern, unit_range
from srbench.evaluation.reducers import shards

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.metric import EvaluationContext

RINGS = 32  # k = 1 ... 32, up to f = 1/2; the mean colour and corners of the spectrum are in none
STEP = 1 / 64
FLOOR = 1e-10  # added to the power, far below that of rounding to 8 bits, 1.3e-6
AT_A_TIME = 2**23  # values transformed at a time


@dataclass(frozen=True)
class Rings:
    """Which ring each value of a half spectrum belongs to.

    Parameters
    ----------
    radius : Tensor
        f of each value, shape (H * (W // 2 + 1),), float64.
    ring : Tensor
        k of each value; 0 below the first ring, 33 above f = 1/2.
    weight : Tensor
        2 where a value stands for two conjugate ones, else 1; float64.
    """

    radius: Tensor
    ring: Tensor
    weight: Tensor

    def means(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """Mean of half spectra (N, C, H, W // 2 + 1) over channels and each ring.

        Returns
        -------
        means : Tensor
            Shape (N, 32), 0 where no frequency of images of this size lies in the ring.
        filled : Tensor
            Shape (32,), 1 where one does, else 0; float64.
        """
        values = spectrum.mean(1).flatten(1) * self.weight
        sums = values.new_zeros(len(values), RINGS + 2).index_add_(1, self.ring, values)
        count = torch.bincount(self.ring, self.weight, minlength=RINGS + 2)
        means = sums / count.clamp(min=1)
        return means[:, 1 : RINGS + 1], (count > 0).double()[1 : RINGS + 1]

    def band(self, spectrum: Tensor, low: float) -> Tensor:
        """Mean of half spectra over channels and low < f <= 1/2: (N,), 0 for an empty band."""
        weight = self.weight * ((self.radius > low) & (self.ring <= RINGS))
        values = spectrum.mean(1).flatten(1)
        return values @ weight / weight.sum().clamp(min=1)


@lru_cache(maxsize=4)
def rings(height: int, width: int, device: torch.device) -> Rings:
    """Lay out the rings of the half spectrum of images of a size."""
    column = torch.fft.rfftfreq(width, dtype=torch.float64)
    radius = torch.hypot(torch.fft.fftfreq(height, dtype=torch.float64)[:, None], column[None])
    weight = torch.full_like(radius, 2)
    weight[:, 0] = 1
    if width % 2 == 0:
        weight[:, -1] = 1
    ring = (radius / STEP + 0.5).floor().long()
    ring[radius > 0.5] = RINGS + 1
    return Rings(*(part.flatten().to(device) for part in (radius, ring, weight)))


def power(images: Tensor) -> Tensor:
    """``|FFT|^2 / (H W)`` of images (N, C, H, W): (N, C, H, W // 2 + 1), float64."""
    spectrum: Tensor = torch.fft.rfft2(images.double()).abs().square()
    return spectrum / (images.shape[-2] * images.shape[-1])


class Profile:
    """Mean over images of their profiles, and of their power in a band.

    Every image weighs the same in each ring that its size has a frequency in.

    Parameters
    ----------
    low : float
        Lower end of the band; its upper end is 1/2.
    """

    def __init__(self, low: float) -> None:
        self.low, self._band, self._images = low, 0.0, 0
        self._sum = torch.zeros(RINGS, dtype=torch.float64)
        self._count = torch.zeros(RINGS, dtype=torch.float64)

    def update(self, images: Tensor) -> None:
        """Take images (N, C, H, W) in [-1, 1], which become [0, 1] unclamped."""
        layout = rings(images.shape[-2], images.shape[-1], images.device)
        for part in shards(images, max(1, AT_A_TIME // images[0].numel())):
            spectrum = power(unit_range(part))
            self._band += float(layout.band(spectrum, self.low).sum())
            means, filled = layout.means((spectrum + FLOOR).log())
            self._sum += means.sum(0).cpu()
            self._count += filled.cpu() * len(part)
        self._images += len(images)

    def band(self) -> float:
        """Mean power in the band, over images."""
        return self._band / max(1, self._images)

    def mean(self) -> Tensor:
        """Profile in nats, shape (32,), float64; NaN in rings that no image fills.

        Raises
        ------
        SrbenchError
            If there are no images, or only images without a frequency.
        """
        if not self._count.any():
            raise SrbenchError("a spectrum was computed before any image of several pixels")
        return self._sum / self._count


def spectrum_gap(profile: Tensor, wanted: Tensor) -> float:
    """Mean over rings of the absolute difference between two profiles, in nats."""
    gap = (profile - wanted).abs()
    return float(gap[gap.isfinite()].mean())


class SpectrumGap(Metric):
    """Mean absolute difference between the mean profiles of T(x) and y."""

    protocol: ClassVar[str] = "spectrum-gap/log-power-nats/32-rings/floor1e-10/v1"

    def __init__(self, context: EvaluationContext) -> None:
        super().__init__(context)
        self._nyquist = 0.5 / context.problem.scale
        self._profiles = {name: Profile(self._nyquist) for name in ("prediction", "hr", "lr")}
        self._count = 0

    def update(self, prediction: Tensor, target: Tensor, lr: Tensor) -> None:
        """Take one batch of images."""
        self._profiles["prediction"].update(prediction)
        self._profiles["hr"].update(target)
        if self.context.problem.scale == 1:
            self._profiles["lr"].update(lr)
        self._count += len(target)

    def compute(self) -> Score:
        """Return the gap; detail holds both profiles, and the power above LR's Nyquist frequency.

        Where LR and HR have one size, the reference is the gap of the LR images.
        """
        restored, hr = (self._profiles[name].mean() for name in ("prediction", "hr"))
        same_size = self.context.problem.scale == 1
        detail: dict[str, object] = {
            "frequency": [STEP * k for k in range(1, RINGS + 1)],
            "log_power_prediction": _json(restored),
            "log_power_hr": _json(hr),
        }
        if not same_size and self._profiles["hr"].band() > 0:
            above = self._profiles["prediction"].band() / self._profiles["hr"].band()
            detail |= {"lr_nyquist": self._nyquist, "power_ratio_above_lr_nyquist": above}
        lr = {"lr": spectrum_gap(self._profiles["lr"].mean(), hr)} if same_size else {}
        return Score(
            value=spectrum_gap(restored, hr), count=self._count, reference=lr, detail=detail
        )

    def self_check(self) -> None:
        """Check that half the contrast lowers log P by log 4 at every frequency."""
        images = pattern(2, (3, 64, 64)).roll(3, 2) + pattern(2, (3, 64, 64)).square().flip(3)
        profiles = []
        for contrast in (1, 0.5):
            profile = Profile(0.5)
            profile.update(contrast * images)
            profiles.append(profile.mean())
        value = float((profiles[0] - profiles[1]).max())
        wanted = float(torch.tensor(4.0).double().log())
        expect("log power lost with half the contrast", value, wanted, tolerance=1e-3)


def _json(profile: Tensor) -> list[float | None]:
    """Return a profile as JSON data: null in rings that no image fills."""
    return [value if value == value else None for value in profile.tolist()]
