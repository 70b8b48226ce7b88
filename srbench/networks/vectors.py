"""Plain multilayer perceptrons for vectors: a map T and a potential f.

Legend: d = dimension, T = the map R^d -> R^d, f = the potential R^d -> R.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

Activation = Literal["celu", "relu", "silu"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "celu": nn.CELU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
}


def perceptron(
    dim: int, outputs: int, *, hidden: int, depth: int, activation: Activation
) -> nn.Sequential:
    """Build ``depth`` hidden layers of ``hidden`` units and a linear one on top.

    Parameters
    ----------
    dim, outputs : int
        Widths of the input and the output.
    hidden : int
        Units of each hidden layer.
    depth : int
        Number of hidden layers, 0 for a linear map.
    activation : {"celu", "relu", "silu"}
        What follows each hidden layer.

    Raises
    ------
    ValueError
        If a size is not positive or the activation is unknown.
    """
    if min(dim, outputs, hidden) < 1 or depth < 0:
        raise ValueError(f"{dim=}, {outputs=}, {hidden=} must be >= 1 and {depth=} >= 0")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation={activation!r} must be one of {', '.join(ACTIVATIONS)}")
    layers: list[nn.Module] = []
    width = dim
    for _ in range(depth):
        layers += [nn.Linear(width, hidden), ACTIVATIONS[activation]()]
        width = hidden
    return nn.Sequential(*layers, nn.Linear(width, outputs))


class VectorMap(nn.Module):
    """Map T of vectors: a perceptron, added to the input where ``residual`` is set.

    Parameters
    ----------
    dim : int
        Dimension d.
    hidden, depth : int
        Units of each hidden layer and number of hidden layers.
    residual : bool
        T(x) = x + net(x) instead of net(x), so that learning starts near the identity.
    activation : {"celu", "relu", "silu"}
        Nonlinearity.

    Notes
    -----
    ``d h + h + (depth - 1) (h^2 + h) + h d + d`` parameters: 37,264 for d=16, h=128, depth 3, where
    the benchmark's DenseICNN has 11,456.
    """

    def __init__(
        self,
        dim: int,
        hidden: int = 128,
        depth: int = 3,
        *,
        residual: bool = True,
        activation: Activation = "celu",
    ) -> None:
        super().__init__()
        self.residual = residual
        self.net = perceptron(dim, dim, hidden=hidden, depth=depth, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` of shape (N, d) to (N, d)."""
        moved: Tensor = self.net(x)
        return x + moved if self.residual else moved


class VectorPotential(nn.Module):
    """Potential f of vectors: a perceptron with one output.

    Parameters
    ----------
    dim : int
        Dimension d.
    hidden, depth : int
        Units of each hidden layer and number of hidden layers.
    activation : {"celu", "relu", "silu"}
        Nonlinearity.
    """

    def __init__(
        self, dim: int, hidden: int = 128, depth: int = 3, *, activation: Activation = "celu"
    ) -> None:
        super().__init__()
        self.net = perceptron(dim, 1, hidden=hidden, depth=depth, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), shape (N,), for ``x`` of shape (N, d)."""
        values: Tensor = self.net(x)
        return values.squeeze(1)
