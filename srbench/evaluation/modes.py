"""Running a method for measurement without leaving a trace in it or in the random state."""

from __future__ import annotations

import copy
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from srbench.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

TRAIN_BATCH = 10  # batch size of the released evaluation of the paper's notebooks


@contextmanager
def preserved_randomness() -> Iterator[None]:
    """Restore the random states of Python, NumPy and torch (every device) afterwards."""
    python, legacy = random.getstate(), np.random.get_state()
    cuda: Any = torch.cuda
    devices = range(cuda.device_count()) if cuda.is_initialized() else ()
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)


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
    backends: Any = torch.backends
    parts = (backends.cudnn.conv, backends.cuda.matmul)
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


def mapped(method: Any, lr: Tensor, hr: Tensor) -> Tensor:
    """Return T(x) as float32, checked to have the shape of the HR batch; see `mapped_to`."""
    return mapped_to(method, lr, tuple(hr.shape))


@torch.no_grad()
def mapped_to(method: Any, lr: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return T(x) as float32, checked to have the shape that the HR batch has.

    Raises
    ------
    PluginError
        If the output is no floating-point tensor, or of another shape.
    """
    output = method(lr)
    name = type(method).__name__
    if not isinstance(output, torch.Tensor) or not output.is_floating_point():
        what = f"{getattr(output, 'dtype', '')} {type(output).__name__}".strip()
        raise PluginError(f"{name}.forward returned a {what} where a float tensor is needed")
    if output.shape != shape:
        raise PluginError(
            f"{name}.forward mapped shape {tuple(lr.shape)} to {tuple(output.shape)}, "
            f"but the HR images have shape {shape}"
        )
    return output.float()


def bad_images(prediction: Tensor) -> list[int]:
    """Indices of the images of a batch with a value that is not finite."""
    found: list[int] = (~prediction.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
    return found
