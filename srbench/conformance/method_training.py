"""Checks of how a method trains: seeds, resume, budgets, counters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from srbench.conformance.check import Check, Failed, NotTried
from srbench.conformance.method_subject import STOPS
from srbench.conformance.subjects import ABSENT
from srbench.errors import Interrupted, Skipped, SrbenchError

if TYPE_CHECKING:
    from srbench.conformance.attempt import Attempt
    from srbench.conformance.method_subject import MethodSubject
    from srbench.training.result import TrainingResult

GRACE = 3.0  # seconds a training may take beyond its budget, besides the length of its steps


def builds(subject: MethodSubject) -> None:
    """The method is built, or raises Skipped with a reason."""
    first = subject.first()
    if isinstance(first.error, Skipped) and len(first.error.message.split()) < 3:
        raise Failed(f"Skipped({first.error.message!r}) gives no reason a reader understands")
    if isinstance(first.error, ABSENT):
        raise NotTried(str(first.error))
    if first.error is not None and first.training is None:
        raise Failed(f"build raised {said(first)}")


def trains(subject: MethodSubject) -> None:
    """The first training ends without an error."""
    first = subject.first()
    if isinstance(first.error, ABSENT):
        raise NotTried(str(first.error))
    if first.error is not None and first.training is None:
        raise NotTried("it is not built: see builds-or-skips-with-a-reason")
    if first.late:
        raise Failed(f"{subject.steps} steps of the preset 'quick' took more than "
                     f"{subject.patience:.0f} s")
    if first.error is not None:
        raise Failed(f"fit raised {said(first)}")


def same_seed(subject: MethodSubject) -> None:
    """Two trainings with one seed leave the same bits."""
    agree(subject.trained(), ended(subject.again()), "a second training with the same seed")


def seed_matters(subject: MethodSubject) -> None:
    """Trainings with two seeds differ."""
    first = subject.trained()
    if not first.weights() or not result(first).steps:
        raise NotTried("the method learns nothing")
    other = ended(subject.other())
    if not different(first.weights(), other.weights()):
        raise Failed("trainings with seeds 0 and 1 end with the same weights, bit by bit"
                     + seeds(first))


def resume(subject: MethodSubject) -> None:
    """A training taken up again after interrupts leaves the bits of one that was not stopped."""
    first, attempts = subject.trained(), subject.resumed()
    last = attempts[-1]
    stops = [stop for stop in STOPS if stop < result(first).steps][:len(attempts) - 1]
    if last.error is not None:
        raise Failed(f"taken up again after step {stops[-1] if stops else 0} it raised "
                     f"{said(last)}")
    if len(attempts) <= len([stop for stop in STOPS if stop < result(first).steps]):
        raise NotTried("it does not stop when asked to: see the check interrupt-obeyed")
    what = f"a training that was stopped and taken up after steps {', '.join(map(str, stops))}"
    agree(first, last, what)
    for mine, theirs in zip(result(first).stages, result(last).stages, strict=True):
        for name in ("steps", "images", "calls"):
            if getattr(mine, name) != getattr(theirs, name):
                raise Failed(f"{what} counts {getattr(theirs, name)} {name} in stage "
                             f"{mine.name!r}, an uninterrupted one {getattr(mine, name)}")


def images_counted(subject: MethodSubject) -> None:
    """Whatever was drawn is charged."""
    first = subject.trained()
    charged = sum(stage.images for stage in result(first).stages)
    if charged < first.watch.drawn:
        raise Failed(f"{first.watch.drawn} samples were drawn and {charged} charged")
    if result(first).steps and not charged:
        raise Failed(f"{result(first).steps} steps were made and no image was charged")


def calls_counted(subject: MethodSubject) -> None:
    """No network is called past the counters."""
    first = subject.trained()
    for place, name in first.watch.bypassed.items():
        raise Failed(f"{name}.forward(...) is called directly in {place}, which no counter sees")
    assert first.training is not None
    counted = list(first.training._state.tracked.modules().values())
    for place, name in first.watch.uncounted(counted).items():
        raise Failed(f"a {name} that is trained but not tracked is called in {place}")


def budget_of_steps(subject: MethodSubject) -> None:
    """A budget of steps ends the training, and weights change within steps only."""
    first = subject.trained()
    if result(first).steps > subject.steps:
        raise Failed(f"{result(first).steps} steps were made under a budget of "
                     f"{subject.steps}")
    for place, name in first.watch.updates.items():
        raise Failed(f"{name}.step() outside of training.steps(...) in {place}: no budget ends it")
    outside = sum(stage.images for stage in result(first).stages if not stage.steps)
    if outside and not result(first).steps:
        raise Failed(f"fit drew {outside} samples outside of training.steps(...) and made no step: "
                     "no budget ends it")


def budget_of_time(subject: MethodSubject) -> None:
    """A budget of time ends the training, even before its first step."""
    first = subject.trained()
    if not result(first).steps:
        raise NotTried("its training has no steps")
    none = subject.none()
    if none.error is not None and not isinstance(none.error, SrbenchError):
        raise Failed(f"a budget that is used up before the first step: fit raised {said(none)}")
    if none.result is not None and none.result.steps:
        raise Failed(f"{none.result.steps} steps were made under a budget that was used up")
    brief, most = subject.brief(), 2 * first.seconds + GRACE
    if brief.error is not None and not isinstance(brief.error, SrbenchError):
        raise Failed(f"under a budget of time fit raised {said(brief)}")
    if brief.seconds > most:
        raise Failed(f"a budget of {0.4 * result(first).seconds:.2f} s ended after "
                     f"{brief.seconds:.1f} s")


def interrupt(subject: MethodSubject) -> None:
    """A training that is asked to stop does so at the next step."""
    first, stop = subject.resumed()[0], STOPS[0]
    if isinstance(first.error, Interrupted):
        return
    if first.error is not None:
        raise Failed(f"asked to stop after step {stop}, fit raised {said(first)}")
    raise Failed(f"asked to stop after step {stop}, fit went on and returned after "
                 f"{result(first).steps} steps: it swallows srbench.errors.Interrupted")


def logged(subject: MethodSubject) -> None:
    """Losses are logged, and finite."""
    first = subject.trained()
    if not first.watch.steps:
        raise NotTried("the method minimises nothing")
    history = result(first).history
    if not history["name"]:
        raise Failed("weights were changed and no value was logged")
    rows = zip(history["name"], history["value"], history["step"], strict=True)
    for name, value, step in rows:
        if not math.isfinite(value):
            raise Failed(f"the logged value {name!r} is {value} in step {step}")


# --- shared by the checks


def result(attempt: Attempt) -> TrainingResult:
    """What a training left that came to its end."""
    assert attempt.result is not None
    return attempt.result


def ended(attempt: Attempt) -> Attempt:
    """Return the attempt if it came to its end."""
    if attempt.error is not None:
        raise Failed(f"the first training ended well, this one raised {said(attempt)}")
    return attempt


def said(attempt: Attempt) -> str:
    """What ended a training, and where in the plugin's code."""
    where = f" in {attempt.place}" if attempt.place else ""
    return f"{type(attempt.error).__name__}: {attempt.error}{where}"


def seeds(attempt: Attempt) -> str:
    """Where the plugin seeds a generator itself, as the end of a sentence."""
    places = [f"; {name} is called in {place}" for place, name in attempt.watch.seeded.items()]
    return "".join(places)


def different(first: dict[str, Any], second: dict[str, Any]) -> str:
    """Name of the first weight that is not the same in both; empty where all are."""
    for name in sorted(first.keys() | second.keys()):
        if name not in first or name not in second:
            return name
        if not torch.equal(first[name], second[name]):
            return name
    return ""


def agree(first: Attempt, second: Attempt, what: str) -> None:
    """Raise `Failed` unless weights and outputs are the same bits."""
    name = different(first.weights(), second.weights())
    if name:
        raise Failed(f"{what} ends with other weights: {name!r} differs{seeds(first)}")
    for index, (mine, theirs) in enumerate(zip(first.outputs(), second.outputs(), strict=True)):
        if not torch.equal(mine, theirs):
            raise Failed(f"{what} ends with the same weights and another map: T of test batch "
                         f"{index} differs by {float((mine - theirs).abs().max()):.2g}")


def _check(name: str, what: str, remedy: str, run: Any, *, warning: bool = False) -> Check:
    return Check(name=name, kind="method", what=what, remedy=remedy, run=run, warning=warning,
                 scope="problem")


CHECKS = (
    _check("builds-or-skips-with-a-reason", "Every problem is accepted, or refused by Skipped with "
           "a reason.", "Raise srbench.Skipped(\"why\") in build where the method makes no sense; "
           "mend anything else.", builds),
    _check("trains", "A short training ends without an error.", "Mend fit; where the problem makes "
           "no sense for the method, raise Skipped in build.", trains),
    _check("same-seed-same-bits", "Two trainings with one seed end with the same weights and map, "
           "bit by bit.", "Draw random numbers from torch's, NumPy's or Python's global "
           "generators or training.generator(name), never from the clock or unseeded ones.",
           same_seed),
    _check("seed-matters", "Trainings with two seeds differ.", "Do not seed generators: the "
           "harness does, from the cell.", seed_matters),
    _check("resume-is-exact", "A training that was stopped and taken up by new objects ends as one "
           "that was not, bit by bit.", "Pass networks, optimizers and schedulers through "
           "training.track(name=...), take counters from step.index, and keep what else one step "
           "leaves to the next in a buffer of a tracked module.", resume),
    _check("interrupt-obeyed", "A training that is asked to stop does so at the end of the step.",
           "Loop over training.steps(n), call training.give_way() within long steps, and do not "
           "catch Interrupted.", interrupt),
    _check("budget-of-steps", "A budget of steps ends the training; all learning is within steps.",
           "Learn only within for step in training.steps(n).", budget_of_steps),
    _check("budget-of-time", "A budget of time ends the training, even before the first step.",
           "Loop over training.steps(n), keep steps short, and let fit cope with a stage that gets "
           "no step.", budget_of_time),
    _check("images-counted", "Every sample a training sees is charged.", "Draw by training.lr and "
           "training.hr, and charge what is generated by training.charge(images=n).",
           images_counted),
    _check("calls-counted", "Every pass through a network that is trained is counted.",
           "Call networks, network(x), not network.forward(x), and pass those beside the map "
           "through training.track.", calls_counted),
    _check("finite-and-logged", "What is minimised is logged, with finite values.",
           "Call step.log(loss=loss) in every step.", logged, warning=True),
)
