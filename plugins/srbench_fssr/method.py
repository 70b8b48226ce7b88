"""FSSR = DSGAN, which learns the degradation, and ESRGAN-FS, trained on the pairs it makes.

Fritsche, Gu and Timofte, "Frequency Separation for Real-World Super-Resolution", 2019. Legend:
x = crop of a source (corrupted) photograph, b = bicubic(x) / 4, G = degradation generator, D = a
discriminator, low and high = frequencies; images in [0, 1].
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from srbench.errors import ParameterError
from srbench.networks.dsgan import DSGANGenerator, load_dsgan
from srbench.networks.frequency import HighPass, LowPass
from srbench.networks.gan_losses import (
    color_loss,
    log_discriminator_loss,
    log_generator_loss,
    relativistic_discriminator_loss,
    relativistic_generator_loss,
)
from srbench.networks.lpips_network import load_lpips, lpips_loss
from srbench.networks.patch_discriminators import DSGANDiscriminator
from srbench.networks.perceptual import esrgan_features, feature_l1
from srbench.networks.resize import imresize
from srbench.networks.rrdbnet import init_scaled
from srbench.networks.vgg128 import VGG128
from srbench_fssr.parameters import SLOPE_EPOCHS, FSSRParams
from srbench_two_stage.crops import multiple_of, random_crops, to_unit
from srbench_two_stage.pairs import Generated, Pairs, Recipe
from srbench_two_stage.parameters import RANDOM
from srbench_two_stage.players import Players
from srbench_two_stage.restorer import TwoStageMethod
from srbench_two_stage.schedules import halved, linear_decay

if TYPE_CHECKING:
    from srbench import Parameters
    from srbench.training import Step, Training

OFFICIAL_DEGRADATION = "DSGAN/AIM2019.tar"


class FSSR(TwoStageMethod):
    """Learns a degradation from source photographs alone, then restoration on generated pairs."""

    Params = FSSRParams
    distributed = True  # statistics of BatchNorm and of the relativistic loss are of one process
    params: FSSRParams
    manifest = Path(__file__).with_name("official_files.json")

    @classmethod
    def requires(cls, params: Parameters) -> tuple[str, ...]:
        """AlexNet for the LPIPS loss of the first stage, a VGG for the features of the second."""
        if not isinstance(params, FSSRParams) or params.pretrained:
            return ()
        return (params.vgg,) if params.pretrained_degradation else ("alexnet", params.vgg)

    def official_restorer(self) -> str:
        """Name of the authors' file for these artifacts."""
        return f"ESRGAN-FS/AIM2019_{self.params.artifacts.upper()}.pth"

    def prepare(self) -> None:
        """Load the networks of the losses, and the degradation where it is given."""
        p = self.params
        if p.batch_size == 1 and p.hr_crop == 32:
            raise ParameterError("the discriminator's batch norms get one value from batch_size=1 "
                                 "and hr_crop=32", hint="raise one of them")
        self.beside["low"] = LowPass(p.kernel, count_padding=True)
        self.beside["high"] = HighPass(p.kernel, count_padding=True)
        self.beside["features"] = esrgan_features(19 if p.vgg == "vgg19" else 16)
        if p.vgg != "vgg19":
            self.note("The feature loss uses VGG-16 conv5_3 in place of VGG-19 conv5_4.")
        if p.init == RANDOM:
            self.note("The restorer starts from random weights, not from ESRGAN's.")
        if p.pretrained_degradation:
            path = self.checkpoint(p.pretrained_degradation, OFFICIAL_DEGRADATION)
            self.beside["degradation"] = load_dsgan(path)
        else:
            self.crop = self.first_crop(p.dsgan_crop, self.problem.lr_extent, self.problem.scale)
            self.beside["degradation"] = DSGANGenerator(p.dsgan_blocks)
            self.beside["lpips"] = load_lpips()

    def fit(self, training: Training) -> None:
        """Run both stages; returns at once where the restorer was loaded from a checkpoint."""
        p = self.params
        if p.pretrained:
            return
        for network in self.beside.values():
            network.to(training.device)
        degradation = training.track(degradation=self.beside["degradation"])
        pairs = Pairs(training, self.recipes(degradation), p.hr_crop)
        if not p.pretrained_degradation:
            self.learn_degradation(training, degradation)
        degradation.eval()
        self.generate(training, pairs)
        self.learn_restoration(training, pairs)
        self.eval()

    # --- stage 1: DSGAN

    def learn_degradation(self, training: Training, degradation: nn.Module) -> None:
        """Train G so that G(b) looks like a source crop at full resolution."""
        p = self.params
        d = DSGANDiscriminator(p.dsgan_kernel, filter=p.dsgan_filter)
        d = training.track(degradation_discriminator=d)
        players = Players.of(degradation, d, (p.dsgan_lr, p.dsgan_beta1, p.dsgan_beta2))
        players.track(training, "degradation")
        low = LowPass(p.dsgan_kernel, p.dsgan_filter, padded=False).to(training.device)
        stage = training.stage("degradation", until=p.degradation_share)
        for step in stage.steps(p.dsgan_iterations):
            factor = linear_decay(step.index, p.dsgan_iterations, epochs=SLOPE_EPOCHS,
                                  decaying=SLOPE_EPOCHS // 2)
            players.set_rate(p.dsgan_lr * factor)
            source = to_unit(training.lr(p.dsgan_batch_size, size=self.crop))
            self.degradation_step(step, players, low, source)

    def degradation_step(self, step: Step, players: Players, low: nn.Module,
                         source: Tensor) -> None:
        """One step of D on detached fakes, then one of G against the new D.

        The released code lets G learn from scores made before D's step, which torch refuses now.
        """
        p = self.params
        bicubic = imresize(source, 1 / self.problem.scale, clamp=True)
        real = random_crops(source, source.shape[-1] // self.problem.scale)
        fake = players.g(bicubic)
        d_loss = log_discriminator_loss(players.d(real), players.d(fake.detach()))
        step.minimize(d_loss, players.d_optimizer)
        color = color_loss(low, fake, bicubic)
        texture = log_generator_loss(players.d(fake))
        perceptual = lpips_loss(self.beside["lpips"], fake, bicubic)
        g_loss = (p.color_weight * color + p.texture_weight * texture
                  + p.perceptual_weight * perceptual)
        step.minimize(g_loss, players.g_optimizer)
        step.log(dsgan_d=d_loss, dsgan_g=g_loss, color=color, texture=texture,
                 perceptual=perceptual)

    # --- between the stages

    def recipes(self, degradation: nn.Module) -> list[Recipe]:
        """How pairs are made of source and of clean photographs."""
        def degraded(clean: Tensor) -> Tensor:
            made: Tensor = degradation(imresize(clean, 1 / self.problem.scale, clamp=True))
            return made

        def as_it_is(photograph: Tensor) -> Generated:
            return Generated(degraded(photograph))

        def cleaned(source: Tensor) -> Generated:
            clean = multiple_of(imresize(source, 0.5, clamp=True), self.problem.scale)
            return Generated(degraded(clean), clean)

        def like_source(clean: Tensor) -> Generated:
            return Generated(degraded(clean), degradation(clean))

        def same(size: tuple[int, int]) -> tuple[int, int]:
            return size

        def half(size: tuple[int, int]) -> tuple[int, int]:
            return -(-size[0] // 2), -(-size[1] // 2)

        if self.params.artifacts == "tdsr":
            return [Recipe("lr", half, cleaned, copies=True),
                    Recipe("hr", same, as_it_is, copies=False)]
        return [Recipe("lr", same, as_it_is, copies=False),
                Recipe("hr", same, like_source, copies=True)]

    # --- stage 2: ESRGAN-FS

    def learn_restoration(self, training: Training, pairs: Pairs) -> None:
        """Train the restorer on the pairs, with a discriminator of high frequencies."""
        p = self.params
        d = VGG128(p.discriminator_features, size=p.hr_crop)
        init_scaled(d, 1.0)
        d = training.track(restoration_discriminator=d)
        players = Players.of(self.network, d, (p.lr, p.beta1, p.beta2))
        players.track(training, "restoration")
        self.train()
        for step in training.stage("restoration").steps(p.iterations):
            players.set_rate(p.lr * halved(step.index, p.milestones))
            lr, hr, _ = pairs.batch(p.batch_size, step.index)
            self.restoration_step(step, players, lr, hr)

    def restoration_step(self, step: Step, players: Players, lr: Tensor, hr: Tensor) -> None:
        """One step of the restorer, then one of its discriminator."""
        p, low, high = self.params, self.beside["low"], self.beside["high"]
        sr = self.restore(lr)
        pixel = color_loss(low, sr, hr)
        feature = feature_l1(self.beside["features"], sr, hr)
        real = high(hr)
        gan = relativistic_generator_loss(players.d(real), players.d(high(sr)))
        g_loss = p.pixel_weight * pixel + p.feature_weight * feature + p.gan_weight * gan
        step.minimize(g_loss, players.g_optimizer)
        d_loss = relativistic_discriminator_loss(players.d(real), players.d(high(sr.detach())))
        step.minimize(d_loss, players.d_optimizer)
        step.log(loss_g=g_loss, loss_d=d_loss, pixel=pixel, feature=feature, gan=gan)
