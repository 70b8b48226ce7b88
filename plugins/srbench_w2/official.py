"""The official pairs: a WGAN-QC generator of faces and potentials given as convex networks.

Legend: G generator, z its input, psi = (psi_1 + psi_2) / 2 the potential, y = G(z) + noise (Q),
x = grad psi(y) (P).

Korotin et al., "Do Neural Optimal Transport Solvers Work? A Continuous Wasserstein-2 Benchmark",
2021, section 4.1; constants as in its released code.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor

from srbench.errors import SrbenchError
from srbench.files import Progress, RemoteFile, ensure, find, read_manifest
from srbench.networks import ConvICNN64, ResNetGenerator, load_strict, read_checkpoint

MANIFEST = Path(__file__).with_name("official_files.json")
NOISE = 0.01
Z_DIM = 128
SIZE = 64
CHUNK = 64  # images whose gradient is computed at a time
GENERATOR = "benchmarks/CelebA64/Final_G.pt"


def official_file(path: str, *, progress: Progress | None = None, fetch: bool = True) -> Path:
    """Return a verified file of the benchmark's repository, see `srbench.files.ensure`.

    Parameters
    ----------
    path : str
        Path inside the repository, e.g. ``"benchmarks/CelebA64/Final_G.pt"``.
    progress, fetch
        As `srbench.files.ensure`.
    """
    return ensure(read_manifest(MANIFEST)[path], progress=progress, fetch=fetch)


def pair_files(pair: str) -> dict[str, RemoteFile]:
    """Files of the image pair ``"early"``, ``"mid"`` or ``"late"``: generator, psi_1, psi_2."""
    stem = f"benchmarks/CelebA64/{pair.capitalize()}"
    manifest = read_manifest(MANIFEST)
    return {name: manifest[name] for name in (GENERATOR, f"{stem}_v1.pt", f"{stem}_v2.pt")}


def missing_files(pair: str) -> list[RemoteFile]:
    """Files of the pair that are not on this machine."""
    return [remote for remote in pair_files(pair).values() if find(remote) is None]


class OfficialPair:
    """P and Q of an official image pair; files are read, and fetched if need be, by `to`.

    Parameters
    ----------
    pair : {"early", "mid", "late"}
        Which potentials.
    """

    source = "official"
    size = SIZE

    def __init__(self, pair: str) -> None:
        self.pair = pair
        self._networks: tuple[ResNetGenerator, list[ConvICNN64]] | None = None

    def to(self, device: torch.device) -> None:
        """Read G, psi_1 and psi_2 onto ``device``.

        Raises
        ------
        DownloadError, CorruptFile
            If a file cannot be fetched, or is not the official one.
        """
        remotes = list(pair_files(self.pair).values())
        g, psi = ResNetGenerator(), [ConvICNN64() for _ in remotes[1:]]
        for network, remote in zip([g, *psi], remotes, strict=True):
            load_strict(network, read_checkpoint(ensure(remote), published=remote))
            network.to(device).eval().requires_grad_(False)
        self.device = device
        self._networks = g, psi

    @property
    def networks(self) -> tuple[ResNetGenerator, list[ConvICNN64]]:
        """G and the two potentials; raises `SrbenchError` before `to`."""
        if self._networks is None:
            raise SrbenchError(f"the official {self.pair} pair is not loaded",
                               hint="call prepare(device) of the dataset first")
        return self._networks

    @torch.no_grad()
    def clean(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw y = G(z) + 0.01 epsilon, shape (n, 3, 64, 64)."""
        g, _ = self.networks
        place = generator.device
        z = torch.randn(n, Z_DIM, generator=generator, device=place).to(self.device)
        noise = torch.randn(n, 3, SIZE, SIZE, generator=generator, device=place).to(self.device)
        faces = torch.cat([g(part).view(-1, 3, SIZE, SIZE) for part in torch.split(z, CHUNK)])
        return faces.add_(noise, alpha=NOISE)

    @torch.no_grad()
    def blurry(self, clean: Tensor) -> Tensor:
        """Average of the two gradients, computed by autograd in chunks; shape kept."""
        _, psi = self.networks
        parts = [(psi[0].push(part) + psi[1].push(part)) / 2 for part in torch.split(clean, CHUNK)]
        return torch.cat(parts)

    def fingerprint(self) -> str:
        """SHA-256 of the files' hashes and the constants; needs no file."""
        hashes = [remote.git_blob_sha1 for remote in pair_files(self.pair).values()]
        parts = {"construction": 1, "files": hashes, "noise": NOISE, "z_dim": Z_DIM, "size": SIZE}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
