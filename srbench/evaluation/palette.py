"""Palette variance: how colourful the output is, to be read against the HR images.

The paper (appendix D) draws random pixels as a cloud in [0, 1]^3, takes the variance of the cloud,
and averages over 100 repetitions; the released notebook draws 1024 pixels.
Legend: R = repetitions, K = pixels drawn.
"""

from __future__ import annotations

from statistics import pvariance
from typing import TYPE_CHECKING, ClassVar

import torch

from srbench.api.metric import Metric, Score
from srbench.errors import DataError
from srbench.evaluation.mean import expect, unit_range
from srbench.evaluation.reducers import Moments, merge_all, moments

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.metric import EvaluationContext

REPETITIONS = 100
DRAWN = 1024
SEED = 20220202
NOTEBOOK_IMAGES = 20  # of its 100 crops the released notebook uses only the first 20
NOTEBOOK_CROP = 32  # side of its crops at the LR scale


def palette_variance(clouds: Tensor) -> Tensor:
    """Total variance of each cloud of colours: (R, K, 3) to (R,), population variances summed."""
    return clouds.double().var(1, correction=0).sum(-1)


def pixels_of(images: Tensor) -> Tensor:
    """Colours in [0, 1] (not clamped) of each image: (N, 3, H, W) to (N, H * W, 3)."""
    return unit_range(images).flatten(2).transpose(1, 2)


class Clouds:
    """Draws joint RGB pixels: K of each image as it passes, then clouds of K from those.

    Every image weighs the same, whatever its size.
    """

    def __init__(self) -> None:
        self._generator = torch.Generator().manual_seed(SEED)
        self._pools: list[Tensor] = []
        self._exact: list[Moments] = []

    def update(self, images: Tensor) -> None:
        """Take a batch of images (N, 3, H, W) in [-1, 1]."""
        for colours in pixels_of(images):
            rows = torch.randint(len(colours), (DRAWN,), generator=self._generator)
            self._pools.append(colours[rows.to(colours.device)].cpu())
            self._exact.append(moments(colours))

    def variances(self) -> Tensor:
        """Variance of each of the 100 clouds, shape (R,)."""
        if not self._pools:
            raise DataError("palette variance was computed before any image was taken")
        pool = torch.cat(self._pools)
        rows = torch.randint(len(pool), (REPETITIONS, DRAWN), generator=self._generator)
        return palette_variance(pool[rows])

    def exact(self) -> float:
        """Variance over every pixel of every image, without drawing."""
        return float(merge_all(self._exact).variance().sum())


class NotebookClouds:
    """Draws pixels as the released notebook does, quirks included.

    Each repetition crops each of the first 20 images at random and draws 1024 values of each
    channel apart, with replacement, so the drawn colours are not real ones (the expected variance
    is that of real ones). All draws are fixed beforehand; images only fill them in. One difference:
    crops are cut from the mapped image, the notebook maps each crop on its own.

    Parameters
    ----------
    crop : int
        Side of a crop in pixels.
    """

    def __init__(self, crop: int) -> None:
        generator = torch.Generator().manual_seed(SEED)
        shape = (REPETITIONS, DRAWN, 3)
        self.crop, self.taken = crop, 0
        self._image = torch.randint(NOTEBOOK_IMAGES, shape, generator=generator)
        self._row = torch.randint(crop, shape, generator=generator)
        self._column = torch.randint(crop, shape, generator=generator)
        self._corner = torch.rand((NOTEBOOK_IMAGES, REPETITIONS, 2), generator=generator)
        self._clouds = torch.full(shape, torch.nan)

    def update(self, images: Tensor) -> None:
        """Take a batch of images (N, 3, H, W) in [-1, 1]; only the first 20 of all count."""
        for image in images[: max(0, NOTEBOOK_IMAGES - self.taken)]:
            self._fill(unit_range(image).cpu())
            self.taken += 1

    def _fill(self, image: Tensor) -> None:
        """Fill in the values that are drawn from one image (3, H, W)."""
        room = torch.tensor(image.shape[1:]) - self.crop + 1
        if room.min() < 1:
            raise DataError(
                f"palette crops are {self.crop} pixels wide, the image is {tuple(image.shape)}"
            )
        corner = (self._corner[self.taken] * room).long()  # (R, 2)
        repetition, draw, channel = (self._image == self.taken).nonzero(as_tuple=True)
        where = (repetition, draw, channel)
        row = corner[repetition, 0] + self._row[where]
        column = corner[repetition, 1] + self._column[where]
        self._clouds[where] = image[channel, row, column]

    def variances(self) -> Tensor:
        """Variance of each of the 100 clouds, shape (R,)."""
        if self.taken < NOTEBOOK_IMAGES:
            raise DataError(f"needs {NOTEBOOK_IMAGES} test images, got {self.taken}")
        return palette_variance(self._clouds)


class PaletteVariance(Metric):
    """Mean variance of 100 clouds of 1024 joint RGB pixels; detail holds the exact variance."""

    protocol: ClassVar[str] = "palette-variance/joint/1024x100/v1"

    def __init__(self, context: EvaluationContext) -> None:
        super().__init__(context)
        self._clouds = {name: Clouds() for name in ("prediction", "hr", "lr")}
        self._count = 0

    def update(self, prediction: Tensor, target: Tensor, lr: Tensor) -> None:
        """Take one batch of images."""
        for name, images in (("prediction", prediction), ("hr", target), ("lr", lr)):
            self._clouds[name].update(images)
        self._count += len(prediction)

    def compute(self) -> Score:
        """Return the mean over repetitions, with the HR and LR images' own beside it."""
        variances = {name: clouds.variances() for name, clouds in self._clouds.items()}
        detail = {f"exact_{name}": clouds.exact() for name, clouds in self._clouds.items()}
        return _score(variances, self._count, detail)

    def self_check(self) -> None:
        """Check the variance of clouds whose answer is known."""
        corners = torch.tensor([[0.0, 0, 0], [1, 1, 1]]).expand(4, 2, 3)
        for grey in (1, 0.7):  # the second is no number of half precision
            value = float(palette_variance(grey * corners)[0])
            expect(f"variance of 0 and {grey}", value, 0.75 * grey**2, tolerance=1e-7)


class PaletteVarianceNotebook(Metric):
    """Palette variance with the draws of the released notebook."""

    protocol: ClassVar[str] = "palette-variance/notebook-first-20/v1"

    def __init__(self, context: EvaluationContext) -> None:
        super().__init__(context)
        large = NOTEBOOK_CROP * context.problem.scale
        self._clouds = {
            "prediction": NotebookClouds(large),
            "hr": NotebookClouds(large),
            "lr": NotebookClouds(NOTEBOOK_CROP),
        }

    def update(self, prediction: Tensor, target: Tensor, lr: Tensor) -> None:
        """Take one batch of images."""
        for name, images in (("prediction", prediction), ("hr", target), ("lr", lr)):
            self._clouds[name].update(images)

    def compute(self) -> Score:
        """Return the mean over repetitions, with the HR and LR images' own beside it."""
        variances = {name: clouds.variances() for name, clouds in self._clouds.items()}
        return _score(variances, NOTEBOOK_IMAGES, {})

    def self_check(self) -> None:
        """Check the variance of images of one grey each, of which the draws are known."""
        clouds = NotebookClouds(NOTEBOOK_CROP)
        greys = [0.03 * (index - 10) + 0.001 for index in range(NOTEBOOK_IMAGES)]
        for grey in greys:
            clouds.update(torch.full((1, 3, NOTEBOOK_CROP, NOTEBOOK_CROP), grey))
        drawn = [[greys[index] / 2 for index in row] for row in clouds._image[0].T.tolist()]
        wanted = sum(pvariance(channel) for channel in drawn)
        expect("variance of grey images", float(clouds.variances()[0]), wanted, tolerance=1e-7)


def _score(variances: dict[str, Tensor], count: int, detail: dict[str, float]) -> Score:
    """Score from the variances of the clouds of prediction, HR and LR."""
    drawn = variances["prediction"]
    return Score(
        value=float(drawn.mean()),
        count=count,
        reference={name: float(variances[name].mean()) for name in ("hr", "lr")},
        detail={"repetitions": REPETITIONS, "sd": float(drawn.std(correction=0)), **detail},
    )
