"""Every random number of a cell comes from the cell's seed.

Training draws are stateless: draw ``k`` of a stream is made by a generator seeded with
``mix(seed, stream, k)``, so nothing but a counter has to be saved to go on with the same draws.
Generators that plugins use freely (dropout, augmentation) are seeded once and their state saved.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

SEED_BITS = 63


def mix(seed: int, *words: str | int) -> int:
    """Seed of one stream or draw: the first 63 bits of SHA-256 over its name.

    The name is ``(seed, *words)`` as Python writes it, e.g. ``(5, 'lr', 17)``. Torch's CPU
    generator uses the low 32 bits only, so among n draws on the CPU about n^2 / 2^33 pairs
    coincide (one pair among 100,000 draws); on CUDA all 63 bits count.

    Parameters
    ----------
    seed : int
        Seed of the cell.
    *words : str or int
        What the seed is for, e.g. ``"lr", 17``.

    Returns
    -------
    int
        In [0, 2^63).

    Examples
    --------
    >>> mix(0, "lr", 1) == mix(0, "lr", 1), mix(0, "lr", 1) == mix(0, "hr", 1)
    (True, False)
    """
    name = repr((seed, *words)).encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") >> (64 - SEED_BITS)


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators (CPU and CUDA) from the cell's seed."""
    random.seed(mix(seed, "python"))
    np.random.seed(mix(seed, "numpy") % 2**32)
    torch.manual_seed(mix(seed, "torch"))


def rng_state(device: torch.device) -> dict[str, Any]:
    """Return the state of all global generators as tensors and JSON data."""
    version, numbers, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    state: dict[str, Any] = {
        "python": {"version": version, "numbers": torch.tensor(numbers), "gauss": gauss},
        "numpy": {"keys": torch.from_numpy(np.asarray(keys, np.int64)), "position": int(position),
                  "has_gauss": int(has_gauss), "cached": float(cached)},
        "torch": torch.get_rng_state(),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_rng_state(state: dict[str, Any], device: torch.device) -> None:
    """Set all global generators to a state `rng_state` returned."""
    python, legacy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["numbers"].tolist()), python["gauss"]))
    keys = legacy["keys"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, legacy["position"], legacy["has_gauss"],
                         legacy["cached"]))
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


@contextmanager
def undisturbed_rng(device: torch.device) -> Iterator[None]:
    """Give back all global generators as they were before the body."""
    state = rng_state(device)
    try:
        yield
    finally:
        restore_rng_state(state, device)
