"""Patches per second: an image store against decoding a file for every patch.

    python benchmarks/patches.py [--images 6] [--size 128] [--batch 64] [--seconds 4]

Images of 2040 x 1356 are made of a photograph of scikit-image, enlarged, with noise so that PNG
compresses it as little as a photograph. "Per item" is the released loader written from its
description: a PNG is decoded for each patch, flipped whole, cropped, rotated, converted. One
thread; medians of three are printed, files and store being in the system's cache. The
goal is a ratio of 100.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import skimage
import torch
from PIL import Image
from torch import Tensor

from srbench.imagestore import TURNS, ImageStore, random_places

WIDTH, HEIGHT = 2040, 1356
ROUNDS = 3


def make_images(folder: Path, count: int) -> list[Path]:
    """Write ``count`` PNG files."""
    path = Path(skimage.__file__).parent / "data" / "astronaut.png"
    with Image.open(path) as image:
        large = np.asarray(image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    paths = []
    for number in range(count):
        noise = np.random.default_rng(number).normal(0, 4, large.shape)
        pixels = np.clip(large + noise, 0, 255).astype(np.uint8)
        paths.append(folder / f"{number:04}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def per_item(paths: list[Path], size: int, generator: torch.Generator) -> Tensor:
    """One patch (3, size, size) in [-1, 1] as the released loader makes it."""
    def draw(high: int) -> int:
        return int(torch.randint(high, (), generator=generator))

    with Image.open(paths[draw(len(paths))]) as opened:
        image = opened.convert("RGB")
    if draw(2):
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    if draw(2):
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    left, top = draw(image.width - size + 1), draw(image.height - size + 1)
    patch = image.crop((left, top, left + size, top + size)).rotate(90 * draw(4))
    pixels = torch.from_numpy(np.array(patch)).permute(2, 0, 1)
    return pixels.float().div_(255).sub_(0.5).div_(0.5)


def stored(store: ImageStore, size: int, batch: int, generator: torch.Generator) -> np.ndarray:
    """A batch of patches (batch, size, size, 3) uint8, flipped and rotated."""
    which, tops, lefts = random_places(store.shapes, batch, size, generator)
    turns = torch.randint(TURNS, (batch,), generator=generator).numpy()
    return store.crops(which, tops, lefts, size, turns)


def normalised(images: np.ndarray) -> Tensor:
    """Convert to (batch, 3, size, size) in [-1, 1] on the CPU, NHWC in memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def rate(make: Callable[[], object], patches: int, seconds: float) -> float:
    """Patches per second of calls that make ``patches`` each."""
    make()
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        make()
        calls += 1
    return patches * calls / (time.perf_counter() - start)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    size, batch = options.size, options.batch
    with tempfile.TemporaryDirectory() as name:
        paths = make_images(Path(name), options.images)
        bytes_each = paths[0].stat().st_size
        store = ImageStore.create(Path(name) / "store", [(HEIGHT, WIDTH)] * len(paths))
        for i, path in enumerate(paths):
            store.put(i, np.asarray(Image.open(path)))
        store.finish()
        ways: dict[str, tuple[Callable[[], object], int]] = {
            "per item": (lambda: per_item(paths, size, generator), 1),
            "store, uint8 for the device": (lambda: stored(store, size, batch, generator), batch),
            "store, float32": (lambda: normalised(stored(store, size, batch, generator)), batch)}
        rates = {way: median(rate(make, patches, options.seconds) for _ in range(ROUNDS))
                 for way, (make, patches) in ways.items()}
    print(f"| {size} x {size} from {WIDTH} x {HEIGHT} PNGs of {bytes_each / 1e6:.1f} MB, 1 thread "
          "| patches/s | ratio |")
    print("|---|---|---|")
    for way, value in rates.items():
        print(f"| {way} | {value:,.1f} | {value / rates['per item']:,.0f} |")


if __name__ == "__main__":
    main()
