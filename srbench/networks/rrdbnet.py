"""RRDBNet: the generator of ESRGAN, and the two layouts its checkpoints come in.

FSSR and the current ESRGAN code name the parts (``conv_first``, ``RRDB_trunk``, ...: the new
names); DASR and the old code number them (``model.0``, ``model.1.sub``, ...: the old names).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.errors import ParameterError
from srbench.networks.edsr import conv3x3
from srbench.networks.loading import (
    PARALLEL_PREFIX,
    load_strict,
    read_checkpoint,
    strip_prefix,
)

if TYPE_CHECKING:
    from pathlib import Path

SLOPE = 0.2  # of every LeakyReLU
RESIDUAL = 0.2  # factor of the residual branch of a dense block and of a triple of them
DENSE_INIT = 0.1  # factor of the Kaiming-normal weights of the dense blocks


class RRDBNet(nn.Module):
    """Residual-in-residual dense network: images to images ``scale`` times larger.

    A head convolution, ``blocks`` triples of dense blocks and a convolution around which the head
    skips, one nearest-neighbour doubling with a convolution per factor of two, two convolutions;
    no batch norm, no output activation. State keys are the new names.

    Parameters
    ----------
    features : int
        Width, at least 1. Parameters with the defaults: 16,697,987.
    blocks : int
        Triples of dense blocks, at least 0.
    growth : int
        Channels each convolution of a dense block adds, at least 1.
    scale : int
        Magnification, a power of two: 1, 2, 4, 8, ...

    Raises
    ------
    ParameterError
        If ``scale`` is not a power of two or a count is out of its range.

    References
    ----------
    Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", ECCVW 2018;
    used by FSSR (Fritsche et al., 2019) and DASR (Wei et al., 2021).
    """

    def __init__(
        self, features: int = 64, blocks: int = 23, growth: int = 32, scale: int = 4
    ) -> None:
        super().__init__()
        if features < 1 or blocks < 0 or growth < 1:
            raise ParameterError(
                f"RRDBNet: features={features}, blocks={blocks}, growth={growth}",
                hint="give features >= 1, blocks >= 0, growth >= 1",
            )
        if scale < 1 or scale & (scale - 1):
            raise ParameterError(f"RRDBNet: scale is {scale}", hint="use 1, 2, 4, 8, ...")
        self.doublings = scale.bit_length() - 1
        self.conv_first = conv3x3(3, features)
        self.RRDB_trunk = nn.Sequential(*(RRDB(features, growth) for _ in range(blocks)))
        self.trunk_conv = conv3x3(features, features)
        for step in range(1, self.doublings + 1):
            self.add_module(f"upconv{step}", conv3x3(features, features))
        self.HRconv = conv3x3(features, features)
        self.conv_last = conv3x3(features, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map images to larger ones.

        Parameters
        ----------
        x : Tensor
            ``(N, 3, H, W)`` in [0, 1].

        Returns
        -------
        Tensor
            ``(N, 3, scale * H, scale * W)``, nominal range [0, 1], unclamped.
        """
        y = self.conv_first(x)
        y = y + self.trunk_conv(self.RRDB_trunk(y))
        for step in range(1, self.doublings + 1):
            y = F.interpolate(y, scale_factor=2.0, mode="nearest")
            y = F.leaky_relu(self.get_submodule(f"upconv{step}")(y), SLOPE, inplace=True)
        y = F.leaky_relu(self.HRconv(y), SLOPE, inplace=True)
        return cast("Tensor", self.conv_last(y))


class RRDB(nn.Module):
    """x + 0.2 * (three dense blocks)(x)."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.RDB1 = DenseBlock(features, growth)
        self.RDB2 = DenseBlock(features, growth)
        self.RDB3 = DenseBlock(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, features, H, W)`` to the same shape."""
        return torch.add(x, self.RDB3(self.RDB2(self.RDB1(x))), alpha=RESIDUAL)


class DenseBlock(nn.Module):
    """x + 0.2 * conv5, where convolution k sees x and the outputs of all before it."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(features, growth)
        self.conv2 = conv3x3(features + growth, growth)
        self.conv3 = conv3x3(features + 2 * growth, growth)
        self.conv4 = conv3x3(features + 3 * growth, growth)
        self.conv5 = conv3x3(features + 4 * growth, features)
        init_scaled(self, DENSE_INIT)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, features, H, W)`` to the same shape."""
        y = x
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            y = torch.cat((y, F.leaky_relu(conv(y), SLOPE, inplace=True)), 1)
        return torch.add(x, self.conv5(y), alpha=RESIDUAL)


def init_scaled(module: nn.Module, factor: float) -> None:
    """Draw every convolution and linear weight anew, Kaiming normal with fan in times ``factor``.

    Standard deviation ``factor * sqrt(2 / fan_in)``; their biases become 0, batch norms stay.
    ESRGAN uses 0.1 for its dense blocks, DASR for its whole generator, and 1 for discriminators.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            with torch.no_grad():
                layer.weight.mul_(factor)
                if layer.bias is not None:
                    layer.bias.zero_()


def to_new_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict with the old names replaced by the new ones, values and order kept.

    A state dict that already has the new names is handed back as a copy. The numbers of blocks and
    of doublings are read off the keys; a key of neither layout stays what it is, for a strict load
    to name it.
    """
    numbers = sorted(
        int(found[1]) for key in state if (found := re.fullmatch(r"model\.(\d+)\.weight", key))
    )
    names = {f"model.{n}": f"upconv{step}" for step, n in enumerate(numbers[1:-2], 1)}
    if len(numbers) >= 3:
        names |= {f"model.{numbers[-2]}": "HRconv", f"model.{numbers[-1]}": "conv_last"}
    names["model.0"] = "conv_first"

    def renamed(key: str) -> str:
        inner = re.fullmatch(r"model\.1\.sub\.(\d+)\.(RDB\d)\.(conv\d)\.0\.(weight|bias)", key)
        if inner:
            return "RRDB_trunk.{}.{}.{}.{}".format(*inner.groups())
        if re.fullmatch(r"model\.1\.sub\.\d+\.(weight|bias)", key):
            return f"trunk_conv.{key.rpartition('.')[2]}"
        layer, _, kind = key.rpartition(".")
        return f"{names[layer]}.{kind}" if layer in names else key

    return {renamed(key): value for key, value in state.items()}


def to_old_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict with the new names replaced by the old ones, the inverse of `to_new_names`."""
    blocks, doublings = _blocks(state), _doublings(state)
    names = {
        "conv_first": "model.0",
        "trunk_conv": f"model.1.sub.{blocks}",
        "HRconv": f"model.{3 * doublings + 2}",
        "conv_last": f"model.{3 * doublings + 4}",
    } | {f"upconv{step}": f"model.{3 * step}" for step in range(1, doublings + 1)}

    def renamed(key: str) -> str:
        inner = re.fullmatch(r"RRDB_trunk\.(\d+)\.(RDB\d)\.(conv\d)\.(weight|bias)", key)
        if inner:
            return "model.1.sub.{}.{}.{}.0.{}".format(*inner.groups())
        layer, _, kind = key.rpartition(".")
        return f"{names[layer]}.{kind}" if layer in names else key

    return {renamed(key): value for key, value in state.items()}


def load_rrdb(path: Path) -> RRDBNet:
    """Build the RRDBNet a checkpoint of either layout holds, in eval mode.

    Parameters
    ----------
    path : Path
        A state dict; its keys may all carry ``module.``. Width, blocks, growth and scale are read
        off the keys and shapes.

    Raises
    ------
    MissingWeights
        If there is no such file.
    CorruptFile
        If it is no checkpoint of an RRDBNet; the message names the first key that differs.
    """
    state = read_checkpoint(path)
    network = RRDBNet(blocks=0)
    if isinstance(state, Mapping) and all(isinstance(key, str) for key in state):
        state = to_new_names(strip_prefix(state, PARALLEL_PREFIX))
        network = RRDBNet(
            _width(state, "conv_first.weight", 64),
            _blocks(state),
            _width(state, "RRDB_trunk.0.RDB1.conv1.weight", 32),
            2 ** _doublings(state),
        )
    load_strict(network, state)
    return network.eval()


def _blocks(state: Mapping[str, Tensor]) -> int:
    """Count the triples of dense blocks in a state dict with the new names."""
    return len({key.split(".")[1] for key in state if re.match(r"RRDB_trunk\.\d+\.", key)})


def _doublings(state: Mapping[str, Tensor]) -> int:
    """Count the doublings in a state dict with the new names."""
    return sum(bool(re.fullmatch(r"upconv\d+\.weight", key)) for key in state)


def _width(state: Mapping[str, Tensor], key: str, otherwise: int) -> int:
    """Outputs of a convolution; ``otherwise`` where it is missing, for a strict load to say so."""
    value = state.get(key)
    return len(value) if isinstance(value, Tensor) and value.ndim and len(value) else otherwise
