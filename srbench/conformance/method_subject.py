"""A method on one problem: its trainings, each run once for all the checks that look at it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench.conformance.check import Kind, NotTried
from srbench.conformance.subjects import ABSENT, PRESET, Subject
from srbench.errors import DataError, Interrupted

if TYPE_CHECKING:
    from srbench.api.dataset import Dataset
    from srbench.api.method import Method
    from srbench.api.parameters import Parameters
    from srbench.conformance.attempt import Attempt, Plan
    from srbench.registry.catalog import Entry
    from srbench.registry.infos import MethodInfo
    from srbench.training.budget import Budget

STEPS = 4  # of a training: enough for a method of three stages
MANY = 64  # of a training that says four are too few
STOPS = (1, 3)  # steps after which a training is interrupted and taken up again
SIDES = (16, 32, 64)  # of images: the first that the method's networks take
PROBLEMS = ("photographs", "images", "vectors")  # the slowest first
TRAINED, AGAIN, OTHER, RESUMED, BRIEF, NONE, ON_GPU = (
    "the first training", "the same training again", "a training with another seed",
    "an interrupted training", "a training under a budget of time",
    "a training whose budget is used up", "a training on a GPU")


@dataclass(frozen=True)
class MethodSubject(Subject):
    """A method on one of the problems it is tried on; its trainings are run once for all checks.

    Parameters
    ----------
    problem : str
        One of `PROBLEMS`; empty for checks that need none.
    avoid : frozenset of str
        Trainings that are known not to end.
    patience : float
        Seconds a training may take before it is asked to stop.
    tell : callable
        Told what is run now, and ``""`` when it is over.
    """

    entry: Entry[MethodInfo]
    kind: Kind = "method"
    problem: str = ""
    avoid: frozenset[str] = frozenset()
    patience: float = 60.0
    tell: Callable[[str], object] = lambda what: None
    _known: dict[str, Any] = field(default_factory=dict, repr=False)

    def load(self) -> type[Method]:
        """Return the class.

        Raises
        ------
        NotTried
            If it cannot be imported; the check ``loads`` says why.
        """
        try:
            cls: type[Method] = self.entry.load()
        except Exception as error:  # whatever a plugin's module raises
            raise NotTried(f"it cannot be imported: {error}") from error
        return cls

    def params(self, dataset: Dataset) -> Parameters:
        """Parameters of the preset users get by default."""
        return self.load().Params.resolve(PRESET, dataset.problem.domain, {})

    @property
    def own(self) -> frozenset[str]:
        """Top-level packages whose code is the plugin's."""
        modules = {cls.__module__ for cls in self.load().__mro__} | {self.entry.module.__name__}
        return frozenset(name.partition(".")[0] for name in modules) - {
            "abc", "builtins", "srbench", "torch", "typing"}

    def datasets(self) -> list[Callable[[], Dataset]]:
        """What makes a fresh dataset of the problem; of images several, smallest first."""
        from srbench.conformance.photographs import SyntheticPhotographs
        from srbench.conformance.synthetic import SyntheticImages, SyntheticVectors

        if self.problem == "images":
            return [partial(SyntheticImages, side) for side in SIDES]
        return [SyntheticVectors if self.problem == "vectors" else SyntheticPhotographs]

    def plan(self) -> Plan:
        """How the method is trained on the problem, with images of a size it takes."""
        _ = self.first()
        plan: Plan = self._known["plan"]
        return plan

    @property
    def given(self) -> dict[str, Any]:
        """Parameters by public name, as they were before the first training."""
        _ = self.first()
        return dict(self._known["given"])

    @property
    def steps(self) -> int:
        """Budget of a training on this problem."""
        _ = self.first()
        return int(self._known["steps"])

    def first(self) -> Attempt:
        """The watched training that all checks share, whatever came of it."""
        done: Attempt = self._once(TRAINED, self._first)
        return done

    def trained(self) -> Attempt:
        """The first training, with its map.

        Raises
        ------
        NotTried
            If the method skips the problem, or its training fails (the check ``trains``).
        """
        return self._sound(self.first())

    def again(self) -> Attempt:
        """A second training with the same seed."""
        return self._further(AGAIN)

    def other(self) -> Attempt:
        """A training with another seed, as long as the first: a shorter one always differs."""
        return self._further(OTHER, seed=1)

    def brief(self) -> Attempt:
        """A training that gets less than half of the time the first one took."""
        from srbench.training.budget import Budget

        first = self.trained().result
        assert first is not None
        seconds = max(0.02, 0.4 * first.seconds)
        return self._further(BRIEF, budget=Budget(seconds=seconds))

    def none(self) -> Attempt:
        """A training whose budget is used up before the first step."""
        from srbench.training.budget import Budget

        return self._further(NONE, budget=Budget(seconds=1e-9))

    def on(self, device: str) -> Attempt:
        """A training on another device."""
        import torch

        return self._further(ON_GPU, device=torch.device(device))

    def resumed(self) -> list[Attempt]:
        """A training that is interrupted after each of `STOPS` and taken up by new objects.

        The last attempt is the one that came to the end; an attempt that was not interrupted
        where it should have been is the last one too.

        Raises
        ------
        NotTried
            As `trained`, and if the method takes no steps.
        """
        first = self.trained()
        assert first.result is not None
        steps = first.result.steps
        if steps < 2:
            raise NotTried(f"its training has {steps} steps")
        done: list[Attempt] = self._once(
            RESUMED, lambda: self._resumed([stop for stop in STOPS if stop < steps]))
        return done

    def _first(self) -> Attempt:
        for dataset in self.datasets():
            done = self._try(dataset, STEPS)
            if isinstance(done.error, DataError):  # so says what needs more samples
                done = self._try(dataset, MANY)
            if done.error is None or isinstance(done.error, ABSENT) or done.late:
                break
        return done

    def _try(self, dataset: Callable[[], Dataset], steps: int) -> Attempt:
        from srbench.conformance.attempt import Plan, attempt

        params = self.params(dataset())
        plan = Plan(self.load(), params, dataset, self.own, self.patience)
        self._known.update({"given": params.public(), "plan": plan, "steps": steps})
        return attempt(plan, budget=_steps(steps), watched=True)

    def _further(self, what: str, **options: Any) -> Attempt:
        """Another training of a method whose first one was sound."""
        from srbench.conformance.attempt import attempt

        self.trained()
        options.setdefault("budget", _steps(self.steps))
        done: Attempt = self._once(what, lambda: attempt(self.plan(), **options))
        return done

    def _resumed(self, stops: list[int]) -> list[Attempt]:
        from srbench.conformance.attempt import attempt

        found: list[Attempt] = []
        with tempfile.TemporaryDirectory(prefix="resume-", ignore_cleanup_errors=True) as folder:
            for stop in [*stops, None]:
                found.append(attempt(self.plan(), budget=_steps(self.steps), folder=Path(folder),
                                     stop_after=stop))
                if not isinstance(found[-1].error, Interrupted):
                    break
        return found

    def _sound(self, done: Attempt) -> Attempt:
        if isinstance(done.error, ABSENT):
            raise NotTried(str(done.error))
        if done.error is not None:
            raise NotTried("it is not trained: see builds-or-skips-with-a-reason and trains")
        return done

    def _once(self, what: str, make: Callable[[], Any]) -> Any:
        """Run ``make`` the first time it is asked for."""
        if what in self.avoid:
            raise NotTried(f"{what} does not end: see the check interrupt-obeyed")
        if what not in self._known:
            self.tell(what)
            try:
                self._known[what] = make()
            finally:
                self.tell("")
        return self._known[what]


def _steps(number: int) -> Budget:
    from srbench.training.budget import Budget

    return Budget(steps=number)
