"""Checks of a dataset's held-out pairs and of the facts it states."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import torch
from torch import Tensor

from srbench.api.dataset import CropDataset
from srbench.conformance.check import Check, Failed, NotTried
from srbench.conformance.dataset_sampling import OUTER
from srbench.conformance.dataset_trial import BATCH, Pairs, Trial, trial
from srbench.evaluation.transport_cost import upsampled

ERRORS = 5.0  # standard errors by which a stated number may differ from ours
SLACK = 0.03  # share by which it may differ besides: it is an estimate too
COUNTED = 4096  # test pairs that are counted at most


def shapes(subject: Any) -> None:
    """HR images of pairs are scale times as large as LR images."""
    known = trial(subject)
    problem, crops = known.dataset.problem, isinstance(known.dataset, CropDataset)
    splits = {"test": known.test}
    if known.dataset.has_validation:
        splits["validation"] = known.validation
    for split, pairs in splits.items():
        if not pairs:
            raise Failed(f"{split}_batches yields no pairs" + (
                "; a dataset without validation pairs sets has_validation = False"
                if split == "validation" else ""))
        for index, (lr, hr) in enumerate(pairs):
            which = f"{split} pair {index}"
            if lr.dtype != torch.float32 or hr.dtype != torch.float32:
                raise Failed(f"{which} is {lr.dtype} and {hr.dtype}, not torch.float32")
            if not (bool(lr.isfinite().all()) and bool(hr.isfinite().all())):
                raise Failed(f"{which} holds values that are not finite")
            if not crops and (lr.shape, hr.shape) != (problem.lr_shape, problem.hr_shape):
                raise Failed(f"{which} has the shapes {tuple(lr.shape)} and {tuple(hr.shape)}, "
                             f"problem says {problem.lr_shape} and {problem.hr_shape}")
            if problem.is_image:
                _image_pair(which, lr, hr, problem.scale)


def _image_pair(which: str, lr: Tensor, hr: Tensor, scale: int) -> None:
    wanted = (3, scale * lr.shape[-2], scale * lr.shape[-1])
    if lr.shape[0] != 3 or hr.shape != wanted:
        raise Failed(f"{which}: HR has the shape {tuple(hr.shape)}, LR {tuple(lr.shape)} at scale "
                     f"{scale}")
    for role, image in (("LR", lr), ("HR", hr)):
        if float((image.abs() > OUTER).float().mean()) > 0.01:
            raise Failed(f"{which}: {role} has values from {float(image.min()):.4g} to "
                         f"{float(image.max()):.4g}, where the range is [-1, 1]")


def repeat(subject: Any) -> None:
    """Test and validation pairs are the same at every call, whatever the batch size."""
    known = trial(subject)
    for split in ("test", "validation"):
        if split == "validation" and not known.dataset.has_validation:
            continue
        first = known.pairs(split)
        known.harness_draw("lr", 2, 2000)
        for batch_size, what in ((BATCH, "a second call"), (7, "another batch size")):
            again = known.pairs(split, batch_size=batch_size)
            _same(first, again, f"{split} pair", what)
    again = known.pairs("test", dataset=known.other)
    _same(known.test, again, "test pair", "another object")
    _counted(known)


def _same(first: Pairs, again: Pairs, name: str, what: str) -> None:
    if len(first) != len(again):
        raise Failed(f"{what} yields {len(again)} of the first {len(first)} {name}s")
    for index, (one, other) in enumerate(zip(first, again, strict=True)):
        if not all(torch.equal(a, b) for a, b in zip(one, other, strict=True)):
            raise Failed(f"{what} yields another {name} {index}")


def _counted(known: Trial) -> None:
    """Check that facts()["test_size"] is right where it can be counted in time."""
    stated = known.dataset.facts().get("test_size")
    if stated is None or stated > COUNTED:
        return
    found = sum(len(lr) for lr, _ in known.dataset.test_batches(64))
    if found != stated:
        raise Failed(f'test_batches yields {found} pairs, facts()["test_size"] says {stated}')


def disjoint(subject: Any) -> None:
    """No validation pair is a test pair."""
    known = trial(subject)
    test, validation = known.test, known.validation
    for role, which in (("LR", 0), ("HR", 1)):
        seen = {_digest(pair[which]): index for index, pair in enumerate(test)}
        for index, pair in enumerate(validation):
            twin = seen.get(_digest(pair[which]))
            if twin is not None:
                raise Failed(f"the {role} image of validation pair {index} is that of test pair "
                             f"{twin}")


def unseen(subject: Any) -> None:
    """No test image is among the training samples."""
    known = trial(subject)
    problem = known.dataset.problem
    if all((lr.shape, hr.shape) != (problem.lr_shape, problem.hr_shape) for lr, hr in known.test):
        raise NotTried("training draws are crops: see scenes-apart")
    for which, role in enumerate(("lr", "hr")):
        seen = {_digest(pair[which]): index for index, pair in enumerate(known.test)}
        drawn = (sample for block in known.samples[role] for sample in block)  # type: ignore[index]
        for sample in drawn:
            if _digest(sample) in seen:
                raise Failed(f"sample_{role} serves the {role.upper()} image of test pair "
                             f"{seen[_digest(sample)]}")


def known_facts(subject: Any) -> None:
    """hr_variance and transport_cost are what samples and pairs say."""
    known = trial(subject)
    if not known.dataset.known_map:
        raise NotTried("its true map is not known")
    facts = known.dataset.facts()
    hr = torch.cat(known.samples["hr"]).double().flatten(1)
    pairs = known.pairs("test", most=COUNTED // 4)
    scale = known.dataset.problem.scale
    moves = torch.stack([(hr - upsampled(lr[None], scale)[0]).double().square().sum() / 2
                         for lr, hr in pairs])
    found = {"hr_variance": (hr - hr.mean(0)).square().sum(1), "transport_cost": moves}
    for name, terms in found.items():
        if name not in facts:
            raise Failed(f"facts() has no {name!r}, which L2-UVP and the page need where the true "
                         "map is known")
        mean, error = float(terms.mean()), float(terms.std()) / math.sqrt(len(terms))
        stated = float(facts[name])
        if not abs(stated - mean) <= ERRORS * error + SLACK * abs(mean):
            raise Failed(f"facts()[{name!r}] is {stated:.5g}; {len(terms)} samples give "
                         f"{mean:.5g} ± {error:.2g}")


def facts_are_data(subject: Any) -> None:
    """facts() is JSON data, the same before and after use."""
    known = trial(subject)
    first = known.dataset.facts()
    try:
        text = json.dumps(first, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Failed(f"facts() cannot be written to a record: {error}") from error
    _ = known.samples, known.test
    if json.dumps(known.dataset.facts(), sort_keys=True) != text:
        raise Failed("facts() changes while the dataset is used")
    scenes = first.get("test_scenes")
    if scenes is not None and len(scenes) < len(known.test):
        raise Failed(f'facts()["test_scenes"] names {len(scenes)} scenes for more test images')


def _digest(image: Tensor) -> bytes:
    return hashlib.sha256(image.contiguous().numpy().tobytes()).digest()


CHECKS: tuple[Check, ...] = (
    Check(name="pairs-have-shape-and-scale", kind="dataset", run=shapes,
          what="Test and validation pairs are float32 images in range, HR scale times as large as "
               "LR.",
          remedy="Cut HR images to scale times the LR size, and set problem to what is served."),
    Check(name="test-pairs-repeat", kind="dataset", run=repeat,
          what="Held-out pairs are the same ones in the same order at each call, for every batch "
               "size and object.",
          remedy="Make pairs from generators with seeds of their own, chunk by chunk, not batch "
                 "by batch."),
    Check(name="validation-disjoint-from-test", kind="dataset", run=disjoint,
          what="No validation image is a test image.",
          remedy="Use another seed or other images for validation, or set "
                 "has_validation = False."),
    Check(name="test-not-in-training", kind="dataset", run=unseen,
          what="Training draws serve no test image.",
          remedy="Keep test images out of what sample_lr and sample_hr draw from."),
    Check(name="known-map-facts", kind="dataset", run=known_facts,
          what="facts() states the total variance of Q and the transport cost of the true map "
               "within sampling error.",
          remedy="hr_variance is the sum over all values of their variances; transport_cost is "
                 "half the mean of the squared distance |x - y|^2 of pairs."),
    Check(name="facts-are-data", kind="dataset", run=facts_are_data,
          what="facts() is JSON data that does not change with use.",
          remedy="Return whole numbers, floats, texts and lists; compute them in prepare."),
)
