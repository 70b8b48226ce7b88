"""Bicubic, identity, constant and linear against closed forms and independent libraries."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch

from srbench import Problem, Skipped
from srbench.errors import DataError, Interrupted, ParameterError
from srbench.training.budget import Budget
from srbench_anchors.method import Constant, Identity, Linear, RunningMoments, even_chunks
from srbench_bicubic.method import Bicubic
from tests.fill import arr
from tests.methods.toy import GaussianPair, Noise, l2_uvp, train

HERE = Problem(domain="image", lr_shape=(3, 16, 16), hr_shape=(3, 16, 16))


def build(method_class, problem=HERE, **given):
    return method_class(method_class.Params.resolve("quick", problem.domain, given), problem)


def sr(scale):
    return Noise(side=8, scale=scale).problem


def cubic(t: float, a: float = -0.75) -> float:
    """Keys' cubic convolution kernel."""
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0


def test_bicubic_is_keys_kernel_with_a_of_three_quarters():
    row = arr(5, (1, 8)).double().numpy()[0]
    image = torch.from_numpy(row).view(1, 1, 1, 8).expand(1, 3, 8, 8)
    up = build(Bicubic, sr(4))(image)
    assert up.shape == (1, 3, 32, 32)
    for j in range(32):
        centre = (j + 0.5) / 4 - 0.5
        taps = range(int(np.floor(centre)) - 1, int(np.floor(centre)) + 3)
        value = sum(cubic(centre - i) * row[min(max(i, 0), 7)] for i in taps)
        assert up[0, 1, 7, j].item() == pytest.approx(value, abs=1e-6)


def test_bicubic_is_neither_clamped_nor_blurred():
    edge = torch.ones(1, 3, 8, 8)
    edge[..., :4] = -1
    up = build(Bicubic, sr(4))(edge)
    assert up.max() > 1.05
    assert up.min() < -1.05


def test_bicubic_at_scale_one_and_identity_return_their_input():
    x = 3 * arr(1, (2, 3, 16, 16))
    assert torch.equal(build(Bicubic)(x), x)
    assert torch.equal(build(Identity)(x), x)


def test_bicubic_and_identity_learn_nothing():
    for method_class in (Bicubic, Identity):
        _, result = train(method_class, Noise())
        assert (result.steps, result.parameters) == (0, 0)


def test_bicubic_equals_the_papers_up(fixtures):
    path = fixtures / "bicubic.npz"
    arrays = {key: torch.from_numpy(value) for key, value in np.load(path).items()}
    up = build(Bicubic, sr(4))(arrays["x"])
    assert torch.allclose(up, arrays["up4"], atol=1e-6)


def test_constant_is_the_mean_of_the_hr_samples():
    dataset = GaussianPair()
    method, result = train(Constant, dataset, samples=2**14)
    assert method.mean.tolist() == pytest.approx(dataset.BIAS.tolist(), abs=0.05)
    assert l2_uvp(method, dataset) == pytest.approx(100, abs=0.5)
    assert method(torch.zeros(5, 2)).shape == (5, 2)
    assert result.stages[0].images == 2**14
    assert result.stages[0].steps == 16


def test_constant_of_images_is_an_image_and_of_larger_ones_a_colour():
    method, _ = train(Constant, Noise(), samples=512)
    assert method.mean.shape == (3, 16, 16)
    assert method.mean.std() > 0.005  # each pixel has a mean of its own
    method, _ = train(Constant, Noise(side=8, scale=2), samples=512)
    out = method(torch.zeros(1, 3, 10, 30))
    assert out.shape == (1, 3, 20, 60)
    assert out[0, :, 3, 4].tolist() == pytest.approx([0.25] * 3, abs=0.01)


def test_linear_finds_the_affine_map_between_two_gaussians():
    dataset = GaussianPair()
    method, result = train(Linear, dataset)
    assert torch.allclose(method.weight, dataset.WEIGHT.double(), atol=0.02)
    assert method.bias.tolist() == pytest.approx(dataset.BIAS.tolist(), abs=0.02)
    assert l2_uvp(method, dataset) < 0.05
    assert result.stages[0].images == 2 * 2**16


def test_linear_equals_pot_on_the_same_samples():
    drawn = {"lr": [], "hr": []}

    class Watched(GaussianPair):
        def sample_lr(self, n, generator):
            drawn["lr"].append(torch.rand(n, 2, generator=generator).square())
            return drawn["lr"][-1]

        def sample_hr(self, n, generator):
            y = torch.randn(n, 2, generator=generator)
            drawn["hr"].append(self.true_map(y) + y.prod(1, keepdim=True))
            return drawn["hr"][-1]

    method, _ = train(Linear, Watched(), samples=5000, batch_size=700)
    x, y = (torch.cat(drawn[side]).double().numpy() for side in ("lr", "hr"))
    weight, bias = ot.gaussian.empirical_bures_wasserstein_mapping(x, y, reg=0)
    assert np.allclose(method.weight.numpy(), weight, rtol=1e-6, atol=1e-9)
    assert np.allclose(method.bias.numpy(), bias.ravel(), rtol=1e-6, atol=1e-9)


def test_linear_maps_images():
    method, result = train(Linear, Noise(side=4))
    assert result.stages[0].images == 2 * 8 * 48
    x = arr(3, (2, 3, 4, 4))
    assert method(x).shape == x.shape
    assert method(x).dtype == torch.float32
    assert (method(x) - x).mean().item() == pytest.approx(0.25, abs=0.1)


def test_linear_resumes_in_the_middle_of_its_draws(tmp_path):
    given = {"samples": 4000, "batch_size": 500}
    whole, _ = train(Linear, GaussianPair(), **given)
    looks = []

    def after_three():
        looks.append(None)
        return len(looks) == 3

    with pytest.raises(Interrupted):
        train(Linear, GaussianPair(), folder=tmp_path, should_stop=after_three, **given)
    resumed, _ = train(Linear, GaussianPair(), folder=tmp_path, **given)
    assert torch.equal(resumed.weight, whole.weight)
    assert torch.equal(resumed.bias, whole.bias)


def test_what_makes_no_sense_is_skipped_with_its_reason():
    with pytest.raises(Skipped, match="vectors of 2 values"):
        build(Bicubic, GaussianPair().problem)
    with pytest.raises(Skipped, match="scale is 4"):
        build(Identity, sr(4))
    with pytest.raises(Skipped, match="scale is 4"):
        build(Linear, sr(4))
    large = Problem(domain="image", lr_shape=(3, 64, 64), hr_shape=(3, 64, 64))
    with pytest.raises(Skipped, match=r"12288 values.*at most 4096"):
        build(Linear, large)
    allowed = Problem(domain="image", lr_shape=(3, 32, 32), hr_shape=(3, 32, 32))
    assert build(Linear, allowed).samples == 8 * 3072


def test_too_few_samples_are_refused_before_and_during_training():
    with pytest.raises(ParameterError, match=r"samples=3000 .* 768 dimensions.*3072"):
        build(Linear, samples=3000)
    with pytest.raises(DataError, match=r"budget ended after 2 samples"):
        train(Linear, GaussianPair(), samples=100, batch_size=2, budget=Budget(steps=1))


def test_running_moments_are_those_of_all_chunks_together():
    moments = RunningMoments(3, order=2)
    rows = arr(9, (100, 3))
    for chunk in rows.split(33):
        moments.add(chunk)
    assert torch.allclose(moments.mean(), rows.double().mean(0))
    assert torch.allclose(moments.covariance(), rows.double().T.cov())


@pytest.mark.parametrize(("total", "largest"), [(1, 8), (8, 8), (9, 8), (1000, 7)])
def test_chunks_hold_all_draws_and_are_not_too_large(total, largest):
    chunks, size = even_chunks(total, largest)
    assert size <= largest
    assert total <= chunks * size < total + chunks
