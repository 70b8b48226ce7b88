"""DASR = DSN, which learns the degradation, and SRN, trained with domain-distance maps.

Wei et al., "Unsupervised Real-World Image Super Resolution via Domain-Distance Aware Training",
CVPR 2021. Legend: y = clean photograph, G = degradation generator (y to a quarter of its size),
D = its discriminator, R = restorer, C = its discriminator, LL and bands = Haar wavelets; images in
[0, 1].
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from srbench.errors import DataError, ParameterError
from srbench.networks.dsgan import DeResnet, load_deresnet, load_discriminator
from srbench.networks.frequency import LowPass, high_bands, low_band, receptive_average
from srbench.networks.gan_losses import (
    bce_discriminator_loss,
    bce_generator_loss,
    color_loss,
    log_discriminator_loss,
    log_generator_loss,
    wavelet_l1,
    weighted_l1,
)
from srbench.networks.lpips_network import load_lpips, lpips_loss
from srbench.networks.patch_discriminators import DSNDiscriminator, PatchGAN
from srbench.networks.resize import imresize, truncate_to_uint8
from srbench.networks.rrdbnet import RRDBNet, init_scaled
from srbench_dasr.parameters import DECAYING, EPOCHS, DASRParams
from srbench_two_stage.crops import random_crops, to_unit
from srbench_two_stage.pairs import Generated, Pairs, Recipe
from srbench_two_stage.players import Players
from srbench_two_stage.restorer import TwoStageMethod
from srbench_two_stage.schedules import halved, linear_decay

if TYPE_CHECKING:
    from collections.abc import Callable

    from srbench import Parameters
    from srbench.training import Step, Training

OFFICIAL_RESTORER, OFFICIAL_DEGRADATION = "AIM_DASR_TDSR_G.pth", "AIM_DSN.tar"
RESTORER_INIT = 0.1  # factor of the Kaiming weights of every convolution


class DASR(TwoStageMethod):
    """Learns a degradation, and restoration that trusts pairs by their distance to real ones."""

    Params = DASRParams
    distributed = True
    params: DASRParams
    manifest = Path(__file__).with_name("official_files.json")

    @classmethod
    def requires(cls, params: Parameters) -> tuple[str, ...]:
        """AlexNet for the LPIPS losses of both stages."""
        trains = isinstance(params, DASRParams) and not params.pretrained
        return ("alexnet",) if trains else ()

    def official_restorer(self) -> str:
        """Name of the authors' file."""
        return OFFICIAL_RESTORER

    def initialise(self, network: RRDBNet) -> None:
        """Scale the start of every convolution, not only of the dense blocks."""
        init_scaled(network, RESTORER_INIT)

    def prepare(self) -> None:
        """Load LPIPS, and the degradation with its discriminator where they are given."""
        p, scale = self.params, self.problem.scale
        if p.hr_crop // scale < 32:
            raise ParameterError(f"hr_crop={p.hr_crop} makes LR crops of less than 32 pixels")
        for role, size, extent in (("LR", p.hr_crop // scale, self.problem.lr_extent),
                                   ("HR", p.hr_crop, self.problem.hr_extent)):
            if size > extent:
                raise DataError(f"the second stage needs {role} photographs that hold crops of "
                                f"{size} x {size}; the smallest holds {extent} x {extent}",
                                hint="use larger photographs or a smaller hr_crop")
        self.beside["lpips"] = load_lpips()
        self.beside["degradation"] = DeResnet(p.dsn_blocks, scale)
        judge = DSNDiscriminator(p.architecture, filter=p.separation, bands=p.bands,
                                 kernel_size=p.dsn_kernel)
        if p.pretrained_degradation:
            path = self.checkpoint(p.pretrained_degradation, OFFICIAL_DEGRADATION)
            degradation = load_deresnet(path)
            self.check_scale(2 ** (len(degradation.down_sample) // 2), str(path))
            self.beside["degradation"] = degradation
            judge = load_discriminator(path, judge)
        else:
            room = min(self.problem.lr_extent, self.problem.hr_extent)
            self.crop = self.first_crop(p.dsn_crop, room, 2 * scale)
        self.beside["judge"] = judge

    def fit(self, training: Training) -> None:
        """Run both stages; returns at once where the restorer was loaded from a checkpoint."""
        p = self.params
        if p.pretrained:
            return
        for network in self.beside.values():
            network.to(training.device)
        degradation, judge = training.track(
            degradation=self.beside["degradation"], degradation_discriminator=self.beside["judge"])
        pairs = Pairs(training, [self.recipe(degradation, judge)], p.hr_crop, weighted=True)
        if not p.pretrained_degradation:
            self.learn_degradation(training, degradation, judge)
        degradation.eval()
        judge.eval()
        self.generate(training, pairs)
        self.learn_restoration(training, pairs)
        self.eval()

    # --- stage 1: DSN

    def learn_degradation(self, training: Training, degradation: nn.Module,
                          judge: nn.Module) -> None:
        """Train G so that G(y) looks like a real low-resolution crop."""
        p, crop = self.params, self.crop
        players = Players.of(degradation, judge, (p.dsn_lr, p.dsn_beta1, p.dsn_beta2))
        players.track(training, "degradation")
        low = self.low_pass().to(training.device) if p.separation != "wavelet" else low_band
        for step in training.stage("degradation", until=p.degradation_share).steps(
                p.dsn_iterations):
            factor = linear_decay(step.index, p.dsn_iterations, epochs=EPOCHS, decaying=DECAYING)
            players.set_rate(p.dsn_lr * factor)
            clean = to_unit(training.hr(p.dsn_batch_size, size=crop))
            noisy = to_unit(training.lr(p.dsn_batch_size, size=crop))
            places = training.share(torch.rand(p.dsn_batch_size, 2, dtype=torch.float64))
            self.degradation_step(step, players, low, clean,
                                  random_crops(noisy, crop // self.problem.scale, places))

    def low_pass(self) -> LowPass:
        """Filter of the colour loss where frequencies are not separated by wavelets."""
        gaussian = self.params.separation == "gau"
        return LowPass(self.params.dsn_kernel, "gau" if gaussian else "avg", padded=False)

    def degradation_step(self, step: Step, players: Players, low: Callable[[Tensor], Tensor],
                         clean: Tensor, real: Tensor) -> None:
        """One step of D on detached fakes, then one of G against the new D."""
        p = self.params
        bicubic = imresize(clean, 1 / self.problem.scale, clamp=True)
        fake = players.g(clean)
        d_loss = log_discriminator_loss(players.d(real), players.d(fake.detach()))
        step.minimize(d_loss, players.d_optimizer)
        color = color_loss(low, fake, bicubic)
        texture = log_generator_loss(players.d(fake))
        perceptual = lpips_loss(self.beside["lpips"], fake, bicubic)
        g_loss = (p.color_weight * color + p.texture_weight * texture
                  + p.perceptual_weight * perceptual)
        step.minimize(g_loss, players.g_optimizer)
        step.log(dsn_d=d_loss, dsn_g=g_loss, color=color, texture=texture, perceptual=perceptual)

    # --- between the stages

    def recipe(self, degradation: nn.Module, judge: nn.Module) -> Recipe:
        """Clean photographs with their degraded images and domain-distance maps."""
        def make(clean: Tensor) -> Generated:
            made = degradation(clean)
            kept = truncate_to_uint8(made).float() / 255  # D judges the image that is stored
            distance = receptive_average(judge(kept))
            half = [-(-side // 2) for side in kept.shape[-2:]]  # the size of wavelet bands
            if list(distance.shape[-2:]) != half:
                distance = nn.functional.interpolate(distance, size=half, mode="bilinear")
            return Generated(made, weights=distance)

        return Recipe("hr", lambda size: size, make, copies=False)

    # --- stage 2: SRN

    def learn_restoration(self, training: Training, pairs: Pairs) -> None:
        """Train R on weighted pairs, and adversarially on real low-resolution crops."""
        p = self.params
        d = PatchGAN()
        init_scaled(d, 1.0)
        d = training.track(restoration_discriminator=d)
        players = Players.of(self.network, d, (p.lr, p.beta1, p.beta2))
        players.track(training, "restoration")
        self.train()
        for step in training.stage("restoration").steps(p.iterations):
            players.set_rate(p.lr * halved(step.index, p.milestones))
            lr, hr, distance = pairs.batch(p.batch_size, step.index)
            assert distance is not None
            real = to_unit(training.lr(p.batch_size, size=p.hr_crop // training.problem.scale))
            unpaired = to_unit(training.hr(p.batch_size, size=p.hr_crop))
            self.restoration_step(step, players, (lr, hr, distance), real, unpaired)

    def restoration_step(self, step: Step, players: Players, pair: tuple[Tensor, Tensor, Tensor],
                         real: Tensor, unpaired: Tensor) -> None:
        """One step of R on synthetic and real low-resolution crops together, then one of C."""
        p, (lr, hr, distance) = self.params, pair
        both = self.restore(torch.cat((lr, real)))
        sr, sr_real = both[: len(lr)], both[len(lr) :]
        pixel = weighted_l1(distance, sr, hr)
        wavelet = wavelet_l1(sr, hr)
        perceptual = lpips_loss(self.beside["lpips"], sr, hr)
        gan = bce_generator_loss(players.d(high_bands(sr_real)))
        g_loss = (p.pixel_weight * pixel + p.wavelet_weight * wavelet
                  + p.lpips_weight * perceptual + p.gan_weight * gan)
        step.minimize(g_loss, players.g_optimizer)
        d_loss = bce_discriminator_loss(players.d(high_bands(unpaired)),
                                        players.d(high_bands(sr_real.detach())))
        step.minimize(d_loss, players.d_optimizer)
        step.log(loss_g=g_loss, loss_d=d_loss, pixel=pixel, wavelet=wavelet,
                 perceptual=perceptual, gan=gan)
