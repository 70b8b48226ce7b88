"""State dicts as tensors and JSON, and back, with exactly the structure they had.

Tensors are named by their path and leave a mark in the JSON; dictionaries keep the order and the
type of their keys; tuples stay tuples; the NHWC layout of a tensor survives.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from srbench.errors import StoreError

KIND = "__kind__"
Scalar = str | int | float | bool | None


def encode(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Split ``value`` into JSON data, returned, and tensors, put into ``tensors`` by path.

    Parameters
    ----------
    value : nested dict, list, tuple of tensors and scalars
        A state dict; keys are strings or integers.
    path : str
        Name of the value; names of its parts begin with it.
    tensors : dict
        Receives contiguous copies on the CPU.

    Raises
    ------
    StoreError
        If a part is of a type that is neither.
    """
    if isinstance(value, Tensor):
        while path in tensors:  # the keys 1 and "1" make the same path
            path += "'"
        tensors[path] = value.detach().to("cpu", copy=True).contiguous()
        return {KIND: "tensor", "path": path, "nhwc": _is_nhwc(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        items = [[_key(key, path), encode(part, f"{path}/{key}", tensors)]
                 for key, part in value.items()]
        return {KIND: "dict", "items": items}
    if isinstance(value, list | tuple):
        parts = [encode(part, f"{path}/{i}", tensors) for i, part in enumerate(value)]
        return parts if isinstance(value, list) else {KIND: "tuple", "items": parts}
    raise StoreError(f"{path} is a {type(value).__name__}, which a checkpoint cannot hold",
                     hint="keep tensors, numbers, text, lists and dictionaries in state dicts")


def decode(data: Any, tensors: dict[str, Tensor]) -> Any:
    """Put together what `encode` split; tensors are fresh copies."""
    if isinstance(data, list):
        return [decode(part, tensors) for part in data]
    if not isinstance(data, dict):
        return data
    if data[KIND] == "tensor":
        value = tensors[data["path"]].clone()
        return value.contiguous(memory_format=torch.channels_last) if data["nhwc"] else value
    if data[KIND] == "tuple":
        return tuple(decode(part, tensors) for part in data["items"])
    return {key: decode(part, tensors) for key, part in data["items"]}


def _is_nhwc(value: Tensor) -> bool:
    return value.dim() == 4 and value.is_contiguous(memory_format=torch.channels_last)


def _key(key: object, path: str) -> str | int:
    if isinstance(key, str | int) and not isinstance(key, bool):
        return key
    raise StoreError(f"{path} has the key {key!r}; a checkpoint holds text and integers as keys",
                     hint="change the keys of the state dict")
