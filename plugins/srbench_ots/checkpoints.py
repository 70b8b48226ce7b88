"""The authors' checkpoints of the map on photographs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from srbench.errors import CorruptFile
from srbench.networks.edsr import EDSR
from srbench.networks.loading import PARALLEL_PREFIX, load_strict, read_checkpoint, strip_prefix

BLOCK = re.compile(r"body\.(\d+)\.body\.0\.weight")


def read_edsr(path: Path, scale: int) -> EDSR:
    """Load T from a checkpoint in the authors' layout.

    Parameters
    ----------
    path : Path
        State dict of an `EDSR` (``AIM_EDSR_MSE.pt``), or what their training saves: a dict whose
        entry ``model`` holds one under ``G``. Width and depth are read from it.
    scale : int
        Magnification of the problem.

    Raises
    ------
    CorruptFile
        If it is not the state dict of an EDSR of that scale, naming the first entry that differs.
    MissingWeights
        If there is no such file.
    """
    state = read_checkpoint(path)
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"].get("G")
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise CorruptFile(
            f"{path} holds a {type(state).__name__}, not the state dict of an EDSR",
            hint="give the file of T, such as AIM_EDSR_MSE.pt",
        )
    bare: dict[str, Any] = strip_prefix(state, PARALLEL_PREFIX)
    head = bare.get("head.0.weight")
    if not isinstance(head, Tensor) or head.ndim != 4:
        first = next(iter(state), "nothing")
        raise CorruptFile(
            f"{path} is not a checkpoint of the map: it has no 'head.0.weight' of shape "
            f"(features, 3, 3, 3); its first entry is {first!r}",
            hint="give the file of T, not that of the potential or of an optimizer",
        )
    blocks = len([key for key in bare if BLOCK.fullmatch(key)])
    network = EDSR(blocks, head.shape[0], scale=scale)
    load_strict(network, bare)
    return network
