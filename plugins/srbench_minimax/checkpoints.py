"""The authors' checkpoints of T."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from srbench.errors import CorruptFile
from srbench.networks.loading import load_strict, read_checkpoint, strip_prefix
from srbench.networks.unet import UNet

OFFICIAL_PREFIX = "1."  # the released map is Sequential(reshape, UNet, flatten)


def read_map(path: Path) -> UNet:
    """Load T from a checkpoint in the authors' layout.

    Parameters
    ----------
    path : Path
        State dict of a `UNet`, its keys bare or behind ``1.``; the width is that of
        ``outc.conv.weight``, shape (3, base, 1, 1).

    Raises
    ------
    CorruptFile
        If it is not the state dict of a UNet, naming the first entry that differs.
    MissingWeights
        If there is no such file.
    """
    state = read_checkpoint(path)
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise CorruptFile(f"{path} holds a {type(state).__name__}, not the state dict of a UNet")
    bare: dict[str, Any] = strip_prefix(state, OFFICIAL_PREFIX)
    head = bare.get("outc.conv.weight")
    if not isinstance(head, Tensor) or head.ndim != 4:
        first = next(iter(state), "nothing")
        raise CorruptFile(
            f"{path} is not a checkpoint of the map: it has no '1.outc.conv.weight' of shape "
            f"(3, base, 1, 1); its first entry is {first!r}",
            hint="give the file of T, not that of the potential or of an optimizer",
        )
    network = UNet(head.shape[1])
    load_strict(network, bare)
    return network
