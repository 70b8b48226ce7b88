"""Quick scores on the validation pairs while a method trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from srbench.errors import DataError
from srbench.evaluation.l2_uvp import l2_uvp
from srbench.evaluation.modes import eval_mode, full_precision, mapped, preserved_randomness
from srbench.evaluation.psnr import psnr

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.api.dataset import Dataset
    from srbench.api.method import Method


def validation_scores(
    method: Method, dataset: Dataset, device: torch.device, batch_size: int = 64
) -> dict[str, float]:
    """Scores on the validation pairs, for curves and the choice by ground truth.

    Returns
    -------
    dict of str to float
        ``"l2-uvp"`` where the true map is known, ``"psnr"`` on images; NaN where an output is not
        finite. Method, buffers and random states are left as they were.

    Raises
    ------
    DataError
        If the dataset has no validation pairs.
    PluginError
        If the method's output is no tensor of the target's shape.
    """
    variance = dataset.facts().get("hr_variance") if dataset.known_map else None
    scores: dict[str, list[Tensor]] = {}
    with preserved_randomness(), full_precision(), eval_mode(method):
        for lr, hr in dataset.validation_batches(batch_size):
            lr, hr = lr.to(device), hr.to(device)
            prediction = mapped(method, lr, hr)
            if variance:
                scores.setdefault("l2-uvp", []).append(l2_uvp(prediction, hr, variance))
            if dataset.problem.is_image:
                scores.setdefault("psnr", []).append(psnr(prediction, hr))
    if not scores:
        raise DataError(f"dataset {dataset.name!r} has no validation pairs to score")
    return {name: float(torch.cat(parts).mean()) for name, parts in scores.items()}
