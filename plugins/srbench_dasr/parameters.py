"""Settings of DASR and its presets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from srbench import Field
from srbench_two_stage.parameters import TwoStageParameters

if TYPE_CHECKING:
    from collections.abc import Mapping

EPOCHS, DECAYING = 400, 150  # of the first stage


class DASRParams(TwoStageParameters):
    """Settings of DASR; those of the second stage begin without a prefix.

    Presets
    -------
    ``code``
        The released code with the options of its README for AIM 2019, ``texture_weight`` (gamma)
        at its default 0.005.
    ``paper``
        The same with gamma = 0.0005, which a user quotes from the paper (issue 15 of the authors'
        repository). Their script for AIM 2019 has 0.006 and their README names an experiment
        "wtex0.03": the value behind the published weights is not known.
    ``quick``
        Ours: small networks and a residual restorer; minutes on two CPU cores.

    Attributes
    ----------
    dsn_iterations, dsn_batch_size, dsn_crop : int
        Of the first stage; crops of clean and of noisy photographs.
    dsn_lr, dsn_beta1, dsn_beta2 : float
        Adam of the first stage. The rate falls to 0 over the last 150 of 400 epochs.
    dsn_blocks : int
        Residual blocks of the degradation generator.
    color_weight, texture_weight, perceptual_weight : float
        Weights of the first stage's losses; ``texture_weight`` is the paper's gamma.
    separation : {"wavelet", "gau", "avg"}
        How the first stage separates frequencies; the second always takes wavelets.
    architecture : {"fsd", "nld_s1", "nld_s2"}
        Discriminator of the first stage.
    bands : {"cat", "sum"}
        How the wavelet's bands are combined for it.
    dsn_kernel : int
        Side of its filter where it is no wavelet.
    milestones : list of int
        Iterations of the second stage at which the learning rate is halved.
    pixel_weight, wavelet_weight, lpips_weight, gan_weight : float
        Weights of the second stage's losses. DASR trains on the very LPIPS it is judged by.
    """

    iterations: int = Field(350_000, ge=1)
    batch_size: int = Field(6, ge=1)
    dsn_iterations: int = Field(132_800, ge=1)  # 400 epochs of 332 batches
    dsn_batch_size: int = Field(8, ge=1)
    dsn_crop: int = Field(256, ge=128, multiple_of=8)
    dsn_lr: float = Field(1e-4, gt=0)
    dsn_beta1: float = Field(0.5, ge=0, lt=1)
    dsn_beta2: float = Field(0.999, ge=0, lt=1)
    dsn_blocks: int = Field(8, ge=0)
    color_weight: float = Field(1.0, ge=0)
    texture_weight: float = Field(0.005, ge=0)
    perceptual_weight: float = Field(0.01, ge=0)
    separation: Literal["wavelet", "gau", "avg"] = "wavelet"
    architecture: Literal["fsd", "nld_s1", "nld_s2"] = "fsd"
    bands: Literal["cat", "sum"] = "cat"
    dsn_kernel: int = Field(5, ge=1)
    milestones: list[int] = Field([35_000, 80_000, 100_000, 150_000])
    pixel_weight: float = Field(1.0, ge=0)
    wavelet_weight: float = Field(1.0, ge=0)
    lpips_weight: float = Field(1.0, ge=0)
    gan_weight: float = Field(0.005, ge=0)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {"texture_weight": 0.0005},
        "code": {},
        "quick": {
            "dsn_iterations": 250,
            "dsn_batch_size": 4,
            "dsn_crop": 128,
            "dsn_blocks": 2,
            "iterations": 250,
            "batch_size": 3,
            "blocks": 2,
            "features": 32,
            "growth": 16,
            "lr": 4e-4,
            "milestones": [125, 190],
            "residual": True,
        },
    }
