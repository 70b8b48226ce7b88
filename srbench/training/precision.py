"""Arithmetic of a training step: fp32 (TF32 where the GPU has it) or bf16 autocast."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from srbench.errors import ParameterError

PRECISIONS = ("fp32", "bf16")


class Precision:
    """Contexts in which the parts of a step run.

    Parameters
    ----------
    name : {"fp32", "bf16"}
        ``"bf16"`` runs the body of a step under autocast; weights and optimizers stay float32.
    device : torch.device
        Device of the training.

    Raises
    ------
    ParameterError
        If ``name`` is neither.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        if name not in PRECISIONS:
            raise ParameterError(f"no precision named {name!r}", hint="choose fp32 or bf16")
        self.name, self._device = name, device
        self._plain = _flags()

    def body(self) -> AbstractContextManager[object]:
        """Context of a step's body.

        The weight cache of autocast is off: a step that updates a network and runs it again would
        be served weights from before the update.
        """
        if self.name == "fp32":
            return nullcontext()
        return torch.autocast(self._device.type, dtype=torch.bfloat16, cache_enabled=False)

    def outside(self) -> AbstractContextManager[object]:
        """Context of what must not run under autocast: backward, updates, sampling."""
        if self.name == "fp32":
            return nullcontext()
        return torch.autocast(self._device.type, enabled=False)

    @contextmanager
    def tf32(self) -> Iterator[None]:
        """Allow TF32 in matrix products and convolutions on CUDA, and give the flags back."""
        before = _flags()
        if self._device.type == "cuda":
            _set_flags(["tf32"] * len(before))
        self._plain = before
        try:
            yield
        finally:
            _set_flags(before)

    @contextmanager
    def plain(self) -> Iterator[None]:
        """Compute as outside the training for the body: no autocast, TF32 as it was before."""
        inside = _flags()
        _set_flags(self._plain)
        try:
            with self.outside():
                yield
        finally:
            _set_flags(inside)


def _backends() -> list[Any]:
    """Owners of the flags for float32 matrix products and convolutions on CUDA."""
    cudnn: Any = torch.backends.cudnn
    return [torch.backends.cuda.matmul, cudnn.conv]


def _flags() -> list[str]:
    return [backend.fp32_precision for backend in _backends()]


def _set_flags(values: list[str]) -> None:
    for backend, value in zip(_backends(), values, strict=True):
        backend.fp32_precision = value


def channels_last(tensor: Tensor) -> Tensor:
    """Lay a tensor of four dimensions out as NHWC; others are returned as they are."""
    if tensor.dim() != 4:
        return tensor
    return tensor.contiguous(memory_format=torch.channels_last)


def place(module: nn.Module, device: torch.device) -> None:
    """Move a module to ``device`` and lay its 4-d values out as NHWC, keeping its Parameters."""
    module.to(device)
    for tensor in chain(module.parameters(), module.buffers()):
        tensor.data = channels_last(tensor.data)
