"""Settings common to `ots` and `wgan-gp`."""

from __future__ import annotations

from typing import Literal

from srbench import Field, Parameters
from srbench.networks.vectors import Activation

VECTOR = {  # preset of both: neither paper nor code runs on vectors
    "batch_size": 1024,
    "lr_map": 3e-3,
    "lr_potential": 3e-3,
    "beta1": 0.5,
    "lr_decay": "linear",
    "residual": True,
    "hidden": 128,
    "depth": 3,
    "activation": "relu",
}

class MinimaxParameters(Parameters):
    """Settings common to `ots` and `wgan-gp`.

    Attributes
    ----------
    iterations : int
        Outer iterations.
    batch_size : int
        Samples of each of x and y in every update.
    lr_map, lr_potential, beta1, beta2, weight_decay : float
        Adam for T and for f.
    lr_decay : {"none", "linear", "cosine"}
        How both learning rates fall to 0 over the outer iterations.
    unet_base : int
        Width of T, a UNet, at full resolution (images of one size).
    potential_filters : int
        Width of f at full resolution; it doubles at each halving up to eight times this (images).
    potential_slope : float or None
        Slope that the Kaiming fan-out initialisation of f assumes; None keeps PyTorch's defaults.
    residual : bool
        T(x) = Up(x) + network(x), started at Up, instead of T(x) = network(x). Up is bicubic
        interpolation, which on samples of one size is the identity.
    map_average : float
        Decay of the moving average of T's weights that is validated and evaluated in T's place; 0
        evaluates T itself, as paper and code do.
    hidden, depth, activation
        Perceptrons of both networks (vectors).
    pretrained : str
        Path of a checkpoint of T in the authors' layout, or ``"official"`` for their own file;
        training is skipped. Its network decides the width; it is never residual.
    """

    iterations: int = Field(10_000, ge=1)
    batch_size: int = Field(64, ge=1)
    lr_map: float = Field(1e-4, gt=0)
    lr_potential: float = Field(1e-4, gt=0)
    beta1: float = Field(0.0, ge=0, lt=1)
    beta2: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    lr_decay: Literal["none", "linear", "cosine"] = "none"
    unet_base: int = Field(64, ge=1)
    potential_filters: int = Field(64, ge=1)
    potential_slope: float | None = Field(0.0, ge=0)
    residual: bool = False
    map_average: float = Field(0.0, ge=0, lt=1)
    hidden: int = Field(128, ge=1)
    depth: int = Field(3, ge=0)
    activation: Activation = "celu"
    pretrained: str = ""
