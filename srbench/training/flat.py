"""Many tensors as one: a flat buffer for gradients, a number for the bits of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Final

import torch
from torch import Tensor, nn

_BITS: Final = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
SUM_BITS = 62  # so that a sum and its negative are both 64-bit integers


class FlatGradients:
    """Room for the gradients of one optimizer's weights side by side.

    Behind them stands one number for each weight, which counts the processes that have a gradient
    of it. Gradients lie in the buffer in the memory order of their weights, NHWC too, so that
    nothing is transposed on the way.

    Parameters
    ----------
    weights : sequence of Tensor
        At least one; on one device.
    """

    def __init__(self, weights: Sequence[Tensor]) -> None:
        self.weights = list(weights)
        sizes = [weight.numel() for weight in weights]
        dtype = reduce(torch.promote_types, (weight.dtype for weight in weights))
        self._values = torch.empty(sum(sizes) + len(sizes), dtype=dtype, device=weights[0].device)
        *parts, self._present = torch.split(self._values, [*sizes, len(sizes)])
        self._views = [_shaped(part, weight) for part, weight in zip(parts, weights, strict=True)]

    def holds(self, weights: Sequence[Tensor]) -> bool:
        """Whether the buffer was made for exactly these weights."""
        return (len(weights) == len(self.weights)
                and all(old is new for old, new in zip(self.weights, weights, strict=True)))

    @torch.no_grad()
    def mean(self, add_up: Callable[[Tensor], None], world: int) -> None:
        """Replace the gradients by their means over ``world`` processes.

        Parameters
        ----------
        add_up : callable
            Replaces a tensor by its sum over the processes; called once.
        world : int
            Number of processes.
        """
        pairs = list(zip(self.weights, self._views, strict=True))
        missing = [i for i, weight in enumerate(self.weights) if weight.grad is None]
        self._present.fill_(1)
        for i in missing:
            self._views[i].zero_()
            self._present[i] = 0
        views = [view for weight, view in pairs if weight.grad is not None]
        gradients = [weight.grad for weight in self.weights if weight.grad is not None]
        if gradients:
            torch._foreach_copy_(views, gradients)
        add_up(self._values)
        self._values.div_(world)
        if gradients:
            torch._foreach_copy_(gradients, views)
        for i in missing:  # only here the device is waited for
            if float(self._present[i]) > 0:
                self.weights[i].grad = self._views[i].to(self.weights[i].dtype, copy=True)


def _shaped(part: Tensor, weight: Tensor) -> Tensor:
    """View a flat piece in the shape of a weight, and in its memory order where that is dense."""
    if weight.dim() == 4 and weight.is_contiguous(memory_format=torch.channels_last):
        return part.as_strided(weight.shape, weight.stride(), part.storage_offset())
    return part.view(weight.shape)


def checksum(module: nn.Module) -> int:
    """Sum of the bits of all parameters, as integers; equal for equal networks."""
    sums = [_bits(weight.detach()).sum(dtype=torch.int64) for weight in module.parameters()]
    return int(torch.stack(sums).sum()) % 2**SUM_BITS if sums else 0


def _bits(value: Tensor) -> Tensor:
    return value.view(_BITS[value.element_size()])
