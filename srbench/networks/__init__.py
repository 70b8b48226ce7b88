"""Networks plugins build methods and datasets from, with the keys of the official checkpoints.

Each name is loaded when it is first used, so importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from srbench.networks.conv_icnn import ConvICNN64
    from srbench.networks.dense_icnn import DenseICNN
    from srbench.networks.edsr import EDSR
    from srbench.networks.loading import load_strict, read_checkpoint
    from srbench.networks.resnet import ResNetGenerator, ResNetPotential
    from srbench.networks.unet import UNet
    from srbench.networks.vectors import VectorMap, VectorPotential

_LAZY = {
    "EDSR": "srbench.networks.edsr",
    "ConvICNN64": "srbench.networks.conv_icnn",
    "DenseICNN": "srbench.networks.dense_icnn",
    "ResNetGenerator": "srbench.networks.resnet",
    "ResNetPotential": "srbench.networks.resnet",
    "UNet": "srbench.networks.unet",
    "VectorMap": "srbench.networks.vectors",
    "VectorPotential": "srbench.networks.vectors",
    "load_strict": "srbench.networks.loading",
    "read_checkpoint": "srbench.networks.loading",
}

__all__ = [
    "EDSR",
    "ConvICNN64",
    "DenseICNN",
    "ResNetGenerator",
    "ResNetPotential",
    "UNet",
    "VectorMap",
    "VectorPotential",
    "load_strict",
    "read_checkpoint",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'srbench.networks' has no attribute {name!r}")
