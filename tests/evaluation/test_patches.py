"""Patch metrics: streamed values equal those of all features at once, HR features taken once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from srbench import files
from srbench.api.metric import Metric, Score
from srbench.errors import DataError, MissingWeights, SrbenchError
from srbench.evaluation import patch_fid, patch_kid, reducers
from srbench.evaluation.evaluate import evaluate, evaluation_context
from srbench.evaluation.frechet import frechet_of_features
from srbench.evaluation.inception import PROTOCOL as INCEPTION
from srbench.evaluation.inception import InceptionFeatures
from srbench.evaluation.kid import squared_mmd
from srbench.evaluation.mind import mind_directions
from srbench.evaluation.passes import PATCH_BATCH
from srbench.evaluation.patch_features import PatchTargets
from srbench.evaluation.patch_fid import PatchFID
from srbench.evaluation.patch_kid import PatchKID
from srbench.evaluation.patch_mind import PatchMIND

CPU = torch.device("cpu")
NAMES = ("patch-fid", "patch-kid", "patch-mind")


class Counting(nn.Module):
    """Stands in for Inception: 27 averages of an image; counts its images."""

    def __init__(self):
        super().__init__()
        self.images = 0

    def forward(self, images):
        self.images += len(images)
        return [nn.functional.adaptive_avg_pool2d(images, 3).flatten(1)[:, :, None, None]]


def nearest(x):
    return 1.5 * nn.functional.interpolate(x, scale_factor=4) + 0.2  # leaves [-1, 1]


@pytest.fixture
def network():
    return Counting()


@pytest.fixture
def with_stub(network):
    """Give a dataset's evaluations the stub for Inception."""
    def give(dataset):
        context = evaluation_context(dataset, CPU)
        context.store[INCEPTION] = InceptionFeatures(network, "content", dataset.fingerprint())
        return dataset
    return give


def features_of(images):
    return nn.functional.adaptive_avg_pool2d((images + 1) / 2, 3).flatten(1)


def run(method, dataset, builtin, names=NAMES, **options):
    return evaluate(method, dataset, {name: builtin[name] for name in names}, device=CPU, **options)


@pytest.mark.parametrize("count", [150, 20])  # more and fewer than the 27 features
def test_values_are_those_of_all_features_at_once(photographs, with_stub, make_method, builtin,
                                                  monkeypatch, count):
    monkeypatch.setattr(reducers.JointMoments.__init__, "__defaults__", (50,))
    dataset = with_stub(photographs(count))
    found = run(make_method(dataset.problem, nearest), dataset, builtin).values
    low, high = dataset.all_patches()
    x, y = features_of(nearest(low)), features_of(high)
    wanted = frechet_of_features([x], [y])
    assert found["patch-fid"].value == pytest.approx(wanted.distance, rel=1e-9)
    assert found["patch-fid"].detail["rank"] == wanted.rank
    assert found["patch-fid"].detail["way"] == ("cholesky" if count > 27 else "roots")
    assert found["patch-kid"].value == pytest.approx(squared_mmd([x], [y]), rel=1e-9)
    theta = mind_directions(27).double().numpy()
    gaps = [np.sort(side.double().numpy() @ theta.T, axis=0) for side in (x, y)]
    assert found["patch-mind"].value == pytest.approx(
        3 * 27 * np.square(gaps[0] - gaps[1]).mean(), rel=1e-4)
    assert {value.count for value in found.values()} == {count}


def test_each_patch_is_restored_on_its_own(photographs, with_stub, make_method, builtin):
    """A map that looks beyond a patch gives another value than crops of whole restored images."""
    seen = []

    def spy(x):
        seen.append(tuple(x.shape))
        return nearest(x)

    dataset = with_stub(photographs(150))
    run(make_method(dataset.problem, spy), dataset, builtin)
    assert seen[0] == (1, 3, 32, 32)  # measures the memory that whole images need
    assert seen[1:4] == [(1, 3, h, w) for h, w in dataset.SIZES]
    assert seen[4:] == [(PATCH_BATCH, 3, 32, 32)] * 2 + [(22, 3, 32, 32)]


def test_hr_features_are_taken_once_per_dataset_and_kept_on_disk(photographs, with_stub, network,
                                                                 make_method, builtin):
    dataset = with_stub(photographs(130))
    method = make_method(dataset.problem, nearest)
    first = run(method, dataset, builtin).values
    assert network.images == 2 * 130
    again = run(method, dataset, builtin).values  # the oracle's evaluation in the same process
    assert network.images == 3 * 130
    other = run(method, with_stub(photographs(130)), builtin).values  # another process
    assert network.images == 4 * 130
    for name in NAMES:
        assert again[name].value == pytest.approx(first[name].value, rel=1e-12)
        assert other[name].value == pytest.approx(first[name].value, rel=1e-12)
    kept = sorted(p.suffix for p in (files.cache_dir() / "features").iterdir())
    assert kept == [".json", ".rows"]


def test_other_patches_weights_or_numbers_have_features_of_their_own(photographs, network):
    inception = InceptionFeatures(network, "content", "fingerprint")
    paths = {PatchTargets(one, total)._path for one, total in (
        (inception, 10), (inception, 11),
        (InceptionFeatures(network, "other", "fingerprint"), 10),
        (InceptionFeatures(network, "content", "other"), 10))}
    assert len(paths) == 4


def test_damaged_features_on_disk_are_taken_again(photographs, with_stub, network, make_method,
                                                  builtin):
    dataset = with_stub(photographs(70))
    method = make_method(dataset.problem, nearest)
    first = run(method, dataset, builtin).values
    path = next((files.cache_dir() / "features").glob("*.rows"))
    path.write_bytes(path.read_bytes()[:-8] + b"\0" * 8)
    again = run(method, with_stub(photographs(70)), builtin).values
    assert network.images == 4 * 70
    assert again["patch-fid"].value == pytest.approx(first["patch-fid"].value, rel=1e-12)


def test_without_a_fingerprint_nothing_is_kept(photographs, network, make_method, builtin):
    dataset = photographs(70)
    store = evaluation_context(dataset, CPU).store
    store[INCEPTION] = InceptionFeatures(network, "content", "")
    method = make_method(dataset.problem, nearest)
    values = [run(method, dataset, builtin).values["patch-kid"].value for _ in range(2)]
    assert values[0] == values[1]
    assert network.images == 4 * 70
    assert not (files.cache_dir() / "features").exists()


def test_kid_is_the_mean_of_disjoint_blocks(photographs, with_stub, make_method, builtin,
                                            monkeypatch):
    monkeypatch.setattr(patch_kid, "BLOCK", 40)
    dataset = with_stub(photographs(150))
    found = run(make_method(dataset.problem, nearest), dataset, builtin, ("patch-kid",)).values
    low, high = dataset.all_patches()
    x, y = features_of(nearest(low)), features_of(high)
    blocks = [squared_mmd([a], [b]) for a, b in zip(x.split(40)[:3], y.split(40)[:3], strict=True)]
    assert found["patch-kid"].value == pytest.approx(np.mean(blocks), rel=1e-9)
    assert found["patch-kid"].count == 120
    assert found["patch-kid"].detail == {
        "blocks": 3, "sd_of_blocks": pytest.approx(np.std(blocks, ddof=1))}


def test_progress_covers_both_passes(photographs, with_stub, make_method, builtin):
    dataset = with_stub(photographs(150))
    method = make_method(dataset.problem, nearest)
    told = []
    run(method, dataset, builtin, on_progress=lambda *done: told.append(done))
    assert told == [(n, 153) for n in (1, 2, 3, 67, 131, 153)]
    told.clear()
    run(method, dataset, builtin, ("psnr",), on_progress=lambda *done: told.append(done))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert dataset.calls == {"test": 2, "patches": 1}  # no second pass where nobody listens
    told.clear()
    unknown = with_stub(photographs(70, known_size=False))
    run(method, unknown, builtin, on_progress=lambda *done: told.append(done))
    assert told[-1] == (73, 0)


def test_output_that_is_not_finite_on_patches_costs_their_values_only(photographs, with_stub,
                                                                      make_method, builtin):
    def broken(x):
        out = nearest(x)
        if len(x) == 22:
            out[3:5, 1, 7, 7] = torch.nan
        return out

    dataset = with_stub(photographs(150))
    found = run(make_method(dataset.problem, broken), dataset, builtin, ("psnr", *NAMES))
    assert found.values["psnr"].value is not None
    for name in NAMES:
        assert found.values[name].unavailable == found.diverged == (
            "output is not finite on test patch 131 and 1 more of its batch")
    assert found.flags == ["nan"]


def test_patches_end_once_nobody_listens(photographs, with_stub, make_method, builtin):
    sizes = []

    def broken(x):
        sizes.append(len(x))
        return nearest(x) * (torch.nan if len(x) == 64 else 1)

    dataset = with_stub(photographs(300))
    run(make_method(dataset.problem, broken), dataset, builtin)
    assert sizes[-2:] == [1, 64]


def test_a_method_that_fails_on_patches_keeps_its_other_values(photographs, with_stub, make_method,
                                                               builtin):
    def fails(x):
        if len(x) > 1:
            raise ValueError("images one by one, please")
        return nearest(x)

    dataset = with_stub(photographs(70))
    found = run(make_method(dataset.problem, fails), dataset, builtin, ("psnr", *NAMES)).values
    assert found["psnr"].value is not None
    assert found["patch-fid"].unavailable == (
        "restoring the test patches failed: ValueError: images one by one, please")


def test_a_dataset_that_gives_no_patches_after_all(photographs, with_stub, make_method, builtin):
    dataset = with_stub(photographs(70))
    dataset.test_patches = lambda batch_size: iter(())
    found = run(make_method(dataset.problem, nearest), dataset, builtin).values
    assert found["patch-fid"].unavailable == "the dataset gave no test patches"


def test_a_dataset_without_patches(photographs, make_method, builtin):
    dataset = photographs(0)
    found = run(make_method(dataset.problem, nearest), dataset, builtin, ("psnr", "fid", *NAMES))
    for name in NAMES:
        assert found.values[name].unavailable == "does not apply: the dataset has no test patches"
    assert "see patch-fid" in found.values["fid"].unavailable
    assert dataset.calls["patches"] == 0


def test_only_a_dataset_that_can_give_patches_has_some(make_dataset, make_method, builtin, images):
    dataset = make_dataset(images(2, 16), images(2, 64), patch_count=50)
    assert evaluation_context(dataset, CPU).facts["patch_count"] == 0
    found = run(make_method(dataset.problem, nearest), dataset, builtin).values
    assert found["patch-fid"].unavailable == "does not apply: the dataset has no test patches"


def test_patches_of_another_size_are_refused(photographs, with_stub):
    context = evaluation_context(with_stub(photographs(70)), CPU)
    metric = PatchFID(context)
    with pytest.raises(DataError, match=r"32x32.*128x128.*got \(16, 16\) and \(64, 64\)"):
        metric.update(torch.zeros(2, 3, 64, 64), torch.zeros(2, 3, 64, 64),
                      torch.zeros(2, 3, 16, 16))


@pytest.mark.parametrize("kind", [PatchFID, PatchKID, PatchMIND])
def test_they_name_their_protocol_and_their_weights(photographs, kind):
    assert kind.mode == "patches"
    assert "/lr32-hr128-independent/pytorch-fid-inception/float-unclamped/" in kind.protocol
    with pytest.raises(MissingWeights) as caught:
        kind(evaluation_context(photographs(70), CPU))
    assert caught.value.hint == "srbench fetch weights inception"


@pytest.mark.parametrize("kind", [PatchFID, PatchKID, PatchMIND])
def test_before_any_patch_there_is_no_value(photographs, with_stub, kind):
    metric = kind(evaluation_context(with_stub(photographs(70)), CPU))
    metric.self_check()
    with pytest.raises(SrbenchError):
        metric.compute()


def test_only_part_of_the_patches_leaves_no_statistics_behind(photographs, with_stub):
    dataset = with_stub(photographs(70))
    context = evaluation_context(dataset, CPU)
    low, high = dataset.all_patches()
    for kind in (PatchFID, PatchMIND):
        metric = kind(context)
        metric.update(nearest(low[:40]), high[:40], low[:40])
        metric.compute()
    assert not [key for key in context.store if "hr-" in key]
    assert not list((files.cache_dir() / "features").glob("*.rows"))


def test_the_self_check_notices_broken_maths(photographs, with_stub, monkeypatch):
    metric = PatchFID(evaluation_context(with_stub(photographs(70)), CPU))
    right = patch_fid.frechet_of_moments
    monkeypatch.setattr(patch_fid, "frechet_of_moments",
                        lambda a, b: replace(right(a, b), distance=2 * right(a, b).distance))
    with pytest.raises(SrbenchError, match="shift by 1"):
        metric.self_check()


def test_plugins_may_measure_patches_too(photographs, make_method, entry):
    class Mean(Metric):
        protocol = "mean/v1"
        mode = "patches"

        def __init__(self, context):
            super().__init__(context)
            self.rows = []

        def update(self, prediction, target, lr):
            assert prediction.shape == target.shape == (len(lr), 3, 128, 128)
            self.rows.append(prediction.mean((1, 2, 3)))

        def compute(self):
            rows = torch.cat(self.rows)
            return Score(value=float(rows.mean()), count=len(rows), per_image=rows.tolist())

    dataset = photographs(70)
    found = evaluate(make_method(dataset.problem, nearest), dataset, {"mean": entry(Mean, "mean")},
                     device=CPU)
    wanted = nearest(dataset.all_patches()[0]).mean()
    assert found.values["mean"].value == pytest.approx(float(wanted), rel=1e-5)
    assert found.values["mean"].count == 70
