"""A look at the method that leaves no trace in its training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from srbench.training.seeding import undisturbed_rng


@contextmanager
def undisturbed(method: nn.Module, device: torch.device) -> Iterator[None]:
    """Evaluate ``method`` in the body; all generators, modes and buffers come back as they were.

    The body runs in eval mode without gradients.
    """
    modes = {module: module.training for module in method.modules()}
    buffers = {buffer: buffer.clone() for buffer in method.buffers()}
    method.eval()
    try:
        with undisturbed_rng(device), torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        with torch.no_grad():
            for buffer, value in buffers.items():
                buffer.copy_(value)
