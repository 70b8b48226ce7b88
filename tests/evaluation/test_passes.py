"""The state of an evaluation: samples, bad batches, the copy in train mode, a metric's column."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from srbench.api.metric import Metric, Score
from srbench.errors import SrbenchError
from srbench.evaluation.column import Column
from srbench.evaluation.evaluate import evaluate, evaluation_context
from srbench.evaluation.modes import mapped
from srbench.evaluation.passes import SAMPLES, Pass, TrainMode, centre, measure_batch

CPU = torch.device("cpu")


class Seen(Metric):
    """Counts images and remembers what it was fed."""

    protocol = "seen/v1"

    def __init__(self, context):
        super().__init__(context)
        self.predictions = []

    def update(self, prediction, target, lr):
        assert len(prediction) == len(target) == len(lr)
        self.predictions.append(prediction.clone())

    def compute(self):
        rows = torch.cat(self.predictions)
        return Score(value=float(rows.mean()), count=len(rows))


class SeenInTraining(Seen):
    protocol = "seen-in-training/v1"
    mode = "train10"


@pytest.fixture
def column(entry, context):
    """Make the column of a metric class."""
    def make(kind, about=context):
        return Column(entry(kind, "toy"), about)
    return make


# samples

@pytest.mark.parametrize("sizes", [[24], [1] * 24, [3, 21], [8, 16], [5, 5, 14]])
def test_the_first_images_are_kept_however_they_come(pairs, sizes):
    state = Pass({})
    for x, y in zip(pairs.lr.split(sizes), pairs.hr.split(sizes), strict=True):
        state.keep(lr=x, prediction=2 * y, hr=y)
    kept = {kind: torch.cat([sample[kind] for sample in state.samples])
            for kind in ("lr", "prediction", "hr")}
    assert torch.equal(kept["hr"], pairs.hr[:SAMPLES])
    assert torch.equal(kept["lr"], pairs.lr[:SAMPLES])
    assert torch.equal(kept["prediction"], 2 * pairs.hr[:SAMPLES])
    assert len(state.samples) == SAMPLES


def test_fewer_images_than_are_kept(pairs):
    state = Pass({})
    state.keep(lr=pairs.lr[:3], prediction=pairs.hr[:3].half(), hr=pairs.hr[:3])
    assert [len(sample["hr"]) for sample in state.samples] == [1, 1, 1]
    assert {sample["prediction"].dtype for sample in state.samples} == {torch.float32}


def test_kept_samples_hold_no_larger_tensor_alive():
    large = torch.zeros(1, 3, 600, 600)
    state = Pass({})
    state.keep(lr=torch.zeros(1, 3, 150, 150), prediction=large, hr=large)
    for part in state.samples[0].values():
        assert part.untyped_storage().nbytes() == part.nbytes


# the centre of a photograph

def places_of(height, width, scale):
    """LR and HR images whose values say where they are, in LR pixels."""
    row = torch.arange(height * scale, dtype=torch.float32)[:, None] // scale
    column = torch.arange(width * scale, dtype=torch.float32)[None] // scale
    hr = torch.stack(torch.broadcast_tensors(row, column, row + column))[None]
    return hr[:, :, ::scale, ::scale], hr


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(90, 71), (400, 300), (65, 500), (64, 64), (257, 256)])
def test_the_centre_is_the_same_place_in_lr_and_hr(size, scale):
    lr, hr = places_of(*size, scale)
    found = centre({"lr": lr, "prediction": hr + 1, "hr": hr}, 256)
    most = 256 // scale
    assert found["lr"].shape == (1, 3, *(min(side, most) for side in size))
    assert max(found["hr"].shape[2:]) <= 256
    assert torch.equal(found["hr"][:, :, ::scale, ::scale], found["lr"])
    assert torch.equal(found["prediction"], found["hr"] + 1)
    for axis, side in enumerate(size):  # as much is cut off on either side
        before = int(found["lr"][0, axis].min())
        after = side - 1 - int(found["lr"][0, axis].max())
        assert 0 <= after - before <= 1


def test_small_images_and_vectors_are_kept_whole(pairs):
    found = centre({"lr": pairs.lr, "hr": pairs.hr}, 256)
    assert torch.equal(found["lr"], pairs.lr)
    assert torch.equal(found["hr"], pairs.hr)
    vectors = {"lr": torch.zeros(2, 900), "hr": torch.ones(2, 900)}
    assert centre(vectors, 256) is vectors


# bad batches

def test_a_bad_batch_says_where_it_starts_and_ends_the_values(pairs, make_method, column):
    def bad_in_the_second_batch(x):
        out = x.clone()
        if torch.equal(x[0], pairs.lr[10]):
            out[2:5, 0, 0, 0] = torch.nan
        return out

    method = make_method(pairs.problem, bad_in_the_second_batch)
    state = Pass({"seen": column(Seen), "training": column(SeenInTraining)})
    for first in (0, 10, 20):
        part = slice(first, first + 10)
        measure_batch(partial(mapped, method), state, (pairs.lr[part], pairs.hr[part]), first)

    assert state.raised == {"nan"}
    found = state.columns["seen"].finish()
    assert found.value is None
    assert found.unavailable == "output is not finite on test image 12 and 2 more of its batch"
    assert len(state.columns["seen"].metric.predictions) == 1  # neither the bad nor a later batch
    assert state.columns["training"].live  # the other mode has not failed


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_each_kind_of_bad_value_is_seen(pairs, make_method, value):
    def one_value(x):
        out = x.clone()
        out[-1, -1, -1, -1] = value
        return out

    found = evaluate(make_method(pairs.problem, one_value), pairs, {}, device=CPU, batch_size=9)
    assert found.flags == ["nan"]


# the copy in train mode

class Counting(nn.Module):
    """Adds one to a buffer at each call; its output is that number."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return x * 0 + self.calls


def test_the_copy_is_run_on_tens_and_the_method_itself_never(pairs, column):
    method = Counting()
    state = Pass({"training": column(SeenInTraining)})
    train = TrainMode(method, state)
    for x, y in zip(pairs.lr.split(7), pairs.hr.split(7), strict=True):
        train.measure(x, y)
    assert method.calls == 0
    assert train.copy.calls == 2
    predictions = state.columns["training"].metric.predictions
    assert [len(part) for part in predictions] == [10, 10]
    assert [float(part.mean()) for part in predictions] == [1.0, 2.0]
    assert state.seconds_measure > 0


class Noisy(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x + 2, 0.5, self.training)


def test_dropout_differs_between_batches_but_not_between_runs(pairs, column):
    runs = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = Pass({"training": column(SeenInTraining)})
        train = TrainMode(Noisy(), state)
        train.measure(torch.zeros_like(pairs.lr), pairs.hr)
        after = torch.rand(())
        torch.manual_seed(seed)
        assert torch.equal(after, torch.rand(()))  # its draws are its own
        runs.append(state.columns["training"].metric.predictions)
    first, second = runs
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], first[1])


def test_once_nobody_listens_the_copy_is_not_run(pairs, column):
    method = Counting()
    state = Pass({"training": column(SeenInTraining)})
    train = TrainMode(method, state)
    state.columns["training"].withdraw("enough")
    train.measure(pairs.lr, pairs.hr)
    assert train.copy.calls == 0
    assert state.of_mode("train10") == []


def test_images_of_different_sizes_cost_the_values_of_the_train_mode_only(images, make_dataset,
                                                                           make_method, entry):
    dataset = make_dataset(images(2, 40), images(2, 40), known_map=False)
    sizes = [images(1, 40 + 8 * (n % 2), n) for n in range(12)]
    dataset.test_batches = lambda n: ((x, x) for x in sizes)
    found = evaluate(make_method(dataset.problem, lambda x: x), dataset,
                     {"seen": entry(Summed), "training": entry(SeenInTraining)}, device=CPU)
    assert found.values["seen"].count == 12
    assert found.values["training"].unavailable.startswith(
        "batches of ten need images of one size: RuntimeError")


class Summed(Metric):
    """Takes images of any size."""

    protocol = "summed/v1"

    def __init__(self, context):
        super().__init__(context)
        self.count = 0

    def update(self, prediction, target, lr):
        self.count += len(target)

    def compute(self):
        return Score(value=1.0, count=self.count)


# a metric's column

def test_a_metric_may_say_that_it_does_not_suit_a_dataset(column):
    class Unsuited(Seen):
        protocol = "unsuited/v1"

        def __init__(self, context):
            raise AssertionError("built where it does not apply")

        @classmethod
        def unsuited(cls, context):
            return f"does not apply to {context.problem.domain}s of {context.problem.dim} values"

    found = column(Unsuited)
    assert found.unavailable == "does not apply to images of 12288 values"
    assert found.finish().value is None
    suited = type("Suited", (Unsuited,), {"unsuited": classmethod(lambda cls, context: ""),
                                          "__init__": Seen.__init__})
    assert column(suited).live


def test_a_metric_that_fails_to_say_so_is_unavailable(column):
    class Odd(Seen):
        protocol = "odd/v1"

        @classmethod
        def unsuited(cls, context):
            return context.facts["no such fact"]

    assert column(Odd).unavailable == "the metric failed with KeyError: 'no such fact'"


@pytest.mark.parametrize("facts", [{}, {"patch_count": 0}])
def test_metrics_of_patches_need_patches(column, context, facts):
    kind = type("OfPatches", (Seen,), {"protocol": "of-patches/v1", "mode": "patches"})
    found = column(kind, replace(context, facts=facts))
    assert found.unavailable == "does not apply: the dataset has no test patches"
    assert column(kind, replace(context, facts={"patch_count": 3})).live

def test_the_first_reason_stays(column):
    found = column(Seen)
    found.withdraw("the first", "mend the first")
    found.withdraw("the second", "mend the second")
    value = found.finish()
    assert (value.unavailable, value.remedy) == ("the first", "mend the first")
    assert value.value is None


def test_a_column_keeps_all_of_a_score(column):
    class Full(Seen):
        protocol = "full/v1"

        def compute(self):
            return Score(value=2.0, count=7, interval=(1.5, 2.5), reference={"hr": 3.0},
                         detail={"rank": 4})

    value = column(Full).finish()
    assert (value.value, value.count, value.interval) == (2.0, 7, [1.5, 2.5])
    assert (value.reference, value.detail) == ({"hr": 3.0}, {"rank": 4})
    assert (value.protocol, value.direction, value.title) == ("full/v1", "lower", "toy")
    assert value.unavailable is None


@pytest.mark.parametrize(("result", "said"), [
    (3.5, "the metric gave a float, no srbench.Score"),
    (None, "the metric gave a NoneType, no srbench.Score"),
    (Score(value=float("inf"), count=1), "the metric gave inf"),
    (Score(value=None, count=1), "TypeError"),
    (Score(value="1.0", count=1), "TypeError"),
])
def test_what_is_no_score_costs_the_value_and_not_the_cell(pairs, make_method, entry, result, said):
    kind = type("Odd", (Seen,), {"protocol": "odd/v1", "compute": lambda self: result})
    method = make_method(pairs.problem, lambda x: x)
    found = evaluate(method, pairs, {"odd": entry(kind), "seen": entry(Seen)}, device=CPU)
    assert found.values["odd"].value is None
    assert said in found.values["odd"].unavailable
    assert found.values["seen"].value is not None
    assert found.per_image == {}


def test_a_metric_that_does_not_apply_is_never_built(column, make_dataset):
    class Explosive(Seen):
        protocol = "explosive/v1"
        needs_map = True

        def __init__(self, context):
            raise AssertionError("built where it does not apply")

    vectors = make_dataset(torch.zeros(4, 2), torch.zeros(4, 2), known_map=False)
    found = column(Explosive, evaluation_context(vectors, CPU))
    assert found.unavailable == "does not apply to vectors"
    images = make_dataset(torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8), known_map=False)
    found = column(Explosive, evaluation_context(images, CPU))
    assert found.unavailable == "does not apply: the true map of the dataset is not known"
    assert found.remedy is None


def test_a_metric_that_fails_its_self_check_takes_no_batch(column, pairs):
    class Wrong(Seen):
        protocol = "wrong/v1"

        def self_check(self):
            raise SrbenchError("1 + 1 gives 3", hint="srbench doctor")

    found = column(Wrong)
    assert not found.live
    found.update(pairs.hr, pairs.hr, pairs.lr)
    value = found.finish()
    assert (value.unavailable, value.remedy) == ("1 + 1 gives 3", "srbench doctor")
    assert value.protocol == "wrong/v1"


def test_evaluations_of_one_dataset_share_a_store_and_others_do_not(pairs, make_dataset):
    first, second = evaluation_context(pairs, CPU), evaluation_context(pairs, CPU)
    other = evaluation_context(make_dataset(pairs.lr, pairs.hr), CPU)
    assert first.store is second.store
    assert first.store is not other.store
    assert (first.fingerprint, first.known_map) == (pairs.fingerprint(), True)
