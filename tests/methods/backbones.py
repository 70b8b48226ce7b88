"""Fixtures: backbones with random weights, and networks narrow enough to be trained in a test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from srbench import files
from srbench.backbones import BACKBONES, store
from srbench.networks import dsgan, patch_discriminators, perceptual
from srbench.networks.lpips_network import load_lpips
from srbench_dasr import method as dasr
from srbench_fssr import method as fssr

ALEXNET = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
VGG16 = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
VGG19 = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
NARROW = (4, 4, 6, 6, 6)


def random_state(shapes: dict[int, tuple[int, int, int]]) -> dict[str, Tensor]:
    """He-normal convolutions by torchvision's names."""
    generator, state = torch.Generator().manual_seed(5), {}
    for index, (out, fan, side) in shapes.items():
        weight = torch.randn(out, fan, side, side, generator=generator)
        state[f"features.{index}.weight"] = weight * (2 / (fan * side * side)) ** 0.5
        state[f"features.{index}.bias"] = torch.randn(out, generator=generator) * 0.1
    return state


def vgg_shapes(indices: tuple[int, ...],
               widths: tuple[int, ...]) -> dict[int, tuple[int, int, int]]:
    counts = (2, 2, 3, 3, 3) if len(indices) == 13 else (2, 2, 4, 4, 4)
    outputs = [width for width, count in zip(widths, counts, strict=True) for _ in range(count)]
    return {index: (out, fan, 3) for index, out, fan
            in zip(indices, outputs, [3, *outputs], strict=False)}


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stored backbones, made once: AlexNet, VGG-16, and narrow VGGs in a folder of their own."""
    folder, before = tmp_path_factory.mktemp("backbones"), os.environ.get("SRBENCH_CACHE")
    widths = perceptual.WIDTHS
    made = {"wide": {"alexnet": ALEXNET, "vgg16": vgg_shapes(VGG16, widths)},
            "narrow": {"alexnet": ALEXNET, "vgg16": vgg_shapes(VGG16, NARROW),
                       "vgg19": vgg_shapes(VGG19, NARROW)}}
    for kind, shapes in made.items():
        os.environ["SRBENCH_CACHE"] = str(folder / kind)
        for name, layers in shapes.items():
            store(BACKBONES[name], random_state(layers), "a test")
    if before is None:
        del os.environ["SRBENCH_CACHE"]
    else:
        os.environ["SRBENCH_CACHE"] = before
    return folder


@pytest.fixture
def put(kept: Path, private_folders: Path) -> Callable[..., None]:
    """Function that puts stored backbones into the cache of the test."""
    def put(*names: str, kind: str = "wide") -> None:
        target = files.cache_dir() / "weights"
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copyfile(kept / kind / "weights" / f"{name}.safetensors",
                            target / f"{name}.safetensors")

    return put


@pytest.fixture
def backbones(put: Callable[..., None]) -> None:
    """AlexNet and VGG-16 of their real widths."""
    put("alexnet", "vgg16")


one_lpips = cache(load_lpips)  # the package initialises a whole AlexNet each time


class NarrowPatchNet(nn.Module):
    """`PatchNet`, a sixteenth as wide."""

    def __init__(self, channels: int, norm: type[nn.Module]) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, 4, 5, padding=2), nn.LeakyReLU(0.2),
            nn.Conv2d(4, 8, 5, padding=2), norm(8), nn.LeakyReLU(0.2),
            nn.Conv2d(8, 16, 5, padding=2), norm(16), nn.LeakyReLU(0.2), nn.Conv2d(16, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


@pytest.fixture
def narrow_vgg(put: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """VGGs of a few channels."""
    monkeypatch.setattr(perceptual, "WIDTHS", NARROW)
    put("vgg16", "vgg19", kind="narrow")


@pytest.fixture
def narrow(narrow_vgg: None, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Degradation generators and discriminators of a few channels too; one LPIPS for all tests."""
    monkeypatch.setattr(dsgan, "WIDTH", 4)
    monkeypatch.setattr(patch_discriminators, "PatchNet", NarrowPatchNet)
    put("alexnet", kind="narrow")
    for module in (fssr, dasr):
        monkeypatch.setattr(module, "load_lpips", one_lpips)
