"""Checks of what the metric functions are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from srbench.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

COLOURS = 3


def floats(name: str, values: Tensor, ndim: int | None = None) -> None:
    """Require a float tensor of several samples.

    Raises
    ------
    DataError
        If it is none, is empty, or has another number of dimensions.
    """
    if not values.is_floating_point():
        raise DataError(f"{name} holds {values.dtype}, not floats",
                        hint="images are floats of nominal range [-1, 1]: bytes / 127.5 - 1")
    if not values.numel() or (values.ndim < 2 if ndim is None else values.ndim != ndim):
        wanted = "(N, ...)" if ndim is None else {2: "(N, d)", 4: "(N, C, H, W)"}[ndim]
        raise DataError(f"{name} has shape {tuple(values.shape)}, not {wanted}",
                        hint="one sample needs a first dimension too: x[None]")


def colours(name: str, values: Tensor) -> None:
    """Require RGB images (N, 3, H, W); raises `DataError`."""
    floats(name, values, 4)
    if values.shape[1] != COLOURS:
        raise DataError(f"{name} has shape {tuple(values.shape)}, not (N, 3, H, W)")


def alike(**named: Tensor) -> None:
    """Require tensors of one shape; raises `DataError`."""
    shapes = {name: tuple(values.shape) for name, values in named.items()}
    if len(set(shapes.values())) > 1:
        raise DataError("shapes differ: " + ", ".join(f"{name} {shape}"
                                                      for name, shape in shapes.items()))
