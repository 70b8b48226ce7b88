"""A dataset that is P and a map: HR samples, held-out pairs and facts follow from them."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from srbench.api.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

CHUNK = 256  # samples drawn and mapped at a time; part of the definition of the held-out pairs


class KnownMapDataset(Dataset):
    """P, and the optimal transport map T* from it to Q = T*#P.

    Subclasses set ``problem`` in the constructor and define `fingerprint`, `sample_lr` and
    `true_map`. The held-out pairs are drawn on the CPU with seeds of their own: they are the same
    on every machine, for every cell and for every batch size.

    Class attributes
    ----------------
    test_size, validation_size : int
        Numbers of held-out pairs; they belong in the fingerprint where a subclass lets users
        change them.
    facts_size : int
        Samples of P from which `facts` estimates the variance of Q and the transport cost.

    Notes
    -----
    L2-UVP measures against the map of least E||x - T(x)||^2. A map is that one if it is the
    gradient of a convex function (Brenier): a symmetric positive semidefinite matrix, an
    increasing function of each value by itself, or a sum of such maps.
    """

    known_map = True
    source = "generated"
    test_size: ClassVar[int] = 1024
    validation_size: ClassVar[int] = 256
    facts_size: ClassVar[int] = 4096

    _device: torch.device | None = None
    _facts: dict[str, Any] | None = None

    @abstractmethod
    def sample_lr(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` samples of P with ``generator``, on ``generator.device``."""

    @abstractmethod
    def true_map(self, lr: Tensor) -> Tensor:
        """Return T*(x) for samples of P, (N, ...), on their device."""

    def prepare(self, device: torch.device) -> None:
        """Fix where batches go; a subclass that loads something calls this too."""
        self._device = device

    def sample_hr(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` samples of Q: T* of fresh samples of P."""
        with torch.no_grad():
            return self.true_map(self.sample_lr(n, generator))

    def test_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield ``test_size`` pairs (x, T*(x))."""
        return self._batches("test", self.test_size, batch_size)

    def validation_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield ``validation_size`` pairs (x, T*(x)), none of them a test pair."""
        return self._batches("validation", self.validation_size, batch_size)

    def facts(self) -> dict[str, Any]:
        """Variance of Q and transport cost, estimated from ``facts_size`` samples, once."""
        if self._facts is None:
            size, square, cost = self.facts_size, 0.0, 0.0
            mean = torch.zeros(self.problem.hr_shape, dtype=torch.float64)
            for x, y in self._chunks("facts", size):
                wide = y.cpu().double()
                mean += wide.sum(0) / size
                square += float(wide.square().sum()) / size
                cost += float((x.cpu().double() - wide).square().sum()) / (2 * size)
            self._facts = {"hr_variance": square - float(mean.square().sum()),
                           "transport_cost": cost, "test_size": self.test_size}
        return dict(self._facts)

    def _batches(self, split: str, size: int, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Cut the pairs of a split into batches."""
        xs, ys = zip(*self._chunks(split, size), strict=True)
        yield from zip(torch.split(torch.cat(xs), batch_size),
                       torch.split(torch.cat(ys), batch_size), strict=True)

    @torch.no_grad()
    def _chunks(self, split: str, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield ``size`` pairs, `CHUNK` at a time, on the prepared device."""
        for number, first in enumerate(range(0, size, CHUNK)):
            digest = hashlib.sha256(f"srbench-known-map/{split}/{number}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
            x = self.sample_lr(CHUNK, generator).to(self._device)
            yield x[: size - first], self.true_map(x)[: size - first]
