"""Each check of a method sees its defect, names the line, and is content with a sound method."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from srbench import Field, Method, Parameters, Skipped
from srbench.conformance.method_subject import PROBLEMS
from srbench.conformance.registry import checks
from srbench.conformance.sightings import at
from srbench.errors import DataError, MissingWeights
from tests.conformance.toys import CITATION, Toy, by_name, said, subject_of

HERE = Path(__file__).name


def line_of(text: str) -> str:
    """``this file:line`` of the only line that ends with a mark."""
    lines = [number for number, line in enumerate(Path(__file__).read_text().splitlines(), 1)
             if line.endswith(f"# {text}")]
    assert len(lines) == 1, text
    return f"{HERE}:{lines[0]}"


@pytest.fixture(scope="module", params=PROBLEMS)
def sound(request):
    return subject_of(Toy, request.param)


@pytest.mark.parametrize("name", [check.name for check in checks("method")
                                  if check.name not in ("top-module-is-light", "loads")])
def test_a_sound_method_passes_every_check_on_every_problem(sound, name):
    expected = {"any-size": "not tried" if sound.problem != "photographs" else "",
                "cpu-and-gpu-alike": "" if torch.cuda.is_available() else "not tried"}
    found = said(sound, name)
    assert found.startswith(expected.get(name, "")), found
    assert bool(found) == bool(expected.get(name, "")), found


# --- metadata and parameters


@pytest.mark.parametrize(("check", "info", "complaint"), [
    ("metadata-summary", {"summary": "no full stop"}, "'no full stop' is no sentence"),
    ("metadata-summary", {"summary": "Two\nlines."}, "no sentence on one line"),
    ("metadata-summary", {"summary": "x" * 130 + "."}, "131 characters, 120 fit"),
    ("metadata-citation", {"citation": ""}, "names nobody to cite"),
    ("metadata-citation", {"citation": "Me, 2026"}, "no BibTeX entry"),
    ("metadata-citation", {"citation": CITATION[:-1]}, "no BibTeX entry"),
    ("metadata-citation", {"citation": "@misc{a, title={t}}"}, "no author and no year"),
    ("metadata-licence", {"licence": " "}, "whether anybody may use it"),
])
def test_metadata(check, info, complaint):
    assert complaint in said(subject_of(Toy, **info), check)
    assert said(subject_of(Toy), check) == ""


class Untyped(Toy):
    class Params(Parameters):
        rate: Any = 1


class Required(Toy):
    class Params(Parameters):
        width: int


class Lax(Toy):
    class Params(Parameters):
        model_config: ClassVar = {"extra": "ignore", "strict": False, "frozen": False}
        width: int = 3


class Thawed(Toy):
    class Params(Parameters):
        model_config: ClassVar = {"frozen": False}
        width: int = 3


class Open(Toy):
    class Params(Parameters):
        @classmethod
        def resolve(cls, preset, domain, given):
            return cls()


class NoQuick(Toy):
    class Params(Parameters):
        presets: ClassVar = {"paper": {}}


class BadPreset(Toy):
    class Params(Parameters):
        width: int = Field(3, ge=1)
        presets: ClassVar = {"quick": {}, "paper@sr": {"width": 0}}


class BadDomain(Toy):
    class Params(Parameters):
        presets: ClassVar = {"quick": {}, "quick@photo": {}}


@pytest.mark.parametrize(("kind", "check", "complaint"), [
    (Untyped, "parameters-typed", "without a type: rate"),
    (Required, "parameters-typed", "without a default: width"),
    (Lax, "parameters-typed", "strict=False, frozen=False, extra='ignore'"),
    (Lax, "parameters-refuse-nonsense", "width accepts the text '1' for a number"),
    (Thawed, "parameters-refuse-nonsense", "width can be set after"),
    (Open, "parameters-refuse-nonsense", "accepts the parameter 'no-such-parameter'"),
    (Untyped, "parameters-refuse-nonsense", "rate accepts a bare object()"),
    (NoQuick, "presets-resolve", "without 'quick'"),
    (BadPreset, "presets-resolve", "'paper' does not resolve on sr"),
    (BadDomain, "presets-resolve", "the domain 'photo'"),
])
def test_parameters(kind, check, complaint):
    assert complaint in said(kind, check)


# --- building and training


class Refuses(Toy):
    def build(self) -> None:
        raise Skipped(self.reason)

    reason = "this makes no sense for any problem"


class Silent(Refuses):
    reason = "no"


class Breaks(Toy):
    def build(self) -> None:
        raise KeyError("weights")  # broken build


class Weights(Toy):
    def build(self) -> None:
        raise MissingWeights("vgg99 is not on this machine", hint="srbench fetch vgg99")


class Fails(Toy):
    def fit(self, training) -> None:
        for _ in training.steps(3):
            raise ZeroDivisionError("a defect")  # broken fit


def test_building():
    assert said(Refuses, "builds-or-skips-with-a-reason") == f"not tried: {Refuses.reason}"
    assert "skips every problem: vector: this makes" in said(Refuses, "accepts-a-problem")
    assert "gives no reason" in said(Silent, "builds-or-skips-with-a-reason")
    complaint = said(Breaks, "builds-or-skips-with-a-reason")
    assert complaint == f"build raised KeyError: 'weights' in {line_of('broken build')}"
    assert said(Breaks, "trains").startswith("not tried")
    assert said(Breaks, "accepts-a-problem") == ""


def test_weights_that_are_not_here_say_so_and_fail_nothing():
    found = {check.name: said(Weights, check.name) for check in by_name().values()
             if check.scope == "problem"}
    assert found["trains"] == found["output-shape"] == (
        "not tried: vgg99 is not on this machine (srbench fetch vgg99)")
    assert all(text.startswith("not tried: ") for text in found.values()), found
    assert said(Weights, "accepts-a-problem") == found["trains"]


def test_a_training_that_fails_is_told_once():
    subject = subject_of(Fails)
    complaint = said(subject, "trains")
    assert complaint == (f"fit raised ZeroDivisionError: a defect in {line_of('broken fit')}")
    for name in ("same-seed-same-bits", "output-shape", "no-test-data", "budget-of-time"):
        assert said(subject, name) == ("not tried: it is not trained: see "
                                       "builds-or-skips-with-a-reason and trains")


class Hungry(Toy):
    """Needs more draws than a short training makes, and says so."""

    def fit(self, training) -> None:
        self.seen = 0
        super().fit(training)
        if self.seen < 20:
            raise DataError(f"{self.seen} steps are too few")

    def one(self, *args) -> None:
        super().one(*args)
        self.seen += 1


class Large(Toy):
    """Takes images of 32 pixels and more."""

    def build(self) -> None:
        super().build()
        self.floor = 32 if self.problem.is_image else 0

    def forward(self, lr):
        if lr.shape[-1] < self.floor:
            raise ValueError("too small")
        return super().forward(lr)


def test_more_steps_and_larger_images_are_tried_where_they_are_needed():
    hungry, large = subject_of(Hungry), subject_of(Large, "images")
    assert said(hungry, "trains") == ""
    assert hungry.steps == 64
    assert said(large, "trains") == said(large, "output-shape") == ""
    assert large.plan().dataset().problem.lr_shape == (3, 32, 32)


# --- determinism and resume


class Clock(Toy):
    def fit(self, training) -> None:
        super().fit(training)
        with torch.no_grad():
            self.net.bias.add_(time.perf_counter_ns() % 1000 / 1e6)


class HiddenClock(Toy):
    def fit(self, training) -> None:
        super().fit(training)
        self.shift = np.random.default_rng().random()

    def forward(self, lr):
        return super().forward(lr) + getattr(self, "shift", 0)


class Seeds(Toy):
    def fit(self, training) -> None:
        torch.manual_seed(0)
        with torch.no_grad():
            self.net.weight.copy_(torch.randn(4, 4))
            self.net.bias.zero_()


class Untracked(Toy):
    def fit(self, training) -> None:
        optimizer = training.track(optimizer=torch.optim.SGD(self.parameters(), lr=0.1))
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.1)
        for step in training.steps(self.params.iterations):
            self.one(training, step, optimizer)
            schedule.step()


class Forgetful(Toy):
    """Does something else in every second step, by a count of its own."""

    def fit(self, training) -> None:
        count = 0
        optimizer = training.track(optimizer=torch.optim.SGD(self.parameters(), lr=0.1))
        for step in training.steps(self.params.iterations):
            count = 1 - count
            for _ in range(1 + count):
                training.lr(1)
            self.one(training, step, optimizer)


class Greedy(Toy):
    """Charges in a way that a resume repeats."""

    def fit(self, training) -> None:
        optimizer = training.track(optimizer=torch.optim.SGD(self.parameters(), lr=0.1))
        first = True
        for step in training.steps(self.params.iterations):
            if first:
                training.charge(images=10)
            first = False
            self.one(training, step, optimizer)


def test_seeds():
    assert "ends with other weights: 'net.bias'" in said(Clock, "same-seed-same-bits")
    complaint = said(HiddenClock, "same-seed-same-bits")
    assert "the same weights and another map" in complaint
    assert "seeds 0 and 1 end with the same weights" not in said(Toy, "seed-matters")


class FixedStart(Toy):
    def fit(self, training) -> None:
        random.seed(3)  # seeded
        optimizer = training.track(optimizer=torch.optim.SGD(self.parameters(), lr=0.1))
        with torch.no_grad():
            self.net.weight.zero_(), self.net.bias.zero_()
        for step in training.steps(9):
            training.lr(1)
            step.minimize(sum(p.sum() for p in self.parameters()) * random.random(), optimizer)


def test_a_method_that_seeds_itself():
    subject = subject_of(FixedStart)
    complaint = said(subject, "seed-matters")
    assert "same weights, bit by bit" in complaint
    assert complaint.endswith(f"random.seed is called in {line_of('seeded')}")
    assert f"random.seed is called in {line_of('seeded')}" in said(subject, "no-global-state")
    assert "the seed of torch's generator" in said(Seeds, "no-global-state")


def test_resume():
    assert "after steps 1, 3 ends with other weights" in said(Untracked, "resume-is-exact")
    complaint = said(Forgetful, "resume-is-exact")
    assert "other weights" in complaint or "counts" in complaint
    complaint = said(Greedy, "resume-is-exact")
    assert complaint == ("a training that was stopped and taken up after steps 1, 3 counts 62 "
                         "images in stage 'main', an uninterrupted one 42")


class Nameless(Toy):
    """Tracks something under another name the second time."""

    def fit(self, training) -> None:
        name = f"optimizer_{time.perf_counter_ns()}"
        optimizer = training.track(**{name: torch.optim.SGD(self.parameters(), lr=0.1)})
        for step in training.steps(9):
            self.one(training, step, optimizer)


def test_a_resume_that_cannot_be():
    complaint = said(Nameless, "resume-is-exact")
    assert complaint.startswith("taken up again after step 1 it raised StoreError")


class Learns0(Toy):
    def build(self) -> None:
        """Nothing."""

    def fit(self, training) -> None:
        """Nothing."""

    def forward(self, lr):
        return lr


def test_a_method_without_learning_is_not_blamed():
    subject = subject_of(Learns0)
    found = {name: said(subject, name) for name in by_name()
             if name not in ("top-module-is-light", "loads")}
    assert all(text == "" or text.startswith("not tried") for text in found.values()), found
    for name in ("seed-matters", "resume-is-exact", "interrupt-obeyed", "budget-of-time",
                 "finite-and-logged", "no-host-synchronisation"):
        assert found[name].startswith("not tried"), name


# --- interrupts, budgets, counters


class Swallows(Toy):
    def fit(self, training) -> None:
        try:
            super().fit(training)
        except Exception:
            return


class GoesOn(Toy):
    def fit(self, training) -> None:
        optimizer = training.track(optimizer=torch.optim.Adam(self.parameters(), lr=1e-2))
        for part in range(9):
            try:
                for step in training.stage(f"part{part}").steps(1):
                    self.one(training, step, optimizer)
            except Exception:
                pass


class Pretrains(Toy):
    def fit(self, training) -> None:
        own = torch.optim.SGD(self.net.parameters(), lr=1e-3)
        for _ in range(3):
            self(training.lr(2)).sum().backward()
            own.step()  # outside
        super().fit(training)


class OwnLoop(Toy):
    def fit(self, training) -> None:
        with torch.no_grad():
            for _ in range(5):
                self.net.bias.add_(training.hr(8).mean(0))


class NeedsAStep(Toy):
    def fit(self, training) -> None:
        super().fit(training)
        self.last = self.loss.detach()

    def one(self, training, step, optimizer) -> None:
        self.loss = (self(training.lr(4)) - training.hr(4).mean(0)).square().mean()
        step.minimize(self.loss, optimizer)
        step.log(loss=self.loss)


def test_interrupts_and_budgets():
    assert "returned after 1 steps: it swallows" in said(Swallows, "interrupt-obeyed")
    assert "returned after 4 steps: it swallows" in said(GoesOn, "interrupt-obeyed")
    assert said(Pretrains, "budget-of-steps") == (
        f"SGD.step() outside of training.steps(...) in {line_of('outside')}: no budget ends it")
    assert "drew 40 samples outside" in said(OwnLoop, "budget-of-steps")
    complaint = said(NeedsAStep, "budget-of-time")
    assert "used up before the first step: fit raised AttributeError" in complaint


class Free(Toy):
    def one(self, training, step, optimizer) -> None:
        with training.uncharged():
            super().one(training, step, optimizer)


class Bypass(Toy):
    def one(self, training, step, optimizer) -> None:
        loss = (self.forward(training.lr(4)) - training.hr(4).mean(0)).square().mean()  # bypass
        step.minimize(loss, optimizer)
        step.log(loss=loss)


class Beside(Toy):
    def fit(self, training) -> None:
        critic = nn.Linear(4, 1)
        optimizer = training.track(optimizer=torch.optim.Adam(
            [*self.parameters(), *critic.parameters()], lr=1e-2))
        for step in training.steps(9):
            loss = critic(self(training.lr(4))).mean() + training.hr(4).mean()  # beside
            step.minimize(loss, optimizer)
            step.log(loss=loss)


class Frozen(Toy):
    """A network beside the map that is not trained: nobody need count it."""

    def fit(self, training) -> None:
        self.features = [nn.Linear(4, 2).requires_grad_(False)]
        super().fit(training)

    def one(self, training, step, optimizer) -> None:
        loss = self.features[0](self(training.lr(4))).square().mean() + 0 * training.hr(4).mean()
        step.minimize(loss, optimizer)
        step.log(loss=loss)


def test_counters():
    assert said(Free, "images-counted") == "32 samples were drawn and 0 charged"
    assert said(Bypass, "calls-counted") == (
        f"map.forward(...) is called directly in {line_of('bypass')}, which no counter sees")
    assert said(Beside, "calls-counted") == (
        f"a Linear that is trained but not tracked is called in {line_of('beside')}")
    assert said(Frozen, "calls-counted") == ""


class Mute(Toy):
    def one(self, training, step, optimizer) -> None:
        loss = (self(training.lr(4)) - training.hr(4).mean(0)).square().mean()
        step.minimize(loss, optimizer)


class LogsNan(Toy):
    def one(self, training, step, optimizer) -> None:
        super().one(training, step, optimizer)
        step.log(ratio=torch.tensor(0.0) / 0)


def test_logging():
    assert said(Mute, "finite-and-logged") == "weights were changed and no value was logged"
    assert said(LogsNan, "finite-and-logged") == "the logged value 'ratio' is nan in step 1"
    assert by_name()["finite-and-logged"].warning


# --- the map


def mapping(function, name="Mapped", **more) -> type:
    """A toy whose map in eval mode is the toy's, changed by ``function(method, lr, mapped)``."""
    def forward(self, lr):
        mapped = Toy.forward(self, lr)
        return mapped if self.training else function(self, lr, mapped)

    return type(name, (Toy,), {"forward": forward, "__module__": __name__, **more})


@pytest.mark.parametrize(("check", "problem", "function", "complaint"), [
    ("output-shape", "images", lambda s, x, y: y[..., :-1], "(6, 3, 16, 15), the HR samples are"),
    ("output-shape", "images", lambda s, x, y: [y], "forward returned a list, not a tensor"),
    ("output-dtype", "images", lambda s, x, y: y.double(), "T(x) is torch.float64"),
    ("output-range", "images", lambda s, x, y: (y + 1) * 127.5, "not in [0, 255]"),
    ("output-range", "images", lambda s, x, y: y.sigmoid(), "none below 0, as images in [0, 1]"),
    ("batch-independent", "vectors", lambda s, x, y: y - y.mean(0), "alone in its batch"),
    ("forward-repeats", "vectors", lambda s, x, y: y + torch.rand(()), "two calls on one input"),
    ("forward-keeps-its-input", "vectors", lambda s, x, y: y + 0 * x.add_(1), "is another"),
    ("any-size", "photographs", lambda s, x, y: y if x.shape[2] % 2 == 0 else y[:, :, 4:],
     "of 17 x 23 becomes (1, 3, 64, 92), not (1, 3, 68, 92)"),
    ("any-size", "photographs", lambda s, x, y: y if x.shape[2] != 24 else s.grid,
     "of 24 x 19: T of (1, 3, 24, 19) raised AttributeError: 'Mapped' object has no"),
])
def test_the_map(check, problem, function, complaint):
    found = said(mapping(function), check, problem)
    assert complaint in found
    if "forward returned" in complaint:
        assert f"({HERE}:" in found


def test_values_that_are_not_finite_are_counted():
    kind = mapping(lambda s, x, y: y.masked_fill(y == y.max(), np.inf))
    assert "11 of 256 values of T(x) are not finite" in said(kind, "output-range")


class Running(Toy):
    def build(self) -> None:
        super().build()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, lr):
        self.seen.add_(1)
        return super().forward(lr)


class AlwaysTrains(Toy):
    def train(self, mode: bool = True):
        return super().train(True)


class Hides(Toy):
    def fit(self, training) -> None:
        super().fit(training)
        self.gain = 2.0

    def forward(self, lr):
        return super().forward(lr) * getattr(self, "gain", 1.0)


class GrowsInFit(Toy):
    def fit(self, training) -> None:
        super().fit(training)
        self.more = nn.Linear(4, 4)


def test_evaluation_and_saving():
    assert "changes 'seen'" in said(Running, "evaluation-leaves-weights-and-buffers")
    assert "still in train mode" in said(AlwaysTrains, "evaluation-leaves-weights-and-buffers")
    assert "is not in its state_dict" in said(Hides, "save-and-load")
    assert "does not fit a newly built one: Unexpected key(s)" in said(GrowsInFit, "save-and-load")


class Adrift(Toy):
    """What `to` moves comes out changed, as a constant that is not moved changes the sum."""

    def _apply(self, fn, recurse=True):
        moved = super()._apply(fn, recurse)
        with torch.no_grad():
            moved.net.bias.add_(0.5)
        return moved


class Stays(Toy):
    def forward(self, lr):
        mapped = super().forward(lr)
        return mapped if self.training else mapped.to("meta")


class FailsThere(Toy):
    tries: ClassVar[list[int]] = []

    def fit(self, training) -> None:
        super().fit(training)
        self.tries.append(1)
        if len(self.tries) == 2:
            raise RuntimeError("tensors on two devices")  # there


def test_another_device(monkeypatch):
    """Without a GPU: the CPU in its place, so that the comparison itself is tried."""
    monkeypatch.setattr("srbench.conformance.method_map.has_gpu", lambda: True)
    monkeypatch.setattr("srbench.conformance.method_map.DEVICE", "cpu")
    assert said(Toy, "cpu-and-gpu-alike") == ""
    assert said(Adrift, "cpu-and-gpu-alike") == "T(x) on a GPU and on the CPU differ by 0.5"
    assert said(FailsThere, "cpu-and-gpu-alike") == (
        f"on a GPU fit raised RuntimeError: tensors on two devices in {line_of('there')}")
    subject = subject_of(Stays)
    subject.first()._outputs = [torch.zeros(6, 4)]
    assert "T(x) of x on a GPU is on meta" in said(subject, "cpu-and-gpu-alike")


# --- conduct


class Peeks(Toy):
    def fit(self, training) -> None:
        list(training._dataset.test_batches(4))  # peek
        training._dataset.true_map(training.lr(2))  # map
        super().fit(training)


class Pairs(Toy):
    def one(self, training, step, optimizer) -> None:
        generator = torch.Generator().manual_seed(step.index)
        low = training._dataset.sample_lr(4, generator)  # pair
        high = training._state.draw("hr", 4)  # past
        loss = (self(low) - high).square().mean()
        step.minimize(loss, optimizer)
        training.charge(images=8)


def test_data_a_method_must_not_see():
    peeks = said(Peeks, "no-test-data")
    assert f"test_batches of the dataset is called in {line_of('peek')}" in peeks
    assert f"true_map of the dataset is called in {line_of('map')}" in peeks
    pairs = said(Pairs, "no-paired-data")
    assert f"sample_lr of the dataset is called in {line_of('pair')}" in pairs
    assert f"sample_hr of the dataset is called in {line_of('past')}" in pairs


class Photos(Toy):
    def fit(self, training) -> None:
        if self.problem.domain == "sr":
            for photograph in training.images("hr"):
                photograph.mean()
        super().fit(training)


def test_whole_photographs_may_be_had_through_the_training():
    subject = subject_of(Photos, "photographs")
    for name in ("no-paired-data", "no-test-data", "images-counted", "resume-is-exact"):
        assert said(subject, name) == "", name


class Messy(Toy):
    def fit(self, training) -> None:
        os.chdir("/")
        os.environ["TOY_SETTING"] = "1"
        torch.set_default_dtype(torch.float64)
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        np.seterr(all="ignore")
        super().fit(training)


def test_the_process_is_put_back_and_what_changed_is_named():
    before = Path.cwd()
    complaint = said(Messy, "no-global-state")
    assert complaint.startswith("building and fitting changed ")
    for what in ("the working directory", "environment variables: TOY_SETTING", "NumPy's handling"):
        assert what in complaint
    assert "dtype" not in complaint
    assert Path.cwd() == before
    assert "TOY_SETTING" not in os.environ


OUTSIDE: list[Path] = []


class Writes(Toy):
    def fit(self, training) -> None:
        (OUTSIDE[0].parent / "inductor").mkdir()  # as the first optimizer of torch does
        Path("notes.txt").write_text("in the cell's folder")
        (training.scratch("mine") / "x").write_text("kept")
        OUTSIDE[0].write_text("elsewhere")  # written
        torch.save({}, OUTSIDE[0].with_suffix(".pt"))  # saved
        super().fit(training)


def test_files_outside_of_the_cell(tmp_path, monkeypatch):
    private = tmp_path / "private"
    private.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(private))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    OUTSIDE[:] = [tmp_path / "elsewhere.txt"]
    complaint = said(Writes, "no-files-outside")
    assert f"{OUTSIDE[0]} is written in {line_of('written')}" in complaint
    assert f"{OUTSIDE[0].with_suffix('.pt')} is written in {line_of('saved')}" in complaint
    assert "notes.txt" not in complaint
    assert "scratch" not in complaint
    assert "inductor" not in complaint


class Asks(Toy):
    def fit(self, training) -> None:
        with socket.socket() as connection:
            connection.settimeout(1)
            connection.connect_ex(("127.0.0.1", 9))  # asked
        super().fit(training)


def test_the_network():
    assert said(Asks, "no-network") == (
        f"('127.0.0.1', 9) is asked over the network in {line_of('asked')}")


class Leaves(Toy):
    started: ClassVar[list[Any]] = []

    def fit(self, training) -> None:
        over = threading.Event()
        thread = threading.Thread(target=over.wait, name="feeder")
        thread.start()
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        self.started += [over.set, process.kill, process.wait, thread.join]
        super().fit(training)


def test_what_runs_on():
    try:
        complaint = said(Leaves, "no-threads-left")
    finally:
        for end in Leaves.started:
            end()
    assert complaint.startswith("after fit there still run: thread 'feeder', process 'python")


class Waits(Toy):
    def one(self, training, step, optimizer) -> None:
        super().one(training, step, optimizer)
        x = training.lr(2)
        x.mean().item()  # item
        if x.mean() > 0:  # if
            float(x.sum())  # float
        f"{x[0, 0]}"  # format
        x.numpy()  # numpy


def test_waiting_for_the_device_is_a_warning_with_the_line():
    subject = subject_of(Waits)
    complaint = said(subject, "no-host-synchronisation")
    assert f".item() in {line_of('item')}; bool() or if in {line_of('if')}" in complaint
    assert len(subject.trained().watch.synchronised) >= 4
    assert by_name()["no-host-synchronisation"].warning
    assert {line_of("format"), line_of("numpy")} <= set(subject.trained().watch.synchronised)


class Babbles(Toy):
    def notes(self) -> list[str]:
        return ["without a full stop"]


class BabblesOne(Toy):
    def notes(self) -> Any:
        return "one sentence."


class Mutates(Toy):
    def fit(self, training) -> None:
        self.params.milestones.append(99)
        super().fit(training)


def test_notes_and_parameters():
    assert "'without a full stop' is no sentence" in said(Babbles, "notes-are-sentences")
    assert "not a list of sentences" in said(BabblesOne, "notes-are-sentences")
    complaint = said(Mutates, "parameters-not-mutated")
    assert "milestones from [10, 20] to [10, 20, 99]" in complaint


def test_watching_changes_no_number():
    subject = subject_of(Toy, "images")
    watched, plain = subject.first(), subject.again()
    assert watched.watch.drawn == 32
    assert plain.watch.drawn == 0
    assert torch.equal(watched.weights()["net.0.weight"], plain.weights()["net.0.weight"])


def test_places_in_packages_have_the_name_of_the_package(tmp_path):
    (tmp_path / "package").mkdir()
    file = tmp_path / "package" / "method.py"
    assert at(str(file), 3) == "method.py:3"
    (tmp_path / "package" / "__init__.py").touch()
    assert at(str(file), 3) == "package/method.py:3"


def test_every_check_names_a_promise_and_a_remedy():
    names = [check.name for check in checks()]
    assert len(names) == len(set(names))
    assert len(by_name()) >= 35
    for check in checks():
        assert check.what.endswith("."), check.name
        assert check.remedy.endswith("."), check.name
        assert check.name == check.name.lower()
        assert " " not in check.name


def test_a_method_is_one():
    assert issubclass(Toy, Method)
