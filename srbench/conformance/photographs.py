"""Tiny photographs for methods that magnify by four, made of waves, whose map is known.

Legend: x = a low-resolution photograph, T* = the map of which the high-resolution ones are made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from srbench.api.dataset import CropDataset, Dataset
from srbench.api.parameters import Parameters
from srbench.api.problem import Problem
from srbench.conformance.synthetic import (
    MAP,
    TEST,
    TRAIN_HR,
    TRAIN_LR,
    VALIDATION,
    SyntheticImages,
    SyntheticVectors,
    recolour,
    stream,
    waves,
)
from srbench.errors import DataError


class SyntheticPhotographs(CropDataset):
    """Photographs of different, odd sizes and scale 4: T* = bicubic upsampling, then a recolouring.

    Training LR photographs are wave images; training HR photographs are T* of others, cut to odd
    sizes. Pairs are (x, T*(x)). `known_map` is False all the same: metrics of transport maps need
    samples of one size.

    Parameters
    ----------
    seed : int
        Decides all photographs.
    """

    source = "generated"
    LR_SIZES = ((141, 163), (157, 139), (131, 149))
    HR_SIZES = ((165, 149), (151, 183), (177, 171))
    TEST_SIZES = ((16, 21), (23, 18), (17, 17))
    PATCH = 8

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(Parameters(), "synthetic-sr")
        self.seed, self.device = seed, torch.device("cpu")
        self.problem = Problem(domain="sr", lr_shape=(3, 16, 16), hr_shape=(3, 64, 64), scale=4,
                               lr_extent=min(map(min, self.LR_SIZES)),
                               hr_extent=min(map(min, self.HR_SIZES)))
        lr, hr = stream(seed, TRAIN_LR), stream(seed, TRAIN_HR)
        self._images = {"lr": [to_bytes(waves(1, size, lr)[0]) for size in self.LR_SIZES],
                        "hr": [self._grown(size, hr) for size in self.HR_SIZES]}

    def _grown(self, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        """An HR photograph of that size: T* of an LR photograph nobody sees."""
        small = waves(1, [-(-side // 4) for side in size], generator)
        return to_bytes(self.true_map(small)[0, :, :size[0], :size[1]])

    def true_map(self, lr: Tensor) -> Tensor:
        """Return T*(x), (N, 3, 4 h, 4 w), of ``lr`` (N, 3, h, w)."""
        return recolour(F.interpolate(lr, scale_factor=4.0, mode="bicubic", align_corners=False))

    def fingerprint(self) -> str:
        """SHA-256 of the sizes and the seed."""
        words = (f"{type(self).__name__} v1 {self.LR_SIZES} {self.HR_SIZES} {self.TEST_SIZES} "
                 f"{self.seed}")
        return hashlib.sha256(words.encode()).hexdigest()

    def prepare(self, device: torch.device) -> None:
        """Note where samples are wanted."""
        self.device = device

    def sample_lr(self, n: int, generator: torch.Generator, size: int | None = None) -> Tensor:
        """Draw ``n`` crops of the LR photographs; see `CropDataset.sample_lr`."""
        return self._crops("lr", n, generator, size or self.problem.lr_shape[-1])

    def sample_hr(self, n: int, generator: torch.Generator, size: int | None = None) -> Tensor:
        """Draw ``n`` crops of the HR photographs, independent of `sample_lr`."""
        return self._crops("hr", n, generator, size or self.problem.hr_shape[-1])

    def _crops(self, role: str, n: int, generator: torch.Generator, size: int) -> Tensor:
        images, crops = self._images[role], []
        smallest = min(min(image.shape[1:]) for image in images)
        if size > smallest:
            raise DataError(f"no crops of {size} x {size}: the smallest {role} photograph holds "
                            f"{smallest} x {smallest}", hint=f"ask for at most {smallest}")
        for u in torch.rand(n, 3, generator=generator, device=generator.device).tolist():
            image = images[int(u[0] * len(images))]
            top, left = (int(at * (side - size + 1))
                         for at, side in zip(u[1:], image.shape[1:], strict=True))
            crops.append(image[:, top:top + size, left:left + size])
        return from_bytes(torch.stack(crops).to(self.device))

    def train_images(self, role: Literal["lr", "hr"]) -> Sequence[Tensor]:
        """Return the training photographs, (3, h, w) uint8 each."""
        return self._images[role]

    def test_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (x, T*(x)), one at a time, of sizes that differ."""
        return self._pairs(TEST, self.TEST_SIZES)

    def validation_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield two further pairs."""
        return self._pairs(VALIDATION, self.TEST_SIZES[:2])

    def _pairs(self, which: int,
               sizes: Sequence[tuple[int, int]]) -> Iterator[tuple[Tensor, Tensor]]:
        generator = stream(self.seed, which)
        for size in sizes:
            lr = from_bytes(to_bytes(waves(1, size, generator)))
            yield lr.to(self.device), self.true_map(lr).to(self.device)

    @property
    def patch_count(self) -> int:
        """Four patches of each test photograph."""
        return 4 * len(self.TEST_SIZES)

    def patch_scenes(self) -> tuple[Sequence[int], Sequence[int]]:
        """Photograph of each LR and of each HR patch."""
        scenes = [index for index in range(len(self.TEST_SIZES)) for _ in range(4)]
        return scenes, scenes

    def test_patches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield LR patches of 8 x 8 and HR patches of 32 x 32, cut independently."""
        generator = stream(self.seed, MAP)
        lr: list[Tensor] = []
        hr: list[Tensor] = []
        for x, y in self._pairs(TEST, self.TEST_SIZES):
            for images, side, patches in ((x, self.PATCH, lr), (y, 4 * self.PATCH, hr)):
                for _ in range(4):
                    top, left = (int(torch.randint(size - side + 1, (1,), generator=generator))
                                 for size in images.shape[-2:])
                    patches.append(images[0, :, top:top + side, left:left + side])
        patches_of = torch.stack(lr), torch.stack(hr)
        for at in range(0, self.patch_count, batch_size):
            yield patches_of[0][at:at + batch_size], patches_of[1][at:at + batch_size]


def to_bytes(image: Tensor) -> Tensor:
    """Return an image of range [-1, 1] as uint8."""
    return (image.clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)


def from_bytes(image: Tensor) -> Tensor:
    """Return a uint8 image as float32 of range [-1, 1]."""
    return image.float() / 127.5 - 1


def problems() -> list[Dataset]:
    """Return fresh instances of the datasets a method is tried on: vectors, images, photographs."""
    return [SyntheticVectors(), SyntheticImages(), SyntheticPhotographs()]
