"""The embedded stand-in: photographs of scikit-image, and a degradation in the challenge's spirit.

Every scene belongs to one set: LR training, HR training or validation. The LR domain is blur, noise
and JPEG at a photograph's own size. As in the challenge, LR training images keep the full size of
their photographs, and LR validation images are HR ones shrunk by 4 and then degraded alike. All
arithmetic on pixels is Pillow's on 8-bit integers; the noise is made of integers too. It is
another benchmark: its numbers compare with nothing published.
"""

from __future__ import annotations

import hashlib
import io
import json
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import PIL
import skimage
from PIL import Image, ImageFilter

from srbench.errors import CorruptFile, DataError
from srbench.files import cache_dir
from srbench_aim19.importing import Images, Plan, build
from srbench_aim19.layout import SCALE, Role
from srbench_aim19.statistics import shrunk

REINSTALL = "pip install --force-reinstall 'scikit-image>=0.24'"
# Which scene goes where was chosen by the mean colours of the sets: where P and Q differ in what
# they show, a transport map has to recolour, and with so few scenes chance decides.
PHOTOGRAPHS: Final[dict[Role, tuple[str, ...]]] = {
    "lr": ("motorcycle_left.png", "retina.jpg"),
    "hr": ("astronaut.png", "coffee.png"),
    "lr-test": ("chelsea.png", "ihc.png", "rocket.jpg"),
    "hr-test": ("chelsea.png", "ihc.png", "rocket.jpg"),
}
BLUR = 0.8  # radius of Pillow's Gaussian blur
NOISE = 8  # standard deviation of the noise, levels of 255
QUALITY = 50  # of JPEG, chroma at half resolution
CONSTRUCTION = 2


def embedded_images() -> Images:
    """Return the stores of the stand-in, made on first use.

    Raises
    ------
    DataError
        If the installed scikit-image does not carry one of the photographs.
    CorruptFile
        If one of them is no whole image.
    """
    parts = {"construction": CONSTRUCTION, "photographs": PHOTOGRAPHS, "blur": BLUR,
             "noise": NOISE, "quality": QUALITY, "pillow": PIL.__version__,
             "scikit-image": version("scikit-image")}
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return build(cache_dir() / "aim19" / f"embedded-{digest[:16]}", _plan)


def _plan() -> Plan:
    """Make every image; they are few."""
    pixels: dict[Role, list[np.ndarray]] = {
        role: [np.asarray(make(role, name)) for name in names]
        for role, names in PHOTOGRAPHS.items()}
    return Plan(
        names={role: tuple(Path(name).stem for name in names)
               for role, names in PHOTOGRAPHS.items()},
        shapes={role: tuple((image.shape[0], image.shape[1]) for image in images)
                for role, images in pixels.items()},
        read=lambda role, i: pixels[role][i],
        label=lambda role, i: f"{PHOTOGRAPHS[role][i]} ({role})")


def make(role: Role, name: str) -> Image.Image:
    """One image of a set, RGB."""
    photograph = read_photograph(name)
    if role == "hr":
        return photograph
    if role == "lr":
        return degrade(photograph, name)
    hr = centre_crop(photograph)
    return hr if role == "hr-test" else degrade(shrunk(hr), name)


def read_photograph(name: str) -> Image.Image:
    """Read a bundled photograph as RGB."""
    path = Path(skimage.__file__).parent / "data" / name
    if not path.is_file():
        raise DataError(f"scikit-image {version('scikit-image')} carries no {name}",
                        hint=REINSTALL)
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's errors for damaged files
        raise CorruptFile(f"{path} is no whole image: {error}", hint=REINSTALL) from error


def centre_crop(image: Image.Image) -> Image.Image:
    """Cut the middle of an image to sides that are multiples of 4."""
    width, height = (side // SCALE * SCALE for side in image.size)
    left, top = (image.size[0] - width) // 2, (image.size[1] - height) // 2
    return image.crop((left, top, left + width, top + height))


def degrade(image: Image.Image, name: str) -> Image.Image:
    """Blur an image, add noise seeded by ``name``, and send it through JPEG; size kept."""
    blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(BLUR)))
    noisy = np.clip(blurred.astype(np.int64) + noise(blurred.shape, name), 0, 255)
    buffer = io.BytesIO()
    Image.fromarray(noisy.astype(np.uint8)).save(buffer, "JPEG", quality=QUALITY)
    with Image.open(buffer) as compressed:
        return compressed.convert("RGB")


def noise(shape: tuple[int, ...], name: str) -> np.ndarray:
    """Nearly normal integers of mean 0 and deviation `NOISE`, the same on every machine; int64.

    Each is the sum of twelve random bytes (mean 1530, deviation 255.998), centred, times `NOISE`
    by 256, rounded. Only the raw bits of the generator are used, which NumPy never changes.
    """
    seed = int.from_bytes(hashlib.sha256(f"srbench-aim19/noise/{name}".encode()).digest()[:8])
    count = int(np.prod(shape))
    words = np.random.PCG64(seed).random_raw((12 * count + 7) // 8).astype("<u8")
    sums = words.view(np.uint8)[: 12 * count].reshape(count, 12).sum(1, dtype=np.int64)
    scaled: np.ndarray = (NOISE * (sums - 1530) + 128) >> 8
    return scaled.reshape(shape)
