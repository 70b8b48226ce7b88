"""One pass feeds every metric, leaves the method alone, and loses no value without a reason."""

from __future__ import annotations

import random

import numpy as np
import piq
import pytest
import torch
from torch import nn

from srbench.api.metric import Metric, Score
from srbench.errors import DataError, MissingDependency, PluginError, SrbenchError
from srbench.evaluation.evaluate import evaluate, validation_scores
from srbench.evaluation.l2_uvp import l2_uvp

CPU = torch.device("cpu")
WITHOUT_WEIGHTS = ("l2-uvp", "l2-uvp-official", "cosine", "transport-cost", "psnr", "ssim",
                   "palette-variance", "palette-variance-notebook", "palette-gap", "palette-sw2",
                   "colour-shift", "spectrum-gap")
OF_PATCHES = ("patch-fid", "patch-kid", "patch-mind")
OF_VECTORS = ("l2-uvp", "cosine", "transport-cost")


def run(method, dataset, metrics, **options):
    return evaluate(method, dataset, metrics, device=CPU, **options)


def chosen(builtin, *names):
    return {name: builtin[name] for name in names}


class Recorder(Metric):
    """Keeps the batches it is fed."""

    protocol = "recorder/v1"
    image_only = False
    seen: list

    def update(self, prediction, target, lr):
        type(self).seen.append((prediction.clone(), target.clone(), lr.clone()))

    def compute(self):
        return Score(value=1.0, count=sum(len(p) for p, _, _ in self.seen))


@pytest.fixture
def recorder():
    return type("Recorder", (Recorder,), {"seen": []})


@pytest.fixture
def blend(pairs, make_method):
    return make_method(pairs.problem, lambda x: 0.9 * x + 0.05)


def test_every_builtin_metric_has_a_value_or_a_reason(pairs, blend, builtin):
    found = run(blend, pairs, builtin, batch_size=7)
    assert list(found.values) == list(builtin)
    for name, value in found.values.items():
        if name in WITHOUT_WEIGHTS:
            assert value.unavailable is None, name
            assert np.isfinite(value.value), name
            assert value.count == (20 if "official" in name or "notebook" in name else 24)
        elif name in OF_PATCHES:
            assert value.unavailable == "does not apply: the dataset has no test patches"
            assert value.remedy is None
        else:
            assert value.value is None
            assert value.remedy.startswith("srbench fetch weights ")
        assert value.protocol
    assert len({value.protocol for value in found.values.values()}) == len(builtin)
    assert set(found.per_image) == {"l2-uvp", "l2-uvp-official", "transport-cost", "psnr", "ssim"}
    assert pairs.passes == [7]


def test_values_are_those_of_the_whole_set_whatever_the_batch_size(pairs, blend, builtin):
    metrics = chosen(builtin, *WITHOUT_WEIGHTS)
    whole, parts = (run(blend, pairs, metrics, batch_size=n) for n in (24, 5))
    for name in metrics:
        assert parts.values[name].value == pytest.approx(whole.values[name].value, rel=1e-9), name
    mapped = ((0.9 * pairs.lr + 0.05 + 1) / 2).clamp(0, 1)
    wanted = float(piq.psnr(mapped, (pairs.hr + 1) / 2))
    assert whole.values["psnr"].value == pytest.approx(wanted, abs=1e-5)
    assert whole.values["psnr"].unit == "dB"


def test_lpips_has_a_value_once_weights_are_there(pairs, blend, builtin, random_alexnet):
    found = run(blend, pairs, chosen(builtin, "lpips"))
    again = run(blend, pairs, chosen(builtin, "lpips"))
    assert found.values["lpips"].value > 0
    assert again.values["lpips"] == found.values["lpips"]
    assert len(found.per_image["lpips"]) == 24


def test_method_buffers_flags_and_random_states_are_left_alone(pairs, make_method, builtin):
    def noisy(x):
        random.random(), np.random.rand()
        return method.norm(nn.functional.dropout(x, 0.5, method.training)) + 0 * torch.rand(1)

    method = make_method(pairs.problem, noisy)
    method.train()
    method.norm.eval()  # a mixed state must come back as it was
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    before = {key: value.clone() for key, value in method.state_dict().items()}
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    found = run(method, pairs, chosen(builtin, *WITHOUT_WEIGHTS))
    validation_scores(method, pairs, CPU)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]
    for key, value in method.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert (method.training, method.norm.training) == (True, False)
    assert found.values["l2-uvp-official"].value is not None


def test_official_mode_uses_batch_statistics_of_ten(pairs, builtin):
    metrics = chosen(builtin, "l2-uvp", "l2-uvp-official")
    found = run(Normalised(pairs), pairs, metrics, batch_size=7)
    wanted = torch.cat([
        l2_uvp(nn.functional.batch_norm(x, None, None, training=True), y,
               pairs.facts()["hr_variance"])
        for x, y in zip(pairs.lr[:20].split(10), pairs.hr[:20].split(10), strict=True)])
    assert found.values["l2-uvp-official"].value == pytest.approx(float(wanted.mean()), rel=1e-5)
    assert found.values["l2-uvp-official"].count == 20
    assert found.values["l2-uvp"].value != pytest.approx(float(wanted.mean()), rel=0.01)


class Normalised(nn.Module):
    """A map that is nothing but a BatchNorm."""

    def __init__(self, dataset):
        super().__init__()
        self.problem, self.norm = dataset.problem, nn.BatchNorm2d(3)

    def forward(self, x):
        return self.norm(x)


def test_dropout_in_official_mode_gives_the_same_value_twice(pairs, make_method, builtin):
    method = make_method(pairs.problem, lambda x: x)
    drop = nn.Dropout(0.3)
    method.add_module("drop", drop)
    method.function = Dropping(drop)
    metrics = chosen(builtin, "l2-uvp-official")
    values = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        values.append(run(method, pairs, metrics).values["l2-uvp-official"].value)
    assert values[0] == values[1]


class Dropping(nn.Module):
    def __init__(self, drop):
        super().__init__()
        self.drop = drop

    def forward(self, x):
        return self.drop(x)


def test_metrics_see_targets_and_inputs_in_test_order(pairs, blend, entry, recorder):
    run(blend, pairs, {"toy": entry(recorder)}, batch_size=9)
    prediction, target, lr = (torch.cat(part) for part in zip(*recorder.seen, strict=True))
    assert torch.equal(target, pairs.hr)
    assert torch.equal(lr, pairs.lr)
    torch.testing.assert_close(prediction, 0.9 * pairs.lr + 0.05)


def test_first_twelve_images_are_kept(pairs, blend):
    samples = run(blend, pairs, {}, batch_size=5).samples
    assert torch.equal(samples["hr"], pairs.hr[:12])
    assert torch.equal(samples["lr"], pairs.lr[:12])
    assert samples["prediction"].shape == (12, 3, 64, 64)
    assert samples["prediction"].dtype == torch.float32


def test_output_that_is_not_finite_is_said_and_not_scored(pairs, make_method, builtin):
    def broken(x):
        out = x.clone()
        out[-1, 0, 0, 0] = torch.inf
        return out

    found = run(make_method(pairs.problem, broken), pairs, chosen(builtin, *WITHOUT_WEIGHTS),
                batch_size=10)
    assert found.flags == ["nan"]
    assert found.per_image == {}
    for value in found.values.values():
        assert value.value is None
        assert value.unavailable.startswith("output is not finite on test image ")
    assert found.diverged == "output is not finite on test image 9"
    assert len(found.samples["hr"]) == 12


def test_nan_in_train_mode_costs_only_the_official_value(pairs, make_method, builtin):
    method = make_method(pairs.problem, lambda x: x)
    method.function = OnlyInTraining(lambda x: x * torch.nan)
    found = run(method, pairs, chosen(builtin, "psnr", "l2-uvp-official"))
    assert found.values["psnr"].value is not None
    assert "not finite" in found.values["l2-uvp-official"].unavailable
    assert found.flags == ["nan"]
    assert found.diverged == ""  # the map that is judged is that in eval mode


class OnlyInTraining(nn.Module):
    """The identity in eval mode, something else in train mode."""

    def __init__(self, other):
        super().__init__()
        self.other = other

    def forward(self, x):
        return self.other(x) if self.training else x


def test_failing_train_mode_costs_only_the_official_value(pairs, make_method, builtin):
    method = make_method(pairs.problem, lambda x: x)
    method.function = OnlyInTraining(lambda x: 1 / 0)
    found = run(method, pairs, chosen(builtin, "l2-uvp", "l2-uvp-official"))
    assert found.values["l2-uvp"].value is not None
    assert "fails in train mode: ZeroDivisionError" in found.values["l2-uvp-official"].unavailable


def test_method_that_cannot_be_copied_costs_only_the_official_value(pairs, make_method, builtin):
    method = make_method(pairs.problem, lambda x: x)
    method.handle = (n for n in range(3))
    found = run(method, pairs, chosen(builtin, "l2-uvp", "l2-uvp-official"))
    assert found.values["l2-uvp"].value is not None
    assert "cannot be copied" in found.values["l2-uvp-official"].unavailable


@pytest.mark.parametrize(("function", "message"), [
    (lambda x: x[:, :, ::2, ::2], r"\(24, 3, 64, 64\) to \(24, 3, 32, 32\).*HR images.*64, 64\)"),
    (lambda x: x[:3], r"to \(3, 3, 64, 64\)"),
    (lambda x: [x], "returned a list"),
    (lambda x: (x * 255).byte(), r"returned a torch\.uint8 Tensor"),
])
def test_output_of_the_wrong_form_is_an_error(pairs, make_method, function, message):
    method = make_method(pairs.problem, function)
    with pytest.raises(PluginError, match=message):
        run(method, pairs, {})
    with pytest.raises(PluginError, match=message):
        validation_scores(method, pairs, CPU)


def test_errors_of_the_method_itself_reach_the_caller(pairs, make_method):
    method = make_method(pairs.problem, lambda x: 1 / 0)
    method.train()
    with pytest.raises(ZeroDivisionError):
        run(method, pairs, {})
    assert method.training


def test_half_precision_and_gradient_maps_are_welcome(pairs, make_method, builtin):
    def by_gradient(x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad((x.square() / 2).sum(), x)[0].bfloat16()

    found = run(make_method(pairs.problem, by_gradient), pairs, chosen(builtin, "psnr"))
    assert found.values["psnr"].value > 10
    assert found.samples["prediction"].dtype == torch.float32


def test_vectors_have_the_metrics_that_make_sense(make_dataset, make_method, builtin):
    y = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    dataset = make_dataset(2 * y + 1, y)
    found = run(make_method(dataset.problem, lambda x: (x - 1) / 2), dataset, builtin)
    assert found.values["l2-uvp"].value == pytest.approx(0, abs=1e-9)
    assert found.values["cosine"].value == pytest.approx(1, rel=1e-6)
    assert found.values["transport-cost"].value == pytest.approx(
        found.values["transport-cost"].reference["hr"], rel=1e-6)
    for name in set(builtin) - set(OF_VECTORS):
        assert found.values[name].unavailable == "does not apply to vectors"
    assert found.flags == []
    assert found.samples["hr"].shape == (12, 6)
    assert found.palettes == {}


def test_without_a_known_map_there_is_no_l2_uvp(images, make_dataset, make_method, builtin):
    hr = images(4, 64)
    dataset = make_dataset(nn.functional.avg_pool2d(hr, 4), hr, known_map=False)
    method = make_method(dataset.problem, lambda x: nn.functional.interpolate(x, scale_factor=4))
    found = run(method, dataset, builtin)
    for name in ("l2-uvp", "l2-uvp-official", "cosine"):
        assert "true map of the dataset is not known" in found.values[name].unavailable
    assert found.values["psnr"].value > 10
    assert validation_scores(method, dataset, CPU) == {
        "psnr": pytest.approx(found.values["psnr"].value)}


def test_images_of_different_sizes_come_one_by_one(images, make_dataset, make_method, builtin):
    dataset = make_dataset(images(2, 40), images(2, 40))
    sizes = [images(1, 40), images(1, 48, 1), images(1, 40, 2)]
    dataset.test_batches = lambda n: ((x, x) for x in sizes)
    found = run(make_method(dataset.problem, lambda x: x), dataset, chosen(builtin, "ssim"))
    assert found.values["ssim"].value == pytest.approx(1, abs=1e-6)
    assert found.samples["hr"].shape == (2, 3, 40, 40)


def test_a_sample_of_another_size_is_left_out_of_all_kinds(images, make_dataset, make_method):
    """LR crops may agree where HR crops do not: rows of the kinds must stay together."""
    dataset = make_dataset(images(2, 8), images(2, 32))
    sizes = [(images(1, 8, n), images(1, side, n)) for n, side in enumerate((32, 24, 32))]
    dataset.test_batches = lambda n: iter(sizes)
    method = make_method(dataset.problem, lambda x: by_content(x, sizes))
    samples = run(method, dataset, {}).samples
    assert {kind: tuple(part.shape) for kind, part in samples.items()} == {
        "lr": (2, 3, 8, 8), "prediction": (2, 3, 32, 32), "hr": (2, 3, 32, 32)}
    assert torch.equal(samples["lr"], torch.cat([sizes[0][0], sizes[2][0]]))
    assert torch.equal(samples["hr"], torch.cat([sizes[0][1], sizes[2][1]]))
    assert torch.equal(samples["prediction"], samples["hr"])


def by_content(x, pairs):
    """The HR image that belongs to an LR image."""
    return next(hr for lr, hr in pairs if torch.equal(lr, x))


def test_photographs_of_different_sizes_give_samples_that_stack(images, make_dataset, make_method):
    dataset = make_dataset(images(1, 100), images(1, 400))
    dataset.test_batches = lambda n: ((images(1, side, side), images(1, 4 * side, side))
                                      for side in (80, 100, 90))
    method = make_method(dataset.problem, lambda x: nn.functional.interpolate(x, scale_factor=4))
    samples = run(method, dataset, {}).samples
    assert samples["lr"].shape == (3, 3, 64, 64)
    assert samples["prediction"].shape == samples["hr"].shape == (3, 3, 256, 256)
    assert torch.equal(samples["prediction"][:, :, ::4, ::4], samples["lr"])
    assert torch.equal(samples["lr"][0], images(1, 80, 80)[0, :, 8:72, 8:72])


def test_progress_is_told_after_each_batch(pairs, blend):
    told = []
    run(blend, pairs, {}, batch_size=10, on_progress=lambda *done: told.append(done))
    assert told == [(10, 24), (20, 24), (24, 24)]


def test_dataset_without_test_images_is_an_error(pairs, blend):
    pairs.test_batches = pairs.validation_batches = lambda n: iter(())
    with pytest.raises(DataError, match="'toy' has no test images"):
        run(blend, pairs, {})
    with pytest.raises(DataError, match="no validation pairs"):
        validation_scores(blend, pairs, CPU)


def test_times_are_charged_to_restoring_and_measuring(pairs, make_method, builtin):
    import time

    slow = make_method(pairs.problem, lambda x: time.sleep(0.05) or x)
    found = run(slow, pairs, chosen(builtin, "psnr"), batch_size=8)
    assert 0.15 <= found.seconds_restore < 2
    assert 0 < found.seconds_measure < found.seconds_restore + 2


class Faulty(Recorder):
    """Fails where a test tells it to."""

    def self_check(self):
        self.fail("self_check")

    def update(self, prediction, target, lr):
        self.fail("update")

    def compute(self):
        self.fail("compute")
        return Score(value=float("nan"), count=1)

    def fail(self, place):
        if place == self.place:
            raise self.error


@pytest.mark.parametrize("place", ["self_check", "update", "compute", "nowhere"])
@pytest.mark.parametrize(("error", "said"), [
    (SrbenchError("it is broken", hint="mend it"), "it is broken"),
    (MissingDependency("no package x", hint="mend it"), "no package x"),
    (TypeError("no such thing"), "the metric failed with TypeError: no such thing"),
])
def test_a_metric_that_fails_costs_its_own_value_only(pairs, blend, builtin, entry, place, error,
                                                       said):
    kind = type("Faulty", (Faulty,), {"place": place, "error": error, "seen": []})
    found = run(blend, pairs, {"toy": entry(kind), **chosen(builtin, "psnr")})
    value = found.values["toy"]
    assert value.value is None
    assert value.unavailable == (said if place != "nowhere" else "the metric gave nan")
    assert value.remedy == ("mend it" if "mend" in str(error) and place != "nowhere" else None)
    assert found.values["psnr"].value is not None


def test_a_metric_that_cannot_be_imported_is_unavailable(pairs, blend, entry):
    def load():
        raise PluginError("toy:Toy cannot be imported")

    broken = entry(Recorder)
    broken.load = load
    no_metric = entry(dict)
    found = run(blend, pairs, {"broken": broken, "no-metric": no_metric})
    assert found.values["broken"].unavailable == "toy:Toy cannot be imported"
    assert "is no srbench.Metric" in found.values["no-metric"].unavailable


def test_validation_scores_are_those_of_the_metrics(pairs, blend, builtin):
    found = run(blend, pairs, chosen(builtin, "l2-uvp", "psnr"))
    scores = validation_scores(blend, pairs, CPU, batch_size=5)
    assert scores == {name: pytest.approx(found.values[name].value) for name in ("l2-uvp", "psnr")}


def test_validation_of_nan_is_nan(pairs, make_method):
    scores = validation_scores(make_method(pairs.problem, lambda x: x * torch.nan), pairs, CPU)
    assert all(np.isnan(value) for value in scores.values())
