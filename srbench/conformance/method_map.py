"""Checks of the trained map: what it returns, and what using it leaves behind."""

from __future__ import annotations

import copy
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from srbench.conformance.check import Check, Failed, NotTried
from srbench.conformance.method_training import different, said
from srbench.training.precision import place

if TYPE_CHECKING:
    from srbench.conformance.attempt import Attempt
    from srbench.conformance.method_subject import MethodSubject

SIZES = ((16, 16), (17, 23), (24, 19), (31, 37))  # of LR photographs
CLOSE = 1e-4  # of a value near 1: what the order of sums may change
BYTES = 8.0  # mean of |T(x)| beyond which an output is no image of range [-1, 1]
DEVICE = "cuda"
SAME = 1e-6  # what another order of memory may change
GPU = 1e-2  # what another device's kernels and TF32 may change


def shape(subject: MethodSubject) -> None:
    """T(x) has the shape of the HR sample."""
    first = subject.trained()
    assert first.dataset is not None
    for lr, hr in first.dataset.test_batches(6):
        mapped = mapped_by(first, lr)
        if mapped.shape != hr.shape:
            raise Failed(f"T maps {tuple(lr.shape)} to {tuple(mapped.shape)}, the HR samples are "
                         f"{tuple(hr.shape)}{at_forward(first)}")


def dtype(subject: MethodSubject) -> None:
    """T(x) is float32."""
    first = subject.trained()
    mapped = mapped_by(first, first.inputs()[0])
    if mapped.dtype != torch.float32:
        raise Failed(f"T(x) is {mapped.dtype}{at_forward(first)}")


def value_range(subject: MethodSubject) -> None:
    """Values are finite and look like the range [-1, 1]."""
    first = subject.trained()
    values = torch.cat([mapped_by(first, lr).flatten() for lr in first.inputs()]).double()
    if not values.isfinite().all():
        bad = int((~values.isfinite()).sum())
        raise Failed(f"{bad} of {len(values)} values of T(x) are not finite")
    if subject.problem == "vectors":
        return
    low, high, size = float(values.min()), float(values.max()), float(values.abs().mean())
    if size > BYTES:
        raise Failed(f"T(x) has values from {low:.3g} to {high:.3g}; images are in [-1, 1], not in "
                     "[0, 255]")
    if low >= 0:
        raise Failed(f"T(x) has values from {low:.3g} to {high:.3g} and none below 0, as images in "
                     "[0, 1] have; here they are in [-1, 1]")


def any_size(subject: MethodSubject) -> None:
    """Photographs of any size are magnified."""
    if subject.problem != "photographs":
        raise NotTried("samples of this problem have one size")
    first = subject.trained()
    for height, width in SIZES:
        lr = torch.linspace(-1, 1, 3 * height * width).reshape(1, 3, height, width)
        try:
            mapped = mapped_by(first, lr)
        except Failed as error:
            raise Failed(f"a photograph of {height} x {width}: {error}") from error
        wanted = (1, 3, 4 * height, 4 * width)
        if mapped.shape != wanted:
            raise Failed(f"a photograph of {height} x {width} becomes {tuple(mapped.shape)}, not "
                         f"{wanted}{at_forward(first)}")


def batch_independent(subject: MethodSubject) -> None:
    """T of a batch is T of each sample alone."""
    first = subject.trained()
    lr = first.inputs()[0]
    if len(lr) < 2:
        lr = torch.cat([lr, lr.flip(2)])
    together = mapped_by(first, lr)
    for index in range(len(lr)):
        apart = mapped_by(first, lr[index:index + 1])[0]
        gap = float((together[index] - apart).abs().max())
        if gap > CLOSE * max(1.0, float(apart.abs().max())):
            raise Failed(f"T of sample {index} differs by {gap:.2g} when the sample is alone in "
                         f"its batch{at_forward(first)}")


def repeats(subject: MethodSubject) -> None:
    """Two calls return the same bits."""
    first = subject.trained()
    lr = first.inputs()[0]
    one = mapped_by(first, lr)
    torch.rand(7), np.random.rand(7), random.random()  # the second call draws other numbers
    two = mapped_by(first, lr)
    if not torch.equal(one, two):
        raise Failed(f"two calls on one input differ by {float((one - two).abs().max()):.2g} in "
                     f"eval mode{at_forward(first)}")


def keeps_input(subject: MethodSubject) -> None:
    """The input is as it was."""
    first = subject.trained()
    lr = first.inputs()[0]
    given = lr.clone()
    mapped_by(first, given)
    if not torch.equal(given, lr):
        raise Failed(f"after T(x) its input x is another{at_forward(first)}")


def leaves_weights(subject: MethodSubject) -> None:
    """Evaluation in eval mode changes no weight, buffer or mode."""
    first = subject.trained()
    assert first.method is not None
    method = copy.deepcopy(first.method).eval()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    training = [name for name, module in method.named_modules() if module.training]
    if training:
        raise Failed(f"after eval() {training[0] or 'the method'!r} is still in train mode")
    with torch.no_grad():
        for lr in first.inputs():
            method(lr)
    name = different(before, method.state_dict())
    if name:
        raise Failed(f"calling T in eval mode changes {name!r}{at_forward(first)}")
    training = [name for name, module in method.named_modules() if module.training]
    if training:
        raise Failed(f"calling T in eval mode puts {training[0] or 'the method'!r} into train "
                     f"mode{at_forward(first)}")


def save_and_load(subject: MethodSubject) -> None:
    """A new object with the saved state is the same map."""
    first, plan = subject.trained(), subject.plan()
    assert first.dataset is not None
    fresh = plan.cls(plan.params, first.dataset.problem)
    try:
        fresh.load_state_dict(first.weights())
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        raise Failed(f"the state of the trained map does not fit a newly built one: "
                     f"{' '.join(lines[1:2]) or lines[0]}") from error
    place(fresh, torch.device("cpu"))
    fresh.eval()
    for index, (lr, wanted) in enumerate(zip(first.inputs(), first.outputs(), strict=True)):
        with torch.no_grad():
            gap = float((fresh(lr) - wanted).abs().max())
        if gap > SAME * max(1.0, float(wanted.abs().max())):
            raise Failed(f"a newly built map with the saved state maps test batch {index} "
                         f"differently, by {gap:.2g}: something T needs is not in its state_dict")


def cpu_and_gpu(subject: MethodSubject) -> None:
    """The trained map gives the same on a GPU, up to its arithmetic."""
    if not has_gpu():
        raise NotTried("there is no GPU here")
    first = subject.trained()
    assert first.method is not None
    method = copy.deepcopy(first.method).to(DEVICE).eval()
    for lr, wanted in zip(first.inputs(), first.outputs(), strict=True):
        try:
            with torch.no_grad():
                mapped = method(lr.to(DEVICE))
        except RuntimeError as error:
            raise Failed(f"on a GPU T raised {type(error).__name__}: {error}"
                         f"{at_forward(first)}") from error
        if mapped.device.type != DEVICE:
            raise Failed(f"T(x) of x on a GPU is on {mapped.device}{at_forward(first)}")
        gap = float((mapped.cpu() - wanted).abs().max())
        if gap > GPU * max(1.0, float(wanted.abs().max())):
            raise Failed(f"T(x) on a GPU and on the CPU differ by {gap:.2g}")
    trained = subject.on(DEVICE)
    if trained.error is not None:
        raise Failed(f"on a GPU fit raised {said(trained)}")


# --- shared by the checks


def has_gpu() -> bool:
    """Whether there is another device to try the map on."""
    return torch.cuda.is_available()


def mapped_by(attempt: Attempt, lr: Tensor) -> Tensor:
    """Return T(lr), or fail with what was raised or returned in its place."""
    from srbench.conformance.attempt import place_of

    try:
        mapped: Any = attempt.map(lr)
    except Exception as error:  # the plugin's own code
        place = place_of(error, attempt.watch.own)
        raise Failed(f"T of {tuple(lr.shape)} raised {type(error).__name__}: {error}"
                     + (f" in {place}" if place else "")) from error
    if not isinstance(mapped, Tensor):
        raise Failed(f"forward returned a {type(mapped).__name__}, not a tensor"
                     f"{at_forward(attempt)}")
    return mapped


def at_forward(attempt: Attempt) -> str:
    """Where ``forward`` is written, as the end of a sentence."""
    from srbench.conformance.sightings import at

    code = getattr(getattr(type(attempt.method), "forward", None), "__code__", None)
    return "" if code is None else f" ({at(code.co_filename, code.co_firstlineno)})"


def _check(name: str, what: str, remedy: str, run: Any) -> Check:
    return Check(name=name, kind="method", what=what, remedy=remedy, run=run, scope="problem")


CHECKS = (
    _check("output-shape", "T(x) has the shape of the HR sample.", "Return (N, 3, s*h, s*w) for "
           "(N, 3, h, w), with s = self.problem.scale, and (N, d) for (N, d).", shape),
    _check("output-dtype", "T(x) is float32.", "Return mapped.to(lr.dtype).", dtype),
    _check("output-range", "T(x) is finite, and of images in [-1, 1].", "Bring what the networks "
           "return in [0, 1] or [0, 255] to [-1, 1] at the end of forward.", value_range),
    _check("any-size", "Photographs of any size, odd and rectangular, are magnified by the scale.",
           "Take sizes from lr.shape in forward, never from self.problem; pad and cut inside "
           "where the network needs a multiple.", any_size),
    _check("batch-independent", "In eval mode T of a batch is T of each of its samples.",
           "Use BatchNorm in eval mode only through self.eval(), and no statistics of the batch.",
           batch_independent),
    _check("forward-repeats", "In eval mode two calls return the same bits.", "Switch dropout and "
           "noise by self.training.", repeats),
    _check("forward-keeps-its-input", "T(x) leaves x as it was.", "Do not work in place on the "
           "argument of forward: no lr += ..., lr.clamp_(...).", keeps_input),
    _check("evaluation-leaves-weights-and-buffers", "Calling T in eval mode changes no weight, no "
           "buffer (BatchNorm!) and no mode.", "Do not override train() or eval(), nor call them "
           "in forward, and update no buffer there.", leaves_weights),
    _check("save-and-load", "A newly built method with the saved state_dict is the same map.",
           "Create every network in build, and keep numbers T needs in parameters or by "
           "register_buffer.", save_and_load),
    _check("cpu-and-gpu-alike", "The trained map gives the same on CPU and GPU, and is trained "
           "on either.", "Create tensors on lr.device or training.device, and keep constants in "
           "buffers.", cpu_and_gpu),
)
