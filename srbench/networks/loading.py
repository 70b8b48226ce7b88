"""Putting checkpoints that others wrote into networks, strict about names and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from srbench.errors import CorruptFile
from srbench.foreign.checkpoints import read_checkpoint

__all__ = ["PARALLEL_PREFIX", "first_difference", "load_strict", "read_checkpoint", "strip_prefix"]

PARALLEL_PREFIX = "module."  # what DataParallel and DistributedDataParallel put before each key


def load_strict(module: nn.Module, state: Mapping[str, Tensor], prefix: str = "") -> None:
    """Load a state dict whose every key and shape must be the module's own.

    Parameters
    ----------
    module : Module
        Takes the values; left as it was if anything differs.
    state : mapping of str to Tensor
        Keys may all carry ``module.``, and then all carry ``prefix``; both are stripped.
    prefix : str
        What an enclosing module put before each key, such as ``"1."``.

    Raises
    ------
    CorruptFile
        Naming the first key that is missing, unexpected or of another shape.
    """
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        raise CorruptFile(
            f"a {type(state).__name__} where the state dict of {type(module).__name__} should be",
            hint="pass the entry of the checkpoint that holds the weights",
        )
    found = strip_prefix(strip_prefix(state, PARALLEL_PREFIX), prefix)
    difference = first_difference(module.state_dict(), found)
    if difference:
        raise CorruptFile(
            f"these weights are not of this {type(module).__name__}: {difference}",
            hint="build the network with the arguments the weights were trained with",
        )
    module.load_state_dict(found, strict=True)


def strip_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """State dict without a prefix that all its keys carry; as it is where one does not."""
    if prefix and all(key.startswith(prefix) for key in state):
        return {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)


def first_difference(expected: Mapping[str, Tensor], found: Mapping[str, Any]) -> str:
    """First entry in which two state dicts differ, in words; empty where they agree.

    Missing keys and shapes are looked for first, in the order of ``expected``.
    """
    for key, value in expected.items():
        if key not in found:
            return f"{key!r} is missing"
        if not isinstance(found[key], Tensor):
            return f"{key!r} is a {type(found[key]).__name__}, not a tensor"
        if found[key].shape != value.shape:
            return f"{key!r} has shape {tuple(found[key].shape)}, expected {tuple(value.shape)}"
    unexpected = next((key for key in found if key not in expected), None)
    return "" if unexpected is None else f"{unexpected!r} is unexpected"
