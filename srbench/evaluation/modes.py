"""Running a method for measurement without leaving a trace in it or in the random state."""

from __future__ import annotations

import copy
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

TRAIN_BATCH = 10  # batch of the released evaluation (methods of the paper's notebooks)


@contextmanager
def preserved_randomness() -> Iterator[None]:
    """Restore the random states of Python, NumPy and torch (every device) afterwards."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002


@contextmanager
def eval_mode(method: nn.Module) -> Iterator[None]:
    """Put a module in eval mode and restore the flag of each of its parts afterwards."""
    flags = [(part, part.training) for part in method.modules()]
    method.eval()
    try:
        yield
    finally:
        for part, flag in flags:
            part.training = flag


def train_mode_copy(method: nn.Module) -> nn.Module:
    """Return a deep copy in train mode, whose buffers may change."""
    return copy.deepcopy(method).train()


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute metric networks in IEEE float32 on CUDA: TF32 moves features by 1e-3."""
    parts = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)
    before = [part.fp32_precision for part in parts]
    try:
        for part in parts:
            part.fp32_precision = "ieee"
        yield
    finally:
        for part, value in zip(parts, before, strict=True):
            part.fp32_precision = value


class Rebatch:
    """Cut a stream of (LR, HR) batches into batches of exactly ``size``; the rest stays behind."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._lr: list[Tensor] = []
        self._hr: list[Tensor] = []

    def add(self, lr: Tensor, hr: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Take one batch and yield every full batch there now is."""
        self._lr.extend(lr)
        self._hr.extend(hr)
        while len(self._lr) >= self.size:
            yield torch.stack(self._lr[: self.size]), torch.stack(self._hr[: self.size])
            del self._lr[: self.size], self._hr[: self.size]
