"""Settings of OTS and its presets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from srbench import Field
from srbench_minimax.parameters import VECTOR, MinimaxParameters

if TYPE_CHECKING:
    from collections.abc import Mapping

SMALL = {  # ours
    "batch_size": 8,
    "potential_filters": 8,
    "potential_slope": None,
    "residual": True,
}
PHOTOGRAPHS = {  # what paper and code of the AIM19 experiment have in common
    "inner_steps": 15,
    "batch_size": 8,
    "beta1": 0.9,
    "beta2": 0.999,
    "weight_decay": 1e-10,
    "potential_slope": 0.2,
    "cost_refresh": 25_000,
}


class OTSParams(MinimaxParameters):
    """Settings of OTS.

    Presets
    -------
    ``paper``
        Table 4 of the paper, row Benchmark: 10K steps of f, K_T = 10, batch 64, both learning
        rates 1e-4; UNet base 64 (appendix C). What the paper leaves open is as in the released
        code that made its numbers: Adam betas (0, 0.9), no weight decay, fan-out initialisation.
    ``code``
        The released notebook of the Wasserstein-2 experiment: 25,000 steps of f, UNet base 32.
    ``quick``
        Ours: small networks and a residual map, minutes on two CPU cores at 32 x 32.
    ``paper@sr``
        Table 4, rows AIM-19: 50K steps of f, batch 8; K_T = 15 and a new reference of the cost
        every 25K steps with ``cost=mse``, 10 and 20K with ``cost=vgg``. What the paper leaves open
        is as in the released script: Adam betas (0.9, 0.999), weight decay 1e-10.
    ``code@sr``
        The defaults of the released script: 250,000 steps of f (its README passes 100,000), T
        before f, half the cost. Its VGG cost does not run; here it does.
    ``quick@sr``
        Ours: a small EDSR added to bicubic interpolation, minutes on two CPU cores.
    ``...@vector``
        Ours: perceptrons with about the parameters of the benchmark's own networks; neither paper
        nor code runs OTS on vectors.

    Attributes
    ----------
    iterations : int
        Steps of f.
    inner_steps : int
        K_T.
    blocks, features : int
        Residual blocks and width of T, an EDSR (photographs).
    cost : {"mse", "vgg"}
        c(x, T(x)) = b(Up(x), T(x)), with b the mean squared error over values, or the perceptual
        cost: MSE + MAE / 3 + the errors of four VGG-16 features / 50 (images only).
    cost_factor : float
        Factor of the cost; a positive one leaves the ideal map unchanged.
    cost_refresh : int
        k_c: after this many steps of f, and again after as many, the reference Up(x) of the cost
        is replaced by a frozen copy of T (appendix C, dynamic transport cost); 0 never replaces it.
    order : {"f-first", "T-first"}
        Which network moves first in an outer iteration; f in the paper.
    """

    inner_steps: int = Field(10, ge=1)
    blocks: int = Field(64, ge=0)
    features: int = Field(128, ge=1)
    cost: Literal["mse", "vgg"] = "mse"
    cost_factor: float = Field(1.0, gt=0)
    cost_refresh: int = Field(0, ge=0)
    order: Literal["f-first", "T-first"] = "f-first"

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {"iterations": 10_000, "inner_steps": 10, "batch_size": 64, "unet_base": 64},
        "code": {"iterations": 25_000, "inner_steps": 10, "batch_size": 64, "unet_base": 32},
        "quick": {
            **SMALL,
            "iterations": 900,
            "inner_steps": 3,
            "unet_base": 8,
            "map_average": 0.995,  # a window of 7 % of the steps of T
            "lr_map": 4e-3,
            "lr_potential": 2e-3,
        },
        "paper@sr": {**PHOTOGRAPHS, "iterations": 50_000},
        "paper@sr[cost=vgg]": {"inner_steps": 10, "cost_refresh": 20_000},
        "code@sr": {
            **PHOTOGRAPHS,
            "iterations": 250_000,
            "cost_factor": 0.5,
            "order": "T-first",
        },
        "quick@sr": {
            # Ten steps of T for each of f, as in the paper: with three the game does not settle.
            "iterations": 120,
            "inner_steps": 10,
            "blocks": 4,
            "features": 32,
            "lr_map": 2e-4,
            "lr_potential": 1e-4,
            "cost_factor": 3.0,
            "map_average": 0.99,
            "cost_refresh": 60,
        },
        "paper@vector": VECTOR,
        "code@vector": VECTOR,
        "quick@vector": {**VECTOR, "iterations": 3000, "inner_steps": 10, "batch_size": 512},
    }
