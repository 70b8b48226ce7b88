"""Settings common to `fssr` and `dasr`."""

from __future__ import annotations

from srbench import Field, Parameters

ESRGAN, RANDOM = "esrgan", "random"  # values of ``init`` that are no path


class TwoStageParameters(Parameters):
    """Settings common to `fssr` and `dasr`.

    Attributes
    ----------
    iterations, batch_size : int
        Of the second stage.
    hr_crop : int
        Side of its HR crops.
    lr, beta1, beta2 : float
        Adam of the restorer and of its discriminator.
    blocks, features, growth : int
        Of the restorer, an RRDBNet.
    residual : bool
        G(x) = Up(x) + network(x), with Up bicubic, started at Up, instead of G(x) = network(x).
    init : str
        What the restorer starts from: ``"random"``, ``"esrgan"`` (the authors' file
        RRDB_ESRGAN_x4.pth, looked for in SRBENCH_WEIGHTS and the cache), or the path of a
        checkpoint.
    degradation_share, pairs_share : float
        Shares of a budget (``--budget``) after which the first stage and the generation of pairs
        end.
    pretrained : str
        Path of a checkpoint of the restorer in either layout, or ``"official"``; training is
        skipped, and the checkpoint decides the network.
    pretrained_degradation : str
        Path of a checkpoint of the first stage (the authors' ``.tar``), or ``"official"``; that
        stage is skipped.
    """

    iterations: int = Field(60_001, ge=1)
    batch_size: int = Field(16, ge=1)
    hr_crop: int = Field(128, ge=32, multiple_of=32)
    lr: float = Field(1e-4, gt=0)
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    blocks: int = Field(23, ge=0)
    features: int = Field(64, ge=1)
    growth: int = Field(32, ge=1)
    residual: bool = False
    init: str = RANDOM
    degradation_share: float = Field(0.4, gt=0, lt=1)
    pairs_share: float = Field(0.5, gt=0, lt=1)
    pretrained: str = ""
    pretrained_degradation: str = ""
