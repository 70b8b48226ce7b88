"""The embedded stand-in pair: crops of photographs and a closed-form blur, nothing to fetch.

Q: random crops of the colour images inside the scikit-image distribution, flipped at random, in
[-1, 1], plus Gaussian noise of deviation 0.01. P = grad psi # Q with the potential of
`srbench_w2.potential`. It is built like the official pair and is another benchmark: its numbers
compare with nothing published.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import skimage
import torch
from PIL import Image
from torch import Tensor

from srbench.errors import CorruptFile, DataError
from srbench_w2.potential import BlurPotential, BlurSettings

NOISE = 0.01
REINSTALL = "pip install --force-reinstall 'scikit-image>=0.24'"
COVERAGE = 128  # a crop shows this many pixels of a photograph, whatever its own size
# PNG only: every decoder returns the same bytes, so the fingerprint is the same everywhere.
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "ihc.png", "motorcycle_left.png")

# The cutoff makes the identity's L2-UVP 30 % for `early` at either size, as on the official pair.
SETTINGS = {32: BlurSettings(cutoff=1.9), 64: BlurSettings(cutoff=2.3)}
# Identity's L2-UVP scales with t^2: 30 %, 15 % and 5 %. The last two are a choice of this project.
STRENGTH = {"early": 1.0, "mid": math.sqrt(1 / 2), "late": math.sqrt(1 / 6)}


def shrink(photograph: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks of ``factor`` x ``factor`` pixels, rounding half up; (H, W, 3) uint8."""
    height, width = (side // factor for side in photograph.shape[:2])
    blocks = photograph[: height * factor, : width * factor].astype(np.int64)
    blocks = blocks.reshape(height, factor, width, factor, 3).sum((1, 3))
    rounded: np.ndarray = (2 * blocks + factor**2) // (2 * factor**2)
    return rounded.astype(np.uint8)


def read_photographs(factor: int) -> list[np.ndarray]:
    """Read the bundled images, shrunk by ``factor``; (H, W, 3) uint8 each.

    Raises
    ------
    DataError
        If the installed scikit-image does not carry one of them.
    CorruptFile
        If one of them is no whole image.
    """
    folder = Path(skimage.__file__).parent / "data"
    absent = [name for name in PHOTOGRAPHS if not (folder / name).is_file()]
    if absent:
        raise DataError(f"scikit-image {version('scikit-image')} carries no {', '.join(absent)}",
                        hint=REINSTALL)
    return [shrink(read_photograph(folder / name), factor) for name in PHOTOGRAPHS]


def read_photograph(path: Path) -> np.ndarray:
    """Read one image as (H, W, 3) uint8; a truncated one is an error, never a grey edge."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's errors for damaged files
        raise CorruptFile(f"{path} is no whole image: {error}", hint=REINSTALL) from error


class Photographs:
    """Random crops of a few photographs that lie on one device as one tensor.

    Parameters
    ----------
    photographs : list of ndarray
        (H, W, 3) uint8, each at least ``size`` high and wide.
    size : int
        Side of a crop.
    device : torch.device or str
        Where crops are cut.
    """

    def __init__(self, photographs: list[np.ndarray], size: int,
                 device: torch.device | str = "cpu") -> None:
        flat = np.concatenate([photograph.reshape(-1, 3) for photograph in photographs])
        sides = torch.tensor([photograph.shape[:2] for photograph in photographs])
        area = sides.prod(1)
        self.size = size
        self.pixels = torch.from_numpy(flat.T.copy()).to(device)  # (3, all pixels)
        self.width = sides[:, 1].to(device)
        self.room = (sides - size + 1).to(device)  # rows and columns a crop may start at
        self.start = (area.cumsum(0) - area).to(device)
        self.line = torch.arange(size, device=device)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` crops in [-1, 1], shape (n, 3, size, size); flipped with probability 1/2."""
        draws = torch.rand(4, n, dtype=torch.float64, generator=generator, device=generator.device)
        which, down, right, flip = draws.to(self.pixels.device)
        photograph = (which * len(self.start)).long()
        top = (down * self.room[photograph, 0]).long()
        left = (right * self.room[photograph, 1]).long()
        column = torch.where(flip[:, None] < 0.5, self.size - 1 - self.line, self.line)
        row = (top[:, None] + self.line) * self.width[photograph, None]
        corner = (self.start[photograph] + left)[:, None, None]
        index = corner + row[:, :, None] + column[:, None, :]
        return (self.pixels[:, index].transpose(0, 1) / 127.5 - 1).contiguous()


class EmbeddedPair:
    """P and Q of an embedded pair.

    Parameters
    ----------
    pair : {"early", "mid", "late"}
        How strong the blur is.
    size : {32, 64}
        Image side.
    settings : BlurSettings, optional
        Other constants than the calibrated ones.
    """

    source = "embedded"
    chunk = 256

    def __init__(self, pair: str, size: int, settings: BlurSettings | None = None) -> None:
        self.pair, self.size = pair, size
        self.settings = settings or SETTINGS[size]
        self._photographs = read_photographs(COVERAGE // size)
        self.to("cpu")

    def to(self, device: torch.device | str) -> None:
        """Move everything sampling needs to ``device``."""
        self.device = torch.device(device)
        self.photographs = Photographs(self._photographs, self.size, device)
        self.potential = BlurPotential(self.size, self.settings, STRENGTH[self.pair], device=device)

    def clean(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` samples of Q, shape (n, 3, size, size), nominal range [-1, 1]."""
        crops = self.photographs.sample(n, generator)
        noise = torch.randn(crops.shape, generator=generator, device=generator.device)
        return crops.add_(noise.to(self.device), alpha=NOISE)

    def blurry(self, clean: Tensor) -> Tensor:
        """Map samples of Q to P by grad psi, in closed form."""
        return self.potential.gradient(clean)

    def fingerprint(self) -> str:
        """SHA-256 of the photographs' pixels and every constant of the construction."""
        digest = hashlib.sha256()
        for name, photograph in zip(PHOTOGRAPHS, self._photographs, strict=True):
            digest.update(f"{name} {photograph.shape} ".encode())
            digest.update(photograph.tobytes())
        constants = {"construction": 1, "pair": self.pair, "size": self.size, "noise": NOISE,
                     "strength": STRENGTH[self.pair], **asdict(self.settings)}
        digest.update(json.dumps(constants, sort_keys=True).encode())
        return digest.hexdigest()
