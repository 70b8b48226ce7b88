"""Distance between palettes, between 0 (HR statistics) and 1 (LR statistics, no change).

Legend: SW2 = sliced Wasserstein-2 distance between clouds of colours in [0, 1]^3, not clamped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from srbench.api.metric import Metric, Score
from srbench.errors import SrbenchError
from srbench.evaluation.mean import expect, pattern
from srbench.evaluation.pixels import colours_at, places
from srbench.evaluation.sliced import sliced_w2, unit_directions

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.metric import EvaluationContext

DIRECTIONS = 64
POOL = 2**16  # pixels a side in all, so that sorting them stays a matter of seconds
MOST, LEAST, UNKNOWN = 1024, 16, 64  # pixels of an image: bounds, and where its number is unknown
SEED = 2202


def pixels_per_image(images: int) -> int:
    """Pixels drawn of each of ``images`` test images (0 where their number is unknown)."""
    return min(MOST, max(LEAST, POOL // images)) if images > 0 else UNKNOWN


def palette_ratio(restored: float, lr: float) -> float:
    """``SW2(T(x), y) / SW2(x, y)``.

    Raises
    ------
    SrbenchError
        If the LR palette is the HR palette, so that there is no distance to relate to.
    """
    if not lr > 0:
        raise SrbenchError("SW2(LR, HR) is 0: the LR images have the palette of the HR images")
    return restored / lr


class PaletteSW2(Metric):
    """Sliced Wasserstein-2 distance of the restored palette to HR's, in units of the LR palette's.

    Every image weighs the same. The pixels of T(x) and y are of the same places, so equal images
    are at distance 0 exactly; only their statistics are compared, never pixel with pixel.
    """

    protocol: ClassVar[str] = "palette-sw2/over-lr/pool65536-64-directions/v1"

    def __init__(self, context: EvaluationContext) -> None:
        super().__init__(context)
        self._generator = torch.Generator().manual_seed(SEED)
        self._pixels = pixels_per_image(int(context.facts.get("test_size", 0)))
        self._pools: dict[str, list[Tensor]] = {"prediction": [], "hr": [], "lr": []}
        self._count = 0

    def update(self, prediction: Tensor, target: Tensor, lr: Tensor) -> None:
        """Take one batch of images."""
        where = torch.stack([places(self._pixels, self._generator) for _ in target])
        for name, images in (("prediction", prediction), ("hr", target), ("lr", lr)):
            self._pools[name].append(colours_at(images, where).flatten(0, 1).cpu())
        self._count += len(target)

    def compute(self) -> Score:
        """Return the ratio of distances; detail holds both."""
        if not self._count:
            raise SrbenchError("palette-SW2 was computed before any image was taken")
        pools = {name: torch.cat(parts) for name, parts in self._pools.items()}
        directions = unit_directions(DIRECTIONS, 3, SEED)
        restored, lr = (
            sliced_w2(pools[name], pools["hr"], directions) for name in ("prediction", "lr")
        )
        return Score(
            value=palette_ratio(restored, lr),
            count=self._count,
            reference={"lr": 1.0},
            detail={"sw2_prediction": restored, "sw2_lr": lr, "pixels": len(pools["hr"])},
        )

    def self_check(self) -> None:
        """Check the distance of a palette to itself and to its copy shifted by c."""
        cloud, directions = pattern(50, (3,)), unit_directions(DIRECTIONS, 3, SEED)
        expect("SW2(X, X) of palettes", sliced_w2(cloud, cloud, directions), 0, tolerance=0)
        shift = torch.tensor([0.3, -0.1, 0.2])
        value = sliced_w2(cloud, cloud + shift, directions)
        wanted = float((directions @ shift).square().mean().sqrt())
        expect("SW2 of a shifted palette", value, wanted, tolerance=1e-5)
