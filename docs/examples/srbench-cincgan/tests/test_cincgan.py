"""CinCGAN: its terms against values by hand, its networks, its pool, and that it learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from srbench import Skipped
from srbench.networks import imresize, up_bicubic
from srbench.testing import SyntheticPhotographs, SyntheticVectors, check_plugin, train
from srbench_cincgan.losses import (
    absolute_loss,
    generator_loss,
    judge_loss,
    square_loss,
    total_variation,
)
from srbench_cincgan.method import CinCGAN, Inner, Outer
from srbench_cincgan.networks import Judge, Pool, Translator

TINY = {"batch_size": 2, "crop": 16, "features": 4, "blocks": 1, "sr_features": 4, "sr_blocks": 1}


def test_losses_by_hand() -> None:
    real, fake = torch.tensor([1.0, 0.5]), torch.tensor([0.0, 2.0])
    assert judge_loss(real, fake) == pytest.approx((0.25 / 2 + 4 / 2) / 2)
    assert generator_loss(fake) == pytest.approx((1 + 1) / 2)
    assert square_loss(real, fake) == pytest.approx((1 + 2.25) / 2)
    assert absolute_loss(real, fake) == pytest.approx((1 + 1.5) / 2)


def test_total_variation_of_a_ramp() -> None:
    rows = torch.arange(5.0).view(1, 1, 5, 1).expand(2, 3, 5, 7)
    assert total_variation(0.5 * rows) == pytest.approx(0.25)
    assert total_variation(0.5 * rows.transpose(2, 3)) == pytest.approx(0.25)
    assert total_variation(torch.full((1, 3, 4, 4), 0.3)) == 0


@pytest.mark.parametrize(("stride", "field"), [(1, 16), (2, 70)])
def test_a_score_sees_as_much_as_the_paper_says(stride: int, field: int) -> None:
    judge = Judge(4, stride=stride).eval()
    image = torch.randn(1, 3, 160, 160, requires_grad=True)
    scores = judge(image)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    assert image.grad is not None
    seen = image.grad.abs().sum((0, 1)).nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [field, field]


def test_translators_keep_or_quarter_the_sides() -> None:
    x = torch.rand(2, 3, 32, 48)
    assert Translator(4, 2)(x).shape == (2, 3, 32, 48)
    assert Translator(4, 2, shrink=4)(x).shape == (2, 3, 8, 12)
    assert torch.equal(Translator(4, 2, residual=True)(x), x)
    mean = Translator(4, 2, shrink=4, residual=True)(x)
    torch.testing.assert_close(mean, x.view(2, 3, 8, 4, 12, 4).mean((3, 5)))


def test_pool_gives_half_of_its_images_and_survives_a_resume() -> None:
    pool, chance = Pool(64, (1, 1, 1)), torch.Generator().manual_seed(1)
    first, second = torch.zeros(64, 1, 1, 1), torch.ones(64, 1, 1, 1)
    assert torch.equal(pool.swap(first, chance), first)
    shown = pool.swap(second, chance)
    assert 16 < shown.sum() < 48
    assert shown.sum() + pool.images.sum() == 64  # nothing is lost, nothing is there twice
    other = Pool(64, (1, 1, 1))
    other.load_state_dict(pool.state_dict())
    state = chance.get_state()
    expected = pool.swap(first, chance)
    chance.set_state(state)
    assert torch.equal(other.swap(first, chance), expected)


class Still:
    """Stands in for a training and for a step: keeps what is minimised, changes nothing."""

    def __init__(self) -> None:
        self.minimised: list[Tensor] = []

    def track(self, **objects: Any) -> None:
        """Nothing is resumed here."""

    def generator(self, name: str) -> torch.Generator:
        """Any."""
        return torch.Generator().manual_seed(len(name))

    def minimize(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Keep the loss."""
        self.minimised.append(loss.detach())


@pytest.fixture
def method() -> CinCGAN:
    params = CinCGAN.Params.resolve("quick", "sr", {**TINY, "w_tv": 0.3, "v_tv": 0.7})
    torch.manual_seed(0)
    return CinCGAN(params, SyntheticPhotographs().problem)


def constant(value: float) -> Callable[[Tensor], Tensor]:
    """Scores that are the same for every image."""
    return lambda image: torch.full((len(image), 1, 2, 2), value)


def test_objective_of_the_inner_cycle(method: CinCGAN) -> None:
    method.build()
    still: Any = Still()
    inner = Inner(method, still)
    inner.judge = constant(0.25)  # type: ignore[assignment]
    x, y = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    inner.update(still, x, y)  # G1 and G2 begin as the identity: cycle and identity cost nothing
    judged, loss = still.minimised
    assert judged == pytest.approx((0.75**2 + 0.25**2) / 2)
    assert loss == pytest.approx(0.75**2 + 0.3 * float(total_variation(x)))
    inner.back = nn.Threshold(9.0, 0.0)  # G2 gives black: the cycle costs 10 times E x^2
    with torch.no_grad():
        method.clean.body[-1].bias.fill_(0.5)  # G1 adds 0.5: the identity costs 5 times 0.5
    inner.update(still, x, y)
    extra = 10 * float(x.square().mean()) + 5 * 0.5
    assert still.minimised[-1] - loss == pytest.approx(extra, rel=1e-5)


def test_objective_of_the_outer_cycle(method: CinCGAN) -> None:
    method.build()
    still: Any = Still()
    outer = Outer(method, still)
    outer.judge = constant(0.25)  # type: ignore[assignment]
    method.sr = nn.Upsample(scale_factor=4)  # type: ignore[assignment]
    x, z = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 64, 64)
    y = imresize(z, 1 / 4)
    outer.update(still, x, y, z)
    mapped = up_bicubic(x, 4) + method.sr(x)
    mean = mapped.view(2, 3, 16, 4, 16, 4).mean((3, 5))
    expected = (
        0.75**2
        + 10 * (mean - x).square().mean()
        + 5 * (up_bicubic(y, 4) + method.sr(y) - z).square().mean()
        + 0.7 * total_variation(mapped)
    )
    assert still.minimised[-1] == pytest.approx(float(expected), rel=1e-5)


def test_only_photographs_are_enlarged() -> None:
    with pytest.raises(Skipped, match="by 4, not domain vector"):
        train(CinCGAN, SyntheticVectors(), steps=1)


def test_a_short_training_beats_bicubic() -> None:
    dataset = SyntheticPhotographs()
    steps = {"clean_iterations": 80, "sr_iterations": 80, "joint_iterations": 3}
    params = {"crop": 16, "batch_size": 2, "lr": 5e-4, "sr_lr": 2e-3, **steps}
    trained = train(CinCGAN, dataset, params=params, steps=None)
    assert [stage.steps for stage in trained.result.stages] == [80, 80, 3]
    ours = theirs = 0.0
    for x, y in dataset.test_batches(batch_size=1):  # pairs, which no training sees
        ours += float((trained.map(x) - y).square().mean())
        theirs += float((up_bicubic(x, 4) - y).square().mean())
    assert ours < 0.6 * theirs  # 0.2 to 0.3 for seeds 0 to 3


def test_it_keeps_what_a_plugin_promises() -> None:
    check_plugin("cincgan")
