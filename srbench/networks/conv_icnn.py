"""ConvICNN64: the convex potential behind the 64x64 image pairs of the Wasserstein-2 benchmark.

Legend: psi = potential, convex in its input; push = its gradient, an optimal transport map;
rank = squares summed per output of a quadratic layer; sc = strong convexity; N = batch,
D = 3 * 64 * 64 = 12288.
"""

from __future__ import annotations

from itertools import chain
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.errors import ParameterError

SIDE = 64
INITIAL_DEVIATION = 0.01  # of every parameter of a network trained from scratch


class ConvICNN64(nn.Module):
    """Input-convex convolutional network psi on 3x64x64 images; its gradient is a transport map.

    psi(x) = positive(CELU(C h0 + Q1 x)) + sc / 2 * ||x||^2 with h0 = Q0 x, where Q0 and Q1 are
    convex quadratic layers and C and ``positive`` have non-negative weights. State keys are those
    of the released checkpoints. 11,247,105 parameters at rank 4.

    Parameters
    ----------
    strong_convexity : float
        sc, at least 0: <push(x) - push(y), x - y> >= sc * ||x - y||^2.
    dropout : float
        Drop probability in train mode, in [0, 1). In train mode psi is random: call ``eval()``
        before using it as ground truth.
    rank : int
        Squares per output of a quadratic layer, at least 1.

    Raises
    ------
    ParameterError
        If a parameter is out of its range.

    Notes
    -----
    Every parameter starts as a draw of N(0, 0.01^2), which is not convex until ``project``.

    References
    ----------
    Korotin et al., "Do Neural Optimal Transport Solvers Work? A Continuous Wasserstein-2
    Benchmark", NeurIPS 2021 (arXiv 2106.01954).
    """

    def __init__(
        self, *, strong_convexity: float = 0.01, dropout: float = 0.02, rank: int = 4
    ) -> None:
        super().__init__()
        if strong_convexity < 0 or not 0 <= dropout < 1 or rank < 1:
            raise ParameterError(
                f"ConvICNN64: strong_convexity={strong_convexity}, dropout={dropout}, rank={rank}",
                hint="give strong_convexity >= 0, 0 <= dropout < 1, rank >= 1",
            )
        self.strong_convexity, self.dropout = strong_convexity, dropout
        self.convex_layers = nn.ModuleList((nn.Conv2d(128, 256, 4, stride=2, padding=1),))
        self.quadratic_layers = nn.ModuleList(
            (
                ConvQuadratic(3, 128, kernel=4, stride=2, padding=1, rank=rank),
                ConvQuadratic(3, 256, kernel=7, stride=4, padding=2, rank=rank),
            )
        )
        self.pos_features = nn.Sequential(
            nn.Dropout(dropout),
            nn.Conv2d(256, 512, 4, stride=2, padding=1),
            nn.CELU(0.2),
            nn.Dropout(dropout),
            nn.Conv2d(512, 1024, 4, stride=2, padding=1),
            nn.CELU(0.2),
            nn.Dropout(dropout),
            nn.Conv2d(1024, 1, 4),
            nn.Flatten(),
        )
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=INITIAL_DEVIATION)

    def forward(self, x: Tensor) -> Tensor:
        """Value psi(x).

        Parameters
        ----------
        x : Tensor
            ``(N, 12288)`` in C, H, W order or ``(N, 3, 64, 64)``, nominal range [-1, 1].

        Returns
        -------
        Tensor
            ``(N,)``.
        """
        images = x.reshape(-1, 3, SIDE, SIDE)
        h = self.quadratic_layers[0](images)  # (N, 128, 32, 32), no activation by design
        h = F.celu(self.convex_layers[0](h) + self.quadratic_layers[1](images))  # (N, 256, 16, 16)
        h = F.dropout2d(h, self.dropout, training=self.training)
        square = images.square().sum(dim=(1, 2, 3))
        value = cast("Tensor", self.pos_features(h)).squeeze(1)
        return value + 0.5 * self.strong_convexity * square

    def push(self, x: Tensor) -> Tensor:
        """Gradient of psi with respect to its input: the transport map.

        Works inside ``torch.no_grad`` and ``torch.inference_mode`` and keeps no graph; the input
        and the parameters gather no gradient.

        Parameters
        ----------
        x : Tensor
            ``(N, 12288)`` or ``(N, 3, 64, 64)``.

        Returns
        -------
        Tensor
            Of the shape of ``x``, unbounded.

        Raises
        ------
        RuntimeError
            In train mode with dropout, where the map would be random.
        """
        if self.training and self.dropout:
            raise RuntimeError("ConvICNN64.push is random in train mode: call eval() first")
        with torch.inference_mode(mode=False), torch.enable_grad():
            point = x.detach().clone().requires_grad_()
            (gradient,) = torch.autograd.grad(self(point).sum(), point)
        return gradient

    @torch.no_grad()
    def project(self) -> None:
        """Clamp the weights of the convex path to be non-negative, which makes psi convex."""
        for layer in chain(self.convex_layers, self.pos_features):
            if isinstance(layer, nn.Conv2d):
                layer.weight.clamp_(min=0)


class ConvQuadratic(nn.Module):
    """Convex quadratic layer: q(x)[o] = sum over r of (A * x)[rank * o + r]^2 + (W * x)[o].

    A and W are convolutions of one geometry, without bias.
    """

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, stride: int, padding: int, rank: int
    ) -> None:
        super().__init__()
        self.rank = rank
        self.quadratic_decomposed = nn.Conv2d(
            inputs, outputs * rank, kernel, stride=stride, padding=padding, bias=False
        )
        self.linear = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, inputs, H, W)`` to ``(N, outputs, H', W')``."""
        squares = torch.unflatten(self.quadratic_decomposed(x).square(), 1, (-1, self.rank))
        return cast("Tensor", squares.sum(dim=2) + self.linear(x))
