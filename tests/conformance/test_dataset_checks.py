"""Each check of datasets sees what it is for, and lets sound datasets pass."""

from __future__ import annotations

import os
import random
import socket
from functools import partial
from pathlib import Path

import pytest
import torch

from srbench.api.dataset import PoolSettings
from srbench.api.problem import Problem
from srbench.conformance import dataset_checks
from srbench.conformance.dataset_sampling import common
from srbench.conformance.dataset_trial import trial
from srbench.conformance.effects import Effects
from srbench.conformance.offline import offline
from srbench.conformance.photographs import SyntheticPhotographs
from srbench.conformance.synthetic import SyntheticImages, SyntheticVectors
from srbench.errors import DataError
from tests.conformance.subjects import Opens, verdict

CHECKS = {check.name: check for check in dataset_checks.CHECKS
          if check not in dataset_checks.declared.DATASET}  # they need a real entry
IN_PROCESS = [name for name in CHECKS if name != "fingerprint-is-stable"]


@pytest.mark.parametrize("make", [SyntheticVectors, partial(SyntheticImages, 8),
                                  SyntheticPhotographs], ids=["vectors", "images", "photographs"])
def test_sound_datasets_pass(make):
    subject = Opens(make)
    found = {name: verdict(CHECKS[name], subject) for name in IN_PROCESS}
    bad = {name: said for name, said in found.items() if said.startswith("failed")}
    assert not bad
    tried = [name for name, said in found.items() if said == "passed"]
    assert len(tried) >= 15
    assert ("crops-of-any-size" in tried) == (make is SyntheticPhotographs)
    assert ("known-map-facts" in tried) == (make is not SyntheticPhotographs)


def test_names_are_unique_and_every_check_has_a_remedy():
    names = [check.name for check in dataset_checks.CHECKS]
    assert len(names) == len(set(names)) >= 20
    for check in dataset_checks.CHECKS:
        assert check.kind == "dataset"
        assert check.what.endswith(".")
        assert check.remedy.rstrip('"').endswith((".", ")"))


class Broken(SyntheticVectors):
    def prepare(self, device):
        raise RuntimeError("no such luck")


class Absent(SyntheticVectors):
    def __init__(self):
        raise DataError("the files are not here", hint="srbench fetch toy")


class Slow(SyntheticVectors):
    def __init__(self):
        super().__init__()
        import time

        time.sleep(1.1)


class Shapes(SyntheticVectors):
    def __init__(self):
        super().__init__()
        self.problem = Problem(domain="image", lr_shape=(3, 8, 8), hr_shape=(3, 16, 16))


class Double(SyntheticVectors):
    def sample_hr(self, n, generator):
        return super().sample_hr(n, generator).double()


class Infinite(SyntheticVectors):
    def sample_lr(self, n, generator):
        return super().sample_lr(n, generator) / 0


class Constant(SyntheticVectors):
    def sample_lr(self, n, generator):
        return torch.zeros(n, 4)


class Bytes(SyntheticImages):
    def sample_hr(self, n, generator):
        return (super().sample_hr(n, generator) + 1) * 127.5


class Counting(SyntheticVectors):
    count = 0

    def sample_lr(self, n, generator):
        type(self).count += 1
        return super().sample_lr(n, generator) + self.count


class OneSeed(SyntheticVectors):
    def sample_lr(self, n, generator):
        return super().sample_lr(n, torch.Generator().manual_seed(3))


class Turned(SyntheticVectors):
    """HR samples are the last LR samples under a map that is far from the identity."""

    def sample_lr(self, n, generator):
        self.last = super().sample_lr(n, generator)
        return self.last

    def sample_hr(self, n, generator):
        last = self.__dict__.pop("last", None)
        fresh = super().sample_hr(n, generator)
        return fresh if last is None or len(last) != n else -3 * last.flip(1)


class Global(SyntheticVectors):
    def sample_hr(self, n, generator):
        random.random()
        return super().sample_hr(n, generator)


class SmallPool(SyntheticVectors):
    pool = PoolSettings(size=8, block=8, refresh_every=0)


class Empty(SyntheticVectors):
    def validation_batches(self, batch_size):
        return iter(())


class Bigger(SyntheticImages):
    def test_batches(self, batch_size):
        for lr, hr in super().test_batches(batch_size):
            yield lr, torch.cat([hr, hr], 3)


class ByBatch(SyntheticVectors):
    """Draws held-out pairs batch by batch: another batch size gives others."""

    def test_batches(self, batch_size):
        for first in range(0, 64, batch_size):
            lr = self.sample_lr(min(batch_size, 64 - first), torch.Generator().manual_seed(first))
            yield lr, self.true_map(lr)


class Fewer(SyntheticVectors):
    def facts(self):
        return super().facts() | {"test_size": 65}


class Same(SyntheticVectors):
    def validation_batches(self, batch_size):
        return self.test_batches(batch_size)


class Leaking(SyntheticVectors):
    def sample_hr(self, n, generator):
        images = torch.cat([hr for _, hr in self.test_batches(64)])
        return images[torch.randint(len(images), (n,), generator=generator)]


class Cost(SyntheticVectors):
    def facts(self):
        return super().facts() | {"transport_cost": 2 * super().facts()["transport_cost"]}


class Silent(SyntheticVectors):
    def facts(self):
        return {}


class Objects(SyntheticVectors):
    def facts(self):
        return super().facts() | {"mean": torch.zeros(4)}


class Greedy(SyntheticPhotographs):
    def sample_hr(self, n, generator, size=None):
        return super().sample_hr(n, generator, min(size or 128, self.problem.hr_extent))


class Floats(SyntheticPhotographs):
    def train_images(self, role):
        return [image.float() for image in super().train_images(role)]


class Scenes(SyntheticPhotographs):
    def train_images(self, role):
        test = [hr[0].add(1).mul(127.5).clamp(0, 255).byte() for _, hr in self.test_batches(1)]
        return test if role == "hr" else super().train_images(role)


class Patches(SyntheticPhotographs):
    patch_count = 5000


class Network(SyntheticVectors):
    def prepare(self, device):
        super().prepare(device)
        with pytest.raises(OSError, match="no network"):
            socket.create_connection(("127.0.0.1", 9), timeout=0.1)


class Threads(SyntheticVectors):
    def sample_lr(self, n, generator):
        os.environ["TOY_MODE"] = "fast"
        return super().sample_lr(n, generator)


DEFECTS = [
    ("dataset-opens", Broken, "RuntimeError: no such luck"),
    ("constructor-is-cheap", Slow, "1.1 s"),
    ("problem-is-declared", Shapes, "does not agree"),
    ("samples-have-shape-and-type", Double, "torch.float64"),
    ("samples-in-range", Infinite, "not finite"),
    ("samples-in-range", Constant, "are equal"),
    ("samples-in-range", Bytes, "[-1, 1]"),
    ("samples-follow-their-generator", Counting, "sample_lr gives other samples"),
    ("samples-follow-their-generator", OneSeed, "two seeds"),
    ("lr-and-hr-independent", Turned, "belong together"),
    ("global-randomness-untouched", Global, "sample_hr"),
    ("pool-is-valid", SmallPool, "8 samples"),
    ("pairs-have-shape-and-scale", Empty, "has_validation = False"),
    ("pairs-have-shape-and-scale", Bigger, "test pair 0"),
    ("test-pairs-repeat", ByBatch, "another batch size"),
    ("test-pairs-repeat", Fewer, "64 pairs"),
    ("validation-disjoint-from-test", Same, "test pair 0"),
    ("test-not-in-training", Leaking, "sample_hr serves"),
    ("known-map-facts", Cost, "transport_cost"),
    ("known-map-facts", Silent, "no 'hr_variance'"),
    ("facts-are-data", Objects, "cannot be written"),
    ("crops-of-any-size", Greedy, "sample_hr(1, size="),
    ("train-images-are-whole", Floats, "torch.float32"),
    ("scenes-apart", Scenes, "HR training image"),
    ("test-patches-repeat", Patches, "patch_count"),
    ("dataset-needs-no-network", Network, "127.0.0.1"),
    ("dataset-leaves-the-process-alone", Threads, "TOY_MODE"),
]


@pytest.mark.parametrize(("name", "kind", "seen"), DEFECTS,
                         ids=[f"{name}-{kind.__name__}" for name, kind, _ in DEFECTS])
def test_a_defect_is_seen_by_its_check(name, kind, seen):
    said = verdict(CHECKS[name], Opens(kind))
    assert said.startswith("failed"), said
    assert seen in said


def test_data_that_is_not_here_is_not_tried_and_the_remedy_is_said():
    subject = Opens(Absent)
    for name in IN_PROCESS:
        assert verdict(CHECKS[name], subject) == (
            "not tried: the files are not here (srbench fetch toy)"), name


def test_a_dataset_that_does_not_open_fails_one_check_only():
    subject = Opens(Broken)
    failed = [name for name in IN_PROCESS if verdict(CHECKS[name], subject).startswith("failed")]
    assert failed == ["dataset-opens"]


def test_a_dataset_is_opened_once_for_all_checks():
    subject = Opens(SyntheticVectors)
    assert trial(subject) is trial(subject)
    assert trial(subject).dataset is trial(subject).dataset
    assert trial(subject) is not trial(Opens(SyntheticVectors))


def test_mantels_test_tells_pairs_from_chance():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 64, 5, generator=generator)
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=generator))[0]
    assert abs(common(x, y)) < 4
    assert common(x, x @ rotation) > 10  # the distances are equal
    assert common(x, torch.tanh(x) + 0.2 * y) > 10
    assert common(x, torch.zeros(64, 5)) == 0  # no distances to compare


def test_chance_alone_stays_below_the_threshold():
    generator = torch.Generator().manual_seed(1)
    scores = torch.tensor([common(*torch.randn(2, 48, 3, generator=generator)) for _ in range(40)])
    assert abs(float(scores.mean())) < 0.6  # standard normal: 4 standard errors
    assert float(scores.max()) < 6


def test_effects_are_seen_and_put_back(monkeypatch, tmp_path):
    monkeypatch.delenv("TOY", raising=False)
    here, effects = Path.cwd(), Effects()
    with effects.of("a part"):
        os.chdir(tmp_path)
        os.environ["TOY"] = "1"
        torch.set_default_dtype(torch.float64)
        torch.rand(1)
    with effects.of("another"):
        torch.rand(1, generator=torch.Generator().manual_seed(0))
    assert Path.cwd() == here
    assert "TOY" not in os.environ
    assert torch.get_default_dtype() is torch.float32
    assert effects.disturbed == ["a part"]
    said = "; ".join(effects.changes)
    assert "working directory" in said
    assert "TOY" in said
    assert "default dtype from torch.float32 to torch.float64" in said


def test_the_network_is_refused_inside_and_only_there(monkeypatch):
    monkeypatch.delenv("SRBENCH_OFFLINE", raising=False)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        where = server.getsockname()
        with offline() as asked, offline() as inner:
            assert os.environ["SRBENCH_OFFLINE"] == "1"
            with pytest.raises(ConnectionRefusedError, match="while a plugin is checked"):
                socket.create_connection(where, timeout=1)
        assert asked
        assert "127.0.0.1" in asked[-1]
        assert inner == asked
        assert "SRBENCH_OFFLINE" not in os.environ
        socket.create_connection(where, timeout=1).close()
        assert len(inner) == len(asked)


def test_sockets_within_the_machine_are_left_alone():
    one, other = socket.socketpair()
    with one, other, offline() as asked:
        one.send(b"x")
        assert other.recv(1) == b"x"
    assert not asked
