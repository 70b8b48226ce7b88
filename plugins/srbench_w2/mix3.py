"""Mix3ToMix10: a Gaussian mixture pushed by the gradient of known convex potentials.

Legend: d = dimension, phi = psi_1 + psi_2 the potential, m and v = mean and variance that
standardise Q, T* = the true map (grad phi - m) / sqrt(v) from P to Q.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch

from srbench import Dataset, Field, Parameters, Problem
from srbench.errors import SrbenchError
from srbench.files import ensure, find, read_manifest
from srbench.networks import DenseICNN, load_strict, read_checkpoint
from srbench_w2.gaussian_mixture import GaussianMixture, official_mixture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from srbench.files import Progress, RemoteFile

MANIFEST = Path(__file__).with_name("official_files.json")
STRONG_CONVEXITY = 1e-2  # of the benchmark's loading code, not the 1e-4 of the files' training
ESTIMATION_SIZE = 2**17
BLOCK = 8192  # samples pushed at a time while m and v are estimated
SEEDS = {"estimation": 0x5EED0, "test": 0x5EED1, "validation": 0x5EED2}


class TrueMap(torch.nn.Module):
    """The known optimal map T*(x) = (grad phi(x) - m) / sqrt(v) of the pair.

    Parameters
    ----------
    psi_1, psi_2 : DenseICNN
        Potentials whose sum is phi.

    Attributes
    ----------
    mean : Tensor
        m, shape (d,); zero until `standardise`.
    variance : Tensor
        v, a scalar; one until `standardise`.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, psi_1: DenseICNN, psi_2: DenseICNN) -> None:
        super().__init__()
        self.psi_1, self.psi_2 = psi_1, psi_2
        self.register_buffer("mean", torch.zeros(psi_1.dim))
        self.register_buffer("variance", torch.ones(()))
        self.requires_grad_(False)

    def gradient(self, x: Tensor) -> Tensor:
        """Return grad phi(x), shape (N, d)."""
        return self.psi_1.push(x) + self.psi_2.push(x)

    @torch.no_grad()
    def standardise(self, x: Tensor) -> Tensor:
        """Set m and v so that T*(x), shape (N, d), has mean 0 and total variance d; return it."""
        pushed = torch.cat([self.gradient(block) for block in torch.split(x, BLOCK)])
        double = pushed.double()
        self.variance.copy_(double.var(0, correction=0).mean())
        self.mean.copy_(double.mean(0))
        return (pushed - self.mean) / self.variance.sqrt()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Return T*(x), shape (N, d)."""
        return (self.gradient(x) - self.mean) / self.variance.sqrt()


class Mix3ToMix10(Dataset):
    """The high-dimensional pairs of the Wasserstein-2 benchmark, in the direction P -> Q.

    P is a mixture of three Gaussians, Q its push-forward by T*, which resembles a mixture of ten.
    m and v, and the held-out pairs, are drawn on the CPU with seeds of their own: they are the
    same on every device and for every cell, unlike those of the released code.

    References
    ----------
    Korotin et al., "Do Neural Optimal Transport Solvers Work? A Continuous Wasserstein-2
    Benchmark", 2021, section 4.1.
    """

    class Params(Parameters):
        """Parameters of the pair."""

        dim: Literal[2, 4, 8, 16, 32, 64, 128, 256] = Field(2, description="dimension d")
        test_size: int = Field(2**14, ge=2, le=2**20, description="held-out pairs")
        validation_size: int = Field(2**12, ge=2, le=2**20, description="pairs for curves")

        presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"quick": {}, "paper": {}, "code": {}}

    params: Params
    known_map = True
    source = "official"

    def __init__(self, params: Params, name: str) -> None:
        super().__init__(params, name)
        dim = params.dim
        self.problem = Problem(domain="vector", lr_shape=(dim,), hr_shape=(dim,))
        self._remotes = potential_files(dim)
        self._files = [ensure(remote) for remote in self._remotes]
        self._pair: _Pair | None = None

    def fingerprint(self) -> str:
        """SHA-256 of the potentials' files and of everything else the pair is made from."""
        parts = {
            "pair": "mix3tomix10/v1",
            "files": [remote.git_blob_sha1 for remote in self._remotes],  # verified by `ensure`
            "strong_convexity": STRONG_CONVEXITY,
            "estimation_size": ESTIMATION_SIZE,
            "seeds": SEEDS,
            "params": self.params.public(),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def prepare(self, device: torch.device) -> None:
        """Load the potentials, estimate m and v, draw the held-out pairs; seconds on a CPU."""
        mixture = official_mixture(self.params.dim)
        true_map = load_true_map(self.params.dim, self._files, self._remotes)
        self._pair = _Pair(mixture, true_map, self.params, device)

    @property
    def pair(self) -> _Pair:
        """What `prepare` made; raises `SrbenchError` before it."""
        if self._pair is None:
            raise SrbenchError(
                f"{self.name} is not prepared", hint="call prepare(device) before drawing samples"
            )
        return self._pair

    def sample_lr(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` samples of the mixture P, shape (n, d)."""
        return self.pair.mixture.sample(n, generator)

    def sample_hr(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` samples of Q = T*#P, shape (n, d), from fresh samples of P."""
        pushed: Tensor = self.pair.true_map(self.pair.mixture.sample(n, generator))
        return pushed

    def test_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (x, T*(x)) of the held-out pairs in a fixed order."""
        return _batches(self.pair.test, batch_size)

    def validation_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (x, T*(x)) drawn with another seed than `test_batches`."""
        return _batches(self.pair.validation, batch_size)

    def facts(self) -> dict[str, Any]:
        """Total variance of Q, transport cost, m and v, and number of test pairs."""
        return {
            "hr_variance": float(self.params.dim),
            "transport_cost": self.pair.transport_cost,
            "test_size": self.params.test_size,
            "standardisation": {
                "mean": self.pair.true_map.mean.tolist(),
                "variance": float(self.pair.true_map.variance),
                "samples": ESTIMATION_SIZE,
            },
        }

    @classmethod
    def fetch(cls, params: Params, progress: Progress | None = None) -> list[Path]:
        """Download and verify the potentials of one dimension; return where they lie."""
        return [ensure(remote, progress=progress) for remote in potential_files(params.dim)]

    @classmethod
    def missing(cls, params: Params) -> list[RemoteFile]:
        """Potentials of one dimension that are not on this machine."""
        return [remote for remote in potential_files(params.dim) if find(remote) is None]


def potential_files(dim: int) -> list[RemoteFile]:
    """Return the official files of the two potentials of dimension ``dim``."""
    manifest = read_manifest(MANIFEST)
    return [manifest[f"benchmarks/Mix3toMix10/{dim}_v{k}.pt"] for k in (1, 2)]


class _Pair:
    """Mixture, true map and held-out pairs on one device."""

    def __init__(
        self,
        mixture: GaussianMixture,
        true_map: TrueMap,
        params: Mix3ToMix10.Params,
        device: torch.device,
    ) -> None:
        generator = _generator("estimation")
        blocks = ESTIMATION_SIZE // BLOCK
        x = torch.cat([mixture.sample(BLOCK, generator) for _ in range(blocks)])
        y = true_map.standardise(x)
        self.transport_cost = float((x - y).double().square().sum(1).mean() / 2)
        self.test = _held_out(mixture, true_map, params.test_size, "test", device)
        self.validation = _held_out(mixture, true_map, params.validation_size, "validation", device)
        self.mixture = mixture.to(device)
        self.true_map = true_map.to(device)


def load_true_map(dim: int, files: list[Path], published: Sequence[RemoteFile] = ()) -> TrueMap:
    """Read the two potentials of dimension ``dim``, where given the published ones; no m, v yet."""
    potentials = [DenseICNN(dim, strong_convexity=STRONG_CONVEXITY) for _ in files]
    remotes: Sequence[RemoteFile | None] = published or [None] * len(files)
    for psi, path, remote in zip(potentials, files, remotes, strict=True):
        load_strict(psi, read_checkpoint(path, published=remote))
    return TrueMap(*potentials)


def _generator(purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(SEEDS[purpose])


def _held_out(
    mixture: GaussianMixture, true_map: TrueMap, size: int, purpose: str, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Draw ``size`` pairs (x, T*(x)) on the CPU and move them to ``device``."""
    x = mixture.sample(size, _generator(purpose))
    y = torch.cat([true_map(block) for block in torch.split(x, BLOCK)])
    return x.to(device), y.to(device)


def _batches(pairs: tuple[Tensor, Tensor], batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(torch.split(pairs[0], batch_size), torch.split(pairs[1], batch_size), strict=True)
