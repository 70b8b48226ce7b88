"""The contracts plugins are written against."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from srbench import (
    Dataset,
    DatasetInfo,
    EvaluationContext,
    Method,
    MethodInfo,
    Metric,
    MetricInfo,
    Parameters,
    PoolSettings,
    Problem,
    Score,
)

INFO = {"name": "a-method", "summary": "It works.", "load": "package.module:Class"}


@pytest.mark.parametrize(("domain", "shape", "dim", "is_image"), [
    ("image", (3, 64, 64), 12_288, True), ("vector", (7,), 7, False), ("sr", (3, 8, 4), 96, True)])
def test_a_problem_knows_its_dimension(domain, shape, dim, is_image):
    problem = Problem(domain=domain, lr_shape=(3, 2, 2), hr_shape=shape)
    assert (problem.dim, problem.is_image, problem.scale) == (dim, is_image, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem.scale = 2


@pytest.mark.parametrize(("size", "block", "refresh"), [
    (0, 1, 0), (8, 0, 0), (-8, 4, 0), (8, -4, 0), (10, 4, 0), (4, 8, 0), (8, 4, -1)])
def test_a_pool_that_cannot_be(size, block, refresh):
    with pytest.raises(ValueError, match=rf"{size}|{refresh}"):
        PoolSettings(size=size, block=block, refresh_every=refresh)


def test_a_pool():
    pool = PoolSettings(size=12, block=4, refresh_every=0)
    assert (pool.size, pool.block, pool.refresh_every) == (12, 4, 0)


class Toy(Dataset):
    def __init__(self, source):
        self.source = source
        super().__init__(Parameters(), "toy")

    def fingerprint(self):
        return "f"

    sample_lr = sample_hr = test_batches = validation_batches = None


@pytest.mark.parametrize(("source", "title"), [
    ("", "toy"), ("official", "toy"), ("generated", "toy"), ("embedded", "toy@embedded")])
def test_only_a_stand_in_is_marked_in_the_title(source, title):
    dataset = Toy(source)
    assert dataset.title == title
    assert (dataset.name, dataset.notice, dataset.pool, dataset.facts()) == ("toy", "", None, {})
    dataset.prepare(torch.device("cpu"))


@pytest.mark.parametrize(("cls", "missing"), [
    (Dataset, "fingerprint"), (Dataset, "sample_hr"), (Dataset, "validation_batches"),
    (Method, "fit"), (Method, "forward"), (Metric, "update"), (Metric, "compute")])
def test_a_contract_that_is_not_kept_is_noticed_at_once(cls, missing):
    kept = {name: lambda self, *values: None for name in cls.__abstractmethods__ - {missing}}
    partial = type("Partial", (cls,), kept)
    with pytest.raises(TypeError, match=missing):
        partial(None) if cls is Metric else partial(None, None)


def test_a_method_builds_its_networks_from_parameters_and_problem():
    class Linear(Method):
        class Params(Parameters):
            bias: bool = True

        def build(self):
            self.net = torch.nn.Linear(self.problem.dim, self.problem.dim, self.params.bias)

        def fit(self, training):
            pass

        def forward(self, lr):
            return self.net(lr)

    problem = Problem(domain="vector", lr_shape=(3,), hr_shape=(3,))
    method = Linear(Linear.Params(bias=False), problem)
    assert [tuple(weight.shape) for weight in method.parameters()] == [(3, 3)]
    assert method(torch.zeros(2, 3)).tolist() == [[0.0] * 3] * 2
    assert (method.params.bias, method.problem) == (False, problem)


def test_metrics_share_nothing_by_accident():
    problem = Problem(domain="vector", lr_shape=(3,), hr_shape=(3,))
    about = {"problem": problem, "known_map": True, "facts": {}, "device": torch.device("cpu")}
    one, other = EvaluationContext(**about), EvaluationContext(**about)
    one.store["network"] = 1
    assert other.store == {}
    first, second = Score(value=1.0, count=2), Score(value=1.0, count=2)
    first.detail["rank"] = 3
    first.reference["hr"] = 0.1
    assert (second.detail, second.reference) == ({}, {})


@pytest.mark.parametrize("name", ["a", "0", "w2-early", "l2-uvp", "x.y", "9-.", "ots"])
def test_names_that_are_accepted(name):
    assert MethodInfo(**{**INFO, "name": name}).name == name


@pytest.mark.parametrize(("change", "words"), [
    ({"name": ""}, "must match"), ({"name": "Upper"}, "'Upper'"), ({"name": "-a"}, "'-a'"),
    ({"name": "a b"}, "'a b'"), ({"name": "a_b"}, "'a_b'"), ({"name": "a\n"}, "must match"),
    ({"name": "a[b]"}, "must match"), ({"name": "größe"}, "must match"),
    ({"load": "module"}, "load='module' of 'a-method'"), ({"load": "a:b:c"}, "load='a:b:c'"),
    ({"load": "a:"}, "module:Class"), ({"load": ":B"}, "module:Class"),
    ({"load": "a.b:C.d"}, "module:Class"), ({"load": "a/b:C"}, "module:Class"),
    ({"summary": ""}, "summary of 'a-method' is empty"), ({"summary": " \n"}, "is empty")])
@pytest.mark.parametrize("cls", [MethodInfo, DatasetInfo, MetricInfo])
def test_infos_that_make_no_sense(cls, change, words):
    more = {"title": "T", "direction": "lower"} if cls is MetricInfo else {}
    with pytest.raises(ValueError) as caught:
        cls(**{**INFO, **more, **change})
    assert words in str(caught.value)


def test_infos_have_defaults_of_their_own_and_are_frozen():
    one, other = MethodInfo(**INFO), MethodInfo(**INFO)
    assert one.sweep == {}
    assert one.sweep is not other.sweep
    assert DatasetInfo(**INFO).fixed == {}
    metric = MetricInfo(**INFO, title="T", direction="target")
    assert (metric.unit, metric.decimals) == ("", 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "other"
