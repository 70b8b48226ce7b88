"""Checks of a dataset's training draws.

Legend: z = how many standard deviations a statistic is away from what chance makes of it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from srbench.conformance.check import Check, Failed, NotTried
from srbench.conformance.dataset_trial import Role, trial

ROLES: tuple[Role, Role] = ("lr", "hr")
ROUNDS = 4  # pairs of draws looked at for what LR and HR have in common
SUFFICIENT = 6.0  # z that chance does not reach
PERMUTATIONS = 200
OUTER = 1.5  # nominal range [-1, 1], and what noise or a sharpening adds to it
FEW = 0.01
BEFORE = ("the constructor", "prepare")  # the harness seeds the generators after them
BATCH_WANTED = 64  # methods draw up to 64 samples at a time


def shape_and_type(subject: Any) -> None:
    """Samples are float32 tensors of the declared shape on the prepared device."""
    known = trial(subject)
    problem = known.dataset.problem
    for role, shape in zip(ROLES, (problem.lr_shape, problem.hr_shape), strict=True):
        for n in (1, 3):
            samples = known.harness_draw(role, n, 1000 + n)
            if not isinstance(samples, Tensor):
                raise Failed(f"sample_{role}({n}) returned a {type(samples).__name__}")
            if samples.shape != (n, *shape):
                raise Failed(f"sample_{role}({n}) has the shape {tuple(samples.shape)}, not "
                             f"{(n, *shape)} as problem.{role}_shape says")
            if samples.dtype != torch.float32 or samples.device.type != "cpu":
                raise Failed(f"sample_{role}({n}) is {samples.dtype} on {samples.device}, "
                             "not torch.float32 on the prepared device, the CPU")
            if samples.requires_grad:
                raise Failed(f"sample_{role}({n}) carries a gradient graph")


def in_range(subject: Any) -> None:
    """Samples are finite, and images lie in [-1, 1] but for a little noise."""
    known = trial(subject)
    for role in ROLES:
        samples = torch.cat(known.samples[role])
        if not bool(samples.isfinite().all()):
            raise Failed(f"sample_{role} gives values that are not finite")
        if bool((samples == samples[:1]).all()):
            raise Failed(f"all {len(samples)} samples of sample_{role} are equal")
        if not known.dataset.problem.is_image:
            continue
        low, high = float(samples.min()), float(samples.max())
        share = float((samples.abs() > OUTER).float().mean())
        if share > FEW:
            raise Failed(f"sample_{role} gives values from {low:.4g} to {high:.4g}, where the "
                         "range is [-1, 1]")
        if low >= 0:
            raise Failed(f"sample_{role} gives values from {low:.4g} to {high:.4g}: [0, 1] "
                         "instead of [-1, 1]?")


def follow_generator(subject: Any) -> None:
    """A draw is a function of its generator's state and of nothing else."""
    known = trial(subject)
    for role in ROLES:
        first = known.draw(role, 4, seed=7)
        known.draw("hr", 5, seed=8)
        torch_state = torch.get_rng_state()
        torch.manual_seed(12345)  # what else a draw might follow
        again = known.draw(role, 4, seed=7)
        torch.set_rng_state(torch_state)
        if not torch.equal(first, again):
            raise Failed(f"sample_{role} gives other samples for the same state of its generator "
                         f"(largest difference {_gap(first, again):.3g})")
        if not torch.equal(first, known.draw(role, 4, seed=7, dataset=known.other)):
            raise Failed(f"sample_{role} of two objects differs for the same state of the "
                         "generator")
        if torch.equal(first, known.draw(role, 4, seed=9)):
            raise Failed(f"sample_{role} gives the same samples for generators of two seeds")


def independent(subject: Any) -> None:
    """LR and HR draws of one training have nothing in common."""
    known = trial(subject)
    rounds = [(lr, hr) for lr, hr in zip(known.samples["lr"], known.samples["hr"], strict=True)]
    scores = [common(lr, hr) for lr, hr in rounds[:ROUNDS]]
    z = sum(scores) / math.sqrt(len(scores))
    if z > SUFFICIENT:
        raise Failed(f"samples of one place in an LR and an HR batch belong together: likeness "
                     f"between LR samples goes with likeness between HR samples ({z:.0f} standard "
                     "deviations above chance)")


def common(lr: Tensor, hr: Tensor) -> float:
    """Tell how well the distances between LR samples foretell those between HR samples.

    Mantel's test: the correlation of the two matrices of distances, against that for the HR
    samples in random order. It sees pairs under any map that keeps neighbours near each other.

    Parameters
    ----------
    lr, hr : Tensor
        n samples each.

    Returns
    -------
    float
        z of the correlation; standard normal for independent samples.
    """
    one, other = _distances(lr), _distances(hr)
    generator = np.random.default_rng(0)
    n = len(one)
    matched = _correlation(one, other)
    orders = (generator.permutation(n) for _ in range(PERMUTATIONS))
    chance = np.array([_correlation(one, other[np.ix_(order, order)]) for order in orders])
    spread = float(chance.std())
    return float((matched - chance.mean()) / spread) if spread > 0 else 0.0


def undisturbed(subject: Any) -> None:
    """Python's, NumPy's and torch's global generators stay as they are."""
    known = trial(subject)
    _ = known.samples, known.test, known.dataset.has_validation and known.validation
    disturbed = [what for what in dict.fromkeys(known.effects.disturbed) if what not in BEFORE]
    if disturbed:
        raise Failed(f"global random generators moved in {', '.join(disturbed)}")


def pool_valid(subject: Any) -> None:
    """A pool, where there is one, holds what a training wants of it."""
    dataset = trial(subject).dataset
    pool = dataset.pool
    if pool is None:
        raise NotTried("it draws every batch afresh")
    for name in ("size", "block", "refresh_every"):
        value = getattr(pool, name, None)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Failed(f"pool.{name}={value!r} is no whole number")
    if pool.size < BATCH_WANTED:
        raise Failed(f"a pool of {pool.size} samples serves no batch of {BATCH_WANTED}")


def _distances(samples: Tensor) -> np.ndarray:
    flat = samples.double().flatten(1)
    return torch.cdist(flat, flat).numpy()


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    rows, columns = np.triu_indices(len(one), 1)
    x, y = one[rows, columns], other[rows, columns]
    x, y = x - x.mean(), y - y.mean()
    scale = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / scale if scale > 0 else 0.0


def _gap(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max()) if one.shape == other.shape else math.inf


CHECKS: tuple[Check, ...] = (
    Check(name="samples-have-shape-and-type", kind="dataset", run=shape_and_type,
          what="sample_lr(n) and sample_hr(n) return n float32 samples of the declared shapes on "
               "the prepared device.",
          remedy="Return float32 tensors of shape (n, *problem.lr_shape) and "
                 "(n, *problem.hr_shape), on the device prepare was given."),
    Check(name="samples-in-range", kind="dataset", run=in_range,
          what="Samples are finite and differ; images lie in [-1, 1] but for a little noise.",
          remedy="Scale images to [-1, 1]: images.float() / 127.5 - 1 for bytes."),
    Check(name="samples-follow-their-generator", kind="dataset", run=follow_generator,
          what="A draw depends on the state of its generator alone; other seeds give other "
               "samples.",
          remedy="Draw every random number with generator=generator, and keep no counters."),
    Check(name="lr-and-hr-independent", kind="dataset", run=independent,
          what="An LR and an HR batch of a training hold no aligned pairs.",
          remedy="Draw HR samples from the generator sample_hr is given; never serve the partner "
                 "of an LR sample."),
    Check(name="global-randomness-untouched", kind="dataset", run=undisturbed,
          what="Drawing and reading leave the global random generators alone.",
          remedy="Draw with the generator given, and held-out data with torch.Generator() of your "
                 "own seed."),
    Check(name="pool-is-valid", kind="dataset", run=pool_valid,
          what="A pool is large enough for the batches that methods draw.",
          remedy="Return PoolSettings(size=..., block=..., refresh_every=...) with a size of some "
                 "thousand samples, or None."),
)
