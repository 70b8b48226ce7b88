"""The deterministic weights and inputs of the parity fixtures, keyed by name and by seed."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def arr(seed: int, shape: tuple[int, ...], lo: float = -1.0, hi: float = 1.0) -> Tensor:
    """Uniform float32 numbers in [lo, hi) from the legacy generator of that seed."""
    draws = np.random.RandomState(seed).uniform(lo, hi, shape)
    return torch.from_numpy(draws.astype(np.float32))


def fill_entry(key: str, shape: tuple[int, ...]) -> Tensor:
    """Value of one state-dict entry; depends on its key and shape only."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    draw = np.random.RandomState(zlib.crc32(key.encode()))
    if key.endswith("running_var"):
        values = draw.uniform(0.5, 1.5, shape)
    elif len(shape) >= 2:
        values = draw.standard_normal(shape) / math.sqrt(math.prod(shape[1:]))
    elif len(shape) == 1 and key.endswith(".weight"):
        values = 1 + 0.1 * draw.standard_normal(shape)
    else:
        values = 0.1 * draw.standard_normal(shape)
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def fill_state(keys: list[tuple[str, tuple[int, ...]]]) -> dict[str, Tensor]:
    """State dict for a list of keys and shapes."""
    return {key: fill_entry(key, tuple(shape)) for key, shape in keys}


def fill(module: nn.Module) -> nn.Module:
    """Load the rule's values into a module, strictly, and hand the module back."""
    shapes = [(key, tuple(value.shape)) for key, value in module.state_dict().items()]
    module.load_state_dict(fill_state(shapes), strict=True)
    return module


def load_fixture(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Description and arrays of ``networks/NAME.json`` and ``networks/NAME.npz``."""
    about = json.loads((folder / "networks" / f"{name}.json").read_text())
    with np.load(folder / "networks" / f"{name}.npz") as arrays:
        return about, {key: torch.from_numpy(arrays[key]) for key in arrays}


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Largest absolute difference over the largest absolute expected value."""
    if found.shape != expected.shape:
        raise AssertionError(f"shape {tuple(found.shape)}, expected {tuple(expected.shape)}")
    return float((found.double() - expected.double()).abs().max() / expected.double().abs().max())


def parameter_count(module: nn.Module) -> int:
    """Numbers a module learns."""
    return sum(parameter.numel() for parameter in module.parameters())


def keys_and_shapes(module: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    """State-dict keys with their shapes, sorted."""
    return sorted((key, tuple(value.shape)) for key, value in module.state_dict().items())
