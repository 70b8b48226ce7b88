"""Networks plugins build methods and datasets from, with the keys of the official checkpoints.

Each name is loaded when it is first used, so importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from srbench.networks.conv_icnn import ConvICNN64
    from srbench.networks.dense_icnn import DenseICNN
    from srbench.networks.dsgan import (
        DeResnet,
        DSGANGenerator,
        load_deresnet,
        load_discriminator,
        load_dsgan,
    )
    from srbench.networks.edsr import EDSR
    from srbench.networks.frequency import (
        HighPass,
        LowPass,
        haar,
        high_bands,
        low_band,
        receptive_average,
    )
    from srbench.networks.gan_losses import (
        bce_discriminator_loss,
        bce_generator_loss,
        color_loss,
        log_discriminator_loss,
        log_generator_loss,
        relativistic_discriminator_loss,
        relativistic_generator_loss,
        wavelet_l1,
        weighted_l1,
    )
    from srbench.networks.loading import load_strict, read_checkpoint
    from srbench.networks.lpips_network import load_lpips, lpips_loss
    from srbench.networks.patch_discriminators import DSGANDiscriminator, DSNDiscriminator, PatchGAN
    from srbench.networks.perceptual import (
        VGGFeatures,
        esrgan_features,
        feature_l1,
        vgg_cost,
        vgg_distance,
    )
    from srbench.networks.resize import imresize, truncate_to_uint8, up_bicubic
    from srbench.networks.resnet import ResNetGenerator, ResNetPotential
    from srbench.networks.rrdbnet import RRDBNet, init_scaled, load_rrdb, to_new_names, to_old_names
    from srbench.networks.unet import UNet
    from srbench.networks.vectors import VectorMap, VectorPotential
    from srbench.networks.vgg128 import VGG128

_LAZY = {
    "ConvICNN64": "srbench.networks.conv_icnn",
    "DSGANDiscriminator": "srbench.networks.patch_discriminators",
    "DSGANGenerator": "srbench.networks.dsgan",
    "DSNDiscriminator": "srbench.networks.patch_discriminators",
    "DeResnet": "srbench.networks.dsgan",
    "DenseICNN": "srbench.networks.dense_icnn",
    "EDSR": "srbench.networks.edsr",
    "HighPass": "srbench.networks.frequency",
    "LowPass": "srbench.networks.frequency",
    "PatchGAN": "srbench.networks.patch_discriminators",
    "RRDBNet": "srbench.networks.rrdbnet",
    "ResNetGenerator": "srbench.networks.resnet",
    "ResNetPotential": "srbench.networks.resnet",
    "UNet": "srbench.networks.unet",
    "VGG128": "srbench.networks.vgg128",
    "VGGFeatures": "srbench.networks.perceptual",
    "VectorMap": "srbench.networks.vectors",
    "VectorPotential": "srbench.networks.vectors",
    "bce_discriminator_loss": "srbench.networks.gan_losses",
    "bce_generator_loss": "srbench.networks.gan_losses",
    "color_loss": "srbench.networks.gan_losses",
    "esrgan_features": "srbench.networks.perceptual",
    "feature_l1": "srbench.networks.perceptual",
    "haar": "srbench.networks.frequency",
    "high_bands": "srbench.networks.frequency",
    "imresize": "srbench.networks.resize",
    "init_scaled": "srbench.networks.rrdbnet",
    "load_deresnet": "srbench.networks.dsgan",
    "load_discriminator": "srbench.networks.dsgan",
    "load_dsgan": "srbench.networks.dsgan",
    "load_lpips": "srbench.networks.lpips_network",
    "load_rrdb": "srbench.networks.rrdbnet",
    "load_strict": "srbench.networks.loading",
    "log_discriminator_loss": "srbench.networks.gan_losses",
    "log_generator_loss": "srbench.networks.gan_losses",
    "low_band": "srbench.networks.frequency",
    "lpips_loss": "srbench.networks.lpips_network",
    "read_checkpoint": "srbench.networks.loading",
    "receptive_average": "srbench.networks.frequency",
    "relativistic_discriminator_loss": "srbench.networks.gan_losses",
    "relativistic_generator_loss": "srbench.networks.gan_losses",
    "to_new_names": "srbench.networks.rrdbnet",
    "to_old_names": "srbench.networks.rrdbnet",
    "truncate_to_uint8": "srbench.networks.resize",
    "up_bicubic": "srbench.networks.resize",
    "vgg_cost": "srbench.networks.perceptual",
    "vgg_distance": "srbench.networks.perceptual",
    "wavelet_l1": "srbench.networks.gan_losses",
    "weighted_l1": "srbench.networks.gan_losses",
}

__all__ = [
    "EDSR",
    "VGG128",
    "ConvICNN64",
    "DSGANDiscriminator",
    "DSGANGenerator",
    "DSNDiscriminator",
    "DeResnet",
    "DenseICNN",
    "HighPass",
    "LowPass",
    "PatchGAN",
    "RRDBNet",
    "ResNetGenerator",
    "ResNetPotential",
    "UNet",
    "VGGFeatures",
    "VectorMap",
    "VectorPotential",
    "bce_discriminator_loss",
    "bce_generator_loss",
    "color_loss",
    "esrgan_features",
    "feature_l1",
    "haar",
    "high_bands",
    "imresize",
    "init_scaled",
    "load_deresnet",
    "load_discriminator",
    "load_dsgan",
    "load_lpips",
    "load_rrdb",
    "load_strict",
    "log_discriminator_loss",
    "log_generator_loss",
    "low_band",
    "lpips_loss",
    "read_checkpoint",
    "receptive_average",
    "relativistic_discriminator_loss",
    "relativistic_generator_loss",
    "to_new_names",
    "to_old_names",
    "truncate_to_uint8",
    "up_bicubic",
    "vgg_cost",
    "vgg_distance",
    "wavelet_l1",
    "weighted_l1",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'srbench.networks' has no attribute {name!r}")
