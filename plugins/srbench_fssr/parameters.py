"""Settings of FSSR and its presets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from srbench import Field
from srbench_two_stage.parameters import ESRGAN, TwoStageParameters

if TYPE_CHECKING:
    from collections.abc import Mapping

SLOPE_EPOCHS = 300  # of the first stage, of which the last 150 decay


class FSSRParams(TwoStageParameters):
    """Settings of FSSR; those of the second stage begin without a prefix.

    Presets
    -------
    ``paper``, ``code``
        The released code with the options of its AIM 2019 command, which are those the paper
        gives: 300 epochs of 2650 source images in batches of 16, then 60,001 iterations from
        ESRGAN's weights. The two do not differ in anything known to us.
    ``quick``
        Ours: small networks, VGG-16 instead of VGG-19 features, random weights instead of ESRGAN's
        and a residual restorer; minutes on two CPU cores.

    Attributes
    ----------
    artifacts : {"tdsr", "sdsr"}
        What the output should look like: the clean target (track 2 of AIM 2019) or the source.
    dsgan_iterations, dsgan_batch_size, dsgan_crop : int
        Of the first stage; crops of the source images, which the input is 1/4 of.
    dsgan_lr, dsgan_beta1, dsgan_beta2 : float
        Adam of the first stage. The rate is constant for half of it and then falls to 0.
    dsgan_blocks : int
        Residual blocks of the degradation generator.
    color_weight, texture_weight, perceptual_weight : float
        Weights of the first stage's losses.
    dsgan_filter : {"avg", "gau"}
        Low-pass of the first stage.
    dsgan_kernel : int
        Its side.
    milestones : list of int
        Iterations of the second stage at which the learning rate is halved.
    pixel_weight, feature_weight, gan_weight : float
        Weights of the second stage's losses.
    kernel : int
        Side of the average that separates frequencies in the second stage.
    vgg : {"vgg19", "vgg16"}
        Network of the feature loss.
    discriminator_features : int
        Width of the second stage's discriminator.
    """

    init: str = ESRGAN
    artifacts: Literal["tdsr", "sdsr"] = "tdsr"
    dsgan_iterations: int = Field(49_800, ge=1)  # 300 epochs of 166 batches
    dsgan_batch_size: int = Field(16, ge=1)
    dsgan_crop: int = Field(512, ge=128, multiple_of=4)
    dsgan_lr: float = Field(2e-4, gt=0)
    dsgan_beta1: float = Field(0.5, ge=0, lt=1)
    dsgan_beta2: float = Field(0.999, ge=0, lt=1)
    dsgan_blocks: int = Field(8, ge=0)
    color_weight: float = Field(1.0, ge=0)
    texture_weight: float = Field(0.005, ge=0)
    perceptual_weight: float = Field(0.01, ge=0)
    dsgan_filter: Literal["avg", "gau"] = "avg"
    dsgan_kernel: int = Field(5, ge=1)
    milestones: list[int] = Field([5_000, 10_000, 20_000, 30_000])
    pixel_weight: float = Field(0.01, ge=0)
    feature_weight: float = Field(1.0, ge=0)
    gan_weight: float = Field(0.005, ge=0)
    kernel: int = Field(9, ge=1)
    vgg: Literal["vgg19", "vgg16"] = "vgg19"
    discriminator_features: int = Field(64, ge=1)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "code": {},
        "quick": {
            "dsgan_iterations": 250,
            "dsgan_batch_size": 4,
            "dsgan_crop": 128,
            "dsgan_blocks": 2,
            "iterations": 250,
            "batch_size": 4,
            "blocks": 2,
            "features": 32,
            "growth": 16,
            "milestones": [125, 190],
            "init": "random",
            "residual": True,
            "vgg": "vgg16",
            "discriminator_features": 16,
        },
    }
