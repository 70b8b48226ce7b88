"""Base of the metrics that compare Inception features of restored patches and of HR patches.

The protocol is that of the paper's FID: LR patches of 32x32 from the test images, each restored on
its own to 128x128, against HR patches of 128x128 that are cut independently of them. Features
stream by: neither all patches nor all features are in memory.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch

from srbench.api.metric import Metric
from srbench.errors import DataError
from srbench.evaluation.inception import PROTOCOL as INCEPTION
from srbench.evaluation.inception import InceptionFeatures
from srbench.evaluation.jackknife import FEWER, group_index
from srbench.evaluation.row_file import RowWriter, read_rows
from srbench.files import cache_dir

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from srbench.api.metric import EvaluationContext
    from srbench.evaluation.jackknife import Integers
    from srbench.evaluation.row_file import Rows

LR_PATCH, HR_PATCH = 32, 128
PROTOCOL = f"lr32-hr128-independent/{INCEPTION}"


class PatchTargets:
    """Features of the HR patches of a dataset, taken once and kept on disk.

    Parameters
    ----------
    inception : InceptionFeatures
        The network, and what names its weights and the dataset.
    total : int
        Number of patches of the dataset.
    """

    def __init__(self, inception: InceptionFeatures, total: int) -> None:
        self._inception = inception
        self._path = _path(inception, total)
        known = read_rows(self._path) if inception.fingerprint else None
        self._known = known if known is not None and len(known) == total else None
        keep = self._known is None and inception.fingerprint and total > 0
        self._writer = RowWriter(self._path, total) if keep else None

    @classmethod
    def shared(cls, context: EvaluationContext) -> PatchTargets:
        """Return the one of this dataset object; raises `MissingWeights` without weights."""
        key = f"{PROTOCOL}/targets"
        if key not in context.store:
            total = int(context.facts.get("patch_count", 0))
            context.store[key] = cls(InceptionFeatures.shared(context), total)
        found: PatchTargets = context.store[key]
        return found

    def of(self, patches: Tensor, first: int) -> Tensor:
        """Return features of the HR patches that start at patch ``first``: (N, d), on the CPU."""
        last = first + len(patches)
        if self._known is not None and last <= len(self._known):
            return torch.from_numpy(np.array(self._known[first:last]))
        features = self._inception.of(patches)
        if self._writer is not None:
            self._writer.add(features.numpy(), first)
            if self._writer.complete:
                self._known, self._writer = read_rows(self._path), None
        return features

    @property
    def rows(self) -> Rows | None:
        """Features of all HR patches, (N, d), mapped; None until all are on disk."""
        return self._known


def _path(inception: InceptionFeatures, total: int) -> Path:
    """Return the file that the features of this dataset's HR patches are kept in."""
    identity = f"{PROTOCOL}/{inception.content}/{inception.fingerprint}/{total}".encode()
    return cache_dir() / "features" / f"{hashlib.sha256(identity).hexdigest()}.rows"


class PatchMetric(Metric):
    """Base of metrics of features of patches, fed in batches of (N, 3, 128, 128)."""

    mode: ClassVar[Literal["eval", "train10", "patches"]] = "patches"

    def __init__(self, context: EvaluationContext) -> None:
        super().__init__(context)
        self._inception = InceptionFeatures.shared(context)
        self._targets = PatchTargets.shared(context)
        self._count = 0
        self.all_groups = photograph_groups(context)

    def features(self, prediction: Tensor, target: Tensor, lr: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of restored and of HR patches, each (N, d), and count them.

        Raises
        ------
        DataError
            If the patches have not the sizes that the protocol names.
        """
        sizes = tuple(lr.shape[-2:]), tuple(target.shape[-2:])
        if sizes != ((LR_PATCH, LR_PATCH), (HR_PATCH, HR_PATCH)):
            raise DataError(
                f"defined on LR patches of {LR_PATCH}x{LR_PATCH} and HR patches of "
                f"{HR_PATCH}x{HR_PATCH} pixels, got {sizes[0]} and {sizes[1]}"
            )
        first, self._count = self._count, self._count + len(target)
        return self._inception.of(prediction), self._targets.of(target, first)

    @property
    def is_whole(self) -> bool:
        """Whether every patch of the dataset was taken, so that HR statistics may be kept."""
        return self._count == self.context.facts.get("patch_count")

    @property
    def groups(self) -> tuple[Integers, Integers] | None:
        """Groups of the LR and the HR patches, see `photograph_groups`; None unless all came."""
        return self.all_groups if self.is_whole else None


def photograph_groups(context: EvaluationContext) -> tuple[Integers, Integers] | None:
    """Group of each LR and of each HR patch that the jackknife leaves out at a time.

    Patches of one photograph, LR or HR, are in one group. None where the dataset does not say which
    photographs they are cut from: taken for independent they would seem to tell more than they do.
    """
    scenes = context.facts.get("patch_scenes")
    total = int(context.facts.get("patch_count", 0))
    if scenes is None or total == 0 or {len(side) for side in scenes} != {total}:
        return None
    joint = group_index(np.concatenate([np.asarray(side, np.int64) for side in scenes]), FEWER)
    return joint[:total], joint[total:]
