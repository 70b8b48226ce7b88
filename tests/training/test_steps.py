"""The loop: minimize, log, track, precision, divergence, and no waiting for the device."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from srbench.errors import Diverged, ParameterError
from srbench.training import Training

SYNCHRONISING = ("item", "cpu", "tolist", "numpy", "__bool__", "__float__", "__int__")


def two_networks(toy, training, method, optimizer=torch.optim.SGD, rate=1e-2):
    f = training.track(f=nn.Sequential(nn.Flatten(), nn.Linear(108, 1)))
    return f, *training.track(optimizer_T=optimizer(method.parameters(), rate),
                              optimizer_f=optimizer(f.parameters(), rate))


def test_minimize_reaches_only_its_optimizers_parameters(toy):
    method, training = toy.cell(None)
    f, optimizer_T, optimizer_f = two_networks(toy, training, method)
    for step in training.steps(1):
        step.minimize(f(method(training.lr(2))).sum(), optimizer_T)
        assert all(p.grad is None for p in f.parameters())
        assert all(p.grad is not None for p in method.parameters())
        kept = [p.grad.clone() for p in method.parameters()]
        step.minimize(f(method(training.lr(2))).sum(), optimizer_f)
        assert all(map(torch.equal, kept, (p.grad for p in method.parameters())))


def test_minimize_is_one_step_of_the_optimizer(toy):
    method, training = toy.cell(None)
    f, _, optimizer_f = two_networks(toy, training, method)
    weight, bias = f[1].weight.detach().clone(), f[1].bias.detach().clone()
    for step in training.steps(2):
        x = training.lr(2)
        step.minimize(f(x).sum(), optimizer_f)
        weight, bias = weight - 1e-2 * x.flatten(1).sum(0), bias - 1e-2 * 2
        torch.testing.assert_close(f[1].weight, weight)
        torch.testing.assert_close(f[1].bias, bias)


def test_untracked_optimizer_is_refused(toy):
    method, training = toy.cell(None)
    optimizer = torch.optim.SGD(method.parameters())
    with pytest.raises(ValueError, match="SGD that is not tracked"):
        toy.exhaust(training.steps(1),
                    lambda step: step.minimize(method(training.lr(2)).sum(), optimizer))


def test_names_are_unique_and_objects_must_have_a_state(toy):
    method, training = toy.cell(None)
    layer = nn.Linear(1, 1)
    assert training.track(a=layer) is layer
    assert training.track(b=layer, c=layer) == (layer, layer)
    with pytest.raises(ValueError, match="'a' is already tracked"):
        training.track(a=nn.Linear(1, 1))
    with pytest.raises(ValueError, match="'method' is already tracked"):
        training.track(method=method)
    with pytest.raises(ValueError, match="number=int has no state_dict"):
        training.track(number=3)


def test_tracked_modules_keep_their_parameters_in_nhwc(toy):
    _, training = toy.cell(None)
    f = nn.Conv2d(3, 4, 3)
    before = list(f.parameters())
    training.track(f=f)
    assert all(new is old for new, old in zip(f.parameters(), before, strict=True))
    assert f.weight.is_contiguous(memory_format=torch.channels_last)


def test_no_step_waits_for_the_device(toy, monkeypatch):
    """Everything that brings a value to the host raises, but for the step that flushes."""
    method, training = toy.cell(None, log_every=5, validate=None)
    f, optimizer_T, optimizer_f = two_networks(toy, training, method)
    armed = [False]
    for name in SYNCHRONISING:
        real = getattr(torch.Tensor, name)

        def guarded(self, *args, _real=real, _name=name, **options):
            assert not armed[0], f"Tensor.{_name} in step {step.index}"
            return _real(self, *args, **options)

        monkeypatch.setattr(torch.Tensor, name, guarded)
    flushes = 0
    for step in training.steps(10):
        armed[0] = True
        loss = f(method(training.lr(2))).mean()
        step.minimize(loss, optimizer_T)
        step.minimize(f(training.hr(2)).mean(), optimizer_f)
        step.log(loss=loss, rate=0.5)
        if step.index % 5 == 4:
            armed[0], flushes = False, flushes + 1
    assert flushes == 2
    armed[0] = True
    with pytest.raises(AssertionError, match=r"Tensor\.item"):
        loss.item()
    armed[0] = False


def test_only_scalars_are_logged(toy):
    _, training = toy.cell(None)
    for step in training.steps(1):
        with pytest.raises(ValueError, match=r"noise has the shape \(2, 3, 6, 6\)"):
            step.log(noise=training.lr(2))


def train(toy, precision, steps=30):
    method, training = toy.cell(None, precision=precision, validate=None)
    f, optimizer_T, optimizer_f = two_networks(toy, training, method)
    seen = set()
    for step in training.steps(steps):
        x = training.lr(8)
        mapped = method(x)
        seen |= {x.dtype, mapped.dtype, torch.is_autocast_enabled("cpu")}
        step.minimize((mapped - x).square().mean() - f(mapped).mean(), optimizer_T)
        step.minimize(f(method(x).detach()).mean() - f(training.hr(8)).mean(), optimizer_f)
    training.finish()
    assert not torch.is_autocast_enabled("cpu")
    return method, seen


def test_bf16_runs_in_bf16_and_stays_near_fp32(toy):
    full, seen_full = train(toy, "fp32")
    half, seen_half = train(toy, "bf16")
    assert seen_full == {torch.float32, False}
    assert seen_half == {torch.float32, torch.bfloat16, True}
    assert all(weight.dtype == torch.float32 for weight in half.parameters())
    start, _ = toy.cell(None)
    begin, end, near = (torch.cat([weight.detach().flatten() for weight in method.parameters()])
                        for method in (start, full, half))
    assert 0 < (near - end).norm() < 0.1 * (end - begin).norm()


def test_bf16_sees_weights_updated_within_the_step(toy):
    """Autocast's cache would serve the old ones."""
    method, training = toy.cell(None, precision="bf16", validate=None)
    f, _, optimizer_f = two_networks(toy, training, method, rate=1.0)
    for step in training.steps(1):
        x = training.lr(4)
        before = f(x)
        step.minimize(before.sum(), optimizer_f)
        expected = nn.functional.linear(x.flatten(1), f[1].weight, f[1].bias)
        assert torch.equal(f(x), expected)
        assert (f(x) - before).abs().min() > 1


def test_unknown_precision_is_refused(toy):
    with pytest.raises(ParameterError, match="no precision named 'fp16'"):
        toy.cell(None, precision="fp16")


def diverging(toy, poison, stage="main", at=6, **options):
    """Train two networks; ``poison(loss)`` replaces the loss of f at step ``at``."""
    method, training = toy.cell(options.pop("folder", None), log_every=4, **options)
    f, optimizer_T, optimizer_f = two_networks(toy, training, method)
    for step in training.stage(stage).steps(20):
        step.minimize(method(training.lr(2)).square().mean(), optimizer_T)
        loss = f(training.hr(2)).mean()
        step.minimize(poison(loss) if step.index + 1 == at else loss, optimizer_f)
    return training


@pytest.mark.parametrize(("poison", "word"), [
    (lambda loss: loss * float("nan"), "nan"), (lambda loss: loss / 0.0, r"-?inf"),
    (lambda loss: loss.abs() * -float("inf"), "-inf")])
def test_first_loss_that_is_not_finite_is_named(toy, poison, word):
    with pytest.raises(Diverged, match=rf"^loss of 'optimizer_f' is {word} at step 6 \(") as error:
        diverging(toy, poison)
    assert error.value.exit_code == 3


def test_divergence_names_the_stage_and_is_found_before_a_checkpoint(toy, tmp_path):
    with pytest.raises(Diverged, match="at step 3 of stage 'warm-up'"):
        diverging(toy, lambda loss: loss * float("nan"), "warm-up", 3, folder=tmp_path,
                  checkpoint_seconds=0.0)
    from srbench.training.checkpoint import CheckpointStore

    state = CheckpointStore(tmp_path / "checkpoint").read()
    assert state["stages"][0]["steps"] == 2
    assert all(value.isfinite().all() for value in state["objects"]["f"].values())


def test_gradient_that_is_not_finite_is_named(toy):
    """The loss of the last step is finite, its gradient is that of the root at 0."""
    with pytest.raises(Diverged, match="gradient of 'optimizer_f' is nan at step 20"):
        diverging(toy, lambda loss: (loss * 0).square().sqrt(), at=20)


def test_weights_that_are_not_finite_end_as_diverged(toy):
    method, training = toy.cell(None, validate=None)
    for _ in training.steps(3):
        with torch.no_grad():
            method.T[0].weight[0, 0, 0, 0] = float("inf")
    with pytest.raises(Diverged, match="weights of 'method' are inf at step 3"):
        training.finish()


def test_a_stage_runs_once_and_break_finishes_it(toy):
    _, training = toy.cell(None, validate=None)
    for step in training.steps(10):
        step.log(value=1.0)
        if step.index == 5:
            break
    with pytest.raises(ValueError, match="'main' was already run"):
        next(training.steps(10))
    with pytest.raises(ValueError, match="cannot have -1 steps"):
        training.stage("other").steps(-1)
    result = training.finish()
    assert (result.steps, result.stages[0].name) == (6, "main")
    assert result.history["step"] == [4, 6]


def test_broken_off_stage_is_not_run_again_on_resume(toy, tmp_path):
    def fit(training):
        done = []
        for step in training.stage("a").steps(10):
            done.append(("a", step.index))
            if step.index == 2:
                break
        done += [("b", step.index) for step in training.stage("b").steps(4)]
        return done

    stops = iter([False] * 3 + [True])
    _, training = toy.cell(tmp_path, should_stop=lambda: next(stops))
    with pytest.raises(toy.Interrupted):
        fit(training)
    _, training = toy.cell(tmp_path)
    assert fit(training) == [("b", 2), ("b", 3)]


def test_public_names():
    assert Training.__module__ == "srbench.training.training"
