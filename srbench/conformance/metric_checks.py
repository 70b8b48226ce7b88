"""Checks of a metric."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from srbench.api.metric import Score
from srbench.conformance import declared
from srbench.conformance.check import Check, Failed, NotTried
from srbench.conformance.metric_trial import COUNT, scenes, trial
from srbench.registry.catalog import discover

PROTOCOL = re.compile(r"[a-z0-9][a-z0-9.-]*(/[A-Za-z0-9][\w.+-]*)+/v\d+")
CLOSE = 1e-4  # what rounding of sums in another order may do, relative


def protocol_unique(subject: Any) -> None:
    """The protocol id names one definition, and this metric alone."""
    kind = trial(subject).kind
    protocol = getattr(kind, "protocol", None)
    if not isinstance(protocol, str) or not PROTOCOL.fullmatch(protocol):
        raise Failed(f"protocol={protocol!r} is no id like \"psnr/rgb-float-clamped/v1\"")
    entry = subject.entry
    extra = [Path(entry.plugin)] if entry.distribution == "file" else []
    for name, other in discover(extra).metrics.items():
        if name == entry.info.name:
            continue
        try:
            taken = getattr(other.load(), "protocol", None)
        except Exception:  # another plugin's fault is not this one's
            continue
        if taken == protocol:
            raise Failed(f"protocol={protocol!r} is already that of {name!r} ({other.origin})")


def self_check(subject: Any) -> None:
    """The metric builds and passes its own check."""
    metric = trial(subject).build()
    try:
        metric.self_check()
    except Exception as error:  # a plugin's arbitrary code
        raise Failed(f"self_check raised {type(error).__name__}: {error}") from error


def unsuited(subject: Any) -> None:
    """Where the metric does not apply it says why, and raises nothing."""
    known = trial(subject)
    for scene in scenes():
        try:
            reason = known.kind.unsuited(scene.context())
        except Exception as error:  # a plugin's arbitrary code
            raise Failed(f"unsuited raised {type(error).__name__} for {scene.name}: {error}"
                         ) from error
        if not isinstance(reason, str) or (reason and len(reason.split()) < 2):
            raise Failed(f"unsuited gave {reason!r} for {scene.name}, where a sentence or an "
                         "empty text is needed")


def complete(subject: Any) -> None:
    """A score is a finite number with a count, and JSON data beside it."""
    for quality, score in trial(subject).scores.items():
        if isinstance(score.value, bool) or not isinstance(score.value, int | float) \
                or not math.isfinite(score.value):
            raise Failed(f"the value of a {quality} prediction is {score.value!r}, no finite "
                         "number")
        if not 1 <= score.count <= COUNT:
            raise Failed(f"count={score.count!r} of {COUNT} images")
        if score.interval is not None and not (
                score.interval[0] - CLOSE <= score.value <= score.interval[1] + CLOSE):
            raise Failed(f"the interval {score.interval} does not hold the value {score.value}")
        try:
            json.dumps([score.reference, score.detail], allow_nan=False)
        except (TypeError, ValueError) as error:
            raise Failed(f"reference or detail cannot be written to a record: {error}") from error


def per_image(subject: Any) -> None:
    """Values of images are as many as there are images, and follow them when they are turned."""
    known = trial(subject)
    first = known.scores["mild"]
    if first.per_image is None:
        raise NotTried("it gives no value for each image")
    if len(first.per_image) != COUNT or not all(map(math.isfinite, first.per_image)):
        raise Failed(f"per_image holds {len(first.per_image)} values for {COUNT} images")
    order = torch.arange(COUNT - 1, -1, -1)
    turned = known.score(known.scene.prediction("mild"), order=order)
    back = list(reversed(turned.per_image or []))
    if not _close(first.value, turned.value) or not _all_close(first.per_image, back):
        raise Failed(f"images in another order get other values: {first.value:.6g} becomes "
                     f"{turned.value:.6g}")


def batches(subject: Any) -> None:
    """How images are cut into batches does not matter."""
    known = trial(subject)
    if known.kind.mode == "train10":
        raise NotTried("it is always fed batches of ten")
    first = known.scores["mild"]
    for cuts in ((COUNT,), (1, 7, COUNT - 8)):
        other = known.score(known.scene.prediction("mild"), cuts=cuts)
        if not _close(first.value, other.value):
            raise Failed(f"in batches of {cuts} the value is {other.value:.8g}, in batches of ten "
                         f"{first.value:.8g}")
        if not _all_close(first.per_image or [], other.per_image or []):
            raise Failed(f"in batches of {cuts} images get other values than in batches of ten")


def perfect_best(subject: Any) -> None:
    """HR images themselves get the best value."""
    known, direction = trial(subject), subject.entry.info.direction
    scores: dict[str, Score] = {str(name): score for name, score in known.scores.items()}
    scores |= known.upsampled
    perfect = _badness(scores["perfect"], direction)
    beaten = [quality for quality, score in scores.items()
              if _badness(score, direction) < perfect - CLOSE * abs(perfect)]
    if beaten or not perfect < _badness(scores["severe"], direction):
        raise Failed(f"direction is {direction!r}, but {_values(scores)}")


def worse_worse(subject: Any) -> None:
    """More damage gets a worse value."""
    scores, direction = trial(subject).scores, subject.entry.info.direction
    if not _badness(scores["mild"], direction) < _badness(scores["severe"], direction):
        raise Failed(f"direction is {direction!r}, but {_values(scores)}")


def inputs_alone(subject: Any) -> None:
    """Tensors that are handed over stay as they are."""
    known = trial(subject)
    metric, scene = known.build(), known.scene
    # Beyond [-1, 1], so that clamping in place shows.
    given = {"prediction": 3 * scene.prediction("mild"), "target": 3 * scene.y, "lr": 3 * scene.x}
    before = {name: value.clone() for name, value in given.items()}
    for first in range(0, COUNT, 10):
        rows = {name: value[first:first + 10] for name, value in given.items()}  # views
        metric.update(**rows)
    metric.compute()
    changed = [name for name, value in given.items() if not torch.equal(value, before[name])]
    if changed:
        raise Failed(f"update or compute changed {', '.join(changed)} in place; other metrics see "
                     "the same tensors")


def repeats(subject: Any) -> None:
    """A score is the same again, and what is kept for a dataset does not leak into the next."""
    known = trial(subject)
    mild = known.scene.prediction("mild")
    first, again = known.scores["mild"], known.score(mild)
    if first.value != again.value:
        raise Failed(f"the same images get {first.value:.8g} and then {again.value:.8g}")
    store: dict[str, Any] = {}
    known.score(known.scene.prediction("severe"), store=store)
    beside = known.score(mild, store=store)
    if not _close(first.value, beside.value):
        raise Failed(f"after another method was scored on the same dataset object the value is "
                     f"{beside.value:.8g} instead of {first.value:.8g}")


def leaves_alone(subject: Any) -> None:
    """Random generators, settings of the process and the network are left alone."""
    known = trial(subject)
    _ = known.scores
    effects = known.effects
    said = [*dict.fromkeys(effects.changes)]
    if effects.disturbed:
        said.append("moved a global random generator in " + ", ".join(
            dict.fromkeys(effects.disturbed)))
    if effects.asked:
        said.append(f"asked the network for {', '.join(dict.fromkeys(effects.asked))}")
    if said:
        raise Failed("; ".join(said))


def _badness(score: Score, direction: str) -> float:
    """Return a number that is lower for better scores."""
    if direction == "target":
        if "hr" not in score.reference:
            raise Failed('direction is "target", but reference holds no "hr", the value of the HR '
                         "images")
        return abs(score.value - score.reference["hr"])
    return score.value if direction == "lower" else -score.value


def _values(scores: Mapping[Any, Score]) -> str:
    return ", ".join(f"a {quality} prediction gets {score.value:.6g}"
                     for quality, score in scores.items())


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=CLOSE, abs_tol=CLOSE * 1e-2)


def _all_close(one: list[float], other: list[float]) -> bool:
    return len(one) == len(other) and all(map(_close, one, other))


CHECKS: tuple[Check, ...] = (
    *declared.METRIC,
    Check(name="protocol-is-unique", kind="metric", run=protocol_unique,
          what="protocol is an id name/definition/vN that no other installed metric has.",
          remedy="Name every choice that changes a number (colour space, range, window, weights) "
                 "and end with a version: \"psnr/rgb-float-clamped/v1\"."),
    Check(name="metric-self-check", kind="metric", run=self_check,
          what="The metric can be built and passes its own self_check.",
          remedy="Mend the metric or the case in self_check."),
    Check(name="unsuited-says-why", kind="metric", run=unsuited,
          what="unsuited(context) returns a sentence or an empty text for every kind of dataset.",
          remedy="Return a reason as text; look facts up with context.facts.get(...)."),
    Check(name="score-is-complete", kind="metric", run=complete,
          what="compute returns a Score with a finite value, the number of images and JSON data.",
          remedy="Return Score(value=float(...), count=..., per_image=..., interval=...)."),
    Check(name="per-image-in-order", kind="metric", run=per_image,
          what="per_image holds a value for each image in the order they came in, and the score "
               "does not depend on the order.",
          remedy="Append one value for each image in update, or leave per_image None."),
    Check(name="batches-do-not-matter", kind="metric", run=batches,
          what="The score does not depend on how images are cut into batches.",
          remedy="Collect values or sums over images and divide in compute; never average "
                 "averages of batches."),
    Check(name="perfect-is-best", kind="metric", run=perfect_best,
          what="HR images as prediction get the best value in the sense of direction: no damaged "
               "ones and no upsampled LR get a better one.",
          remedy="Set direction to what is better, and with \"target\" give the value of the HR "
                 "images as Score.reference[\"hr\"]."),
    Check(name="worse-is-worse", kind="metric", run=worse_worse,
          what="A prediction with more noise and a stronger colour cast gets a worse value.",
          remedy="Check sign and direction, and that prediction and target are not swapped with "
                 "lr."),
    Check(name="inputs-left-alone", kind="metric", run=inputs_alone,
          what="update changes none of its tensors.",
          remedy="Use clamp instead of clamp_, and clone before you write."),
    Check(name="metric-repeats", kind="metric", run=repeats,
          what="The same images get the same value, also after another method was scored.",
          remedy="Draw from torch.Generator().manual_seed(...) of your own, and keep in "
                 "context.store nothing that depends on predictions."),
    Check(name="metric-leaves-the-process-alone", kind="metric", run=leaves_alone,
          what="Global random generators, settings of the process and the network are left alone.",
          remedy="Draw with generators of your own, put back what you change, fetch weights with "
                 "srbench fetch."),
)
