"""FaceSR: its terms against values by hand, its networks, and that it learns."""

from __future__ import annotations

import pytest
import torch

from srbench import Skipped
from srbench.networks import up_bicubic
from srbench.testing import SyntheticImages, SyntheticPhotographs, check_plugin, train
from srbench_facesr.losses import critic_loss, generator_loss, pixel_loss
from srbench_facesr.method import FaceSR
from srbench_facesr.networks import Critic, HighToLow, LowToHigh


def test_adversarial_losses_by_hand() -> None:
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0])
    assert critic_loss(real, fake) == pytest.approx((0 + 0.5) / 2 + (0 + 1) / 2)
    assert generator_loss(fake) == pytest.approx(1.5)


def test_pixel_loss_averages_the_larger_image() -> None:
    hr = torch.tensor([[0.0, 4.0], [2.0, 6.0]]).repeat(1, 1, 3, 3)
    assert pixel_loss(torch.full((1, 1, 3, 3), 1.0), hr) == pytest.approx((3 - 1) ** 2)
    assert pixel_loss(hr + 0.5, hr) == pytest.approx(0.25)


def test_high_to_low_quarters_the_sides_and_obeys_its_noise() -> None:
    torch.manual_seed(0)
    network = HighToLow(64, noise=8, features=4, depth=2).eval()
    hr, noise = torch.rand(2, 3, 64, 64), torch.randn(2, 8)
    assert network(hr, noise).shape == (2, 3, 16, 16)
    assert not torch.allclose(network(hr, noise), network(hr, -noise))
    begun = HighToLow(64, noise=8, features=4, residual=True)
    mean = hr.view(2, 3, 16, 4, 16, 4).mean((3, 5))
    torch.testing.assert_close(begun(hr, noise), mean)


def test_low_to_high_has_the_paper_s_groups_of_blocks() -> None:
    network = LowToHigh(features=4, residual=False).eval()
    sizes: list[int] = []
    for module in network.body:
        if type(module).__name__ == "Block":
            module.register_forward_hook(lambda *args: sizes.append(args[2].shape[-1]))
    assert network(torch.rand(1, 3, 16, 16)).shape == (1, 3, 64, 64)
    assert [sizes.count(side) for side in (16, 32, 64)] == [12, 3, 2]
    x = torch.rand(1, 3, 17, 23)
    begun = LowToHigh((1, 1, 1), features=4, residual=True)
    torch.testing.assert_close(begun(x), up_bicubic(x, 4))


def test_critic_is_normalised_and_halves_down_to_four_pixels() -> None:
    torch.manual_seed(0)
    critic = Critic(64, features=8, depth=6)
    for _ in range(200):  # power iteration
        critic(torch.rand(1, 3, 64, 64))
    weight = critic.eval().last.weight
    assert float(torch.linalg.matrix_norm(weight.detach(), 2)) == pytest.approx(1, abs=1e-3)
    assert critic.body(critic.first(torch.rand(2, 3, 64, 64))).shape == (2, 8, 4, 4)
    assert critic(torch.rand(2, 3, 64, 64)).shape == (2,)


def test_only_photographs_are_enlarged() -> None:
    with pytest.raises(Skipped, match="by 4, not domain image"):
        train(FaceSR, SyntheticImages(), steps=1)


def test_a_short_training_beats_bicubic() -> None:
    dataset = SyntheticPhotographs()
    steps = {"degrade_iterations": 10, "iterations": 60}
    params = {"batch_size": 2, "lr": 1e-3, **steps}
    trained = train(FaceSR, dataset, params=params, steps=None)
    assert [stage.steps for stage in trained.result.stages] == [10, 60]
    ours = theirs = 0.0
    for x, y in dataset.test_batches(batch_size=1):  # pairs, which no training sees
        ours += float((trained.map(x) - y).square().mean())
        theirs += float((up_bicubic(x, 4) - y).square().mean())
    assert ours < 0.9 * theirs  # 0.5 to 0.75 for seeds 0 to 3


def test_each_stage_draws_what_it_says() -> None:
    params = {"batch_size": 2, "critic_steps": 3, "degrade_iterations": 2, "iterations": 2}
    trained = train(FaceSR, SyntheticPhotographs(), params=params, steps=None)
    first, second = trained.result.stages
    assert first.images == 2 * 3 * (2 + 2)  # an HR and an LR crop for each step of a critic
    assert second.images == 2 * 3 * 2  # HR crops alone: their LR ones are generated


def test_it_keeps_what_a_plugin_promises() -> None:
    check_plugin("facesr")
