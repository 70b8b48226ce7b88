"""The datasets w2-early, w2-mid and w2-late: blurry and clean images with a known optimal map.

Legend: P blurry (LR), Q clean (HR), y ~ Q, x = grad psi(y) ~ P, T*(x) = y the true map.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from srbench import Dataset, Field, Parameters, PoolSettings, Problem
from srbench.errors import DownloadError, SrbenchError
from srbench.files import Progress, RemoteFile, cache_dir, ensure, is_offline, reachable
from srbench_w2.embedded import EmbeddedPair
from srbench_w2.official import OfficialPair, missing_files, pair_files
from srbench_w2.pairs import CHUNK, Pair, PairStatistics, cached_statistics, held_out, rebatch

POOL_BLOCK = 64
PROBE_SECONDS = 5.0


class W2Images(Dataset):
    """An image pair of the Wasserstein-2 benchmark in the direction P -> Q, or its stand-in.

    The official pair needs three files of its authors (about 190 MB). Where they are neither on
    this machine nor reachable, ``source="auto"`` takes the embedded stand-in, which is built in
    the same way from photographs, says so, and is shown under another name.

    Raises
    ------
    DownloadError
        If ``source="official"`` and the files are neither here nor reachable.
    """

    class Params(Parameters):
        """Parameters of the pair."""

        pair: Literal["early", "mid", "late"] = Field("early", description="how strong the blur is")
        source: Literal["auto", "official", "embedded"] = Field(
            "auto", description="auto: official where its files can be had, else embedded")
        size: Literal[32, 64] = Field(
            64, description="image side of the embedded pair; the official one has 64")
        test_size: int = Field(4096, ge=2, le=2**16, description="held-out pairs")
        validation_size: int = Field(1024, ge=2, le=2**16, description="pairs for curves")
        statistics_samples: int = Field(
            2**14, ge=2, le=2**20,
            description="pairs that Var(Q) and the transport cost are estimated from")
        pool: int = Field(0, ge=0, le=2**20, multiple_of=POOL_BLOCK,
                          description="samples of each side kept for training; 0: all fresh")
        pool_refresh: int = Field(
            16, ge=0, description="drawn batches after which 64 samples of the pool are replaced")

        presets: ClassVar[dict[str, dict[str, Any]]] = {
            "quick": {"size": 32, "test_size": 512, "validation_size": 256,
                      "statistics_samples": 2**11, "pool": 2048},
            # The released loop draws every batch afresh, which costs as much as the step itself.
            # Here each sample is drawn 16 times on average at batch 64; pool=0 is the original.
            "paper": {"pool": 8192},
            "code": {"pool": 8192},
        }

    params: Params
    known_map = True

    def __init__(self, params: Params, name: str) -> None:
        source, self._stands_in = choose_source(params, name)
        super().__init__(params.model_copy(update={"source": source}), name)
        self._pair = make_pair(self.params)
        self.source = source
        shape = (3, self._pair.size, self._pair.size)
        self.problem = Problem(domain="image", lr_shape=shape, hr_shape=shape)
        self._statistics: PairStatistics | None = None
        self._validation: list[tuple[Tensor, Tensor]] = []

    @property
    def notice(self) -> str:
        """For the stand-in: that it is one, why, and how to get the official pair."""
        if self.source != "embedded":
            return ""
        why = f"{self.name}: {self._stands_in}; " if self._stands_in else ""
        return (f"{why}{self.title} is the EMBEDDED stand-in, another benchmark: crops of "
                f"photographs and a closed-form blur, {self._pair.size} x {self._pair.size}. Its "
                "numbers compare with no published one. The official pair: "
                f"srbench fetch {self.name}")

    def fingerprint(self) -> str:
        """SHA-256 of what defines P, Q, and the test and validation pairs."""
        parts = {"dataset": "w2-images/v1", "pair": self._pair.fingerprint(), "chunk": CHUNK,
                 "test_size": self.params.test_size,
                 "validation_size": self.params.validation_size}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def prepare(self, device: torch.device) -> None:
        """Load the pair onto ``device``; estimate its statistics the first time on a machine."""
        self._pair.to(device)
        self._statistics = cached_statistics(self._pair, self.params.statistics_samples)
        self._validation = []

    def sample_lr(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` samples of P, shape (n, 3, s, s): grad psi of fresh clean images."""
        with torch.no_grad():
            return self._pair.blurry(self._pair.clean(n, generator))

    def sample_hr(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` samples of Q, shape (n, 3, s, s)."""
        return self._pair.clean(n, generator)

    @property
    def pool(self) -> PoolSettings | None:
        """Pool of training samples, or None where ``pool`` is 0."""
        if not self.params.pool:
            return None
        return PoolSettings(size=self.params.pool, block=POOL_BLOCK,
                            refresh_every=self.params.pool_refresh)

    def test_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (x, T*(x)) of the test pairs, made anew at each call."""
        return rebatch(held_out(self._pair, "test", self.params.test_size), batch_size)

    def validation_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (x, T*(x)) of the validation pairs, kept on the device."""
        if not self._validation:
            self._validation = list(
                held_out(self._pair, "validation", self.params.validation_size))
        return rebatch(self._validation, batch_size)

    def facts(self) -> dict[str, Any]:
        """Statistics of the pair, and how many samples each number comes from."""
        if self._statistics is None:
            raise SrbenchError(f"{self.name} is not prepared", hint="call prepare(device) first")
        statistics = asdict(self._statistics)
        return {**statistics, "hr_mean": list(statistics["hr_mean"]),
                "lr_mean": list(statistics["lr_mean"]), "test_size": self.params.test_size,
                "identity_l2_uvp": self._statistics.identity_l2_uvp}

    @classmethod
    def fetch(cls, params: Params, progress: Progress | None = None) -> list[Path]:
        """Download and verify the official files of the pair; return where they lie."""
        return [ensure(remote, progress=progress) for remote in pair_files(params.pair).values()]

    @classmethod
    def missing(cls, params: Params) -> list[RemoteFile]:
        """Official files of the pair that are not on this machine."""
        return missing_files(params.pair)


def make_pair(params: W2Images.Params) -> Pair:
    """Build the pair of a source that was chosen."""
    if params.source == "official":
        return OfficialPair(params.pair)
    return EmbeddedPair(params.pair, params.size)


def choose_source(
        params: W2Images.Params, name: str) -> tuple[Literal["official", "embedded"], str]:
    """Settle ``source="auto"`` within 5 seconds.

    Returns
    -------
    source : str
        ``"official"`` or ``"embedded"``.
    reason : str
        Why the embedded pair stands in where the user did not ask for it, else empty.

    Raises
    ------
    DownloadError
        If the official pair is asked for and cannot be had.
    """
    if params.source == "embedded":
        return "embedded", ""
    missing = missing_files(params.pair)
    if not missing or reachable(missing[0].url, PROBE_SECONDS):
        return "official", ""
    why = ("SRBENCH_OFFLINE forbids the network" if is_offline()
           else f"{missing[0].url} did not answer within {PROBE_SECONDS:g} s")
    if params.source == "official":
        names = ", ".join(Path(remote.path).name for remote in missing)
        raise DownloadError(
            f"the official files of {name} are not on this machine ({names}) and {why}",
            hint=f"on a machine with network: srbench fetch {name}; or put them at "
                 f"{cache_dir() / Path(missing[0].path).parent} or below SRBENCH_DATA")
    return "embedded", f"the official files are neither on this machine nor reachable ({why})"
