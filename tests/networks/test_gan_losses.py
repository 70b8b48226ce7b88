"""Losses of FSSR and DASR against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from srbench.networks import (
    LowPass,
    bce_discriminator_loss,
    bce_generator_loss,
    color_loss,
    haar,
    log_discriminator_loss,
    log_generator_loss,
    low_band,
    relativistic_discriminator_loss,
    relativistic_generator_loss,
    wavelet_l1,
    weighted_l1,
)
from tests.fill import arr

# -log(1/2) = 0.693147, -log(1/4) = 1.386294, -log(3/4) = 0.287682, -log(1/5) = 1.609438
HALF, QUARTER, THREE_QUARTERS = math.log(2), math.log(4), math.log(4 / 3)


def logit(probability):
    return math.log(probability / (1 - probability))


def test_log_losses_by_hand():
    """Probabilities 1/2 and 1/4 of fakes; 1/4 and 3/4 of real ones."""
    real, fake = torch.tensor([[0.25], [0.75]]), torch.tensor([[0.5], [0.25]])
    # (0.693147 + 1.386294) / 2
    assert float(log_generator_loss(fake)) == pytest.approx(1.0397208, abs=1e-6)
    # real: (1.386294 + 0.287682) / 2; fake: (-log(1/2) - log(3/4)) / 2 = (0.693147 + 0.287682) / 2
    expected = (QUARTER + THREE_QUARTERS) / 2 + (HALF + THREE_QUARTERS) / 2
    assert expected == pytest.approx(1.3274025)
    assert float(log_discriminator_loss(real, fake)) == pytest.approx(expected, abs=1e-6)


def test_log_losses_are_finite_where_a_probability_is_zero():
    """-log(1e-8) = 18.420681, with a gradient of at most 1e8."""
    zero, one = torch.zeros(1, requires_grad=True), torch.ones(1, requires_grad=True)
    assert float(log_generator_loss(zero.detach())) == pytest.approx(18.420681, abs=1e-5)
    loss = log_discriminator_loss(zero, one)
    assert float(loss.detach()) == pytest.approx(2 * 18.420681, abs=1e-4)
    loss.backward()
    assert zero.grad.isfinite().all()
    assert one.grad.isfinite().all()


def test_log_losses_of_float32_do_not_lose_the_floor():
    """1 - D + 1e-8 is taken in this order: 1 + 1e-8 would be 1 in float32."""
    assert math.isfinite(float(log_discriminator_loss(torch.ones(1), torch.ones(1))))


def test_bce_losses_by_hand():
    """Logits of the probabilities 1/5 and 1/2: BCE with 1 is 1.609438 and 0.693147."""
    fake = torch.tensor([logit(0.2), logit(0.5)])
    assert float(bce_generator_loss(fake)) == pytest.approx(1.1512925, abs=1e-6)
    real = torch.tensor([logit(0.75), logit(0.75)])
    # real: -log(3/4) = 0.287682; fake: (-log(4/5) - log(1/2)) / 2 = (0.223144 + 0.693147) / 2
    expected = (0.2876821 + 0.4581454) / 2
    assert float(bce_discriminator_loss(real, fake)) == pytest.approx(expected, abs=1e-6)


def test_relativistic_losses_by_hand():
    """Real scores 1 and 3 (mean 2), fake -1 and 1 (mean 0).

    D: real - 0 = (1, 3) against 1: log(1 + e^-1) = 0.313262, log(1 + e^-3) = 0.048587;
    fake - 2 = (-3, -1) against 0: 0.048587, 0.313262. Mean of each 0.180924, half of the sum.
    G: real - 0 against 0: log(1 + e) = 1.313262, log(1 + e^3) = 3.048587; fake - 2 against 1:
    3.048587, 1.313262. Mean of each 2.180924.
    """
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 1.0])
    found = relativistic_discriminator_loss(real, fake)
    assert float(found) == pytest.approx(0.1809245, abs=1e-6)
    assert float(relativistic_generator_loss(real, fake)) == pytest.approx(2.1809245, abs=1e-6)


def test_relativistic_losses_are_those_of_pytorchs_bce():
    real, fake = 3 * arr(0, (5, 1)), 3 * arr(1, (5, 1))
    ones, zeros = torch.ones(5, 1), torch.zeros(5, 1)

    def bce(above, label):
        return F.binary_cross_entropy_with_logits(above, label)

    wanted = 0.5 * (bce(real - fake.mean(), ones) + bce(fake - real.mean(), zeros))
    torch.testing.assert_close(relativistic_discriminator_loss(real, fake), wanted)
    wanted = 0.5 * (bce(real - fake.mean(), zeros) + bce(fake - real.mean(), ones))
    torch.testing.assert_close(relativistic_generator_loss(real, fake), wanted)


def test_the_generator_gets_no_gradient_through_real_scores():
    real = torch.tensor([1.0, 2.0], requires_grad=True)
    fake = torch.tensor([0.0, -1.0], requires_grad=True)
    relativistic_generator_loss(real, fake).backward()
    assert real.grad is None
    assert (fake.grad < 0).all()  # higher scores of fakes are better
    relativistic_discriminator_loss(real, fake.detach()).backward()
    assert (real.grad < 0).all()


@pytest.mark.parametrize("loss", [bce_generator_loss, lambda x: bce_discriminator_loss(-x, -x),
                                  lambda x: relativistic_discriminator_loss(x, -x)])
def test_logit_losses_are_finite_for_any_score(loss):
    for score in (-1e4, 1e4):
        scores = torch.tensor([score, -score, 0.0], requires_grad=True)
        value = loss(scores)
        value.backward()
        assert value.isfinite()
        assert scores.grad.isfinite().all()


def test_color_loss_by_hand():
    """Images that differ by 0.2 everywhere; a single bright pixel spreads over 25."""
    low = LowPass(5, padded=False)
    dark = torch.full((2, 3, 9, 9), 0.3)
    assert float(color_loss(low, dark + 0.2, dark)) == pytest.approx(0.2, abs=1e-6)
    spot = torch.zeros(1, 3, 5, 5)
    spot[..., 2, 2] = 1
    assert float(color_loss(low, spot, torch.zeros_like(spot))) == pytest.approx(1 / 25)
    assert float(color_loss(low_band, dark + 0.2, dark)) == pytest.approx(0.2, abs=1e-6)


def test_color_loss_is_blind_to_what_averages_out():
    low = LowPass(5, padded=False)
    x = torch.zeros(1, 3, 10, 10)
    stripes = torch.tensor([1.0, -1, 0, 0, 0] * 2).expand(1, 3, 10, 10)
    assert float(color_loss(low, x + stripes, x)) == pytest.approx(0, abs=1e-6)


def test_weighted_l1_by_hand():
    """A map of one value 1/2 everywhere; then weights 0 | 1 over halves of the image."""
    sr, hr = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.6)
    assert float(weighted_l1(torch.full((1, 1, 1, 1), 0.5), sr, hr)) == pytest.approx(0.3)
    halves = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2)
    # two columns to four, corners not aligned: 0, 1/4, 3/4, 1; an error of 0.6 in the last only
    sr, hr = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    hr[..., 2] = 0.6
    assert float(weighted_l1(halves, sr, hr)) == pytest.approx(0.75 * 0.6 / 4)
    hr[..., 2], hr[..., 1] = 0, 0.6
    assert float(weighted_l1(halves, sr, hr)) == pytest.approx(0.25 * 0.6 / 4)


def test_weighted_l1_of_images_with_maps_of_their_own():
    sr, hr = arr(2, (2, 3, 8, 8), 0, 1), arr(3, (2, 3, 8, 8), 0, 1)
    weights = torch.tensor([0.2, 0.8]).reshape(2, 1, 1, 1).expand(2, 1, 4, 4)
    errors = (sr - hr).abs().mean((1, 2, 3))
    expected = (0.2 * errors[0] + 0.8 * errors[1]) / 2
    torch.testing.assert_close(weighted_l1(weights, sr, hr), expected)


def test_wavelet_l1_by_hand():
    """Blocks of 1 and of 0: LL differs by (1 + 1 + 1 + 1) / 2 = 2."""
    ones, zeros = torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    assert float(wavelet_l1(ones, zeros)) == pytest.approx(2)
    ones[..., ::2] = 0.5
    assert float(wavelet_l1(ones, zeros)) == pytest.approx(1.5)
    x = arr(4, (1, 3, 6, 6))
    assert float(wavelet_l1(x, 0 * x)) == pytest.approx(float(haar(x)[0].abs().mean()))
