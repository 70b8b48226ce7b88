"""Flags: simple, stated rules that draw a reader's eye to an output that went wrong.

===============  ===============================================================================
flag             raised when
===============  ===============================================================================
``nan``          an output value is not finite (raised by `evaluate`)
``saturation``   the share of values of at least 0.999 in size exceeds that of HR by 0.1; images
``collapse``     the total variance over outputs is below 5 % of that of HR (8x8 thumbnails)
``identity-map`` ``|T(x) - x|^2`` is below 1 % of ``|y - x|^2`` on average; same shapes only
``colour-cast``  the mean of a channel is further than 0.1 (5 % of the range) from HR's; images
``checkerboard`` a pattern of period 2 or 4 pixels, the same in all outputs, exceeds that of HR by
                 0.01 in amplitude, as strided transposed convolutions leave it; images
``range``        more than half of the values are beyond 1.5 in size, and none of HR's is; images
===============  ===============================================================================
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import adaptive_avg_pool2d

from srbench.evaluation.reducers import Moments, merge_all, moments

if TYPE_CHECKING:
    from torch import Tensor

EDGE = 0.999
SATURATED_SHARE = 0.1
COLLAPSED_VARIANCE = 0.05
IDENTICAL_SHARE = 0.01
CAST = 0.1
WAVE = 0.01
PERIOD = 4  # pixels; 2 divides it
BEYOND = 1.5
BEYOND_SHARE = 0.5
THUMBNAIL = 8


def thumbnails(samples: Tensor) -> Tensor:
    """Return rows of one length: 8x8 averages of images (N, C, H, W), vectors as they are."""
    if samples.ndim == 4:
        samples = adaptive_avg_pool2d(samples.float(), THUMBNAIL)
    return samples.flatten(1)


class Flags:
    """Collects what the rules need, batch by batch."""

    def __init__(self) -> None:
        self._outputs: list[Moments] = []
        self._targets: list[Moments] = []
        self._images: list[Tensor] = []  # rows of `_image_row`
        self._waves: list[Tensor] = []  # sums over images: of outputs, of targets
        self._moved: list[Tensor] = []  # rows: |T(x) - x|^2, |y - x|^2

    def update(self, prediction: Tensor, target: Tensor, lr: Tensor) -> None:
        """Take one batch of finite predictions, targets and inputs."""
        self._outputs.append(moments(thumbnails(prediction)))
        self._targets.append(moments(thumbnails(target)))
        if prediction.ndim == 4:
            self._images.append(_image_row(prediction, target))
            self._waves.append(torch.stack([waves(prediction), waves(target)]))
        if lr.shape == target.shape:
            moved = [(value - lr).double().square().sum() for value in (prediction, target)]
            self._moved.append(torch.stack(moved))

    def raised(self) -> list[str]:
        """Names of the flags that the rules raise."""
        if not self._outputs:
            return []
        flags = []
        if self._images:
            rows = torch.stack(self._images)
            mean = (rows[:, 1:] * rows[:, :1]).sum(0) / rows[:, 0].sum()
            if mean[0] - mean[1] > SATURATED_SHARE:
                flags.append("saturation")
            if mean[4:].abs().max() > CAST:
                flags.append("colour-cast")
            if mean[2] > BEYOND_SHARE and mean[3] == 0:
                flags.append("range")
            heights = torch.stack(self._waves).sum(0).abs() / rows[:, 0].sum()
            if (heights[0] - heights[1])[:, 1:].max() > WAVE:  # the first is the mean colour
                flags.append("checkerboard")
        spread, wanted = (
            float(merge_all(parts).variance().sum()) for parts in (self._outputs, self._targets)
        )
        if spread < COLLAPSED_VARIANCE * wanted:
            flags.append("collapse")
        if self._moved:
            moved, needed = torch.stack(self._moved).sum(0).tolist()
            if moved < IDENTICAL_SHARE * needed:
                flags.append("identity-map")
        return sorted(flags)


def waves(images: Tensor) -> Tensor:
    """Amplitudes of the patterns whose period divides 4 pixels, summed over images.

    A Hann window keeps gradients and edges of what is shown out of them. The sum over images keeps
    only what lies at the same place in all.

    Parameters
    ----------
    images : Tensor
        (N, C, H, W).

    Returns
    -------
    Tensor
        (C, 16), complex; the first of the 16 is the windowed mean.
    """
    height, width = (_windowed_waves(size, images.device) for size in images.shape[-2:])
    total = images.float().sum(0).to(torch.complex64)
    return (height @ total @ width.mT).flatten(1)


def _windowed_waves(size: int, device: torch.device) -> Tensor:
    """Return a window times waves of periods infinite, 4, 2 and 4 again, shape (4, size)."""
    place = torch.arange(size, device=device, dtype=torch.float32)
    window = torch.sin(math.pi * (place + 0.5) / size).square()
    angle = 2 * math.pi / PERIOD * torch.outer(torch.arange(PERIOD, device=device), place)
    return torch.polar((window / window.sum()).expand_as(angle).contiguous(), angle)


def _image_row(prediction: Tensor, target: Tensor) -> Tensor:
    """Count; shares of T(x) and HR that are saturated, that are out of range; channel gaps."""
    sizes = prediction.abs(), target.abs()
    shares = [(size >= EDGE).double().mean() for size in sizes]
    shares += [(size > BEYOND).double().mean() for size in sizes]
    gaps = (prediction.double() - target.double()).mean((0, 2, 3))
    count = torch.tensor([len(prediction)], dtype=torch.float64, device=prediction.device)
    return torch.cat([count, torch.stack(shares), gaps])
