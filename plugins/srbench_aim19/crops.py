"""Crops of the stores, each a pure function of a seed, and whole images on demand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import torch
from torch import Tensor

from srbench.imagestore import TURNS, ImageStore, random_places

PATCH_PROTOCOL = 1  # how test patches are drawn


def seeded(role: str, seed: int) -> torch.Generator:
    """CPU generator of a role and a seed: roles of one seed have nothing in common."""
    digest = hashlib.sha256(f"srbench-aim19/{role}/{seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7]))


def training_crops(store: ImageStore, n: int, size: int, generator: torch.Generator, *,
                   augment: bool) -> np.ndarray:
    """Cut ``n`` crops at random places, flipped and rotated at random; (n, size, size, 3) uint8."""
    which, tops, lefts = random_places(store.shapes, n, size, generator)
    turns = torch.randint(TURNS, (n,), generator=generator).numpy() if augment else None
    return store.crops(which, tops, lefts, size, turns)


def patches(store: ImageStore, role: str, count: int, size: int,
            batch_size: int) -> Iterator[np.ndarray]:
    """Yield ``count`` patches (N, size, size, 3) uint8, the same ones for every batch size."""
    which, tops, lefts = _patch_places(store, role, count, size)
    for first in range(0, count, batch_size):
        span = slice(first, first + batch_size)
        yield store.crops(which[span], tops[span], lefts[span], size)


def patch_photographs(store: ImageStore, role: str, count: int, size: int) -> list[int]:
    """Number of the image in the store that each of `patches` is cut from."""
    photographs: list[int] = _patch_places(store, role, count, size)[0].tolist()
    return photographs


def _patch_places(store: ImageStore, role: str, count: int,
                  size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return random_places(store.shapes, count, size, seeded(f"test/{role}", PATCH_PROTOCOL))


def to_batch(images: np.ndarray, device: torch.device) -> Tensor:
    """(N, h, w, 3) uint8 -> (N, 3, h, w) float32 in [-1, 1] on a device, NHWC in memory."""
    batch = torch.from_numpy(images)
    if device.type == "cuda":  # a quarter of the bytes, copied while the host goes on
        batch = batch.pin_memory().to(device, non_blocking=True)
    return batch.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1)


class Photographs(Sequence[Tensor]):
    """Images of a store as (3, h, w) uint8 tensors, copied when asked for."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def __len__(self) -> int:
        return len(self._store)

    @overload
    def __getitem__(self, i: int) -> Tensor: ...
    @overload
    def __getitem__(self, i: slice) -> list[Tensor]: ...

    def __getitem__(self, i: int | slice) -> Tensor | list[Tensor]:
        if isinstance(i, slice):
            return [self[k] for k in range(len(self))[i]]
        return torch.from_numpy(self._store[i].copy()).permute(2, 0, 1).contiguous()
