"""Held-out pairs and statistics of a pair of image distributions, the same on every machine.

Legend: y clean image (Q, HR), x = grad psi(y) blurry image (P, LR).

All randomness here comes from CPU generators seeded for each chunk: neither the device nor the
number of pairs asked for changes a pair.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from srbench.errors import StoreError
from srbench.files import atomic_write, cache_dir

CHUNK = 64  # pairs made at a time; part of the definition of the held-out pairs

_LOG = logging.getLogger(__name__)


class Pair(Protocol):
    """Q, and the map grad psi that makes P from it."""

    source: str
    size: int

    def to(self, device: torch.device) -> None:
        """Load what sampling needs onto ``device``."""

    def clean(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` samples of Q, shape (n, 3, size, size), nominal range [-1, 1]."""

    def blurry(self, clean: Tensor) -> Tensor:
        """Grad psi of each image, shape kept."""

    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything that defines P and Q."""


@dataclass(frozen=True, kw_only=True)
class PairStatistics:
    """Moments of P and Q, estimated from ``samples`` pairs.

    Parameters
    ----------
    hr_variance, lr_variance : float
        Total variance of Q and P: the sum over values of their population variances.
    transport_cost : float
        1/2 E|x - y|^2, the squared Wasserstein-2 distance of P and Q with the factor 1/2.
    hr_mean, lr_mean : tuple of float
        Mean red, green and blue.
    samples : int
        Number of pairs.
    """

    hr_variance: float
    lr_variance: float
    transport_cost: float
    hr_mean: tuple[float, ...]
    lr_mean: tuple[float, ...]
    samples: int

    @property
    def identity_l2_uvp(self) -> float:
        """L2-UVP of T(x) = x in percent: 100 E|x - y|^2 / Var(Q)."""
        return 200 * self.transport_cost / self.hr_variance


def chunk_generator(split: str, number: int) -> torch.Generator:
    """CPU generator for one chunk of ``"test"``, ``"validation"`` or ``"statistics"``."""
    digest = hashlib.sha256(f"srbench-w2/{split}/{number}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def held_out(pair: Pair, split: str, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield ``count`` pairs (x, y) of a split in chunks, always the same ones."""
    for number, first in enumerate(range(0, count, CHUNK)):
        with exact_arithmetic():
            y = pair.clean(CHUNK, chunk_generator(split, number))
            x = pair.blurry(y)
        yield x[: count - first], y[: count - first]


def rebatch(chunks: Iterable[tuple[Tensor, Tensor]], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Cut chunks of pairs into batches of ``size``; the last may be smaller."""
    held: tuple[Tensor, Tensor] | None = None
    for chunk in chunks:
        x, y = chunk if held is None else (torch.cat([held[0], chunk[0]]),
                                           torch.cat([held[1], chunk[1]]))
        while len(x) >= size:
            yield x[:size], y[:size]
            x, y = x[size:], y[size:]
        held = (x, y) if len(x) else None
    if held is not None:
        yield held


def estimate(pair: Pair, samples: int) -> PairStatistics:
    """Estimate `PairStatistics` in one pass; sums of chunks are added up in float64."""
    shape = (3, pair.size, pair.size)
    means = [torch.zeros(shape, dtype=torch.float64), torch.zeros(shape, dtype=torch.float64)]
    squares, cost = [0.0, 0.0], 0.0
    for chunk in held_out(pair, "statistics", samples):
        x, y = chunk
        for k, images in enumerate(chunk):
            means[k] += images.sum(0).double().cpu() / samples
            squares[k] += float(images.square().sum()) / samples
        cost += float((x - y).square().sum()) / (2 * samples)
    variances = [square - float(mean.square().sum())
                 for square, mean in zip(squares, means, strict=True)]
    colours = [tuple(mean.mean((1, 2)).tolist()) for mean in means]
    return PairStatistics(lr_variance=variances[0], hr_variance=variances[1], transport_cost=cost,
                          lr_mean=colours[0], hr_mean=colours[1], samples=samples)


def cached_statistics(pair: Pair, samples: int) -> PairStatistics:
    """`estimate`, or what it gave before on this machine for a pair of this fingerprint."""
    identity = {"fingerprint": pair.fingerprint(), "samples": samples, "version": 1}
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    path = cache_dir() / "w2-statistics" / f"{digest}.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return PairStatistics(**{**stored, "hr_mean": tuple(stored["hr_mean"]),
                                 "lr_mean": tuple(stored["lr_mean"])})
    except (OSError, ValueError, KeyError, TypeError):
        _LOG.info("estimating the statistics of the pair from %d samples, once", samples)
    statistics = estimate(pair, samples)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps(asdict(statistics), indent=1).encode())
    except (OSError, StoreError) as error:
        _LOG.warning("the statistics will be estimated again next time: %s", error)
    return statistics


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Full float32, no autocast and no gradients, whatever a training has set."""
    cudnn: Any = torch.backends.cudnn
    mkldnn: Any = torch.backends.mkldnn
    owners = [torch.backends.cuda.matmul, cudnn.conv, mkldnn.matmul, mkldnn.conv]
    before = [owner.fp32_precision for owner in owners]
    try:
        for owner in owners:
            owner.fp32_precision = "ieee"
        with (torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False),
              torch.no_grad()):
            yield
    finally:
        for owner, value in zip(owners, before, strict=True):
            owner.fp32_precision = value
