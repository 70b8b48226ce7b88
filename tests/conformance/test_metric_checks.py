"""Each check of metrics sees what it is for, and lets sound metrics pass."""

from __future__ import annotations

import random
from typing import ClassVar

import pytest
import torch

from srbench.api.metric import Metric, Score
from srbench.conformance import metric_checks
from srbench.conformance.metric_trial import COUNT, scenes, trial
from srbench.conformance.subjects import MetricSubject
from srbench.errors import MissingWeights
from srbench.registry.catalog import discover
from tests.conformance.subjects import Scores, verdict

CHECKS = {check.name: check for check in metric_checks.CHECKS
          if check not in metric_checks.declared.METRIC}
BUILT_IN = ("l2-uvp", "cosine", "psnr", "spectrum-gap", "transport-cost", "palette-gap")


@pytest.fixture(scope="module")
def catalog():
    return discover()


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_metrics_pass(name, catalog):
    subject = MetricSubject(catalog.metric(name))
    found = {check.name: verdict(check, subject) for check in metric_checks.CHECKS
             if check.name != "metric-module-is-light"}  # a process of its own
    assert not [said for said in found.values() if said.startswith("failed")]
    assert sum(said == "passed" for said in found.values()) >= len(found) - 2


def test_names_are_unique_and_there_are_enough():
    names = [check.name for check in metric_checks.CHECKS]
    assert len(names) == len(set(names)) >= 8
    assert all(check.kind == "metric" and check.remedy for check in metric_checks.CHECKS)


class Sound(Metric):
    """Mean squared error, as a metric is written in the documentation."""

    protocol: ClassVar[str] = "toy/mse/v1"
    image_only = False

    def __init__(self, context):
        super().__init__(context)
        self.values = []

    def update(self, prediction, target, lr):
        self.values += (prediction - target).square().flatten(1).mean(1).tolist()

    def compute(self):
        return Score(value=sum(self.values) / len(self.values), count=len(self.values),
                     per_image=list(self.values))


def test_a_sound_metric_passes():
    subject = Scores(Sound)
    assert {name: verdict(check, subject) for name, check in CHECKS.items()} == dict.fromkeys(
        CHECKS, "passed")


class Unversioned(Sound):
    protocol = "mse"


class Borrowed(Sound):
    protocol = "psnr/rgb-float-clamped/piq-eps1e-8/v1"


class Doubtful(Sound):
    def self_check(self):
        raise ValueError("PSNR(x, x) gives 79")


class Raising(Sound):
    @classmethod
    def unsuited(cls, context):
        return "" if context.facts["hr_variance"] > 0 else "Var(Q) is 0"


class Curt(Sound):
    @classmethod
    def unsuited(cls, context):
        return "no" if context.problem.domain == "vector" else ""


class NotANumber(Sound):
    def compute(self):
        return Score(value=float("nan"), count=COUNT)


class Tensors(Sound):
    def compute(self):
        return Score(value=1.0, count=COUNT, detail={"mean": torch.zeros(3)})


class OffInterval(Sound):
    def compute(self):
        return Score(value=1.0, count=COUNT, interval=(2.0, 3.0))


class Twice(Sound):
    def compute(self):
        return Score(value=sum(self.values), count=COUNT, per_image=[*self.values, *self.values])


class Weighted(Sound):
    """The later the image, the more it counts."""

    def compute(self):
        weights = range(1, len(self.values) + 1)
        value = sum(w * v for w, v in zip(weights, self.values, strict=True)) / sum(weights)
        return Score(value=value, count=COUNT, per_image=list(self.values))


class Batches(Sound):
    def update(self, prediction, target, lr):
        self.values.append(float((prediction - target).square().mean()))

    def compute(self):
        return Score(value=sum(self.values) / len(self.values), count=COUNT)


class Mixed(Sound):
    """Measures the distance to LR, not to HR."""

    def update(self, prediction, target, lr):
        super().update(prediction, lr, lr)


class Saturated(Sound):
    def compute(self):
        return Score(value=min(1.0, 1e6 * sum(self.values)), count=COUNT)


class Aimless(Sound):
    """The reference of the HR images is missing."""


class InPlace(Sound):
    def update(self, prediction, target, lr):
        super().update(prediction.clamp_(-1, 1), target, lr)


class Dicing(Sound):
    def compute(self):
        return Score(value=sum(self.values) * random.Random().uniform(0.9, 1.1), count=COUNT)


class Remembering(Sound):
    """Keeps the first method's error for the second."""

    def compute(self):
        value = self.context.store.setdefault("toy", sum(self.values))
        return Score(value=value, count=COUNT)


class Seeding(Sound):
    def compute(self):
        torch.manual_seed(0)
        return super().compute()


class Homeless(Sound):
    def __init__(self, context):
        raise MissingWeights("the weights of toynet are not here", hint="srbench fetch toynet")


class Nowhere(Sound):
    @classmethod
    def unsuited(cls, context):
        return "wants other data"


DEFECTS = [
    ("protocol-is-unique", Unversioned, "'mse'"),
    ("protocol-is-unique", Borrowed, "'psnr'"),
    ("metric-self-check", Doubtful, "gives 79"),
    ("unsuited-says-why", Raising, "KeyError for photographs"),
    ("unsuited-says-why", Curt, "'no' for vectors"),
    ("score-is-complete", NotANumber, "nan"),
    ("score-is-complete", Tensors, "cannot be written"),
    ("score-is-complete", OffInterval, "(2.0, 3.0)"),
    ("per-image-in-order", Twice, f"{2 * COUNT} values"),
    ("per-image-in-order", Weighted, "another order"),
    ("batches-do-not-matter", Batches, "in batches of (1, 7, 12)"),
    ("perfect-is-best", Mixed, "a perfect prediction gets"),
    ("worse-is-worse", Saturated, "a severe prediction gets 1"),
    ("inputs-left-alone", InPlace, "changed prediction in place"),
    ("metric-repeats", Dicing, "the same images get"),
    ("metric-repeats", Remembering, "after another method"),
    ("metric-leaves-the-process-alone", Seeding, "random generator in update and compute"),
]


@pytest.mark.parametrize(("name", "kind", "seen"), DEFECTS,
                         ids=[f"{name}-{kind.__name__}" for name, kind, _ in DEFECTS])
def test_a_defect_is_seen_by_its_check(name, kind, seen):
    said = verdict(CHECKS[name], Scores(kind))
    assert said.startswith("failed"), said
    assert seen in said


def test_the_wrong_direction_is_seen():
    for name in ("perfect-is-best", "worse-is-worse"):
        assert "direction is 'higher'" in verdict(CHECKS[name], Scores(Sound, "higher"))


def test_a_target_needs_the_value_of_the_hr_images():
    assert 'reference holds no "hr"' in verdict(CHECKS["perfect-is-best"],
                                                Scores(Aimless, "target"))


def test_missing_weights_and_data_that_does_not_fit_are_not_tried():
    for kind, why in ((Homeless, "(srbench fetch toynet)"), (Nowhere, "images: wants other data")):
        subject = Scores(kind)
        said = {name: verdict(check, subject) for name, check in CHECKS.items()
                if name not in ("protocol-is-unique", "unsuited-says-why")}
        assert all(text.startswith("not tried") and why in text for text in said.values())


def test_scenes_hold_what_their_facts_say():
    images, vectors, photographs, patches = scenes()
    for scene in (images, vectors):
        spread = scene.y.double().flatten(1)
        variance = float((spread - spread.mean(0)).square().sum(1).mean())
        assert scene.context().facts["hr_variance"] == pytest.approx(variance)
    assert photographs.y.shape == (COUNT, 3, 4 * photographs.x.shape[2], 4 * photographs.x.shape[3])
    assert (photographs.context().facts["patch_count"], patches.context().facts["patch_count"]) == (
        0, COUNT)
    assert torch.equal(images.prediction("perfect"), images.y)
    errors = [float((images.prediction(q) - images.y).square().mean()) for q in ("mild", "severe")]
    assert 0 < errors[0] < errors[1]


def test_a_metric_of_patches_is_fed_patches(catalog):
    subject = MetricSubject(catalog.metric("patch-fid"))
    assert trial(subject).scene.name == "patches"
    assert trial(MetricSubject(catalog.metric("psnr"))).scene.name == "images"


def test_a_column_needs_a_title_and_a_known_direction():
    check = next(c for c in metric_checks.CHECKS if c.name == "metric-heads-a-column")
    assert verdict(check, Scores(Sound)) == "passed"
    assert "direction='up'" in verdict(check, Scores(Sound, "up"))
