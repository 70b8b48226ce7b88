"""The dataset aim19: crops of photographs to train on, whole pairs and patches to evaluate on.

Legend: P, LR: photographs with unknown noise and artefacts; Q, HR: clean photographs of other
scenes, whose details are 4 times as fine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from srbench import CropDataset, Field, Parameters, Problem
from srbench.errors import DataError, SrbenchError
from srbench.files import Progress
from srbench.paths import user_path
from srbench_aim19.archives import Archive, absent, archives
from srbench_aim19.archives import fetch as fetch_archive
from srbench_aim19.crops import (
    PATCH_PROTOCOL,
    Photographs,
    patch_photographs,
    patches,
    seeded,
    to_batch,
    training_crops,
)
from srbench_aim19.embedded import embedded_images
from srbench_aim19.layout import (
    HR_PATCH,
    LR_PATCH,
    PARTS,
    SCALE,
    describe_absence,
    lacking,
    list_images,
    locate,
)
from srbench_aim19.official import import_images


class AIM19(CropDataset):
    """Track 2 of the AIM 2019 real-world super-resolution challenge, or its stand-in.

    The images are on the user's machine or they are not: the constructor never uses the network.
    The first time it decodes them into the cache. Where they are not there, ``source="auto"``
    takes the embedded stand-in, says so, and is shown under another name.

    Raises
    ------
    DataError
        If the images are asked for (by ``source="official"`` or ``root``) and are not there, or
        are not what they must be.
    """

    class Params(Parameters):
        """Parameters of the dataset."""

        source: Literal["auto", "official", "embedded"] = Field(
            "auto", description="auto: official where its files are found, else embedded")
        root: str = Field("", description="folder that holds the four sets of images; unless "
                                          "given, SRBENCH_DATA and the cache are searched")
        complete: bool = Field(
            True, description="whether the set must be whole; a partial one has another name")
        fid_patches: int = Field(50_000, ge=2, le=2**20,
                                 description="LR and HR patches of the test images, for FID")
        augment: bool = Field(True, description="flip and rotate training crops at random")

        presets: ClassVar[dict[str, dict[str, Any]]] = {
            "quick": {"fid_patches": 2000}, "paper": {}, "code": {}}

    params: Params
    has_validation = False  # the 100 validation pairs of the challenge are the test pairs

    def __init__(self, params: Params, name: str) -> None:
        self._stands_in = ""
        found = None if params.source == "embedded" else locate(params.root)
        if found is None and params.source != "embedded":
            self._stands_in = _absence(params)
        if found is None:
            self.source, self._images = "embedded", embedded_images()
        else:
            self._images = import_images(list_images(*found), complete=params.complete)
            self.source = "official" if params.complete else "partial"
        settled = {"source": "embedded" if found is None else "official",
                   "root": str(user_path(params.root)) if params.root else ""}
        super().__init__(params.model_copy(update=settled), name)
        stores = self._images.stores
        self.problem = Problem(
            domain="sr", scale=SCALE, lr_shape=(3, LR_PATCH, LR_PATCH),
            hr_shape=(3, HR_PATCH, HR_PATCH), lr_extent=stores["lr"].smallest_side,
            hr_extent=stores["hr"].smallest_side)
        self._device: torch.device | None = None

    @property
    def title(self) -> str:
        """``aim19``, or ``aim19@embedded`` or ``aim19@partial``."""
        return self.name if self.source == "official" else f"{self.name}@{self.source}"

    @property
    def notice(self) -> str:
        """For the stand-in and a partial copy: that it is one, and how to get the whole."""
        counts = ", ".join(f"{len(self._images.stores[role])} {part.what}"
                           for role, part in PARTS.items())
        remedy = ("The whole: srbench fetch aim19 (some 20 GB), or --set aim19.root=DIR where you "
                  "have it")
        if self.source == "partial":
            return f"{self.title} is a PARTIAL copy ({counts}): compare with no other. {remedy}"
        if self.source == "embedded":
            why = f"{self.name}: {self._stands_in}; " if self._stands_in else ""
            return (f"{why}{self.title} is the EMBEDDED stand-in, another benchmark: {counts}, "
                    "photographs of scikit-image with blur, noise and JPEG. Its numbers compare "
                    f"with no published one. {remedy}")
        return ""

    def fingerprint(self) -> str:
        """SHA-256 of every image, the test patches, and whether training crops are turned."""
        parts = {"dataset": "aim19/v1", "images": self._images.digest(),
                 "fid_patches": self.params.fid_patches, "patches": PATCH_PROTOCOL,
                 "augment": self.params.augment}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def prepare(self, device: torch.device) -> None:
        """Fix where batches go; images stay on the disk, in the system's cache."""
        self._device = device

    def sample_lr(self, n: int, generator: torch.Generator, size: int | None = None) -> Tensor:
        """Draw ``n`` crops of P, (n, 3, size, size) in [-1, 1], at random places and ways round.

        A function of the generator's seed alone, the same on every device; nothing is drawn from
        the generator, so that a GPU is never waited for. The harness seeds it for each draw.

        Raises
        ------
        DataError
            If ``size`` is larger than ``problem.lr_extent``.
        """
        return self._crops("lr", n, generator, LR_PATCH if size is None else size)

    def sample_hr(self, n: int, generator: torch.Generator, size: int | None = None) -> Tensor:
        """Draw ``n`` crops of Q, independent of `sample_lr`; as there."""
        return self._crops("hr", n, generator, HR_PATCH if size is None else size)

    def _crops(self, role: Literal["lr", "hr"], n: int, generator: torch.Generator,
               size: int) -> Tensor:
        store = self._images.stores[role]
        if not 1 <= size <= store.smallest_side:
            raise DataError(f"crops of {size} cannot be cut from the {PARTS[role].what}: the "
                            f"smallest holds {store.smallest_side}")
        own = seeded(f"train/{role}", generator.initial_seed())
        crops = training_crops(store, n, size, own, augment=self.params.augment)
        return to_batch(crops, self._device or generator.device)

    def train_images(self, role: Literal["lr", "hr"]) -> Sequence[Tensor]:
        """Whole training images, (3, h, w) uint8 on the CPU, read when asked for."""
        return Photographs(self._images.stores[role])

    def test_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield whole validation pairs (1, 3, h, w), (1, 3, 4h, 4w) in [-1, 1], by name."""
        stores = self._images.stores
        for pair in zip(stores["lr-test"], stores["hr-test"], strict=True):
            lr, hr = (to_batch(image[None].copy(), self._prepared) for image in pair)
            yield lr, hr

    def validation_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield nothing: the challenge's validation pairs are the test pairs."""
        return iter(())

    @property
    def patch_count(self) -> int:
        """Number of test patches."""
        return self.params.fid_patches

    def test_patches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (N, 3, 32, 32) LR and, drawn apart, (N, 3, 128, 128) HR patches in [-1, 1].

        The image uniformly with replacement, then the place; neither flipped nor rotated.
        """
        stores, count = self._images.stores, self.patch_count
        low = patches(stores["lr-test"], "lr", count, LR_PATCH, batch_size)
        high = patches(stores["hr-test"], "hr", count, HR_PATCH, batch_size)
        for lr, hr in zip(low, high, strict=True):
            yield to_batch(lr, self._prepared), to_batch(hr, self._prepared)

    def patch_scenes(self) -> tuple[list[int], list[int]]:
        """Photograph of each patch; the pairs of validation photographs are in one order."""
        stores, count = self._images.stores, self.patch_count
        return (patch_photographs(stores["lr-test"], "lr", count, LR_PATCH),
                patch_photographs(stores["hr-test"], "hr", count, HR_PATCH))

    def facts(self) -> dict[str, Any]:
        """Counts, channel statistics (levels 0 to 255) and mean colours ([-1, 1])."""
        statistics = self._images.statistics
        return {"test_size": len(self._images.stores["lr-test"]), "patch_count": self.patch_count,
                "images": {role: len(store) for role, store in self._images.stores.items()},
                "channel_mean": {key: list(one.mean) for key, one in statistics.items()},
                "channel_sd": {key: list(one.sd) for key, one in statistics.items()},
                "lr_mean": statistics["lr"].colour(), "hr_mean": statistics["hr"].colour()}

    @property
    def _prepared(self) -> torch.device:
        if self._device is None:
            raise SrbenchError(f"{self.name} is not prepared", hint="call prepare(device) first")
        return self._device

    @classmethod
    def fetch(cls, params: Params, progress: Progress | None = None) -> list[Path]:
        """Download and unpack the archives, unless a copy is there; return the four folders."""
        found = locate(params.root)
        if found is not None:
            return list(found[1].values())
        return [fetch_archive(archive, progress) for archive in archives()]

    @classmethod
    def missing(cls, params: Params) -> list[Archive]:
        """Archives that are not unpacked on this machine; none where a copy lies elsewhere."""
        return [] if locate(params.root) is not None else absent()

    @classmethod
    def status(cls) -> Iterable[tuple[str, bool, str, str]]:
        """For ``srbench doctor``: what, whether it is there, detail, remedy."""
        found = locate("")
        detail = (f"in {found[0]}" if found else
                  f"{len(absent())} of {len(PARTS)} archives are missing; the embedded stand-in "
                  "is used")
        yield "aim19", found is not None, detail, "srbench fetch aim19"


def _absence(params: AIM19.Params) -> str:
    """Why the stand-in stands in.

    Raises
    ------
    DataError
        If the user asked for the images.
    """
    reason = describe_absence(params.root)
    if params.root or params.source == "official":
        raise DataError(f"the images of aim19 are not there: {reason}",
                        hint="srbench fetch aim19, or --set aim19.root=DIR")
    lacks = lacking("")
    return f"the copy on this machine lacks the {lacks}" if lacks else (
        "its images are not on this machine")
