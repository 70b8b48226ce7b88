"""How many pixels a map can restore at a time: what it needs of each, and what is free."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from srbench.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

VARIABLE = "SRBENCH_TILE_PIXELS"
PROBE = 32  # side of the image whose memory is measured
SAFETY = 2  # skips and workspace come on top of one layer: measured 1.2 of EDSR, 1.5 of RRDBNet
SHARE = 0.5  # of the free memory that is used
MEMINFO = Path("/proc/meminfo")


def forced_pixels() -> int | None:
    """LR pixels restored at a time by ``SRBENCH_TILE_PIXELS``; None where it is not set.

    Raises
    ------
    ParameterError
        If it is no positive whole number.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ParameterError(
            f"{VARIABLE}={text!r} is no number of pixels",
            hint=f"give a positive whole number, or unset {VARIABLE}",
        )
    return int(text)


def free_bytes(device: torch.device) -> float:
    """Memory that a map may still take on a device; infinite where that is not known.

    On CUDA what torch keeps cached for itself counts as free, because it will reuse it.
    """
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(torch.cuda.mem_get_info(device)[0] + cached)
    if device.type == "cpu":
        return available_memory()
    return math.inf


def available_memory() -> float:
    """Bytes of ``MemAvailable`` in Linux' ``/proc/meminfo``; infinite where there is none."""
    try:
        for line in MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return math.inf


@torch.no_grad()
def bytes_per_pixel(method: nn.Module, lr: Tensor) -> float:
    """Estimate the peak memory of a map for each LR pixel, from a small part of an image.

    Forward hooks on the method and on its leaf modules measure inputs and outputs; the largest sum
    of both counts, times 2. What functions outside modules allocate is not seen, but the modules
    around them see their inputs and outputs.

    Parameters
    ----------
    method : Module
        T, in the mode it will be used in.
    lr : Tensor
        Images (N, C, h, w); the corner of the first is mapped.

    Returns
    -------
    float
        Bytes; 0 where the method does not take an image that small, so nothing is known.
    """
    probe = lr[:1, :, :PROBE, :PROBE].contiguous()
    largest = 0

    def measure(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal largest
        largest = max(largest, sum(t.nbytes for part in (inputs, output) for t in _tensors(part)))

    leaves = [part for part in method.modules() if part is method or not list(part.children())]
    handles = [part.register_forward_hook(measure) for part in leaves]
    try:
        method(probe)
    except Exception:  # a plugin's code on an input of its own kind: the whole image will tell
        return 0.0
    finally:
        for handle in handles:
            handle.remove()
    return SAFETY * largest / (probe.shape[-2] * probe.shape[-1])


def _tensors(value: Any) -> Iterator[Tensor]:
    """Tensors in nested tuples, lists and dictionaries."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)
