"""Input-convex network for vectors: the potentials of the Mix3ToMix10 pairs.

Legend: psi = the convex potential, A_k, W_k, b_k = factors, weight and bias of quadratic layer k,
L_k, F = non-negative weights, a_k = activations, sc = strong convexity.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


def celu_slope(z: Tensor) -> Tensor:
    """Return the derivative of CELU with alpha 1, ``exp(min(z, 0))``."""
    return z.clamp(max=0).exp()


class ConvexQuadratic(nn.Module):
    """A layer of convex quadratics, ``q(x)[o] = sum_r (sum_i x_i A[i, r, o])^2 + (W x)[o] + b[o]``.

    Parameters
    ----------
    dim : int
        Width d of the input.
    width : int
        Number of quadratics.
    rank : int
        Squared linear forms in each quadratic.
    """

    def __init__(self, dim: int, width: int, rank: int) -> None:
        super().__init__()
        self.quadratic_decomposed = nn.Parameter(torch.randn(dim, rank, width) / dim)
        self.weight = nn.Parameter(torch.randn(width, dim) / dim**0.5)
        self.bias = nn.Parameter(torch.zeros(width))

    def linear_forms(self, x: Tensor) -> Tensor:
        """Return ``sum_i x_i A[i, r, o]``, shape (N, rank, width), for ``x`` of shape (N, d)."""
        return (x @ self.quadratic_decomposed.flatten(1)).reshape(len(x), -1, len(self.bias))

    def values(self, x: Tensor, forms: Tensor) -> Tensor:
        """Return q(x), shape (N, width), from the `linear_forms` of ``x``."""
        return forms.square().sum(1) + functional.linear(x, self.weight, self.bias)

    def pull(self, cotangent: Tensor, forms: Tensor) -> Tensor:
        """Multiply the Jacobian's transpose with ``cotangent`` (N, width); shape (N, d)."""
        scaled = (2 * forms * cotangent.unsqueeze(1)).flatten(1)
        pulled: Tensor = scaled @ self.quadratic_decomposed.flatten(1).T + cotangent @ self.weight
        return pulled

    def forward(self, x: Tensor) -> Tensor:
        """Return q(x), shape (N, width), for ``x`` of shape (N, d)."""
        return self.values(x, self.linear_forms(x))


class DenseICNN(nn.Module):
    """Convex potential psi of a vector, with its gradient in closed form.

    Convex in x while `convex_layers` and `final_layer` are non-negative, as the official weights
    are; `project` restores it after a step of an optimizer. State keys are the official ones.

    Parameters
    ----------
    dim : int
        Width d of the input.
    hidden : tuple of int, optional
        Widths (h0, h1, ...) of at least one layer; (max(2d, 64), max(2d, 64), max(d, 32)) unless
        given.
    rank : int
        Squared linear forms in each quadratic.
    strong_convexity : float
        ``sc``: psi contains ``sc / 2 * ||x||^2``. The benchmark's pairs are defined with 1e-2.

    References
    ----------
    Korotin et al., "Do Neural Optimal Transport Solvers Work? A Continuous Wasserstein-2
    Benchmark", 2021.

    Examples
    --------
    >>> DenseICNN(4).push(torch.zeros(3, 4)).shape
    torch.Size([3, 4])
    """

    def __init__(
        self,
        dim: int,
        hidden: tuple[int, ...] | None = None,
        rank: int = 1,
        strong_convexity: float = 1e-2,
    ) -> None:
        super().__init__()
        widths = hidden or (max(2 * dim, 64), max(2 * dim, 64), max(dim, 32))
        self.dim, self.strong_convexity = dim, strong_convexity
        self.quadratic_layers = nn.ModuleList(ConvexQuadratic(dim, w, rank) for w in widths)
        self.convex_layers = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(widths))
        self.final_layer = nn.Linear(widths[-1], 1, bias=False)
        self.project()

    @property
    def _quadratic(self) -> list[ConvexQuadratic]:
        return cast("list[ConvexQuadratic]", list(self.quadratic_layers))

    @property
    def _convex(self) -> list[nn.Linear]:
        return cast("list[nn.Linear]", list(self.convex_layers))

    @torch.no_grad()
    def project(self) -> None:
        """Clamp the weights that must be non-negative for psi to be convex."""
        for layer in (*self._convex, self.final_layer):
            layer.weight.clamp_(min=0)

    def _layers(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Linear forms of every quadratic layer, and a_0 followed by z_1, z_2, ... before CELU."""
        quadratic = self._quadratic
        forms = [layer.linear_forms(x) for layer in quadratic]
        sums = [quadratic[0].values(x, forms[0])]
        for k, convex in enumerate(self._convex):
            active = functional.celu(sums[k]) if k else sums[0]  # layer 0 has no activation
            sums.append(convex(active) + quadratic[k + 1].values(x, forms[k + 1]))
        return forms, sums

    def forward(self, x: Tensor) -> Tensor:
        """Return psi(x), shape (N, 1), for ``x`` of shape (N, d)."""
        sums = self._layers(x)[1]
        last = functional.celu(sums[-1]) if len(sums) > 1 else sums[0]
        value: Tensor = self.final_layer(last)
        return value + self.strong_convexity / 2 * x.square().sum(1, keepdim=True)

    def push(self, x: Tensor) -> Tensor:
        """Return the gradient of psi at ``x``, both of shape (N, d).

        Written out layer by layer rather than differentiated, so that it needs no graph: it works
        under ``torch.inference_mode`` and costs one forward and one backward pass.
        """
        quadratic, convex = self._quadratic, self._convex
        forms, sums = self._layers(x)
        cotangent = self.final_layer.weight.expand(len(x), -1)
        gradient = self.strong_convexity * x
        for k in range(len(convex), 0, -1):
            cotangent = cotangent * celu_slope(sums[k])
            gradient = gradient + quadratic[k].pull(cotangent, forms[k])
            cotangent = cotangent @ convex[k - 1].weight
        return gradient + quadratic[0].pull(cotangent, forms[0])
