"""The degradation generators of FSSR (DSGAN) and DASR (DSN), and their checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch import Tensor, nn

from srbench.errors import CorruptFile, ParameterError
from srbench.networks.edsr import conv3x3
from srbench.networks.loading import (
    PARALLEL_PREFIX,
    load_strict,
    read_checkpoint,
    strip_prefix,
)

if TYPE_CHECKING:
    from pathlib import Path

    N = TypeVar("N", bound=nn.Module)

WIDTH = 64
GENERATOR = "model_g_state_dict"  # entries of the dictionaries both codes save
DISCRIMINATOR = "models_d_state_dict"  # sic


class DSGANGenerator(nn.Module):
    """FSSR's generator: a clean low-resolution image to a degraded one of the same size.

    Two convolutions around residual blocks; no batch norm, no global skip, sigmoid at the end.
    State keys are those of the released checkpoints.

    Parameters
    ----------
    blocks : int
        Residual blocks, at least 0. Parameters with the default: 594,380.

    Raises
    ------
    ParameterError
        If ``blocks`` is negative.

    References
    ----------
    Fritsche, Gu, Timofte, "Frequency Separation for Real-World Super-Resolution", ICCVW 2019.
    """

    def __init__(self, blocks: int = 8) -> None:
        super().__init__()
        if blocks < 0:
            raise ParameterError(f"{type(self).__name__}: blocks={blocks}", hint="give blocks >= 0")
        self.block_input = nn.Sequential(conv3x3(3, WIDTH), nn.PReLU())
        self.res_blocks = nn.Sequential(*(ResidualBlock(WIDTH) for _ in range(blocks)))
        self.block_output = conv3x3(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(N, 3, H, W)`` in [0, 1] to the same shape, in [0, 1]."""
        return torch.sigmoid(self.block_output(self.res_blocks(self.block_input(x))))


class DeResnet(DSGANGenerator):
    """DASR's generator: a clean high-resolution image to a degraded low-resolution one.

    FSSR's, with strided convolutions before the last one. State keys are those of the released
    checkpoints.

    Parameters
    ----------
    blocks : int
        Residual blocks, at least 0.
    scale : int
        How much smaller the output is: a power of two. Parameters with the defaults: 668,238.

    Raises
    ------
    ParameterError
        If ``blocks`` is negative or ``scale`` is not a power of two.

    References
    ----------
    Wei et al., "Unsupervised Real-world Image Super Resolution via Domain-distance Aware
    Training", CVPR 2021.
    """

    def __init__(self, blocks: int = 8, scale: int = 4) -> None:
        super().__init__(blocks)
        if scale < 1 or scale & (scale - 1):
            raise ParameterError(f"DeResnet: scale is {scale}", hint="use 1, 2, 4, 8, ...")
        halvings: list[nn.Module] = []
        for _ in range(scale.bit_length() - 1):
            halvings += [nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1), nn.PReLU()]
        self.down_sample = nn.Sequential(*halvings)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(N, 3, H, W)`` in [0, 1] to ``(N, 3, H / scale, W / scale)`` in [0, 1].

        Sizes that are no multiples of ``scale`` are rounded up.
        """
        y = self.down_sample(self.res_blocks(self.block_input(x)))
        return torch.sigmoid(self.block_output(y))


class ResidualBlock(nn.Module):
    """x + conv2(PReLU(conv1(x))), one slope for all channels."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(features, features)
        self.prelu = nn.PReLU()
        self.conv2 = conv3x3(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, features, H, W)`` to the same shape."""
        return cast("Tensor", x + self.conv2(self.prelu(self.conv1(x))))


def load_dsgan(path: Path) -> DSGANGenerator:
    """Build the DSGAN generator a checkpoint holds, in eval mode.

    Parameters
    ----------
    path : Path
        A dictionary with ``model_g_state_dict`` (the published ``.tar``) or a bare state dict; its
        keys may all carry ``module.``. The number of blocks is read off them.

    Raises
    ------
    MissingWeights
        If there is no such file.
    CorruptFile
        If it is no checkpoint of this network; the message names the first key that differs.
    """
    state = read_state(path, GENERATOR)
    return _loaded(DSGANGenerator(_count(state, r"res_blocks\.(\d+)\.")), state)


def load_deresnet(path: Path) -> DeResnet:
    """Build the DeResnet a checkpoint holds, in eval mode; as `load_dsgan`."""
    state = read_state(path, GENERATOR)
    halvings = _count(state, r"down_sample\.(\d+)\.") // 2
    return _loaded(DeResnet(_count(state, r"res_blocks\.(\d+)\."), 2**halvings), state)


def load_discriminator(path: Path, network: N) -> N:
    """Load a checkpoint's discriminator into one built for it; hand it back, in eval mode.

    Parameters
    ----------
    path : Path
        A dictionary with ``models_d_state_dict``, or a bare state dict; its keys may all carry
        ``module.``.
    network : Module
        A discriminator of `srbench.networks`, built with the arguments of the checkpoint's.

    Raises
    ------
    MissingWeights
        If there is no such file.
    CorruptFile
        If it is no checkpoint of this network, naming the first key that differs, or was trained
        with another wavelet than Haar's.
    """
    state = read_state(path, DISCRIMINATOR)
    for key, value in network.state_dict().items():
        if "DWT2." in key and key in state and not _equal(state[key], value):
            raise CorruptFile(
                f"{path}: {key!r} is not the Haar wavelet's", hint="give DASR's own checkpoint"
            )
    return _loaded(network, state)


def read_state(path: Path, entry: str) -> dict[str, Tensor]:
    """State dict of a checkpoint, from its entry of that name where it has one.

    Returns
    -------
    dict of str to Tensor
        Without the prefix ``module.``.

    Raises
    ------
    MissingWeights
        If there is no such file.
    CorruptFile
        If there is no state dict in it.
    """
    content: Any = read_checkpoint(path)
    if isinstance(content, Mapping):
        content = content.get(entry, content)
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        raise CorruptFile(
            f"{path} holds a {type(content).__name__}, not a state dict",
            hint=f"give a checkpoint with the entry {entry}, or the weights alone",
        )
    return strip_prefix(content, PARALLEL_PREFIX)


def _loaded(network: N, state: Mapping[str, Tensor]) -> N:
    load_strict(network, state)
    return network.eval()


def _equal(found: Any, own: Tensor) -> bool:
    """Whether two filters agree up to rounding; what has another shape is left to a strict load."""
    if not isinstance(found, Tensor) or found.shape != own.shape:
        return True
    return torch.allclose(found.to(own), own, atol=1e-5)


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """Different numbers a pattern's group takes among the keys."""
    return len({found[1] for key in state if (found := re.match(pattern, key))})
