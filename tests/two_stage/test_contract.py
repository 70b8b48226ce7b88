"""What the methods on photographs promise: where they run, what they say, how they end."""

from __future__ import annotations

import math

import pytest
import torch

from srbench import Problem, Skipped
from srbench.errors import Diverged
from srbench.networks.resize import up_bicubic
from srbench.training import Budget
from srbench_dasr.method import DASR
from srbench_fssr.method import FSSR
from srbench_ots.method import OTS
from tests.fill import arr
from tests.methods.photographs import Waves
from tests.two_stage.toy import (
    TINY_DASR,
    TINY_FSSR,
    build,
    fit,
    problem,
    training_of,
    weights_of,
)

pytestmark = pytest.mark.usefixtures("narrow")
TWO_STAGE = [FSSR, DASR]
OTHERS = {
    "image": Problem(domain="image", lr_shape=(3, 32, 32), hr_shape=(3, 32, 32)),
    "vector": Problem(domain="vector", lr_shape=(8,), hr_shape=(8,)),
    "scale 2": problem(scale=2)}


@pytest.mark.parametrize("kind", TWO_STAGE)
@pytest.mark.parametrize("where", OTHERS)
def test_other_problems_are_skipped_with_the_reason(kind, where):
    at = OTHERS[where]
    with pytest.raises(Skipped, match=f"{kind.__name__} learns super-resolution of photographs by "
                                      f"4; the domain is {at.domain}, the scale {at.scale}"):
        build(kind, at=at)


@pytest.mark.parametrize("kind", TWO_STAGE)
def test_data_without_whole_photographs_is_skipped(kind):
    with pytest.raises(Skipped, match="learns from whole photographs"):
        build(kind, at=problem(0, 0))


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_ots_runs_at_every_scale(scale):
    method = build(OTS, at=problem(scale=scale)).eval()
    x = arr(0, (1, 3, 5, 6))
    assert torch.equal(method(x), up_bicubic(x, scale))  # residual, at its start
    f = method.build_potential()
    assert f(torch.zeros(2, 3, 32 * scale, 32 * scale)).numel() == 2


@pytest.mark.parametrize("kind", TWO_STAGE)
def test_a_residual_restorer_starts_at_bicubic_interpolation(kind):
    x = arr(0, (2, 3, 9, 7))
    method = build(kind, residual=True).eval()
    torch.testing.assert_close(method(x), up_bicubic(x, 4), rtol=0, atol=1e-5)
    assert not torch.allclose(build(kind, residual=False).eval()(x), up_bicubic(x, 4), atol=0.1)


BUDGET = "The budget left time for 2 of 5 generated pairs."
RESIDUAL = "The restorer is added to bicubic interpolation, unlike the authors'."
FEATURES = "The feature loss uses VGG-16 conv5_3 in place of VGG-19 conv5_4."
START = "The restorer starts from random weights, not from ESRGAN's."
SMALLER = ("The first stage takes crops of 272 pixels instead of 512, the most that every "
           "photograph holds.")


@pytest.mark.parametrize(("kind", "given", "expected"), [
    (FSSR, {"residual": False}, [FEATURES, START]),
    (FSSR, {}, [RESIDUAL, FEATURES, START]),
    (FSSR, {"vgg": "vgg19", "residual": False, "dsgan_crop": 512}, [START, SMALLER]),
    (DASR, {"residual": False}, []), (DASR, {}, [RESIDUAL])])
def test_notes_say_what_differs_from_the_method_as_published(kind, given, expected):
    assert build(kind, **given).notes() == expected


def test_notes_are_a_copy_and_each_is_said_once():
    method = build(FSSR)
    method.notes().clear()
    method.note(START)
    assert method.notes() == [RESIDUAL, FEATURES, START]


def test_the_note_on_the_pairs_comes_with_the_budget_and_not_twice():
    method, _ = fit(FSSR, budget=Budget(steps=10), dsgan_iterations=99, iterations=99,
                    degradation_share=0.3, pairs_share=0.5)
    assert method.notes() == [RESIDUAL, FEATURES, START, BUDGET]
    method, _ = fit(FSSR)
    assert method.notes() == [RESIDUAL, FEATURES, START]


@pytest.mark.parametrize("kind", [FSSR, DASR, OTS])
def test_what_helps_the_training_is_no_part_of_the_map(kind):
    method, result = fit(kind)
    names = {key.partition(".")[0] for key in method.state_dict()}
    assert names == ({"network"} if kind is not OTS else {"network", "average"})
    assert result.parameters == sum(p.numel() for p in method.network.parameters())
    assert result.parameters_beside > 0
    assert not method.training
    with torch.no_grad():
        assert method(torch.zeros(1, 3, 9, 5)).shape == (1, 3, 36, 20)


@pytest.mark.parametrize(("kind", "stages"), [
    (FSSR, [("degradation", 1), ("pairs", 0), ("restoration", 0)]),
    (DASR, [("degradation", 1), ("pairs", 0), ("restoration", 0)]), (OTS, [("main", 1)])])
def test_one_step_leaves_a_usable_map(kind, stages):
    method, result = fit(kind, budget=Budget(steps=1))
    assert [(stage.name, stage.steps) for stage in result.stages] == stages
    x = arr(0, (1, 3, 8, 8))
    with torch.no_grad():
        found = method.eval()(x)
    assert found.isfinite().all()
    if kind is not OTS:  # not trained at all: still bicubic interpolation
        torch.testing.assert_close(found, up_bicubic(x, 4), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", TWO_STAGE)
@pytest.mark.parametrize("steps", [2, 3, 4])
def test_two_steps_and_more_reach_the_restoration(kind, steps):
    method, result = fit(kind, budget=Budget(steps=steps))
    counts = {stage.name: stage.steps for stage in result.stages}
    assert sum(counts.values()) == steps
    assert counts["restoration"] >= 1
    assert all(value.isfinite().all() for value in weights_of(method).values())


def test_a_budget_of_time_reaches_every_stage():
    kind = {"dsgan_iterations": 10**6, "iterations": 10**6}
    _, result = fit(FSSR, budget=Budget(seconds=1.5), **kind)
    first, pairs, last = result.stages
    assert 0.5 < first.seconds < 1.2
    assert pairs.steps >= 1
    assert last.steps >= 1
    assert result.seconds >= 1.5


@pytest.mark.parametrize(("kind", "name", "given", "stage", "optimizer"), [
    (FSSR, "degradation_step", {"dsgan_lr": 1e30}, "degradation", "degradation"),
    (DASR, "degradation_step", {"dsn_lr": 1e30}, "degradation", "degradation"),
    (FSSR, "restoration_step", {"lr": 1e30}, "restoration", "restoration"),
    (DASR, "restoration_step", {"lr": 1e30}, "restoration", "restoration")])
def test_divergence_names_the_optimizer_and_the_stage(kind, name, given, stage, optimizer):
    given = {"iterations": 9, "milestones": [], **given}
    with pytest.raises(Diverged, match=rf"of '{optimizer}\w*' is (nan|-?inf) at step \d of stage "
                                       rf"'{stage}'"):
        fit(kind, log_every=1, **given)


def test_the_map_of_a_diverged_training_is_not_taken_for_a_result():
    method = build(DASR)
    training = training_of(method)
    method.fit(training)
    with torch.no_grad():
        method.network.conv_first.bias[0] = math.nan
    with pytest.raises(Diverged, match="weights of 'method' are nan"):
        training.finish()


@pytest.mark.parametrize(("kind", "tiny"), [(FSSR, TINY_FSSR), (DASR, TINY_DASR)])
def test_trains_in_bf16_with_pairs_made_in_fp32(kind, tiny):
    method, result = fit(kind, precision="bf16", log_every=1)
    assert all(math.isfinite(value) for value in result.history["value"])
    assert {p.dtype for p in method.parameters()} == {torch.float32}
    assert result.steps == 3 + (5 if kind is FSSR else 3) + tiny["iterations"]


@pytest.mark.parametrize("artifacts", ["tdsr", "sdsr"])
def test_fssr_learns_a_degradation_from_source_photographs_alone(monkeypatch, artifacts):
    """Authors' issues 2 and 9: the clean photographs are not seen in the first stage."""
    drawn = []
    for role in ("lr", "hr"):
        real = getattr(Waves, f"sample_{role}")
        monkeypatch.setattr(Waves, f"sample_{role}",
                            lambda self, n, generator, size=None, role=role, real=real:
                            drawn.append((role, size)) or real(self, n, generator, size))
    fit(FSSR, artifacts=artifacts)
    assert drawn == [("lr", 128)] * 3


def test_dasr_draws_source_and_clean_crops_of_its_sizes(monkeypatch):
    drawn = []
    for role in ("lr", "hr"):
        real = getattr(Waves, f"sample_{role}")
        monkeypatch.setattr(Waves, f"sample_{role}",
                            lambda self, n, generator, size=None, role=role, real=real:
                            drawn.append((role, size)) or real(self, n, generator, size))
    fit(DASR)
    assert drawn == [("hr", 128), ("lr", 128)] * 3 + [("lr", 32), ("hr", 128)] * 4


def test_fssr_learns_what_it_is_for():
    """Its colour loss alone, then its pixel loss alone: both fall from where they start."""
    given = {"dsgan_iterations": 60, "dsgan_lr": 1e-2, "texture_weight": 0.0,
             "perceptual_weight": 0.0, "iterations": 80, "lr": 1e-2, "milestones": [],
             "feature_weight": 0.0, "gan_weight": 0.0, "pixel_weight": 1.0, "kernel": 1}
    _, result = fit(FSSR, log_every=20, **given)
    for loss, share in (("color", 0.8), ("pixel", 1)):  # bicubic interpolation is near its best
        values = [value for name, value in zip(result.history["name"], result.history["value"],
                                               strict=True) if name == loss]
        assert values[-1] < share * values[0], loss
